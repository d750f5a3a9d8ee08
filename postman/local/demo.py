"""What `make demo` runs, after the set-up: the whole product on one machine."""

import json
import os
import shlex
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from postman import local
from postman.local.servers import (
    CannotStart,
    Postgres,
    Server,
    Valkey,
    port_is_free,
    settled_port,
)
from postman.local.supervisor import Failed, Process, StopRequested, Supervisor, announced

SERVERS, DOORS, WORKERS = range(3)  # stages: a worker finishes its chunk while all else still runs
PATIENCE = 90.0


def processes(
    *, port: int, sandbox_port: int, receipts_port: int, directory: Path
) -> list[Process]:
    """The table of what runs beside the servers.

    Bulk work stands back (`nice`) where a person waits for a page, as on a machine of its own.
    """
    python = [sys.executable, "-u"]
    modest = ["nice", "-n", "10"]
    granian = [*python, "-m", "granian", "postman.wsgi:application", "--interface", "wsgi"]
    granian += ["--host", "127.0.0.1", "--http", "1", "--no-ws"]
    granian += ["--respawn-failed-workers", "--respawn-interval", "0.5"]
    granian += ["--workers-kill-timeout", "8"]
    # Root is fine here: nobody but this machine's user feeds these workers.
    celery = [*python, "-W", "ignore:You're running the worker", "-m", "celery"]
    celery += ["--quiet", "-A", "postman.celery"]
    worker = [*celery, "worker", "--loglevel=INFO", "--without-gossip", "--without-mingle"]
    worker += ["--pool=prefork", "--concurrency=2"]
    return [
        Process(
            "sandbox",
            [
                *(*modest, *python, "-m", "messaging.sandbox", "--port", str(sandbox_port)),
                *("--data", str(directory / "sandbox")),
                *("--app-url", f"http://localhost:{port}"),
                *("--url", f"http://localhost:{sandbox_port}"),
                *("--sns-endpoint", f"http://127.0.0.1:{receipts_port}/callbacks/ses"),
                *("--whatsapp-endpoint", f"http://127.0.0.1:{receipts_port}/callbacks/whatsapp"),
            ],
            stage=DOORS,
        ),
        Process(
            "web",
            [*granian, "--port", str(port), "--workers", "2", "--blocking-threads", "4"],
            stage=DOORS,
        ),
        # Providers report twice on every message: a door of its own, so that nobody's page waits
        # in that queue.
        Process(
            "receipts",
            [
                *("env", "ONLY_CALLBACKS=1", *modest, *granian, "--port", str(receipts_port)),
                *("--workers", "1", "--blocking-threads", "16", "--backlog", "1024"),
            ],
            stage=DOORS,
        ),
        Process(
            "urgent",
            [*worker, "--hostname=urgent@%h", "--queues=urgent,receipts,sweep"],
            stage=WORKERS,
            grace=25,
        ),
        Process(
            "bulk",
            [*modest, *worker, "--hostname=bulk@%h", "--queues=batch,ingest,reports"],
            stage=WORKERS,
            grace=25,
        ),
        # Its work is to wait for other people's servers: threads do, and a slow one holds up nobody.
        Process(
            "webhooks",
            [
                *(*modest, *celery, "worker", "--loglevel=INFO", "--without-gossip"),
                *("--without-mingle", "--pool=threads", "--concurrency=8"),
                *("--hostname=webhooks@%h", "--queues=webhooks"),
            ],
            stage=WORKERS,
            grace=25,
        ),
        # Its timetable is fixed and each entry may run late or twice, so nothing is kept on disk.
        Process(
            "beat",
            [*celery, "beat", "--loglevel=WARNING", "--scheduler=celery.beat:Scheduler"],
            stage=WORKERS,
        ),
    ]


