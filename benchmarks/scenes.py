"""Single promises, each shown by a short run of the whole product: `chaos.py --scene`."""

import argparse
import random
import signal
import subprocess
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import psutil

from benchmarks.product import (
    ROOT,
    Accepted,
    Client,
    Product,
    account,
    new_product,
)
from postman.local.demo import processes

# What a file's rows cost here, and the pace that the account is given in `urgent`.
SEGMENTS_PER_SECOND = 1_000
URGENT_CALLS = 200
CHUNK, CHUNKS_AT_ONCE, BULK_PROCESSES = 500, 2, 2
DEAD_NUMBER = "6581110013"  # the sandbox's operator does not know it
REST = 600.0


def play(name: str, options: argparse.Namespace) -> bool:
    """Print what was promised and seen; False where they differ."""
    environment = {"SMS_SEGMENTS_PER_SECOND": str(SEGMENTS_PER_SECOND)} if name == "urgent" else {}
    product = new_product(f"chaos-{name}", seed=options.seed, **environment)
    with product.running():
        product.control(latency_ms=50, callbacks={"enabled": name != "stop"})
        facts, faults = SCENES[name](product, options.batch)
    print(f"## {name}\n", *(f"- {fact}" for fact in facts), sep="\n")
    print(*(f"- **not so: {fault}**" for fault in faults), "", sep="\n", flush=True)
    return not faults


Seen = tuple[list[str], list[str]]


def _faults_of(product: Product) -> list[str]:
    _, left = product.come_to_rest(REST)
    wrong = account(product).wrong
    return [f"{what}: {', '.join(ids[:20])}" for what, ids in wrong.items() if ids] + [
        f"not at rest: {left}" for _ in [left] if left
    ]


# Two timetables, four workers ------------------------------------------------------------------


def schedule(product: Product, _: int) -> Seen:
    """A scheduled batch starts once, and within five seconds."""
    client = product.new_client("Health")
    with ExitStack() as others:
        for name in ("beat", "urgent", "bulk"):
            others.enter_context(_another(product, name))
        told = [product.send_as_officer(client, 100, in_seconds=20 + n) for n in range(20)]
        due = dict(
            product.rows("SELECT id, extract(epoch FROM scheduled_at)::float FROM messaging_batch")
        )
        faults = _faults_of(product)
    taken = product.taken()
    late = [_first(taken, batch) - due[batch.batch_id] for batch in told]
    if max(late) > 5:
        faults.append(f"a batch started {max(late):.1f} s late")
    return [
        f"{len(told)} scheduled batches, 2 beats, 4 workers of 2 processes each",
        f"first message at the provider {sorted(late)[len(late) // 2]:.2f} s after its time"
        f" (median), {max(late):.2f} s (latest)",
        f"messages taken: {sum(map(len, taken.values())):,} of {100 * len(told):,}",
    ], faults


