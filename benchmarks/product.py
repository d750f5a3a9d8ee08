"""The whole product in a directory of its own, for benchmarks that kill it and look at what is left.

Run as `python -m benchmarks.product` it is the demo, but for `chaos_settings`. Imported, it starts
that as a child, comes in by its doors as clients and officers do, and compares at the end what the
provider took with what the ledger says.
"""

import csv
import importlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from postman.local import home
from postman.local.demo import demo
from postman.local.servers import settled_port

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = "benchmarks.chaos_settings"
VALUES = {"clinic": "Clementi Clinic", "date": "3 Dec, 9.30am"}
BODY = "Dear {{name}}, see you at {{clinic}} on {{date}}."
# All valid mobile numbers, and none of those that the sandbox treats in a way of their own.
FIRST_NUMBER = 6582000000
PATIENCE = 300.0
# Every message ends in one of these, as nothing of what the sandbox does here fails one for good.
WITH_PROVIDER = ("sent", "sent_to_telco", "success", "opened")


@dataclass(frozen=True)
class Client:
    """A campaign as a program of its agency knows it."""

    id: uuid.UUID
    key: str
    # Where the single messages of its officer's account are, if they are none of the campaign's.
    calls_id: uuid.UUID | None = None
    whatsapp_template: int = 0

    @property
    def path(self) -> str:
        return "/v1" if self.calls_id else f"/api/v2/campaigns/campaign_{self.id}"


def _sms(client: Client, number: str) -> tuple[str, dict[str, Any]]:
    values = {"name": number, **VALUES}
    return "/messages", {"recipient": number, "language": "english", "values": values}


def _email(client: Client, address: str) -> tuple[str, dict[str, Any]]:
    email = {"recipient": address, "subject": f"For {address}", "body": f"Dear {address}"}
    return "/transactional/email/send", email


def _whatsapp(client: Client, number: str) -> tuple[str, dict[str, Any]]:
    params = {"name": number, **VALUES}
    asked = {"recipient": number, "template_id": client.whatsapp_template, "params": params}
    return "/transactional/govsg/send", asked


@dataclass(frozen=True)
class Way:
    """How the people of one channel are written to, and what can be known of it afterwards."""

    address: str = "{}"
    # Of a file, besides everybody's.
    columns: Mapping[str, str] = field(default_factory=dict)
    # The path and body of a call that sends one message; None where there is none.
    single: Callable[[Client, str], tuple[str, dict[str, Any]]] | None = None
    has_files_by_api: bool = False
    # Whoever is written to has let the campaign's bot do so.
    to_subscribers: bool = False
    # If not, what no report speaks of stays unknown, for an officer to decide.
    can_be_asked: bool = False


WAYS = {
    "sms": Way(
        columns={"language": "english"}, single=_sms, has_files_by_api=True, can_be_asked=True
    ),
    "email": Way(address="p{}@example.org", single=_email),
    "telegram": Way(to_subscribers=True),
    "whatsapp": Way(single=_whatsapp),
}


@dataclass
class Accepted:
    """What somebody was told is accepted: each of these recipients once, in this batch or singly."""

    client: Client
    how: str
    numbers: list[str] = field(default_factory=list)
    batch_id: uuid.UUID | None = None


