"""Kill the product again and again while it sends, and show that no message was lost or doubled.

    python benchmarks/chaos.py [--channel (sms | email | telegram | whatsapp)] [--kills 100]
        [--messages 10000] [--seed 1]
    python benchmarks/chaos.py --scene (schedule | urgent | stop | sigterm | beat | all)

Starts the whole product of the demo in `.local/chaos`, runs campaigns of `--messages` messages
(files by the API, files of officers at once and scheduled, single messages) while the provider loses
answers and asks for patience, and kills workers, the timetable, web, callbacks, Valkey and
PostgreSQL at random moments. The provider's process is never killed: its log, written before it
answers, is the witness. Once everything has come to rest, what clients were told, what the ledger
says and what the provider took are compared, message by message. Prints a report in Markdown; the
exit status is 1 where anything differs.

`--scene` proves single promises instead (docs/reliability.md).
"""

import argparse
import http.server
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / "bin" / "python"
if Path(sys.prefix) != ROOT / ".venv" and PYTHON.exists():
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
sys.path.insert(0, str(ROOT))

from benchmarks import scenes  # noqa: E402 - the lines above find the project and its packages
from benchmarks.product import (  # noqa: E402
    WAYS,
    Account,
    Client,
    Product,
    account,
    new_product,
)

# What befalls calls to the provider, and its reports.
FATES = {
    "rate_lost": 0.02,
    "rate_429": 0.02,
    "rate_5xx": 0.005,
    "callbacks": {"drop": 0.1, "double": 0.05, "reorder": 0.05},
}
LATENCIES = (50, 500, 2000)
SINGLES = 50
# How many messages wait at least, so that every kill meets work.
BACKLOG = 1_000
REST = 600.0

# Each as often as it stands here.
KILLS: dict[str, tuple[int, Callable[[Product], None]]] = {
    "a process of the bulk workers": (4, lambda p: p.kill_child("bulk")),
    "the bulk workers": (3, lambda p: p.kill_group("bulk")),
    "a process of the urgent workers": (2, lambda p: p.kill_child("urgent")),
    "the urgent workers": (2, lambda p: p.kill_group("urgent")),
    "the webhook workers": (1, lambda p: p.kill_group("webhooks")),
    "beat": (1, lambda p: p.kill_group("beat")),
    "a process of web": (1, lambda p: p.kill_child("web")),
    "web": (1, lambda p: p.kill_group("web")),
    "a process of the callbacks": (1, lambda p: p.kill_child("receipts")),
    "the callbacks": (1, lambda p: p.kill_group("receipts")),
    "Valkey": (1, lambda p: p.kill_group("valkey")),
    "Valkey's data (FLUSHALL)": (1, lambda p: p.flush_valkey()),
    "PostgreSQL (SIGKILL)": (1, lambda p: p.kill_group("postgres")),
    "PostgreSQL (immediate shutdown)": (1, lambda p: p.signal("postgres", signal.SIGQUIT)),
    "one of PostgreSQL's sessions": (1, lambda p: p.kill_child("postgres")),
}


