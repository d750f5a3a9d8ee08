"""Addresses that are not to be written to: how they come to be listed, and how they leave the list.

What is listed is enforced by `delivery`, when a batch becomes messages and again when they are claimed.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import BinaryIO, NamedTuple

from django.db import connection, transaction
from django.db.models.functions import Collate
from django.utils import timezone

from campaigns.email.addresses import clean_many, clean_recipient
from campaigns.models import Campaign
from campaigns.phone_numbers import InvalidRecipient
from messaging.delivery.changes import Change
from messaging.models import Suppression, SuppressionQuerySet
from messaging.recipients.table import FileFault, Table, refuse_undecoded
from messaging.states import Status
from postman.accounts import audit
from postman.accounts.models import Agency, User

# How long whoever unsubscribed may take it back by the same link.
UNDONE_WITHIN = timedelta(days=30)
LONGEST_NOTE = 255

# What becomes of an email → why nobody writes to its recipient again.
_LISTED_FOR = {
    Status.BOUNCED.value: Suppression.Reason.BOUNCED.value,
    Status.COMPLAINED.value: Suppression.Reason.COMPLAINED.value,
}
# Why people unsubscribe, of which the page offers these; anything else they say in their own words.
REASONS = {
    "unwanted": "No longer wants these emails",
    "never": "Never signed up for these emails",
    "inappropriate": "Finds the emails inappropriate",
    "spam": "Takes the emails for spam",
}


def masked(address: str) -> str:
    """`mei.ling@example.org` as `m•••@example.org`: its owner knows it again, others learn little."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"


# --- What the provider reports ----------------------------------------------------------------------


def add_reported(changes: Sequence[Change]) -> None:
    """Let nobody write again to addresses that do not exist or whose people called us spam.

    Call it after `changes.apply`, in its transaction: where the attempt stands by then decides.
    A recipient that retention has erased meanwhile cannot be listed.
    """
    attempts = [change.attempt_id for change in changes if change.status in _LISTED_FOR]
    if not attempts:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO messaging_suppression
                (recipient, reason, note, campaign_id, listed_by_id, created_at)
            SELECT DISTINCT ON (message.recipient, listed.reason)
                message.recipient, listed.reason, '', message.campaign_id, campaign.agency_id,
                %(now)s
            FROM messaging_attempt attempt
            JOIN unnest(%(statuses)s::text[], %(reasons)s::text[]) AS listed (status, reason)
                ON listed.status = attempt.status
            JOIN messaging_message message ON message.id = attempt.message_id
            JOIN campaigns_campaign campaign ON campaign.id = message.campaign_id
            WHERE attempt.id = ANY(%(attempts)s) AND campaign.channel = 'email'
                AND message.recipient <> ''
            -- In one order, so that no two of these wait for each other.
            ORDER BY message.recipient, listed.reason, message.id
            ON CONFLICT DO NOTHING
            """,
            {
                "attempts": attempts,
                "statuses": list(_LISTED_FOR),
                "reasons": list(_LISTED_FOR.values()),
                "now": timezone.now(),
            },
        )


# --- What recipients ask for ------------------------------------------------------------------------


def unsubscribe(campaign: Campaign, recipient: str) -> None:
    """From now on nobody of the campaign's agency writes to this person; asking twice is asking once.

    It ends what is still waiting for them, as each claim looks here.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO messaging_suppression
                (agency_id, listed_by_id, recipient, reason, note, campaign_id, created_at)
            VALUES (%(agency)s, %(agency)s, %(recipient)s, 'unsubscribed', '', %(campaign)s, %(now)s)
            ON CONFLICT DO NOTHING
            """,
            {
                "agency": campaign.agency_id,
                "recipient": recipient,
                "campaign": campaign.id,
                "now": timezone.now(),
            },
        )


def unsubscription_of(campaign: Campaign, recipient: str) -> Suppression | None:
    """Their own word, as it stands; what others listed the address for is not theirs."""
    return (
        Suppression.objects.standing()
        .filter(
            agency=campaign.agency_id, recipient=recipient, reason=Suppression.Reason.UNSUBSCRIBED
        )
        .first()
    )


def can_be_undone(unsubscription: Suppression, now: datetime) -> bool:
    return now - unsubscription.created_at <= UNDONE_WITHIN


def say_why(campaign: Campaign, recipient: str, note: str) -> bool:
    """Keep a reason beside the unsubscription that stands; False where none does."""
    assert len(note) <= LONGEST_NOTE
    found = unsubscription_of(campaign, recipient)
    return bool(found and Suppression.objects.filter(id=found.id).update(note=note))


@transaction.atomic
def undo(campaign: Campaign, recipient: str) -> bool:
    """Take back the recipient's own unsubscription; False where there is none, or it is too old."""
    now = timezone.now()
    found = unsubscription_of(campaign, recipient)
    if found is None or not can_be_undone(found, now):
        return False
    return bool(Suppression.objects.standing().filter(id=found.id).update(lifted_at=now))


# --- What officers list -----------------------------------------------------------------------------

# A file is read while its officer waits.
MOST_ROWS = 200_000
FAULTS_KEPT = 25
_COLUMNS = ("recipient", "email")


class RowFault(NamedTuple):
    row: int
    value: str
    message: str


class Faulty(Exception):
    """A file that was refused whole: its first wrong rows, and how many there are."""

    def __init__(self, faults: Sequence[RowFault], rows_bad: int) -> None:
        super().__init__()
        self.faults = faults
        self.rows_bad = rows_bad


