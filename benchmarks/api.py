"""The speed of the v2 API on this machine, beside the raw ceilings of the same run.

    python benchmarks/api.py [--messages 1000000] [--seconds 5] [--rounds 2] [--reuse] [--v1]

Starts its own PostgreSQL, Valkey and web process (as the demo and production run it) in
`.local/benchmark`, fills the database by SQL, and calls over HTTP from one other process. No Celery
worker runs: what is measured is accepting and reading. Everything shares this machine's cores, the
caller too; its share is printed. docs/performance.md tells what the figures mean.
"""

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / "bin" / "python"
if Path(sys.prefix) != ROOT / ".venv" and PYTHON.exists():
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402 - the lines above find the project and its packages

from postman.local import home  # noqa: E402
from postman.local.demo import processes  # noqa: E402
from postman.local.servers import running_servers, settled_port  # noqa: E402

PLAIN, BUSY = 1, 32
HEADINGS = ("", "at once", "per second", "p50 ms", "p95 ms", "p99 ms")
CPU_HEADINGS = ("web", "database", "caller")


@dataclass(frozen=True)
class Case:
    """One line of the table. `calls` are (path, body) pairs, taken in turn."""

    name: str
    calls: list[tuple[str, str]]
    key: str
    connections: int = PLAIN
    method: str = "GET"
    status: int = 200


@dataclass(frozen=True)
class Measured:
    name: str
    connections: int
    timings: list[float]
    cpu: dict[str, float]  # seconds for each 1,000 calls
    seconds: float

    @property
    def rate(self) -> float:
        return len(self.timings) / self.seconds

    def quantile(self, share: float) -> float:
        return sorted(self.timings)[int(share * (len(self.timings) - 1))] * 1000

    def cells(self) -> list[str]:
        times = [f"{self.quantile(share):.1f}" for share in (0.5, 0.95, 0.99)]
        cpu = [f"{self.cpu[name]:.2f}" for name in CPU_HEADINGS]
        return [self.name, str(self.connections), f"{self.rate:,.0f}", *times, *cpu]


