"""Real PostgreSQL and Valkey for the suite, unless DATABASE_URL and REDIS_URL name others.

Loaded by `-p tests.embedded` before Django's settings, in the process that starts the workers of
pytest-xdist; they inherit the addresses. Each worker has its own database (pytest-django names
it), its own number in Valkey, and its own port for the sandbox providers.
"""

import atexit
import gc
import os
import socket
from contextlib import ExitStack

import pytest

from postman.local.servers import running_servers


def _start_servers() -> None:
    if "DATABASE_URL" in os.environ and "REDIS_URL" in os.environ:
        return
    stack = ExitStack()
    atexit.register(stack.close)
    for name, url in stack.enter_context(running_servers(durable=False)).items():
        os.environ.setdefault(name, url)


def _choose_valkey_number() -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    number = int(worker.removeprefix("gw")) + 1 if worker else 0
    server = os.environ["REDIS_URL"].partition("://")[2].partition("/")[0]
    os.environ["REDIS_URL"] = f"redis://{server}/{number}"


def _choose_sandbox_port() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        os.environ["SANDBOX_URL"] = f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """What was imported and collected stays: to walk over it again and again took a third of the
    time before the first test, and some of each test's."""
    gc.freeze()
    gc.enable()


gc.disable()  # until then
if "PYTEST_XDIST_WORKER" not in os.environ:
    _start_servers()
_choose_valkey_number()
_choose_sandbox_port()
