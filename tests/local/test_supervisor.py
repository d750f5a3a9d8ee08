"""The supervisor with tiny processes of our own, run as `make demo` runs it: from outside."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from postman.local import ROOT

# Runs a table of shell scripts: name, stage, grace, script.
PROGRAM = """
import json, sys
from pathlib import Path
from postman.local.supervisor import Failed, Process, StopRequested, Supervisor

directory, table, *options = sys.argv[1:]
supervisor = Supervisor(Path(directory) / "run", stop_with_parent="stop-with-parent" in options)
try:
    with supervisor:
        for name, stage, grace, script in json.loads(table):
            process = Process(name, ["sh", "-c", script], stage=stage, grace=grace)
            supervisor.run_once(process) if name == "once" else supervisor.start(process)
        supervisor.run()
except StopRequested:
    pass
except Failed as problem:
    sys.exit(str(problem))
"""
FOREVER = "while :; do sleep 0.05; done"
DEAF = f"trap '' TERM; echo deaf; {FOREVER}"


class Run:
    """A supervisor in a process of its own, and what it has printed."""

    def __init__(self, directory: Path, table: list[tuple], *options: str) -> None:
        self.directory = directory
        self.log = directory / "output"
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(directory), json.dumps(table), *options],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def lines(self) -> list[str]:
        """Without the time of day before each."""
        return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in self.log.read_text().splitlines()]

    def pid_of(self, name: str) -> int:
        file = self.directory / "run" / f"{name}.pid"
        wait_until(lambda: file.exists() and file.read_text().strip())
        return int(file.read_text())

    def family(self) -> list[psutil.Process]:
        """Everything this supervisor started, its watchdog included."""
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(table: list[tuple], *options: str) -> Run:
        runs.append(Run(tmp_path, table, *options))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def wait_until(condition: Callable[[], object], timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(map(lives, processes))


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; none once it is gone."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_each_line_carries_the_name_of_the_process_that_wrote_it(supervise):
    run = supervise([("web", 0, 5, f"echo one; printf two; {FOREVER}"), ("once", 0, 5, "echo hi")])

    wait_until(lambda: "web      | one" in run.lines() and "once     | hi" in run.lines())
    wait_until(lambda: any("sleep" in words_of(p) for p in run.family()))  # so "two" is written
    run.process.terminate()

    assert run.process.wait(5) == 0
    assert "web      | two" in run.lines()  # last words, though no line ended them


def test_a_child_that_is_killed_starts_again_and_a_line_says_so(supervise):
    run = supervise([("web", 0, 5, FOREVER)])
    first = run.pid_of("web")

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: run.pid_of("web") != first)
    assert "postman  | web was killed by SIGKILL; starting it again in 0.5 s" in run.lines()


def test_a_child_that_keeps_dying_starts_again_later_each_time(supervise):
    run = supervise([("web", 0, 5, "exit 3")])

    wait_until(lambda: len(run.lines()) >= 2)

    assert run.lines()[:2] == [
        "postman  | web ended with 3; starting it again in 0.5 s",
        "postman  | web ended with 3; starting it again in 1 s",
    ]


def test_what_a_killed_child_leaves_behind_is_gone_before_it_starts_again(supervise):
    run = supervise([("worker", 0, 5, f"sleep 600 & {FOREVER}")])
    leader = run.pid_of("worker")
    wait_until(lambda: any("600" in words_of(p) for p in psutil.Process(leader).children()))
    pool = [p for p in psutil.Process(leader).children() if "600" in words_of(p)]

    os.kill(leader, signal.SIGKILL)

    wait_until(lambda: run.pid_of("worker") != leader)
    assert all_gone(pool)


def test_later_stages_stop_before_earlier_ones(supervise):
    def script(name: str) -> str:
        return f"trap 'echo bye from {name}; exit' TERM; echo up; {FOREVER}"

    stages = {"database": 0, "web": 1, "worker": 2}
    run = supervise([(name, stage, 5, script(name)) for name, stage in stages.items()])
    wait_until(lambda: sum(line.endswith("| up") for line in run.lines()) == 3)

    run.process.send_signal(signal.SIGINT)

    assert run.process.wait(5) == 0
    assert [line.split()[-1] for line in run.lines() if "bye" in line] == [
        "worker",
        "web",
        "database",
    ]


def test_a_child_that_does_not_stop_within_its_grace_is_killed(supervise):
    run = supervise([("worker", 0, 0.3, DEAF)])
    wait_until(lambda: "worker   | deaf" in run.lines())
    family = run.family()

    run.process.terminate()

    assert run.process.wait(5) == 0
    assert "postman  | worker did not stop in time; killing it" in run.lines()
    assert all_gone(family)


def test_a_second_ctrl_c_does_not_wait(supervise):
    run = supervise([("worker", 0, 60, DEAF)])
    wait_until(lambda: "worker   | deaf" in run.lines())
    family = run.family()

    run.process.send_signal(signal.SIGINT)
    wait_until(lambda: "postman  | stopping worker" in run.lines())
    run.process.send_signal(signal.SIGINT)

    assert run.process.wait(5) == 0
    assert all_gone(family)


def test_nothing_outlives_a_supervisor_that_is_killed(supervise):
    run = supervise([("web", 0, 5, FOREVER), ("worker", 1, 5, f"sleep 600 & {FOREVER}")])
    wait_until(lambda: sum("600" in words_of(p) for p in run.family()) == 1)
    family = run.family()

    run.process.kill()
    run.process.wait()

    wait_until(lambda: all_gone(family))


def test_a_killed_watchdog_is_replaced_and_knows_everybody(supervise):
    run = supervise([("web", 0, 5, FOREVER)])
    run.pid_of("web")
    (watchdog,) = [p for p in run.family() if "watchdog.py" in " ".join(words_of(p))]
    watchdog.kill()
    wait_until(
        lambda: [
            p for p in run.family() if p != watchdog and "watchdog.py" in " ".join(words_of(p))
        ]
    )
    family = run.family()

    run.process.kill()
    run.process.wait()

    wait_until(lambda: all_gone(family))


def test_a_second_run_on_the_same_directory_is_refused_with_the_first_ones_process(supervise):
    first = supervise([("web", 0, 5, FOREVER)])
    first.pid_of("web")

    second = supervise([("web", 0, 5, FOREVER)])

    assert second.process.wait(5) == 1
    (line,) = second.lines()
    assert line.startswith("Another demo is running on ")
    assert line.endswith(f"(process {first.process.pid}).")


def test_a_run_after_a_killed_one_waits_until_its_processes_have_stopped(supervise):
    slow = f"trap 'sleep 0.5; exit' TERM; {FOREVER}"
    first = supervise([("web", 0, 5, slow)])
    first.pid_of("web")
    family = first.family()
    first.process.kill()
    first.process.wait()

    second = supervise([("web", 0, 5, f"echo up; {FOREVER}")])

    wait_until(lambda: "web      | up" in second.lines())
    assert all_gone(family)


def test_a_preparation_that_fails_ends_the_run_and_stops_the_rest(supervise):
    run = supervise(
        [("database", 0, 5, FOREVER), ("once", 0, 5, "sleep 0.3; echo no such table; exit 2")]
    )
    database = psutil.Process(run.pid_of("database"))

    assert run.process.wait(5) == 1
    assert run.lines()[-1] == "once failed (ended with 2)."
    assert "once     | no such table" in run.lines()
    assert all_gone([database])


def test_it_stops_when_whoever_started_it_goes_away(supervise, tmp_path):
    # make, killed without a chance to pass the signal on
    parent = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])",
            *(PROGRAM, str(tmp_path), json.dumps([("web", 0, 5, FOREVER)]), "stop-with-parent"),
        ],
        cwd=ROOT,
    )
    pid_file = tmp_path / "run" / "web.pid"
    wait_until(pid_file.exists)
    family = psutil.Process(parent.pid).children(recursive=True)

    parent.kill()
    parent.wait()

    wait_until(lambda: all_gone(family))
