"""A real sandbox process for tests: start, turn its switches, read what it was sent, stop."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[3]
_LONGEST_START = 20


class SandboxProcess:
    """`with SandboxProcess() as sandbox:` or `start()` and `stop()`.

    It listens on a free port unless one is given. `args` are added to the command line.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        data: Path | None = None,
        args: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._args = (*args, "--data", str(data)) if data else args
        self._env = os.environ | dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SandboxProcess:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> SandboxProcess:
        """Return once it answers."""
        command = [sys.executable, "-m", "messaging.sandbox", "--port", str(self.port)]
        self._process = subprocess.Popen([*command, *self._args], cwd=_ROOT, env=self._env)
        until = time.monotonic() + _LONGEST_START
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise RuntimeError(f"the sandbox ended with {self._process.returncode}")
            try:
                self.get("/healthz")
            except OSError:
                time.sleep(0.02)
            else:
                return self
        self.kill()
        raise RuntimeError("the sandbox did not answer in time")

    def stop(self) -> int:
        """Ask it to leave; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=5)

    def kill(self) -> None:
        """kill -9: no chance to tidy up."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=5)

    def control(self, **switches: Any) -> dict[str, Any]:
        """Turn switches: `control(rate_429=0.1, callbacks={"double": 1.0})`."""
        return self._call("POST", "/control", switches)

    def reset(self) -> None:
        """Switches back to their defaults, log and waiting callbacks gone."""
        self._call("POST", "/control/reset")

    def flush(self, seconds: int = 30) -> int:
        """Wait for the callbacks; how many are still to come after so long."""
        return self._call("POST", f"/control/callbacks/flush?seconds={seconds}")["pending"]

    def publish(self, records: str) -> None:
        """In DNS: `name TYPE value`, one on each line."""
        self._call("POST", "/dns.json", {"publish": records})

    def unpublish(self, name: str = "", kind: str = "") -> None:
        """The records at this name and below it; all of them without one."""
        self._call("POST", "/dns.json", {"remove": name, "kind": kind})

    def silence(self, *names: str) -> None:
        """DNS does not answer for these names; for none if it is ""."""
        self._call("POST", "/dns.json", {"silent": names})

    def decree(self, identity: str, state: str) -> None:
        """What SES says of an identity, whatever DNS has; "" lets it look again."""
        self._call("POST", "/identities.json", {"name": identity, "state": state})

    def write_to_bot(self, bot: int, phone: str, does: str) -> int:
        """Somebody writes to a bot, shares their contact (`share`)…; how the update was met."""
        asked = {"bot": bot, "phone": phone, "does": does}
        return self._call("POST", "/telegram.json", asked)["status"]

    def outbox(
        self,
        to: str | None = None,
        channel: str | None = None,
        after: int | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Messages: oldest first when `after` is given, otherwise newest first."""
        asked = {"to": to, "channel": channel, "after": after, "limit": limit}
        query = urllib.parse.urlencode({k: v for k, v in asked.items() if v is not None})
        return self.get(f"/outbox.json?{query}")["messages"]

    def summary(self) -> dict[str, Any]:
        """Counts that show whether anything was accepted twice."""
        return self.get("/control/log/summary")

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=310) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ValueError(f"{error.code}: {error.read().decode()}") from error


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
