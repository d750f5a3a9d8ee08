"""`make demo` as a child process, with servers, ports and data of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

from postman.local import ROOT
from tests.messaging.sandbox.process import SandboxProcess, free_port

# Of the suite's own servers; the demo is to start its own.
NOT_INHERITED = ("DATABASE_URL", "REDIS_URL", "SANDBOX_URL", "DJANGO_SETTINGS_MODULE")


class Providers(SandboxProcess):
    """The sandbox that the demo runs: its switches and its log, seen from outside."""

    def forget_manners(self) -> None:
        self._call("DELETE", "/control")

    def mark(self) -> int:
        """Where the log ends now."""
        return max((entry["seq"] for entry in self.outbox(limit=1)), default=0)

    def accepted(self, after: int) -> list[dict[str, Any]]:
        """The SMS taken since then, each as often as it was taken."""
        return self.outbox(channel="sms", after=after, limit=1000)


class Product:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port, sandbox_port = free_port(), free_port()
        self.base_url = f"http://localhost:{self.port}"
        self.sandbox = Providers(port=sandbox_port)
        self.output = directory / "output.log"
        self.asked_at: dict[str, float] = {}

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in NOT_INHERITED}
        environment |= {
            "POSTMAN_LOCAL_DIR": str(self.directory),
            "PORT": str(self.port),
            "SANDBOX_PORT": str(self.sandbox.port),
            "POSTMAN_STOP_WITH_PARENT": "1",
            # Enough to be seen to work; the real number takes a tenth of a second a row.
            "PROTECTED_ITERATIONS": "2000",
            # A thousand at Telegram's own pace take 33 seconds.
            "TELEGRAM_MESSAGES_PER_SECOND": "200",
        }
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "postman.local", "demo"],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        # Not earlier: the banner says that what the demo checks of itself is done as well.
        until("the product to be announced", self._is_announced, 180)
        self.wait_until_ready()
        facts = json.loads((self.directory / "demo.json").read_text())
        self.officer, self.facts = facts["officer"], facts
        self.campaign = f"/campaigns/{facts['campaign_id']}/"

    def stop(self) -> list[str]:
        """As Ctrl-C does; returns what still runs afterwards."""
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(timeout=90) == 0, self._last_lines()
        finally:
            self.process.kill()
        return self._processes()

    def wait_until_ready(self) -> None:
        until("the product to be ready", self._is_ready)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base_url}/readyz", timeout=10):
                return True
        except OSError:
            return False

    def wait_until_code_may_be_asked(self, email: str) -> None:
        """Of one address that is each half minute."""
        free_at = self.asked_at.get(email, 0) + 31
        until(f"half a minute since {email} asked", lambda: time.monotonic() > free_at)
        self.asked_at[email] = time.monotonic()

    def pid(self, name: str) -> int:
        return int((self.directory / "run" / f"{name}.pid").read_text())

    def kill(self, name: str) -> None:
        """kill -9, as the kernel does when memory runs out; waits until another one runs."""
        killed = self.pid(name)
        os.kill(killed, signal.SIGKILL)
        until(f"{name} to be started again", lambda: self._pid_or_none(name) not in (None, killed))

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Hold one of its processes still, so that what it is to do next can be looked at."""
        group = self.pid(name)
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(group, signal.SIGCONT)

    def let_leases_run_out(self) -> None:
        """As if the time had passed after which nobody waits for a dead worker's answer."""
        urls = json.loads((self.directory / "run" / "urls.json").read_text())
        with psycopg.connect(urls["DATABASE_URL"]) as connection:
            connection.execute(
                "UPDATE messaging_attempt SET lease_until = now() WHERE status = 'sending'"
            )

    def waiting_of(self, batch: str) -> int:
        """How many messages of the batch with this address no worker has taken in hand."""
        urls = json.loads((self.directory / "run" / "urls.json").read_text())
        with psycopg.connect(urls["DATABASE_URL"]) as connection:
            [(waiting,)] = connection.execute(
                "SELECT count(*) FROM messaging_message"
                " WHERE batch_id = %s AND status IN ('created', 'enqueued')",
                [batch.rpartition("batch_")[2]],
            )
        return int(waiting)

    def forget_delays(self, *, of_tries: int) -> None:
        """As if every secure page had been guessed at so often, and the wait were over."""
        urls = json.loads((self.directory / "run" / "urls.json").read_text())
        with psycopg.connect(urls["DATABASE_URL"]) as connection:
            connection.execute(
                "UPDATE messaging_protectedmessage SET wrong_guesses = %s, guessed_at = now(),"
                " guess_again_at = NULL WHERE locked_at IS NULL",
                [of_tries],
            )

    def _pid_or_none(self, name: str) -> int | None:
        try:
            return self.pid(name)
        except (OSError, ValueError):
            return None

    def _is_announced(self) -> bool:
        assert self.process.poll() is None, self._last_lines()
        return "Postman is running." in self.output.read_text()

    def _processes(self) -> list[str]:
        """Everything that was given our directory, whatever became of its parent."""
        found = []
        for process in psutil.process_iter():
            try:
                told = [*process.cmdline(), process.environ().get("POSTMAN_LOCAL_DIR", "")]
            except psutil.Error:
                continue
            if any(str(self.directory) in part for part in told):
                found.append(f"{process.pid} {' '.join(told)}")
        return found

    def _last_lines(self) -> str:
        return "".join(self.output.read_text().splitlines(keepends=True)[-40:])


def until(what: str, condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for something that no page shows; returns what the condition did."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.1)
    return found
