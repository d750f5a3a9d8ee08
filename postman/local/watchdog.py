"""Stops the processes that somebody started when that somebody is killed without a chance to.

Runs as a process of its own that reads a pipe: the pipe ends when its writer is gone, however it
went. This works on every Unix, and reaches grandchildren through their process group. Imports
only the standard library and nothing of the project, so that it is small and up at once.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

GRACE = 10.0


@dataclass
class Watchdog:
    """The writing end. Every guarded process must lead a process group of its own."""

    process: subprocess.Popen[str]
    pipe: IO[str]

    @classmethod
    def start(cls, *, keep_open: Sequence[int] = ()) -> "Watchdog":
        """`keep_open`: file descriptors, such as a lock, to hold until everything is stopped."""
        process = subprocess.Popen(
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=keep_open,
        )
        assert process.stdin is not None
        return cls(process, process.stdin)

    def guard(self, pid: int, stop_signal: int = signal.SIGTERM) -> None:
        self._tell(f"guard {pid} {int(stop_signal)}")

    def forget(self, pid: int) -> None:
        self._tell(f"forget {pid}")

    def dismiss(self) -> None:
        """Call after everything guarded is stopped."""
        try:
            self._tell("dismiss")
            self.pipe.close()
        except BrokenPipeError:
            pass  # it was killed; so be it
        self.process.wait()

    def _tell(self, line: str) -> None:
        self.pipe.write(line + "\n")
        self.pipe.flush()


def watch(lines: IO[str]) -> None:
    """Stop whatever is guarded, last started first, once `lines` ends without a dismissal."""
    guarded: dict[int, int] = {}
    for line in lines:
        match line.split():
            case ["guard", pid, stop_signal]:
                guarded[int(pid)] = int(stop_signal)
            case ["forget", pid]:
                guarded.pop(int(pid), None)
            case ["dismiss"]:
                return
    for pid, stop_signal in reversed(guarded.items()):
        _stop(pid, stop_signal)


def _stop(pid: int, stop_signal: int) -> None:
    """Ask the leader, then kill whatever is left of its group."""
    _send(os.kill, pid, stop_signal)
    deadline = time.monotonic() + GRACE
    while _send(os.kill, pid, 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    _send(os.killpg, pid, signal.SIGKILL)


def _send(kill, pid: int, number: int) -> bool:  # type: ignore[no-untyped-def]
    try:
        kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watch(sys.stdin)
