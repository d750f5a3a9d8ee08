"""What `ingest.py` measures, each step in a process of its own: JSON in, JSON out.

Run as `python -m benchmarks.ingest_steps <step>`.
"""

import csv
import gc
import json
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import django
import psutil

django.setup()

from django.db import connection  # noqa: E402 - Django must be set up before its models load

from campaigns.creation import create_email_campaign  # noqa: E402
from campaigns.models import (  # noqa: E402
    AllowedAddress,
    ApiKey,
    Campaign,
    EmailDraft,
    Membership,
    RecipientType,
    Role,
    Template,
    TemplateBody,
)
from campaigns.phone_numbers import clean_recipient  # noqa: E402
from campaigns.sms import FOOTERS  # noqa: E402
from messaging import ingest  # noqa: E402
from messaging.delivery import expanding  # noqa: E402
from messaging.models import Batch, BatchStatus, Message, StagedRow, Suppression  # noqa: E402
from postman.accounts.models import Agency, User  # noqa: E402
from postman.ids import new_id, now_ms  # noqa: E402

BODIES = {
    "english": "Dear {{name}}, your appointment at {{clinic}} is on {{date}} at {{time}}.",
    "malay": "{{name}} yang dihormati, temu janji anda di {{clinic}} pada {{date}}, {{time}}.",
    "chinese": "{{name}}，您在{{clinic}}的预约时间是{{date}} {{time}}。",
    "tamil": "அன்புள்ள {{name}}, {{clinic}} இல் உங்கள் சந்திப்பு {{date}} {{time}}.",
}
VARIABLES = ["name", "clinic", "date", "time"]
SHARES = {"english": 0.7, "chinese": 0.15, "malay": 0.1, "tamil": 0.05}
NAMES = {
    "english": ["Tan Mei Ling", "Siti Nurhaliza binte Ahmad", "Rajesh s/o Kumar", "Ng Wei Jie"],
    "chinese": ["陈美玲", "林志强", "黄秀英", "Tan Mei Ling"],
    "malay": ["Aisyah binte Rahman", "Muhammad Faizal bin Osman", "Nur Hidayah"],
    "tamil": ["ராஜேஷ் குமார்", "பிரியா", "மீனாட்சி"],
}
# A word processor's apostrophe: sent in UCS-2, and good nevertheless.
RARE_NAME, RARE = "Siobhan O’Brien", 0.002
CLINICS = ["Clementi Clinic, Block 2", "Bedok Polyclinic", "Klinik Tampines", "Ang Mo Kio, #02-11"]
FOREIGN, FOREIGN_SHARE = ["60123456789", "447911123456", "919876543210"], 0.01
FIRST_NAMES = ["mei.ling", "siti", "rajesh", "wei_jie", "nur-hidayah", "james", "priya", "a"]
LAST_NAMES = ["tan", "lim", "ahmad", "kumar", "ng", "de.souza", "wong", "lee"]
DOMAINS = ["gmail.com"] * 6 + ["hotmail.com", "yahoo.com.sg", "singnet.com.sg", "moh.gov.sg"]
SUPPRESSED = 10_000
# The same rows in the same table, under another name: nothing of ours in between.
COPIED = "copied_stagedrow"
INSERTED = "inserted_message"


def prepare(job: dict[str, Any]) -> dict[str, Any]:
    """A campaign, its file of `rows` recipients, and who may look at it."""
    agency = Agency.objects.create(name="Ministry of Health")
    officer = User.objects.create(
        email="officer@health.gov.sg", agency=agency, can_create_campaigns=True
    )
    make, write = KINDS[job["channel"]]
    campaign = make(agency, officer)
    AllowedAddress.objects.create(campaign=campaign, address="127.0.0.1")
    _, key = ApiKey.issue(campaign=campaign, creator=officer)
    batch = Batch(campaign=campaign, creator=officer, original_file_name="people.csv")
    batch.file.name = f"{batch.public_id}.csv"
    path = Path(batch.file.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, job["rows"])
    batch.file_bytes = path.stat().st_size
    batch.save(force_insert=True)
    return {
        "campaign": campaign.public_id,
        "batch": str(batch.id),
        "file": str(path),
        "bytes": batch.file_bytes,
        "key": key,
    }


