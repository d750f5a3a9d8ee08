"""The speed of sending a batch on this machine, beside a bare client in the same run.

    python benchmarks/send.py [--channel sms] [--messages 100000] [--latency 50] [--lost 0]
        [--receipts]

Starts its own PostgreSQL and Valkey in `.local/benchmark-send`, a provider that answers each send
after `--latency` ms (`sink.py`), and the Celery workers and the timetable as the demo runs them. One
batch, written by SQL, is sent; then two bare aiohttp clients send as many to the same sink, without
a database. Checked at the end: each message reached the sink exactly once, and the ledger and the
counters say so. `--lost` takes a share of the sends without ever answering them. `--receipts` then
has signed reports on the messages come in over HTTP at the callback process, and has them applied.

Everything shares this machine's cores, the sink too. docs/performance.md tells what it means.
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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / "bin" / "python"
if Path(sys.prefix) != ROOT / ".venv" and PYTHON.exists():
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402 - the lines above find the project and its packages
import psycopg  # noqa: E402

from postman.local import home  # noqa: E402
from postman.local.demo import processes  # noqa: E402
from postman.local.servers import running_servers, settled_port  # noqa: E402

# Where a bare client sends.
CHANNELS = {
    "sms": "/2010-04-01/Accounts/AC{}/Messages.json".format("0" * 32),
    "email": "/v2/email/outbound-emails",
}
BARE_PROCESSES, BARE_AT_ONCE = 2, 400
FIRST_NUMBER = 80_000_000
HANDED_OVER = ("sent", "sent_to_telco", "success", "failure", "unknown")


@dataclass(frozen=True)
class Run:
    """How long something took for so many, and the processor's seconds by who spent them."""

    n: int
    seconds: float
    cpu: dict[str, float]

    @property
    def rate(self) -> float:
        return self.n / self.seconds

    def per_thousand(self, *parts: str) -> float:
        return sum(self.cpu[part] for part in parts) / self.n * 1000