@contextmanager
def _another(product: Product, name: str) -> Iterator[None]:
    [command] = [
        process.arguments()
        for process in processes(
            port=product.port,
            sandbox_port=product.sandbox_port,
            receipts_port=0,
            directory=product.directory,
        )
        if process.name == name
    ]
    command = [word.replace(f"{name}@", f"{name}-2@") for word in command]
    with (product.directory / f"{name}-2.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        if name != "beat":
            product.wait(
                f"A second {name} did not start",
                lambda: "ready." in (product.directory / f"{name}-2.log").read_text(),
            )
        yield
    finally:
        process.terminate()
        process.wait(60)


def _first(taken: dict[str, list[dict[str, float]]], told: Accepted) -> float:
    return min(entry["at"] for number in told.numbers for entry in taken.get(number, []))


# The urgent lane -------------------------------------------------------------------------------


def urgent(product: Product, messages: int) -> Seen:
    """While a large batch is sent at its account's pace, a single message leaves at once."""
    large, small = product.new_client("Health"), product.new_client("Police")
    batch = product.send_as_officer(large, messages)
    product.wait("The batch did not start", lambda: len(product.taken()) > 1_000)
    before, began = len(product.taken()), time.time()
    called: dict[str, float] = {}
    for _ in range(URGENT_CALLS):
        at = time.time()
        told, _ = product.send_single(small)
        called[told.numbers[0]] = at
        time.sleep(random.uniform(0.05, 0.4))
    product.wait("A message did not leave", lambda: called.keys() <= product.taken().keys())
    taken, lasted = product.taken(), time.time() - began
    waits = sorted(taken[number][0]["at"] - at for number, at in called.items())
    p50, p95 = (waits[int(share * (len(waits) - 1))] for share in (0.5, 0.95))
    left = sum(number not in taken for number in batch.numbers)
    faults = [f"p95 {p95:.2f} s" for _ in [p95] if p95 >= 1]
    faults += ["the batch was over before the calls were"] if not left else []
    faults += ["a message was taken twice"] if any(len(e) > 1 for e in taken.values()) else []
    return [
        f"a batch of {messages:,} at {SEGMENTS_PER_SECOND:,} segments a second, of which"
        f" {(len(taken) - before) / lasted:,.0f} messages a second left meanwhile, {left:,} waiting",
        f"{URGENT_CALLS} single messages of another agency, from the call to the provider:"
        f" p50 {p50:.2f} s, p95 {p95:.2f} s, longest {waits[-1]:.2f} s",
    ], faults


# Stop, resume, retry ---------------------------------------------------------------------------


def stop(product: Product, messages: int) -> Seen:
    """A stop in the middle holds all that is not claimed; resume and retry double nothing."""
    client = product.new_client("Health")
    product.control(latency_ms=200)
    batch = product.send_as_officer(client, messages)
    product.wait("The batch did not start", lambda: len(product.taken()) > messages * 0.3)
    product.officers.stop(batch.batch_id)
    stopped_at = time.time()
    sending = "SELECT count(*) FROM messaging_message WHERE status = 'sending'"
    product.wait("What was claimed did not end", lambda: not product.one(sending))
    held = len(product.taken())
    later = product.one(
        "SELECT count(*) FROM messaging_attempt WHERE created_at > to_timestamp(%s)", stopped_at
    )
    after = sum(e["at"] > stopped_at for found in product.taken().values() for e in found)
    time.sleep(5)  # some ticks, in which nothing may leave
    faults = [f"{later} claims after the stop"] if later else []
    if len(product.taken()) != held:
        faults.append("messages left while the batch was stopped")
    most = CHUNK * CHUNKS_AT_ONCE * BULK_PROCESSES
    if after > most or held >= messages:
        faults.append(f"{after} messages left after the stop, {held} before and after")
    product.officers.resume(batch.batch_id)
    product.wait("The batch did not end", lambda: len(product.taken()) == messages, 900)
    faults += _faults_of(product)
    facts = [
        f"stopped with {held:,} of {messages:,} claimed: none was claimed later, {after} that had"
        f" been left after the stop (at most {most})",
        f"resumed: {len(product.taken()):,} taken, each once",
    ]
    told, wrong = _retry_twice(product, client)
    return facts + told, faults + wrong


def _retry_twice(product: Product, client: Client) -> Seen:
    rows = 300
    product.control(callbacks={"enabled": True})
    content = product.file_of([DEAD_NUMBER] * rows)
    batch_id = product.send_content(client, content)
    failed = "SELECT count(*) FROM messaging_message WHERE batch_id = %s AND status = 'failure'"
    product.wait("The messages did not fail", lambda: product.one(failed, batch_id) == rows)
    answers: list[int] = []

    def press() -> None:
        try:
            product.call(client, f"/batch/batch_{batch_id}/retry", b"")
            answers.append(201)
        except urllib.error.HTTPError as error:
            answers.append(error.code)

    presses = [threading.Thread(target=press) for _ in range(2)]
    for one in presses:
        one.start()
    for one in presses:
        one.join()
    tried = "SELECT count(*) FROM messaging_attempt a JOIN messaging_message m ON m.id = message_id"
    tried += " WHERE batch_id = %s AND number = 2 AND a.status = 'failure'"
    product.wait("The messages did not fail again", lambda: product.one(tried, batch_id) == rows)
    taken = len(product.taken()[DEAD_NUMBER])
    facts = [f"retry pressed twice at once: answers {sorted(answers)}, {rows} retried, each once"]
    faults = [f"{taken} sends instead of {2 * rows}"] if taken != 2 * rows else []
    if sorted(answers)[0] != 201 or answers.count(201) != 1:
        faults.append(f"answers {answers}")
    return facts, faults


# SIGTERM ---------------------------------------------------------------------------------------


def sigterm(product: Product, messages: int) -> Seen:
    """A worker that is asked to end finishes what it has claimed, and leaves nothing unknown."""
    client = product.new_client("Health")
    product.control(latency_ms=1_000, latency_jitter_ms=1_000)
    product.send_as_officer(client, min(messages, 20_000))
    sending = "SELECT count(*) FROM messaging_message WHERE status = 'sending'"
    faults: list[str] = []
    took: list[float] = []
    for _ in range(4):
        product.wait("Nothing is being sent", lambda: product.one(sending))
        pid, began = product.pid("bulk"), time.monotonic()
        product.signal("bulk", signal.SIGTERM)
        product.wait("The worker did not end", partial(_is_gone, pid))
        took.append(time.monotonic() - began)
        if left := product.one(sending):
            faults.append(f"{left} attempts were left behind")
    if max(took) > 25:
        faults.append(f"it took {max(took):.1f} s")
    product.control(latency_ms=20, latency_jitter_ms=0)
    unknown = product.one("SELECT count(*) FROM messaging_attempt WHERE status = 'unknown'")
    faults += [f"{unknown} unknown"] if unknown else []
    return [
        f"{len(took)} SIGTERMs in a campaign with a provider of 1 to 2 s: ended after"
        f" {min(took):.1f} to {max(took):.1f} s, nothing left in `sending`, {unknown} unknown",
    ], faults + _faults_of(product)


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# No timetable ----------------------------------------------------------------------------------


def beat(product: Product, _: int) -> Seen:
    """Everything that came due in an hour without a timetable, and without bells, is caught up."""
    client = product.new_client("Health")
    product.control(latency_ms=2_000)
    product.send_as_officer(client, 500, in_seconds=30 * 60)
    product.send_as_officer(client, 2_000)
    product.wait(
        "Nothing is being sent",
        lambda: product.one("SELECT count(*) FROM messaging_message WHERE status = 'sending'"),
    )
    product.kill_group("beat", signal.SIGSTOP)
    product.kill_group("bulk")
    product.wait("The worker did not come back", lambda: len(product.children("bulk")) == 2)
    for name in ("bulk", "urgent"):
        product.kill_group(name, signal.SIGSTOP)
    product.control(latency_ms=50)
    for _ in range(20):
        product.send_single(client)
    product.send_file(client, 500)
    numbers = product.recipients(500)
    waiting = product.officers.upload(client.id, "waiting.csv", product.file_of(numbers).encode())
    product.flush_valkey()
    before = product.open_ends()
    _age(product)
    for name in ("bulk", "urgent"):
        product.kill_group(name, signal.SIGCONT)
    began = time.monotonic()
    product.kill_group("beat", signal.SIGCONT)
    status = "SELECT status FROM messaging_batch WHERE id = %s"
    product.wait("A file was not checked", lambda: product.one(status, waiting) == "ready")
    product.officers.send(waiting)
    product.note(Accepted(client, "file sent by an officer", numbers, waiting))
    faults = _faults_of(product)
    waited = ", ".join(f"{what}: {n:,}" for what, n in before.items())
    return [
        f"an hour without beat and an empty Valkey; waiting were a file to be checked and ({waited})",
        f"all of it done {time.monotonic() - began:.0f} s after beat came back, most of that the"
        " reconciler's waits",
    ], faults


def _age(product: Product) -> None:
    """Let an hour have passed."""
    for table, columns in {
        "messaging_batch": ("accepted_at", "scheduled_at", "lease_until", "hold_until"),
        "messaging_message": ("due_at",),
        "messaging_attempt": ("lease_until", "ask_at"),
    }.items():
        shifts = ", ".join(f"{column} = {column} - interval '1 hour'" for column in columns)
        product.rows(f"UPDATE {table} SET {shifts}")


SCENES: dict[str, Callable[[Product, int], Seen]] = {
    "schedule": schedule,
    "urgent": urgent,
    "stop": stop,
    "sigterm": sigterm,
    "beat": beat,
}