class Bench:
    def __init__(self, directory: Path, urls: dict[str, str], options: argparse.Namespace) -> None:
        self.directory = directory
        self.options = options
        self.port = settled_port(directory / "web")
        self.database_url = urls["DATABASE_URL"]
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "PYTHONPATH": str(ROOT),
            "POSTMAN_ENVIRONMENT": "production",
            "SECRET_KEY": secrets.token_hex(32),
            "ENCRYPTION_KEYS": secrets.token_hex(32),
            "ALLOWED_HOSTS": "127.0.0.1",
            "PUBLIC_URL": "https://postman.example.sg",
            "MEDIA_ROOT": str(directory / "files"),
            "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
            "TWILIO_AUTH_TOKEN": "0" * 32,
            "TWILIO_MESSAGING_SERVICE_SID": "MG" + "0" * 32,
            **urls,
        }
        self.web: psutil.Process | None = None

    def prepare(self) -> dict[str, Any]:
        """Migrate and fill the database, unless the last run's data are to be used again."""
        facts_file = self.directory / "facts.json"
        self._python("manage.py", "migrate", "--verbosity", "0")
        if not facts_file.exists():
            facts_file.write_text(self._python("-m", "benchmarks.data", str(self.options.messages)))
        facts: dict[str, Any] = json.loads(facts_file.read_text())
        return facts

    def _python(self, *arguments: str, job: dict[str, Any] | None = None) -> str:
        return subprocess.run(
            [sys.executable, *arguments],
            check=True,
            cwd=ROOT,
            env=self.environment,
            input=json.dumps(job) if job else None,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    @contextmanager
    def running_web(self) -> Iterator[None]:
        """The very command line of the demo's web process, under production's settings."""
        [command] = [
            process.arguments()
            for process in processes(
                port=self.port, sandbox_port=0, receipts_port=0, directory=self.directory
            )
            if process.name == "web"
        ]
        with (self.directory / "web.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        self.web = psutil.Process(process.pid)
        try:
            self._wait()
            yield
        finally:
            process.terminate()
            process.wait(20)

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2).close()
                return
            except OSError:
                time.sleep(0.1)
        sys.exit(f"The web process did not start; {self.directory / 'web.log'} says why.")

    def call(self, case: Case) -> Measured:
        return self._measure(
            case.name,
            case.connections,
            "benchmarks/load.py",
            {
                "port": self.port,
                "method": case.method,
                "calls": case.calls,
                "status": case.status,
                "headers": {
                    "Authorization": f"Bearer {case.key}",
                    "X-Forwarded-Proto": "https",
                },
            },
        )

    def insert(self, name: str, connections: int, facts: dict[str, Any]) -> Measured:
        job = facts | {"database_url": self.database_url}
        return self._measure(name, connections, "benchmarks/inserts.py", job)

    def _measure(self, name: str, connections: int, script: str, job: dict[str, Any]) -> Measured:
        """The best of the rounds: what else the machine does can only make it slower."""
        job |= {
            "connections": connections,
            "warm_up": 1,
            "seconds": self.options.seconds,
        }
        rounds = [self._round(name, script, job) for _ in range(self.options.rounds)]
        best = max(rounds, key=lambda measured: measured.rate)
        print(f"  {name}, {connections} at once: {best.rate:,.0f}/s", file=sys.stderr, flush=True)
        return best

    def _round(self, name: str, script: str, job: dict[str, Any]) -> Measured:
        before = self._cpu()
        answer = json.loads(self._python(script, job=job))
        if answer["wrong"]:
            sys.exit(f"{name} was answered otherwise than expected:\n{answer['wrong'][0]}")
        after = self._cpu()
        # The processor's share is of all calls, the warm-up's too.
        calls = len(answer["timings"]) * (1 + job["warm_up"] / job["seconds"]) / 1000
        cpu = {part: (after[part] - before[part]) / calls for part in before}
        cpu["caller"] = answer["cpu_seconds"] / calls
        return Measured(name, job["connections"], answer["timings"], cpu, job["seconds"])

    def _cpu(self) -> dict[str, float]:
        cluster = str(self.directory / "postgres" / "cluster")
        # Those that have ended (parallel workers, vacuum) are in their parent's account.
        servers = [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == cluster]
        return {"web": _cpu_of(self._web_processes()), "database": _cpu_of(servers)}

    def memory(self) -> list[float]:
        return [p.memory_full_info().uss / 2**20 for p in self._web_processes()]

    def _web_processes(self) -> list[psutil.Process]:
        assert self.web is not None
        return [self.web, *self.web.children(recursive=True)]


def _cpu_of(found: list[psutil.Process]) -> float:
    total = 0.0
    for process in found:
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def _messages(facts: dict[str, Any], query: str = "") -> str:
    return f"/api/v2/campaigns/campaign_{facts['campaign']}/messages{query}"


def _deep_cursors(bench: Bench, facts: dict[str, Any]) -> list[str]:
    """Where pages end that begin with messages of the middle: read each, walk on from there."""
    cursors = []
    for number in facts["numbers"][:10]:
        address = f"http://127.0.0.1:{bench.port}{_messages(facts, f'?limit=1&search={number}')}"
        headers = {"Authorization": f"Bearer {facts['key']}", "X-Forwarded-Proto": "https"}
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            cursors.append(json.load(answer)["pageData"]["endCursor"])
    return cursors


def cases(facts: dict[str, Any], cursors: list[str]) -> dict[str, Case]:
    sends, large, searched = facts["sends"], facts["large"], facts["searched"]
    bodies = [
        json.dumps({"recipient": f"6581{n:06}", "language": "english", "values": sends["values"]})
        for n in range(230000, 231000)
    ]
    new = [(_messages(sends), body) for body in bodies]
    some = [(f"{_messages(large)}/message_{identity}", "") for identity in large["some"]]
    batch = f"/api/v2/campaigns/campaign_{large['campaign']}/batch/batch_{large['batch']}/messages"

    def page(query: str, of: dict[str, Any] = large) -> list[tuple[str, str]]:
        return [(_messages(of, query), "")]

    nothing, key = [("/api/v2/nothing", "")], large["key"]
    return {
        "nothing 1": Case("A view that does nothing", nothing, key),
        "nothing 32": Case("A view that does nothing", nothing, key, BUSY),
        "send 1": Case("Send one message", new, sends["key"], PLAIN, "POST", 201),
        "send 32": Case("Send one message", new, sends["key"], BUSY, "POST", 201),
        "read 1": Case("Read one message", some, key),
        "read 32": Case("Read one message", some, key, BUSY),
        "page": Case("Page of 100, the first", page("?limit=100"), key),
        "page deep": Case(
            "Page of 100, from the middle",
            [call for cursor in cursors for call in page(f"?limit=100&after={cursor}")],
            key,
        ),
        "page 1000": Case("Page of 1,000, the first", page("?limit=1000"), key),
        "page batch": Case("Page of 100 of one batch", [(f"{batch}?limit=100", "")], key),
        "search": Case(
            "Search: a number",
            [call for n in searched["numbers"] for call in page(f"?search={n}", searched)],
            searched["key"],
        ),
        "search none": Case(
            "Search: a number nobody has", page("?search=6570000000", searched), searched["key"]
        ),
        "search part": Case("Search: four digits", page("?search=1234", searched), searched["key"]),
    }


def v1_cases(account: dict[str, Any]) -> dict[str, Case]:
    """One email sent and read with the key of an account, over v1."""
    bodies = [
        json.dumps({**account["email"], "recipient": f"p{n}@example.org"}) for n in range(1000)
    ]
    address = "/v1/transactional/email"
    new = [(f"{address}/send", body) for body in bodies]
    some = [(f"{address}/{number}", "") for number in account["some"]]
    return {
        f"v1 {name} {connections}": Case(label, calls, account["key"], connections, method, status)
        for name, label, calls, method, status in (
            ("send", "v1: send one email", new, "POST", 201),
            ("read", "v1: read one email", some, "GET", 200),
        )
        for connections in (PLAIN, BUSY)
    }


def table(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def report(found: dict[str, Measured], memory: list[float], messages: int) -> str:
    def ratio(mine: str, ceiling: str) -> str:
        return f"{found[mine].rate / found[ceiling].rate:.2f}"

    headings = [*HEADINGS, *(f"{name} CPU s/1,000" for name in CPU_HEADINGS)]
    lines = [
        f"\n{messages:,} messages in the campaign that is read.\n",
        table([headings, *(measured.cells() for measured in found.values())]),
        "",
        f"Reading, of a view that does nothing: {ratio('read 1', 'nothing 1')} at 1, "
        f"{ratio('read 32', 'nothing 32')} at 32",
        f"Sending, of a view that does nothing: {ratio('send 1', 'nothing 1')} at 1, "
        f"{ratio('send 32', 'nothing 32')} at 32",
        f"Sending, of its rows written by bare psycopg: {ratio('send 1', 'insert 1')} at 1, "
        f"{ratio('send 32', 'insert 32')} at 32",
        f"Memory of the web processes: {', '.join(f'{part:.0f}' for part in memory)} MB",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--messages", type=int, default=1_000_000, help="in the campaign read")
    parser.add_argument("--seconds", type=float, default=5, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=2, help="of which the best counts")
    parser.add_argument("--reuse", action="store_true", help="the data of the last run")
    parser.add_argument("--v1", action="store_true", help="v1's emails too, beside v2's SMS")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    options = parser.parse_args()
    directory = home() / "benchmark"
    if not options.reuse:
        shutil.rmtree(directory, ignore_errors=True)
    with running_servers(directory, durable=True) as urls:
        bench = Bench(directory, urls, options)
        facts = bench.prepare()
        with bench.running_web():
            print(measure(bench, facts))


def measure(bench: Bench, facts: dict[str, Any]) -> str:
    chosen = cases(facts, _deep_cursors(bench, facts["large"]))
    if bench.options.v1:
        chosen |= v1_cases(facts["account"])
    found = {name: bench.call(case) for name, case in chosen.items() if bench.options.only in name}
    if bench.options.only:
        return table([m.cells() for m in found.values()])
    memory = bench.memory()
    for connections in (PLAIN, BUSY):
        found[f"insert {connections}"] = bench.insert(
            "Rows of a send, bare psycopg", connections, facts["sends"]
        )
    return report(found, memory, bench.options.messages)


if __name__ == "__main__":
    main()