def _sms_campaign(agency: Agency, officer: User) -> Campaign:
    """In four languages."""
    campaign = Campaign.objects.create(
        agency=agency,
        creator=officer,
        name="Appointments",
        recipient_type=RecipientType.PUBLIC,
        sender_id="gov.sg",
        calls_per_second=30_000,
    )
    template = Template.objects.create(campaign=campaign)
    for language, body in BODIES.items():
        TemplateBody.objects.create(
            template=template,
            language=language,
            body=body,
            header="Ministry of Health",
            footer=FOOTERS[language],
            creator=officer,
        )
    Membership.objects.create(campaign=campaign, user=officer, role=Role.OWNER)
    return campaign


def _email_campaign(agency: Agency, officer: User) -> Campaign:
    """With people who are not to be written to, some of whom stand in the file."""
    campaign = create_email_campaign(id=new_id(), name="Newsletter", is_protected=False, by=officer)
    EmailDraft.objects.filter(campaign=campaign).update(
        subject="Your visit to {{clinic}}",
        html="<p>Dear {{name}}, see you at {{clinic}}.</p>",
        variables=["clinic", "name"],
    )
    addresses = (each.strip().lower() for each in _addresses(random.Random(2026)))
    strangers = (f"gone.{number}@example.com" for number in range(SUPPRESSED))
    Suppression.objects.bulk_create(
        Suppression(agency=agency, recipient=recipient, reason="hard_bounce")
        for recipient in {*islice(addresses, SUPPRESSED), *strangers}
    )
    return campaign


def _write_emails(path: Path, rows: int) -> None:
    chance = random.Random(2027)
    names = [*NAMES["english"], *NAMES["malay"], *NAMES["chinese"]]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["recipient", "name", "clinic"])
        for address in islice(_addresses(random.Random(2026)), rows):
            is_rare = chance.random() < RARE
            name = RARE_NAME if is_rare else chance.choice(names)
            writer.writerow([address, name, chance.choice(CLINICS)])


def _addresses(chance: random.Random) -> Iterator[str]:
    """Most of them distinct; a few as people write them, with capitals and spaces."""
    while True:
        first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
        address = f"{first}.{last}{chance.randrange(1_000_000)}@{chance.choice(DOMAINS)}"
        yield f" {address.title()}" if chance.random() < RARE else address


def _write_sms(path: Path, rows: int) -> None:
    chance = random.Random(2026)
    languages = chance.choices(list(SHARES), list(SHARES.values()), k=rows)
    mobiles = _mobiles(chance)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["recipient", "language", *VARIABLES])
        for language in languages:
            is_foreign = chance.random() < FOREIGN_SHARE
            is_rare = language == "english" and chance.random() < RARE
            writer.writerow(
                [
                    chance.choice(FOREIGN)[:-4] + f"{chance.randrange(10_000):04}"
                    if is_foreign
                    else next(mobiles),
                    language,
                    RARE_NAME if is_rare else chance.choice(NAMES[language]),
                    chance.choice(CLINICS),
                    f"{chance.randint(1, 28)} {chance.choice(['Jan', 'Nov', 'Dec'])} 2026",
                    f"{chance.randint(8, 17)}.{chance.choice(['00', '15', '30', '45'])}",
                ]
            )


def _mobiles(chance: random.Random) -> Iterator[str]:
    while True:
        number = f"65{chance.randint(80_000_000, 98_999_999)}"
        try:
            yield clean_recipient(number)
        except ValueError:
            continue


KINDS = {"sms": (_sms_campaign, _write_sms), "email": (_email_campaign, _write_emails)}