class Product:
    """Started by `running`; the doors may be used by several threads."""

    def __init__(
        self, directory: Path, environment: dict[str, str], seed: int, channel: str
    ) -> None:
        self.directory = directory
        self.channel = channel
        self.way = WAYS[channel]
        self.run = directory / "run"
        self.port = settled_port(directory / "web")
        self.sandbox_port = settled_port(directory / "sandbox-port")
        self.environment = {
            "POSTMAN_LOCAL_DIR": str(directory),
            "POSTMAN_ENVIRONMENT": "production",
            "POSTMAN_STOP_WITH_PARENT": "1",
            "PORT": str(self.port),
            "SANDBOX_PORT": str(self.sandbox_port),
            **environment,
        }
        self.dice = random.Random(seed)
        self.next_number = FIRST_NUMBER
        self.accepted: list[Accepted] = []
        self.repeated_calls = 0
        self._mutex = threading.Lock()
        self.officers: Any = None

    # Processes -----------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[None]:
        os.environ.update(self.environment | {"DJANGO_SETTINGS_MODULE": SETTINGS})
        with (self.directory / "demo.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.product"],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self.wait(
                "The product did not start",
                lambda: (
                    (process.poll() is None and b"Postman is running" in self._log())
                    or process.poll() is not None
                ),
            )
            if process.poll() is not None:
                sys.exit(f"The product did not start; see {self.directory / 'demo.log'}.")
            # Only now, as its settings look for the servers that have just been started.
            self.officers = importlib.import_module("benchmarks.officers")
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(90)

    def _log(self) -> bytes:
        return (self.directory / "demo.log").read_bytes()

    def log_lines(self, words: str) -> list[str]:
        return [line for line in self._log().decode(errors="replace").splitlines() if words in line]

    def pid(self, name: str) -> int:
        """The leader of a process group; waits while it is being started again."""
        found = 0

        def is_there() -> bool:
            nonlocal found
            with suppress(OSError, ValueError):
                found = int((self.run / f"{name}.pid").read_text())
            return psutil.pid_exists(found) if found else False

        self.wait(f"{name} did not come back", is_there)
        return found

    def children(self, name: str) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid(name)).children()
        return []

    def kill_group(self, name: str, number: int = signal.SIGKILL) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid(name), number)

    def signal(self, name: str, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid(name), number)

    def kill_child(self, name: str) -> None:
        if children := self.children(name):
            with suppress(psutil.NoSuchProcess):
                self.dice.choice(children).kill()

    def flush_valkey(self) -> None:
        with suppress(redis.RedisError), redis.Redis.from_url(self.urls()["REDIS_URL"]) as client:
            client.flushall()

    def wait(self, what: str, is_so: Callable[[], Any], seconds: float = PATIENCE) -> float:
        """Returns how long it took."""
        began = time.monotonic()
        while not is_so():
            if time.monotonic() - began > seconds:
                sys.exit(f"{what}: waited {seconds:.0f} s in vain; see {self.directory}/demo.log.")
            time.sleep(0.1)
        return time.monotonic() - began

    # Looking -------------------------------------------------------------------------------

    def urls(self) -> dict[str, str]:
        facts: dict[str, str] = json.loads((self.run / "urls.json").read_text())
        return facts

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Asked until the database, which may be down, has answered."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with psycopg.connect(self.urls()["DATABASE_URL"], autocommit=True) as database:
                    cursor = database.execute(query, values)
                    return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def one(self, query: str, *values: Any) -> Any:
        rows = self.rows(query, *values)
        return rows[0][0] if rows else None

    def provider(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.sandbox_port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def control(self, **switches: Any) -> None:
        self.provider("/control", switches)

    def taken(self) -> dict[str, list[dict[str, Any]]]:
        """What the provider took, by recipient: its own log, written before it answered."""
        found = defaultdict(list)
        with (self.directory / "sandbox" / "sandbox.jsonl").open() as lines:
            for line in lines:
                entry = json.loads(line)
                if entry.get("channel") == self.channel:
                    found[entry["to"].lstrip("+")].append(entry)
        return found

    # Doors ---------------------------------------------------------------------------------

    def new_client(self, agency: str) -> Client:
        return Client(*self.officers.new_campaign(self.channel, agency, BODY))

    def recipients(self, count: int) -> list[str]:
        with self._mutex:
            first, self.next_number = self.next_number, self.next_number + count
        return [self.way.address.format(n) for n in range(first, first + count)]

    def file_of(self, recipients: list[str]) -> str:
        """Every row has a text of its own, so that no two messages look alike to anybody."""
        written, columns = io.StringIO(), self.way.columns
        writer = csv.writer(written)
        writer.writerow(["recipient", *columns, "name", *VALUES])
        writer.writerows([to, *columns.values(), to, *VALUES.values()] for to in recipients)
        return written.getvalue()

    def note(self, accepted: Accepted) -> Accepted:
        with self._mutex:
            self.accepted.append(accepted)
        return accepted

    def call(
        self, client: Client, path: str, body: bytes, kind: str = "application/json"
    ) -> dict[str, Any]:
        """Repeat a call under one Idempotency-Key until there is an answer, as clients should."""
        headers = {
            "Authorization": f"Bearer {client.key}",
            "Content-Type": kind,
            "Idempotency-Key": str(uuid.uuid4()),
        }
        url = f"http://127.0.0.1:{self.port}{client.path}{path}"
        until = time.monotonic() + PATIENCE
        while True:
            request = urllib.request.Request(url, data=body, headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.loads(answer.read() or b"{}")
            except urllib.error.HTTPError as error:
                if error.code < 500 and error.code not in (409, 429):
                    raise
            except (OSError, ValueError):
                pass
            if time.monotonic() > until:
                sys.exit(f"{path} was not answered in {PATIENCE:.0f} s.")
            with self._mutex:
                self.repeated_calls += 1
            time.sleep(0.3)

    def send_single(self, client: Client) -> tuple[Accepted, str]:
        """By the API; returns the message's id too."""
        assert self.way.single
        [recipient] = self.recipients(1)
        path, body = self.way.single(client, recipient)
        answer = self.call(client, path, json.dumps(body).encode())
        owner = Client(client.calls_id or client.id, client.key)
        return self.note(Accepted(owner, "single", [recipient])), answer["id"]

    def send_file(self, client: Client, count: int) -> Accepted:
        """By the API: the answer comes when all of it is accepted."""
        numbers = self.recipients(count)
        batch_id = self.send_content(client, self.file_of(numbers))
        return self.note(Accepted(client, "file by API", numbers, batch_id))

    def send_content(self, client: Client, content: str) -> uuid.UUID:
        boundary = uuid.uuid4().hex
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="people.csv"\r\n'
            f"Content-Type: text/csv\r\n\r\n{content}\r\n--{boundary}--\r\n"
        )
        kind = f"multipart/form-data; boundary={boundary}"
        answer = self.call(client, "/batch/messages", body.encode(), kind)
        return uuid.UUID(answer["batchId"].removeprefix("batch_"))

    def upload(self, client: Client, count: int) -> tuple[list[str], uuid.UUID]:
        """As an officer does, up to the review."""
        numbers = self.recipients(count)
        if self.way.to_subscribers:
            self.officers.subscribe(client.id, numbers)
        content = self.file_of(numbers).encode()
        batch_id = self.officers.upload(client.id, f"{uuid.uuid4()}.csv", content)
        status = "SELECT status FROM messaging_batch WHERE id = %s"
        self.wait("A file was not checked", lambda: self.one(status, batch_id) == "ready")
        return numbers, batch_id

    def send_as_officer(self, client: Client, count: int, *, in_seconds: float = 0) -> Accepted:
        """Upload, review, and send now or at a later time."""
        numbers, batch_id = self.upload(client, count)
        self.officers.send(batch_id, in_seconds=in_seconds)
        how = "file scheduled by an officer" if in_seconds else "file sent by an officer"
        return self.note(Accepted(client, how, numbers, batch_id))

    # Rest, and the account -----------------------------------------------------------------

    def open_ends(self) -> dict[str, int]:
        """What has still to happen; nothing of it is left in the end."""
        found: dict[str, int] = {
            f"messages {status}": n
            for status, n in self.rows(
                "SELECT status, count(*) FROM messaging_message"
                " WHERE status IN ('created', 'enqueued', 'sending', 'unknown') GROUP BY 1"
            )
        }
        if not self.way.can_be_asked:
            found.pop("messages unknown", None)
        found["batches being started"] = self.one(
            "SELECT count(*) FROM messaging_batch"
            " WHERE status IN ('scheduled', 'messages_enqueuing')"
        )
        found["reports not applied"] = self.one(
            "SELECT count(*) FROM messaging_providerevent WHERE applied_at IS NULL"
        )
        found["webhook events"] = self.one(
            "SELECT count(*) FROM messaging_webhookdelivery WHERE state = 'waiting'"
        )
        found["reports to come"] = self.provider("/control/log/summary")["callbacks"]["pending"]
        return {what: n for what, n in found.items() if n}

    def come_to_rest(self, seconds: float) -> tuple[float, dict[str, int]]:
        """How long it took, and what was left when the patience was over."""
        began = time.monotonic()
        while (left := self.open_ends()) and time.monotonic() - began < seconds:
            time.sleep(1)
        return time.monotonic() - began, left


# What is wrong ---------------------------------------------------------------------------------


@dataclass
class Account:
    """What was accepted, what the provider took and what the ledger says, and each difference."""

    accepted: int
    in_ledger: int
    taken: int
    # Unknown, as nobody can be asked about them, and of these what the provider took.
    undecided: int
    undecided_but_taken: int
    statuses: dict[str, int]
    wrong: dict[str, list[str]]

    @property
    def is_exact(self) -> bool:
        return not any(self.wrong.values())


def account(product: Product) -> Account:
    taken = product.taken()
    told_of = {
        row[0]
        for row in product.rows(
            "SELECT DISTINCT a.message_id FROM messaging_providerevent e"
            " JOIN messaging_attempt a ON a.id = e.attempt_id"
        )
    }
    ledger = product.rows(
        "SELECT m.recipient, m.id, m.batch_id, m.campaign_id, m.status, a.reference, m.attempts_made,"
        " a.status"
        " FROM messaging_message m"
        " LEFT JOIN messaging_attempt a ON a.message_id = m.id AND a.number = m.attempts_made"
    )
    by_number = defaultdict(list)
    for row in ledger:
        by_number[row[0]].append(row)
    accepted = {
        number: (told.client.id, told.batch_id)
        for told in product.accepted
        for number in told.numbers
    }
    undecided = {
        row[0] for row in ledger
        if row[4] == "unknown" and not product.way.can_be_asked and row[1] not in told_of
    }  # fmt: skip
    wrong = {
        "accepted, and not in the ledger": [n for n in accepted if n not in by_number],
        "in the ledger, and nobody was told so": [
            f"{row[1]}" for row in ledger if row[0] not in accepted
        ],
        "in the ledger more than once": [n for n, rows in by_number.items() if len(rows) > 1],
        "in another batch or campaign than was said": [
            f"{row[1]}" for row in ledger
            if row[0] in accepted and (row[3], row[2]) != accepted[row[0]]
        ],
        "taken by the provider more than once": [n for n, e in taken.items() if len(e) > 1],
        "taken by the provider, and not in the ledger": [n for n in taken if n not in by_number],
        "sent in the ledger, and never taken by the provider": [
            f"{row[1]}" for row in ledger if row[4] in WITH_PROVIDER and row[0] not in taken
        ],
        "taken by the provider, and the ledger does not say so": [
            f"{row[1]} {row[4]}" for row in ledger
            if row[0] in taken and row[4] not in WITH_PROVIDER and row[0] not in undecided
        ],
        "held under a reference that is not its own": [
            f"{row[1]}" for row in ledger
            if row[4] in WITH_PROVIDER and row[5] not in [e["sid"] for e in taken.get(row[0], [])]
        ],
        "tried under more than one attempt": [f"{row[1]}" for row in ledger if row[6] > 1],
        "not as its latest attempt": [f"{row[1]}" for row in ledger if row[4] != row[7]],
        "still unknown, though it could be known": [
            f"{row[1]}" for row in ledger if row[4] == "unknown" and row[0] not in undecided
        ],
        "at no end": [
            f"{row[1]} {row[4]}" for row in ledger if row[4] not in (*WITH_PROVIDER, "unknown")
        ],
        "counted otherwise than they are": drift(product),
        "changes that no webhook was told of": untold(product),
    }  # fmt: skip
    return Account(
        len(accepted),
        len(ledger),
        sum(map(len, taken.values())),
        len(undecided),
        len(undecided & taken.keys()),
        dict(Counter(row[4] for row in ledger)),
        wrong,
    )


def drift(product: Product) -> list[str]:
    """Counters that differ from COUNT, of each batch and of each campaign's single messages."""
    rows = product.rows(
        """
        WITH counted AS (
            SELECT campaign_id, batch_id, status, count(*) AS n FROM messaging_message
            GROUP BY 1, 2, 3
            UNION ALL
            SELECT campaign_id, batch_id, 'total', count(*) FROM messaging_message GROUP BY 1, 2
        ), compared AS (
            SELECT campaign_id, batch_id, status, 0 AS counter, n AS counted FROM counted
            UNION ALL
            SELECT campaign_id, batch_id, status, n, 0 FROM messaging_counter
        )
        SELECT campaign_id, batch_id, status, sum(counter), sum(counted) FROM compared
        GROUP BY 1, 2, 3 HAVING sum(counter) <> sum(counted)
        """
    )
    return [
        f"campaign {campaign} batch {batch} {status}: counter {counter}, rows {counted}"
        for campaign, batch, status, counter, counted in rows
    ]


def untold(product: Product) -> list[str]:
    """Of campaigns with a webhook: ends of messages that no event, or two, speak of."""
    rows = product.rows(
        """
        SELECT m.id, m.status, count(d.id) FROM messaging_message m
        JOIN messaging_webhook w ON w.campaign_id = m.campaign_id
        LEFT JOIN messaging_webhookdelivery d
            ON d.webhook_id = w.id AND d.message_id = m.id AND d.status = m.status
            AND d.number = m.attempts_made AND d.state = 'delivered'
        WHERE m.status IN ('sent', 'sent_to_telco', 'success')
        GROUP BY 1, 2 HAVING count(d.id) <> 1
        """
    )
    return [f"{message} {status}: {n} events" for message, status, n in rows]


def new_product(name: str, *, seed: int, channel: str = "sms", **environment: str) -> Product:
    """In an empty directory below the local one."""
    directory = home() / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return Product(directory, environment, seed, channel)


if __name__ == "__main__":
    sys.exit(demo(settings=SETTINGS))
