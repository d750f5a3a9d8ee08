"""The speed of a CSV file on this machine, beside the raw ceilings of the same run.

    python benchmarks/ingest.py [--channel email] [--rows 1000000] [--pages]

Starts its own PostgreSQL and Valkey in `.local/benchmark-ingest`, writes a file of recipients (of SMS
in four languages with four variables, or of emails with two), and checks it by the product's own
`ingest.check` in a process of its own; then `expanding.expand` makes messages of its rows. The
ceilings are COPY alone of the very rows into the like of their table, INSERT alone of the messages,
and csv.reader alone. With --pages, a client reads over the API meanwhile instead. docs/performance.md tells what the figures mean.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.api import Bench, table  # noqa: E402 - the line above finds the project
from postman.local import home  # noqa: E402
from postman.local.servers import running_servers  # noqa: E402

NAMES = {
    "check": "Checked and stored",
    "bare_copy": "COPY alone",
    "parse": "csv.reader alone",
    "expand": "Made into messages",
    "bare_insert": "INSERT alone",
}
HEADINGS = ["", "rows/s", "CPU s/1,000", "database CPU s/1,000", "MB before", "MB at most"]
LOOK_SECONDS = 5


def cells(name: str, found: dict[str, Any]) -> list[str]:
    thousands = found["rows"] / 1000
    return [
        NAMES[name],
        f"{found['rows'] / found['seconds']:,.0f}",
        f"{found['cpu'] / thousands:.4f}",
        f"{found['database_cpu'] / thousands:.4f}",
        f"{found['start_mb']:.0f}",
        f"{found['peak_mb']:.0f}",
    ]


class Ingest(Bench):
    def step(self, name: str, **job: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self._python("-m", "benchmarks.ingest_steps", name, job=job)
        )
        if name in NAMES:
            print("  " + ", ".join(cells(name, found)), file=sys.stderr, flush=True)
        return found

    def looks(self, facts: dict[str, Any], seconds: float) -> dict[str, float]:
        """One reader, one page after the other: p95 in milliseconds of each."""
        client = {"Authorization": f"Bearer {facts['key']}", "X-Forwarded-Proto": "https"}
        pages = {
            "Messages over the API": (f"/api/v2/campaigns/{facts['campaign']}/messages", client),
        }
        found = {}
        for name, (path, headers) in pages.items():
            job = {
                "port": self.port,
                "method": "GET",
                "calls": [(path, "")],
                "status": 200,
                "headers": headers,
                "connections": 1,
                "warm_up": 0.5,
                "seconds": seconds / len(pages),
            }
            answer = json.loads(self._python("benchmarks/load.py", job=job))
            if answer["wrong"]:
                sys.exit(f"{name} was answered otherwise than expected:\n{answer['wrong'][0]}")
            timings = sorted(answer["timings"])
            found[name] = timings[int(0.95 * (len(timings) - 1))] * 1000
        return found

    def looks_meanwhile(self, facts: dict[str, Any]) -> dict[str, dict[str, float]]:
        """The same looks while nothing else happens, and while the file is checked."""
        with self.running_web():
            quiet = self.looks(facts, LOOK_SECONDS)
            check = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.ingest_steps", "check"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
            )
            assert check.stdin is not None
            check.stdin.write(json.dumps(facts))
            check.stdin.close()
            busy = self.looks(facts, LOOK_SECONDS)
            if check.poll() is not None:
                sys.exit("The check was over before the looks were: take more --rows.")
            check.wait()
        return {name: {"quiet": quiet[name], "busy": busy[name]} for name in quiet}


def measure(bench: Ingest, rows: int) -> str:
    facts = bench.step("prepare", rows=rows, channel=bench.options.channel)
    facts |= {"rows": rows, "rows_file": str(bench.directory / "rows.copy")}
    looks = bench.looks_meanwhile(facts) if bench.options.pages else {}
    steps = () if looks else tuple(NAMES)
    found = {name: bench.step(name, **facts) for name in ("check", "expand") if name in steps}
    found |= {name: bench.step(name, **facts) for name in steps if name not in found}

    def ratio(mine: str, ceiling: str) -> str:
        return f"{found[ceiling]['seconds'] / found[mine]['seconds']:.2f}"

    lines = [f"\n{rows:,} rows, {facts['bytes'] / 2**20:.0f} MB\n"]
    if looks:
        lines += [
            f"{name}: p95 {p95['busy']:.0f} ms during the check, {p95['quiet']:.0f} ms before"
            for name, p95 in looks.items()
        ]
        return "\n".join(lines)
    lines += [
        table([HEADINGS, *(cells(name, found[name]) for name in NAMES)]),
        "",
        f"Checking and storing, of COPY alone: {ratio('check', 'bare_copy')}",
        f"Making messages, of INSERT alone: {ratio('expand', 'bare_insert')}",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--channel", choices=["sms", "email"], default="sms")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pages", action="store_true", help="time pages during the check instead")
    options = parser.parse_args()
    directory = home() / "benchmark-ingest"
    shutil.rmtree(directory, ignore_errors=True)
    with running_servers(directory, durable=True) as urls:
        bench = Ingest(directory, urls, options)
        bench._python("manage.py", "migrate", "--verbosity", "0")
        print(measure(bench, options.rows))


if __name__ == "__main__":
    main()