def demo(
    environ: Mapping[str, str] = os.environ, *, settings: str = "postman.settings.local"
) -> int:
    """Run until Ctrl-C. The exit status: 0 when asked to stop, 1 when it could not start."""
    port = int(environ.get("PORT", 8000))
    sandbox_port = int(environ.get("SANDBOX_PORT", 8001))
    directory = local.directory()
    supervisor = Supervisor(
        directory / "run",
        environment={
            "DJANGO_SETTINGS_MODULE": settings,
            "POSTMAN_LOCAL_DIR": str(local.home()),
            "POSTMAN_ENVIRONMENT": environ.get("POSTMAN_ENVIRONMENT", "production"),
            "PUBLIC_URL": f"http://localhost:{port}",
            "SANDBOX_URL": f"http://localhost:{sandbox_port}",
        },
        stop_with_parent="POSTMAN_STOP_WITH_PARENT" in environ,
    )
    started_at = time.monotonic()
    try:
        with supervisor, ExitStack() as announcements:
            _check_ports(port, sandbox_port)
            receipts_port = settled_port(directory / "receipts")
            supervisor.environment["CALLBACK_URL"] = f"http://127.0.0.1:{receipts_port}"
            sandbox, *others = processes(
                port=port,
                sandbox_port=sandbox_port,
                receipts_port=receipts_port,
                directory=directory,
            )
            supervisor.start(sandbox)
            _start_servers(supervisor, directory)
            announcements.enter_context(_announced(supervisor))
            prepare = [sys.executable, "-m", "postman.local.prepare"]
            supervisor.run_once(Process("prepare", prepare))
            for process in others:
                supervisor.start(process)
            _wait_until_ready(supervisor, port)
            supervisor.say(f"ready in {time.monotonic() - started_at:.1f} s")
            print(banner(json.loads((directory / "demo.json").read_text())), flush=True)
            supervisor.run()
    except StopRequested:
        return 0
    except (CannotStart, Failed) as problem:
        print(problem, file=sys.stderr)
    return 1


def _check_ports(port: int, sandbox_port: int) -> None:
    for variable, number in (("PORT", port), ("SANDBOX_PORT", sandbox_port)):
        if not port_is_free(number):
            raise Failed(
                f"Port {number} is in use by another program. "
                f"Choose another one: {variable}={number + 100} make demo"
            )


def _start_servers(supervisor: Supervisor, directory: Path) -> None:
    """Start those that nobody configured, and tell every later process where they are."""
    embedded: dict[str, Server] = {
        "DATABASE_URL": Postgres(directory / "postgres"),
        "REDIS_URL": Valkey(directory / "valkey"),
    }
    missing = {
        variable: server
        for variable, server in embedded.items()
        if not supervisor.environment.get(variable)
    }
    for server in missing.values():
        supervisor.start(
            Process(
                server.name,
                server.arguments,
                stage=SERVERS,
                stop_signal=server.stop_signal,
                grace=20,
                prepare=server.prepare,
            )
        )
    for variable, server in missing.items():
        if not supervisor.wait_until(server.is_ready, timeout=PATIENCE):
            raise Failed(f"{server.name} did not start; its own lines above say why.")
        supervisor.environment[variable] = server.url


def _announced(supervisor: Supervisor) -> AbstractContextManager[None]:
    """Let a `manage.py` run by hand find this demo's servers."""
    names = (
        "DATABASE_URL",
        "REDIS_URL",
        "SANDBOX_URL",
        "PUBLIC_URL",
        "CALLBACK_URL",
        "POSTMAN_ENVIRONMENT",
    )
    facts = {name: supervisor.environment[name] for name in names}
    return announced(supervisor.run_directory / "urls.json", json.dumps(facts))


def _wait_until_ready(supervisor: Supervisor, port: int) -> None:
    if not supervisor.wait_until(lambda: _answer(port)[0] == 200, timeout=PATIENCE):
        raise Failed(f"The demo did not become ready. /readyz says: {_answer(port)[1]}")


def _answer(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")[:2000]
    except OSError as error:
        return 0, str(error)


def banner(facts: Mapping[str, Any]) -> str:
    """Where to go, from the facts that seed_demo wrote."""
    body = json.dumps(
        {"recipient": "6581230001", "language": "english", "values": facts["values"]},
        ensure_ascii=False,
    )
    url = f"{facts['base_url']}/api/v2/campaigns/{facts['campaign_id']}/messages"
    return f"""
  Postman is running.

    Open      {facts["base_url"]}
    Sign in   as {facts["officer"]}; the code arrives in the sandbox's outbox:
    Outbox    {facts["sandbox_url"]}

  Send one message through the API:

    curl {shlex.quote(url)} \\
      -H 'Authorization: Bearer {facts["api_key"]}' \\
      -H 'Content-Type: application/json' \\
      -d {shlex.quote(body)}

  Ctrl-C stops everything. The data stays in {local.directory()}.
"""
