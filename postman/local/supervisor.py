"""Runs a handful of processes as one: prefixed logs, restarts, and an end that leaves no orphan.

One thread, one loop. Each child leads a session of its own, so that a Ctrl-C in the terminal
reaches only the supervisor, which then stops the children in its own order; and so that whatever
a dead child leaves behind (pool processes, web workers) can be killed by its group. A watchdog
does the same when the supervisor itself is killed.
"""

import fcntl
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from postman.local.watchdog import Watchdog, is_running

TICK = 0.1
FIRST_DELAY, LONGEST_DELAY = 0.5, 10.0
SETTLED = 30.0  # seconds a child must have lived for its next restart to be prompt again
LONGEST_LINE = 64 * 1024
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)


class Failed(Exception):
    """Something that must succeed did not; the text is for the person at the terminal."""


class StopRequested(Exception):
    """Ctrl-C, SIGTERM, or a parent that went away."""


@dataclass(frozen=True)
class Process:
    """What to run. Stages stop last first; within one stage all stop together."""

    name: str
    command: Sequence[str] | Callable[[], Sequence[str]]  # called after each `prepare`
    stage: int = 0
    stop_signal: int = signal.SIGTERM
    grace: float = 10.0
    prepare: Callable[[], None] = field(default=lambda: None)  # before each start

    def arguments(self) -> Sequence[str]:
        return self.command() if callable(self.command) else self.command


@dataclass
class Child:
    """A process while it is ours."""

    process: Process
    popen: subprocess.Popen[bytes]
    started_at: float
    delay: float = FIRST_DELAY
    rest: bytes = b""
    restart_at: float | None = None
    once: bool = False

    @property
    def output(self) -> IO[bytes]:
        assert self.popen.stdout is not None
        return self.popen.stdout