def check(job: dict[str, Any]) -> dict[str, Any]:
    gc.freeze()  # as the workers do (`postman.celery`)
    found = _measured(lambda: ingest.check(UUID(job["batch"])))
    batch = Batch.objects.get(id=job["batch"])
    assert batch.status == BatchStatus.READY, (batch.first_faults, batch.file_fault)
    assert StagedRow.objects.filter(batch=batch).count() == batch.rows_checked
    return found | {"rows": batch.rows_checked}


def expand(job: dict[str, Any]) -> dict[str, Any]:
    """Also keeps the rows, for the ceilings of the same run."""
    with connection.cursor() as cursor:
        with (
            Path(job["rows_file"]).open("wb") as file,
            cursor.copy("COPY messaging_stagedrow TO STDOUT") as copy,
        ):
            for block in copy:
                file.write(block)
        cursor.execute("CREATE TABLE kept_stagedrow AS TABLE messaging_stagedrow")
        cursor.execute("VACUUM ANALYZE messaging_stagedrow")
    Batch.objects.filter(id=job["batch"]).update(status=BatchStatus.ENQUEUING, accepted_at=now_ms())
    found = _measured(lambda: expanding.expand(UUID(job["batch"])))
    rows = Message.objects.filter(batch=job["batch"]).count()
    assert not StagedRow.objects.exists()
    return found | {"rows": rows}


def bare_copy(job: dict[str, Any]) -> dict[str, Any]:
    """COPY alone of the very rows that the check stored, into the like of their table."""
    _make_like(COPIED, "messaging_stagedrow")

    def copy_all() -> None:
        with (
            Path(job["rows_file"]).open("rb") as file,
            connection.cursor() as cursor,
            cursor.copy(f"COPY {COPIED} FROM STDIN") as copy,
        ):
            while block := file.read(1 << 18):
                copy.write(block)

    return _measured(copy_all) | {"rows": job["rows"]}


def bare_insert(job: dict[str, Any]) -> dict[str, Any]:
    """INSERT ... SELECT alone of the very messages, into the like of their table."""
    _make_like(INSERTED, "messaging_message")

    def insert() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                INSERT INTO {INSERTED} (
                    id, campaign_id, batch_id, row, template_body_id, creator_id, via_api,
                    recipient, values, segments, status, attempts_made, created_at, updated_at
                )
                SELECT message_id, batch.campaign_id, batch.id, row, staged.template_body_id,
                    batch.creator_id, batch.via_api, recipient, values, segments, 'created', 0,
                    batch.accepted_at, batch.accepted_at
                FROM kept_stagedrow staged JOIN messaging_batch batch ON batch.id = staged.batch_id
                ORDER BY row
                """
            )

    return _measured(insert) | {"rows": job["rows"]}


def parse(job: dict[str, Any]) -> dict[str, Any]:
    def read() -> None:
        with Path(job["file"]).open(encoding="utf-8", newline="") as file:
            for _ in csv.reader(file):
                pass

    return _measured(read) | {"rows": job["rows"]}


def _make_like(name: str, original: str) -> None:
    """The same columns, defaults, indexes, checks and foreign keys, and empty."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
        cursor.execute(f"CREATE TABLE {name} (LIKE {original} INCLUDING ALL)")
        cursor.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = %s::regclass AND contype = 'f'",
            [original],
        )
        for (definition,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {name} ADD {definition}")
        cursor.execute("CHECKPOINT")


def _measured(work: Callable[[], None]) -> dict[str, Any]:
    connection.ensure_connection()
    backend = psutil.Process(connection.connection.info.backend_pid)
    before, backend_before = resource.getrusage(resource.RUSAGE_SELF), _cpu(backend)
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": seconds,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "database_cpu": _cpu(backend) - backend_before,
        "start_mb": before.ru_maxrss / 1024,
        "peak_mb": after.ru_maxrss / 1024,
    }


def _cpu(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])


STEPS = {step.__name__: step for step in (prepare, check, expand, bare_copy, bare_insert, parse)}

if __name__ == "__main__":
    json.dump(STEPS[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
