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
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
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

    def guard(self, pid: int, stop_signal: int = signal.SIGTERM, stage: int = 0) -> None:
        """Higher stages stop first; within one stage all stop together."""
        self._tell(f"guard {pid} {int(stop_signal)} {stage}")

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
    """Stop whatever is guarded once `lines` ends without a dismissal."""
    guarded: dict[int, tuple[int, int]] = {}
    for line in lines:
        match line.split():
            case ["guard", pid, stop_signal, stage]:
                guarded[int(pid)] = int(stage), int(stop_signal)
            case ["forget", pid]:
                guarded.pop(int(pid), None)
            case ["dismiss"]:
                return
    for last in sorted({stage for stage, _ in guarded.values()}, reverse=True):
        _stop({leader: number for leader, (its, number) in guarded.items() if its == last})


def _stop(leaders: dict[int, int]) -> None:
    """Ask each leader with its signal, then kill whatever is left of their groups."""
    for pid, stop_signal in leaders.items():
        _send(os.kill, pid, stop_signal)
    deadline = time.monotonic() + GRACE
    while any(is_running(pid) for pid in leaders) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in leaders:
        _send(os.killpg, pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    """A zombie is not: in a container, nobody may ever collect it."""
    try:
        os.kill(pid, 0)
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's, or a system without /proc


def _send(kill: Callable[[int, int], None], pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        kill(pid, number)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watch(sys.stdin)