class Supervisor:
    """Use as a context manager: leaving the block stops everything, whatever the reason."""

    def __init__(
        self,
        run_directory: Path,
        *,
        environment: Mapping[str, str] | None = None,
        output: IO[str] = sys.stdout,
        stop_with_parent: bool = False,
    ) -> None:
        self.run_directory = run_directory
        self.environment = {**os.environ, **(environment or {})}
        self.output = output
        self.parent = os.getppid() if stop_with_parent else None
        self.colourful = output.isatty() and not os.environ.get("NO_COLOR")
        self.children: dict[str, Child] = {}
        self.selector = selectors.DefaultSelector()
        self.requests_to_stop = 0
        self.stopping = False
        self.names: list[str] = ["postman"]
        self.lock: IO[str]
        self.watchdog: Watchdog

    def __enter__(self) -> Self:
        self.run_directory.mkdir(parents=True, exist_ok=True)
        self.lock = self._lock()
        self._start_watchdog()
        self.handlers = {
            number: signal.signal(number, self._request_stop)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        self.watchdog.dismiss()
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.lock.close()

    # What a caller does, in this order.

    def start(self, process: Process) -> None:
        """Start and keep running: a child that ends is started again."""
        process.prepare()
        self.children[process.name] = self._spawn(process)

    def run_once(self, process: Process) -> None:
        """Run to its end. Raises Failed when it ends badly."""
        self.start(process)
        child = self.children[process.name]
        child.once = True
        while child.popen.poll() is None:
            self._tick()
        self._bury(child)
        del self.children[process.name]
        if child.popen.returncode != 0:
            raise Failed(f"{process.name} failed ({_ending(child.popen.returncode)}).")

    def wait_until(self, condition: Callable[[], bool], *, timeout: float) -> bool:
        """Keep everything running until the condition holds; False when it never did in time."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if condition():
                return True
            self._tick()
        return False

    def run(self) -> None:
        """Keep everything running until somebody wants it to stop: ends with StopRequested."""
        while True:
            self._tick()

    def stop(self) -> None:
        """Stop every child, the last stage first. A second Ctrl-C stops waiting."""
        self.stopping = True
        for stage in sorted(
            {child.process.stage for child in self.children.values()}, reverse=True
        ):
            self._stop_stage([c for c in self.children.values() if c.process.stage == stage])
        self.children.clear()

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self._print("postman", line)

    # The loop.

    def _tick(self) -> None:
        for key, _ in self.selector.select(TICK):
            self._read(key.data)
        if self.parent is not None and os.getppid() != self.parent:
            self.requests_to_stop += 1
            self.parent = None
        if self.requests_to_stop and not self.stopping:
            raise StopRequested
        if not self.stopping:
            self._keep_watchdog()
            self._keep_children()

    def _keep_children(self) -> None:
        now = time.monotonic()
        for child in [child for child in self.children.values() if not child.once]:
            if child.restart_at is None and child.popen.poll() is not None:
                self._bury(child)
                if now - child.started_at > SETTLED:
                    child.delay = FIRST_DELAY
                child.restart_at = now + child.delay
                ending = _ending(child.popen.returncode)
                self.say(f"{child.process.name} {ending}; starting it again in {child.delay:g} s")
            elif child.restart_at is not None and now >= child.restart_at:
                delay = min(child.delay * 2, LONGEST_DELAY)
                self.start(child.process)
                self.children[child.process.name].delay = delay

    def _spawn(self, process: Process) -> Child:
        popen = subprocess.Popen(
            process.arguments(),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        child = Child(process, popen, started_at=time.monotonic())
        if process.name not in self.names:
            self.names.append(process.name)
        os.set_blocking(child.output.fileno(), False)
        self.selector.register(child.output, selectors.EVENT_READ, child)
        self._guard(child)
        self._pid_file(process.name).write_text(f"{popen.pid}\n")
        return child

    def _bury(self, child: Child) -> None:
        """After a child ended: print its last words and kill what is left of its group."""
        _kill_group(child.popen.pid)
        while not child.output.closed and self._read(child):
            pass
        if not child.output.closed:
            # A dying grandchild may still hold the pipe, so its end was not seen.
            if rest := child.rest.decode(errors="replace").strip():
                self._print(child.process.name, rest)
            self._close(child)
        self._tell_watchdog(self.watchdog.forget, child.popen.pid)
        self._pid_file(child.process.name).unlink(missing_ok=True)

    def _stop_stage(self, children: list[Child]) -> None:
        alive = [child for child in children if child.popen.poll() is None]
        if alive:
            self.say("stopping " + ", ".join(child.process.name for child in alive))
        asked_at = time.monotonic()
        requests = self.requests_to_stop
        for child in alive:
            child.popen.send_signal(child.process.stop_signal)
        while any(child.popen.poll() is None for child in alive):
            self._tick()
            hurry = self.requests_to_stop > max(requests, 1)
            for child in alive:
                out_of_time = time.monotonic() - asked_at > child.process.grace
                if (hurry or out_of_time) and child.popen.poll() is None:
                    self.say(f"{child.process.name} did not stop in time; killing it")
                    _kill_group(child.popen.pid)
                    child.popen.wait()
        for child in children:
            if child.restart_at is None:
                self._bury(child)

    # Output.

    def _read(self, child: Child) -> bool:
        """Print what the child has written; False when there is no more at the moment."""
        try:
            chunk = os.read(child.output.fileno(), LONGEST_LINE)
        except BlockingIOError:
            return False
        *lines, child.rest = (child.rest + chunk).split(b"\n")
        if not chunk or len(child.rest) > LONGEST_LINE:
            lines, child.rest = [*lines, child.rest], b""
        for line in lines:
            if line.strip():
                self._print(child.process.name, line.decode(errors="replace").rstrip())
        if not chunk:
            self._close(child)
        return bool(chunk)

    def _close(self, child: Child) -> None:
        self.selector.unregister(child.output)
        child.output.close()

    def _print(self, name: str, line: str) -> None:
        prefix = f"{time.strftime('%H:%M:%S')} {name:<8} |"
        if self.colourful:
            prefix = f"\x1b[{COLOURS[self.names.index(name) % len(COLOURS)]}m{prefix}\x1b[0m"
        try:
            self.output.write(f"{prefix} {line}\n")
            self.output.flush()
        except OSError:
            # Nobody reads any more: `make demo | head`, a closed terminal.
            self.output = open(os.devnull, "w")  # noqa: SIM115
            self.requests_to_stop += 1

    # Being the only one, and being watched.

    def _lock(self) -> IO[str]:
        lock = (self.run_directory / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait_for_previous(lock)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return lock

    def _wait_for_previous(self, lock: IO[str]) -> None:
        """The lock outlives a killed supervisor until its watchdog has stopped everything."""
        lock.seek(0)
        holder = lock.read().strip()
        directory = self.run_directory.parent
        if holder and is_running(int(holder)):
            raise Failed(f"Another demo is running on {directory} (process {holder}).")
        self.say("the previous run was killed; waiting until its processes have stopped")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(TICK)
        raise Failed(f"Processes of an earlier demo still run on {directory}.")

    def _start_watchdog(self) -> None:
        self.watchdog = Watchdog.start(keep_open=[self.lock.fileno()])
        for child in self.children.values():
            if child.restart_at is None:
                self._guard(child)

    def _keep_watchdog(self) -> None:
        if self.watchdog.process.poll() is not None:
            self._start_watchdog()

    def _guard(self, child: Child) -> None:
        self._tell_watchdog(
            self.watchdog.guard, child.popen.pid, child.process.stop_signal, child.process.stage
        )

    def _tell_watchdog(self, tell: Callable[..., None], *arguments: int) -> None:
        # Broken when it was killed; the next tick starts another and tells it everything.
        with suppress(BrokenPipeError):
            tell(*arguments)

    def _pid_file(self, name: str) -> Path:
        return self.run_directory / f"{name}.pid"

    def _request_stop(self, number: int, frame: object) -> None:
        self.requests_to_stop += 1


@contextmanager
def announced(path: Path, text: str) -> Iterator[None]:
    """A private file that exists for the length of the block."""
    path.touch(mode=0o600)
    path.write_text(text)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _kill_group(pid: int) -> None:
    # macOS answers "not permitted" for a group of zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _ending(returncode: int) -> str:
    if returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"ended with {returncode}"
