"""`python -m messaging.sandbox --port 8001`: one process, one event loop, gone at SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from . import constants
from .app import Sandbox
from .name_server import NameServer
from .twilio import Credentials

_BACKLOG = 8192  # connections at once: many may be held by rate_timeout


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    if not _is_free(arguments.host, arguments.port):
        parser.exit(1, f"Port {arguments.port} on {arguments.host} is taken.\n")
    asyncio.run(_serve(arguments))


def _is_free(host: str, port: int) -> bool:
    """granian shares a port with whoever listens on it already; half the calls would go astray."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


async def _serve(arguments: argparse.Namespace) -> None:
    sandbox = Sandbox(
        directory=arguments.data,
        credentials=Credentials(arguments.account_sid, arguments.auth_token),
        app_url=arguments.app_url,
        url=arguments.url or f"http://{arguments.host}:{arguments.port}",
        sns_endpoint=arguments.sns_endpoint,
        whatsapp_endpoint=arguments.whatsapp_endpoint,
    )
    sandbox.reporter.resume()
    server = Server(
        sandbox,
        address=arguments.host,
        port=arguments.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_BACKLOG,
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _leave, sandbox)
    await loop.create_datagram_endpoint(
        lambda: NameServer(sandbox.zone), local_addr=(arguments.host, arguments.port)
    )
    reporting = asyncio.create_task(sandbox.reporter.run())
    reporting.add_done_callback(lambda _: os._exit(1))
    sys.stdout.write(f"Sandbox providers on http://{arguments.host}:{arguments.port}\n")
    sys.stdout.flush()
    await server.serve()


def _leave(sandbox: Sandbox) -> None:
    """At once: a graceful stop would wait for connections that are held on purpose.

    Nothing is lost by it, since whatever was answered for is in the log already.
    """
    sandbox.log.close()
    os._exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m messaging.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--data", type=Path, help="directory for the log; in memory without it")
    parser.add_argument("--app-url", default="", help="link from the outbox back to the app")
    parser.add_argument("--url", default="", help="what the app calls it; http://host:port")
    parser.add_argument("--sns-endpoint", default="", help="where events of emails are posted")
    parser.add_argument("--whatsapp-endpoint", default="", help="where WhatsApp's webhooks go")
    parser.add_argument("--account-sid", default=constants.PLATFORM_ACCOUNT_SID)
    parser.add_argument("--auth-token", default=constants.PLATFORM_AUTH_TOKEN)
    return parser


if __name__ == "__main__":
    main()