@transaction.atomic
def add(agency: Agency, recipient: str, note: str, *, by: User) -> bool:
    """Let the agency write no more to this address (in its one form); False where it stood there."""
    if not _insert(agency, [recipient], [note], by=by):
        return False
    audit.record("suppression.added", by=by, on=agency, addresses=1)
    return True


@transaction.atomic
def add_file(agency: Agency, file: BinaryIO, *, by: User) -> tuple[int, int]:
    """Add every address of a CSV file, or none; returns (added, listed before or twice).

    Raises FileFault, or Faulty with what is wrong in which row.
    """
    with connection.cursor() as cursor:
        # Two files of one agency at once would wait for each other's addresses in a circle.
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"list {agency.pk}"]
        )
    added = rows = rows_bad = 0
    faults: list[RowFault] = []
    for chunk in _rows_of(file):
        rows += len(chunk)
        if rows > MOST_ROWS:
            raise FileFault("too_many_rows", f"Upload at most {MOST_ROWS:,} addresses at once.")
        wrong = _faults_in(chunk)
        rows_bad += len({fault.row for fault in wrong})
        faults += wrong[: FAULTS_KEPT - len(faults)]
        if not rows_bad:
            addresses = clean_many([recipient for _, recipient, _ in chunk])
            added += _insert(agency, addresses, [note for *_, note in chunk], by=by)
    if rows_bad:
        raise Faulty(faults, rows_bad)
    if not rows:
        raise FileFault("empty", "There are no addresses below the header.")
    audit.record("suppression.added", by=by, on=agency, addresses=added, from_file=True)
    return added, rows - added


def _rows_of(file: BinaryIO) -> Iterator[list[tuple[int, str, str]]]:
    """(row, recipient, note) in chunks, empty rows left out."""
    table = Table(file)
    try:
        find = _columns_of(table.header)
        for first, chunk in table.chunks():
            filled = [
                (number, cells)
                for number, cells in enumerate(chunk, first)
                if any(cell.strip() for cell in cells)
            ]
            for number, cells in filled:
                refuse_undecoded(number, cells)
            yield [(number, *find(cells)) for number, cells in filled]
    finally:
        table.release()


def _columns_of(header: Sequence[str]) -> Callable[[Sequence[str]], tuple[str, str]]:
    """Picks address and note of a row; other columns, such as those of our own list, are left out."""
    names = [" ".join(cell.split()).lower() for cell in header]
    place = next((names.index(name) for name in _COLUMNS if name in names), None)
    if place is None:
        raise FileFault(
            "no_recipient", "Name the column with the addresses “recipient”, in the first row."
        )
    note_place = names.index("note") if "note" in names else len(names)

    def find(cells: Sequence[str]) -> tuple[str, str]:
        padded = [*cells, *[""] * (len(names) + 1 - len(cells))]
        return padded[place], " ".join(padded[note_place].replace("\0", "").split())

    return find


def _faults_in(rows: Sequence[tuple[int, str, str]]) -> list[RowFault]:
    cleaned = clean_many([recipient for _, recipient, _ in rows]) if rows else []
    faults = []
    for (number, recipient, note), address in zip(rows, cleaned, strict=True):
        if not address:
            faults.append(RowFault(number, recipient[:100], fault_of(recipient)))
        if len(note) > LONGEST_NOTE:
            faults.append(
                RowFault(number, note[:100], f"The note is over {LONGEST_NOTE} characters.")
            )
    return faults


def fault_of(recipient: str) -> str:
    """Why it is no address that could be listed; empty where it is one."""
    try:
        clean_recipient(recipient)
    except InvalidRecipient as invalid:
        return invalid.message
    return ""


def _insert(agency: Agency, addresses: Sequence[str], notes: Sequence[str], *, by: User) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO messaging_suppression
                (agency_id, listed_by_id, recipient, reason, note, creator_id, created_at)
            SELECT %(agency)s, %(agency)s, address, 'added', note, %(by)s, %(now)s
            FROM unnest(%(addresses)s::text[], %(notes)s::text[]) AS new (address, note)
            ON CONFLICT DO NOTHING
            """,
            {
                "agency": agency.pk,
                "addresses": list(addresses),
                "notes": list(notes),
                "by": by.pk,
                "now": timezone.now(),
            },
        )
        return cursor.rowcount


def listed_by(agency: Agency) -> SuppressionQuerySet:
    """What the agency's officers see: its own, and what everybody's list has from its campaigns."""
    return Suppression.objects.standing().filter(listed_by=agency)


def beginning_with(rows: SuppressionQuerySet, part: str) -> SuppressionQuerySet:
    return rows.alias(bytes=Collate("recipient", "C")).filter(bytes__startswith=part.lower())


def of_everybody(agency: Agency, recipient: str) -> SuppressionQuerySet:
    """Why nobody may write to this very address, where another agency's campaign led to it."""
    found = Suppression.objects.standing().filter(agency=None, recipient=recipient)
    return found.exclude(listed_by=agency).order_by("id")


@transaction.atomic
def lift(entry: Suppression, *, by: User) -> bool:
    """Let the address be written to again, as far as this entry goes; False where it is lifted."""
    standing = Suppression.objects.standing().filter(id=entry.id)
    if not standing.update(lifted_at=timezone.now(), lifted_by=by):
        return False
    audit.record("suppression.lifted", by=by, on=entry, reason=entry.reason)
    return True