class Feeder:
    """Launches campaigns for as long as there are kills to come, and finishes the last one."""

    def __init__(self, product: Product, messages: int) -> None:
        self.product = product
        self.messages = messages
        self.singles = SINGLES if product.way.single else 0
        self.campaigns = 0
        self.is_enough = threading.Event()
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        self.is_enough.set()
        self._thread.join()

    def check(self) -> None:
        if self.fault:
            sys.exit(f"A client's call ended otherwise than expected: {self.fault!r}")

    def _run(self) -> None:
        try:
            while not (self.campaigns and self.is_enough.is_set()):
                self._campaign()
        except BaseException as fault:
            self.fault = fault

    def _campaign(self) -> None:
        product, dice = self.product, self.product.dice
        latency = dice.choice(LATENCIES)
        product.control(latency_ms=latency, latency_jitter_ms=latency, **FATES)
        client = product.new_client(f"Agency{self.campaigns % 3}")
        if self.campaigns % 2 == 0:
            product.officers.add_webhook(client.id, f"http://127.0.0.1:{receiver_port()}/")
        self.campaigns += 1
        singles = threading.Thread(target=self._singles, args=[client], daemon=True)
        singles.start()
        left = self.messages - self.singles
        while left > 0:
            size = min(left, dice.randint(200, max(201, self.messages // 3)))
            left -= size
            doors = BY_API_TOO if product.way.has_files_by_api else BY_OFFICERS
            dice.choice(doors)(product, client, size)
            product.wait("Nothing is being sent", lambda: waiting(product) < BACKLOG)
        singles.join()

    def _singles(self, client: Client) -> None:
        try:
            for _ in range(self.singles):
                self.product.send_single(client)
                time.sleep(self.product.dice.random())
        except BaseException as fault:
            self.fault = fault


Door = Callable[[Product, Client, int], Any]
BY_OFFICERS: tuple[Door, ...] = (
    lambda p, client, size: p.send_as_officer(client, size),
    lambda p, client, size: p.send_as_officer(client, size, in_seconds=3),
)
BY_API_TOO: tuple[Door, ...] = (
    lambda p, client, size: p.send_file(client, size),
    *BY_OFFICERS,
)


def waiting(product: Product) -> int:
    count: int = product.one(
        "SELECT (SELECT count(*) FROM messaging_message WHERE status IN ('created', 'enqueued'))"
        " + (SELECT count(*) FROM messaging_stagedrow)"
    )
    return count


class Receiver(http.server.BaseHTTPRequestHandler):
    """A client's system, which takes every event."""

    protocol_version = "HTTP/1.1"
    ids: Counter[str] = Counter()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.ids[self.headers["webhook-id"]] += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)


def receiver_port() -> int:
    return _server.server_address[1]


@contextmanager
def receiving() -> Iterator[None]:
    threading.Thread(target=_server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        _server.shutdown()


class Watch:
    """Which attempts were unknown at any moment, as nothing of it stays once they are settled."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.ever: set[Any] = set()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(0.5):
            self.ever |= {
                row[0]
                for row in self.product.rows(
                    "SELECT id FROM messaging_attempt WHERE status = 'unknown'"
                )
            }


def chaos(product: Product, options: argparse.Namespace) -> bool:
    deck: list[str] = []
    killed: Counter[str] = Counter()
    began = time.monotonic()
    with receiving(), product.running(), Watch(product) as watch:
        feeder = Feeder(product, options.messages)
        feeder.start()
        while killed.total() < options.kills:
            time.sleep(product.dice.uniform(1, 6))
            product.wait("There is no work to disturb", lambda: busy(product, feeder), 600)
            if not deck:
                deck = [name for name, (times, _) in KILLS.items() for _ in range(times)]
                product.dice.shuffle(deck)
            name = deck.pop()
            KILLS[name][1](product)
            killed[name] += 1
            say(f"{killed.total()} killed {name}; {len(product.accepted)} accepted")
        feeder.finish()
        feeder.check()
        sending = time.monotonic() - began
        say("coming to rest")
        rest, left = product.come_to_rest(REST)
        found = account(product)
        summary = product.provider("/control/log/summary")
    print(report(product, feeder, killed, watch, found, summary, (sending, rest), left))
    return found.is_exact and not left


def busy(product: Product, feeder: Feeder) -> bool:
    feeder.check()
    under_way = (
        "SELECT count(*) FROM messaging_message WHERE status IN ('created', 'enqueued', 'sending')"
    )
    return bool(product.one(under_way))


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def report(
    product: Product,
    feeder: Feeder,
    killed: Counter[str],
    watch: Watch,
    found: Account,
    summary: dict[str, Any],
    seconds: tuple[float, float],
    left: dict[str, int],
) -> str:
    how = Counter(told.how for told in product.accepted)
    statuses = ", ".join(f"{n:,} {status}" for status, n in sorted(found.statuses.items()))
    lines = [
        f"# {killed.total()} kills, {found.accepted:,} messages",
        "",
        f"{feeder.campaigns} campaigns in {seconds[0]:.0f} s: "
        + ", ".join(f"{n} × {name}" for name, n in sorted(how.items()))
        + f". {product.repeated_calls} calls of the API had to be repeated.",
        f"At rest {seconds[1]:.0f} s after the last call.",
        "",
        "| Killed | times |",
        "| --- | ---: |",
        *(f"| {name} | {killed[name]} |" for name in KILLS),
        "",
        "| Compared | messages |",
        "| --- | ---: |",
        f"| accepted, as clients and officers were told | {found.accepted:,} |",
        f"| in the ledger | {found.in_ledger:,} |",
        f"| taken by the provider | {found.taken:,} |",
        f"| unknown at some time, and settled | {len(watch.ever) - found.undecided:,} |",
        f"| unknown still, for an officer to decide on | {found.undecided:,} |",
        f"| of these taken by the provider | {found.undecided_but_taken:,} |",
        *(f"| {what} | **{len(ids)}** |" for what, ids in found.wrong.items()),
        "",
        f"In the ledger: {statuses}.",
        f"Webhook events received: {len(Receiver.ids):,}, of these more than once under the same "
        f"id: {sum(n > 1 for n in Receiver.ids.values())}.",
        f"Reports by the provider: {summary['callbacks']}.",
    ]
    if left:
        lines += ["", f"Not at rest: {left}."]
    for what, ids in found.wrong.items():
        lines += [f"- {what}: {name}" for name in ids[:50]]
    return "\n".join(lines)


def _chaos_of(options: argparse.Namespace) -> bool:
    return chaos(new_product("chaos", seed=options.seed, channel=options.channel), options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--channel", choices=list(WAYS), default="sms")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--messages", type=int, default=10_000, help="in each campaign")
    parser.add_argument("--seed", type=int, default=1, help="of everything random")
    parser.add_argument("--scene", choices=[*scenes.SCENES, "all"], help="one promise instead")
    parser.add_argument("--batch", type=int, default=100_000, help="messages of a scene's batch")
    options = parser.parse_args()
    if not options.scene:
        sys.exit(0 if _chaos_of(options) else 1)
    chosen = scenes.SCENES if options.scene == "all" else [options.scene]
    results = [scenes.play(name, options) for name in chosen]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