class Bench:
    def __init__(self, directory: Path, urls: dict[str, str], options: argparse.Namespace) -> None:
        self.directory = directory
        self.options = options
        self.sink_port = settled_port(directory / "sink")
        self.receipts_port = settled_port(directory / "receipts")
        self.started: dict[str, psutil.Popen] = {}
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "benchmarks.send_settings",
            "PYTHONPATH": str(ROOT),
            "POSTMAN_ENVIRONMENT": "production",
            "SECRET_KEY": secrets.token_hex(32),
            "ENCRYPTION_KEYS": secrets.token_hex(32),
            "ALLOWED_HOSTS": "127.0.0.1",
            "PUBLIC_URL": "https://postman.example.sg",
            "CALLBACK_URL": f"http://127.0.0.1:{self.receipts_port}",
            "MEDIA_ROOT": str(directory / "files"),
            "SINK_URL": f"http://127.0.0.1:{self.sink_port}",
            "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
            "TWILIO_AUTH_TOKEN": "0" * 32,
            "TWILIO_MESSAGING_SERVICE_SID": "MG" + "0" * 32,
            **urls,
        }
        self.database = psycopg.connect(urls["DATABASE_URL"], autocommit=True)

    # Processes -----------------------------------------------------------------------------

    def python(self, *arguments: str) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, check=True, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, text=True
        ).stdout

    @contextmanager
    def running(self, name: str, command: list[str]) -> Iterator[psutil.Popen]:
        with (self.directory / f"{name}.log").open("wb") as log:
            process = psutil.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        self.started[name] = process
        try:
            yield process
        finally:
            del self.started[name]
            process.terminate()
            process.wait(40)

    def ours(self, name: str) -> list[str]:
        """The very command line of the demo, but for the standing back (`nice`)."""
        [command] = [
            process.arguments()
            for process in processes(
                port=0,
                sandbox_port=self.sink_port,
                receipts_port=self.receipts_port,
                directory=self.directory,
            )
            if process.name == name
        ]
        return [word for word in command if word not in ("nice", "-n", "10")]

    def wait(self, what: str, is_so: Callable[[], Any], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                sys.exit(
                    f"{what}: waited {seconds:.0f} s in vain; see the logs in {self.directory}."
                )
            time.sleep(0.1)

    def says(self, name: str, words: str) -> bool:
        return words in (self.directory / f"{name}.log").read_text(errors="replace")

    # Measuring -----------------------------------------------------------------------------

    def cpu(self) -> dict[str, float]:
        cluster = str(self.directory / "postgres" / "cluster")
        database = [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == cluster]
        parts = {name: _cpu_of(_family(process)) for name, process in self.started.items()}
        return parts | {"database": _cpu_of(database)}

    def spent(self, before: dict[str, float]) -> dict[str, float]:
        return {part: after - before.get(part, 0) for part, after in self.cpu().items()}

    def sink(self, method: str = "GET") -> dict[str, Any]:
        url = f"{self.environment['SINK_URL']}/seen"
        with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
            seen: dict[str, Any] = json.load(answer)
        return seen

    def sink_answers(self) -> bool:
        try:
            return bool(self.sink())
        except OSError:
            return False

    def one(self, query: str, *values: Any) -> Any:
        row = self.database.execute(query, values).fetchone()
        return row and row[0]


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu_of(found: list[psutil.Process]) -> float:
    """Their own time, and that of children that are gone already."""
    return sum(sum(p.cpu_times()[:4]) for p in found)


def _peak_mb(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


# Sending -----------------------------------------------------------------------------------


def send(bench: Bench, batch: str) -> Run:
    """From the first message at the sink to the last outcome in the ledger."""
    messages = bench.options.messages
    before = bench.cpu()
    bench.database.execute("UPDATE messaging_batch SET hold_until = NULL WHERE id = %s", [batch])
    done = "SELECT sum(n) FROM messaging_counter WHERE batch_id = %s AND status = ANY(%s)"
    bench.wait(
        "The batch was not sent",
        lambda: bench.one(done, batch, list(HANDED_OVER)) == messages,
        seconds=30 + messages / 200,
    )
    spent = bench.spent(before)
    last = bench.one("SELECT extract(epoch FROM max(updated_at)) FROM messaging_attempt")
    return Run(messages, float(last) - bench.sink()["first"], spent)


def send_bare(bench: Bench) -> Run:
    bench.sink("DELETE")
    share = bench.options.messages // BARE_PROCESSES
    url = bench.environment["SINK_URL"] + CHANNELS[bench.options.channel]
    before = bench.cpu()
    clients = []
    for number in range(BARE_PROCESSES):
        words = (url, share, BARE_AT_ONCE, FIRST_NUMBER + number * share, bench.options.channel)
        command = [sys.executable, "benchmarks/bare_send.py", *map(str, words)]
        clients.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
    cpu = {"client": sum(float(client.communicate()[0]) for client in clients)}
    cpu["sink"] = bench.spent(before)["sink"]
    seen = bench.sink()
    return Run(seen["taken"], seen["last"] - seen["first"], cpu)


def check(bench: Bench, batch: str) -> list[str]:
    """What is not as it must be: nothing, or the benchmark has found a fault worth more than it."""
    seen, messages = bench.sink(), bench.options.messages
    statuses = dict(
        bench.database.execute(
            "SELECT status, count(*) FROM messaging_message WHERE batch_id = %s GROUP BY 1", [batch]
        ).fetchall()
    )
    counters = dict(
        bench.database.execute(
            "SELECT status, sum(n) FROM messaging_counter WHERE batch_id = %s GROUP BY 1"
            " HAVING sum(n) <> 0",
            [batch],
        ).fetchall()
    )
    attempts = bench.one("SELECT count(*) FROM messaging_attempt WHERE number = 1")
    references = bench.one(
        "SELECT count(DISTINCT reference) FROM messaging_attempt WHERE reference <> ''"
    )
    expected = {"sent": messages - seen["lost"]} | (
        {"unknown": seen["lost"]} if seen["lost"] else {}
    )
    checks = {
        "each message reached the sink once": (seen["taken"], seen["numbers"], seen["most"])
        == (messages, messages, 1),
        "each message is sent, or unknown where no answer came": statuses == expected,
        "the counters say the same": counters == expected | {"total": messages},
        "each message has one attempt": attempts == messages
        and bench.one("SELECT count(*) FROM messaging_attempt") == messages,
        "each answered attempt has its own reference": references == messages - seen["lost"],
    }
    return [name for name, holds in checks.items() if not holds]


# Receipts ----------------------------------------------------------------------------------


def receive(bench: Bench) -> tuple[Run, Run, dict[str, Any]]:
    """Two signed reports on each message: taken over HTTP with no worker running, then applied."""
    with bench.running("receipts", bench.ours("receipts")):
        bench.wait("The callback process did not start", lambda: _answers(bench.receipts_port))
        before = bench.cpu()
        answer = json.loads(bench.python("-m", "benchmarks.reports", str(bench.options.reports)))
        taken = Run(answer["reports"], answer["seconds"], bench.spent(before))
    before, started_at = bench.cpu(), time.time()
    with bench.running("urgent", bench.ours("urgent")), bench.running("beat", bench.ours("beat")):
        waiting = "SELECT count(*) FROM messaging_providerevent WHERE applied_at IS NULL"
        bench.wait("The reports were not applied", lambda: bench.one(waiting) == 0, seconds=300)
        spent = bench.spent(before)
    first, last = bench.database.execute(
        "SELECT extract(epoch FROM min(applied_at)), extract(epoch FROM max(applied_at))"
        " FROM messaging_providerevent"
    ).fetchone() or (0, 0)
    assert first >= started_at
    chunk = 1000  # the first chunk's own time is before its stamp
    return taken, Run(taken.n - chunk, float(last - first), spent), answer


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
    except OSError:
        return False
    return True


# Telling -----------------------------------------------------------------------------------


def tell_sending(sent: Run, bare: Run, memory: dict[str, list[int]]) -> str:
    beside = [name for name in ("urgent", "beat") if name in sent.cpu]
    return "\n".join(
        [
            f"Sent             {sent.rate:7,.0f} messages a second ({sent.n:,} in {sent.seconds:.1f} s)",
            f"Bare client      {bare.rate:7,.0f}; ratio {sent.rate / bare.rate:.2f}",
            "CPU seconds for each 1,000 messages",
            f"  bulk workers   {sent.per_thousand('bulk'):7.3f}",
            f"  database       {sent.per_thousand('database'):7.3f}",
            f"  together       {sent.per_thousand('bulk', 'database'):7.3f}",
            f"  tick and beat  {sent.per_thousand(*beside):7.3f}",
            f"  sink           {sent.per_thousand('sink'):7.3f}",
            f"  bare client    {bare.per_thousand('client'):7.3f} (its sink {bare.per_thousand('sink'):.3f})",
            "Peak memory, MB",
            *(f"  {name:14} {', '.join(map(str, sizes))}" for name, sizes in memory.items()),
        ]
    )


def tell_receipts(taken: Run, applied: Run, answer: dict[str, Any]) -> str:
    return "\n".join(
        [
            f"Reports taken    {taken.rate:7,.0f} a second at {answer['at_once']} at once"
            f" ({taken.n:,}; p50 {answer['p50']:.1f} ms, p99 {answer['p99']:.1f} ms)",
            "CPU seconds for each 1,000",
            f"  callbacks      {taken.per_thousand('receipts'):7.3f}",
            f"  database       {taken.per_thousand('database'):7.3f}",
            f"  caller         {answer['cpu_seconds'] / taken.n * 1000:7.3f}",
            f"Reports applied  {applied.rate:7,.0f} a second",
            f"  worker         {applied.per_thousand('urgent'):7.3f}",
            f"  database       {applied.per_thousand('database'):7.3f}",
        ]
    )


def measure(bench: Bench) -> list[str]:
    options = bench.options
    bench.python("manage.py", "migrate", "--verbosity", "0")
    words = ("-m", "benchmarks.batch", str(options.messages), options.channel)
    batch = bench.python(*words).strip()
    words = [str(bench.sink_port), str(options.latency), str(options.lost)]
    with bench.running("sink", [sys.executable, "benchmarks/sink.py", *words]):
        bench.wait("The sink did not start", bench.sink_answers)
        with ExitStack() as workers:
            for name in ("bulk", "urgent", "beat"):
                workers.enter_context(bench.running(name, bench.ours(name)))
            for name in ("bulk", "urgent"):
                bench.wait(f"{name} did not start", lambda name=name: bench.says(name, "ready."))
            sent = send(bench, batch)
            memory = {
                name: [_peak_mb(process) for process in _family(bench.started[name])]
                for name in ("bulk", "sink")
            }
        faults = check(bench, batch)
        print(tell_sending(sent, send_bare(bench), memory), flush=True)
    if options.receipts:
        print(tell_receipts(*receive(bench)))
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--messages", type=int, default=100_000, help="in the batch")
    parser.add_argument("--channel", choices=CHANNELS, default="sms")
    parser.add_argument("--latency", type=float, default=50, help="of the provider, in ms")
    parser.add_argument("--lost", type=float, default=0, help="share of answers that never come")
    parser.add_argument("--receipts", action="store_true", help="reports on them as well")
    parser.add_argument("--reports", type=int, default=40_000, help="how many of those")
    options = parser.parse_args()
    directory = home() / "benchmark-send"
    shutil.rmtree(directory, ignore_errors=True)
    with running_servers(directory, durable=True) as urls:
        faults = measure(Bench(directory, urls, options))
    sys.exit("Not so: " + "; ".join(faults) if faults else 0)


if __name__ == "__main__":
    main()
