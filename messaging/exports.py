"""The one writer of every CSV that leaves us: safe to open in a spreadsheet, never held in memory."""

import csv
import io
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan
from django.utils import timezone

from campaigns import phone_numbers
from campaigns.email import addresses
from campaigns.models import Campaign, Channel
from messaging import outcomes
from messaging.models import Attempt, Batch, Message, MessageQuerySet, Suppression
from messaging.recipients import formula_safe
from messaging.states import FAULTY, Status
from postman.accounts.models import User

BOM = "\ufeff"  # without it Excel takes UTF-8 for the encoding of the house
PAGE = 2_000


# The writer --------------------------------------------------------------------------------


def write(rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """RFC 4180 in UTF-8; every cell that begins like a formula is made text, headers included."""
    buffer = io.StringIO(BOM)
    buffer.seek(0, io.SEEK_END)
    writer = csv.writer(buffer)
    for number, row in enumerate(rows, 1):
        writer.writerow([formula_safe(str(cell)) for cell in row])
        if not number % 500:
            yield _drained(buffer)
    yield _drained(buffer)


def _drained(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def file_name(*parts: str) -> str:
    """A name that every system takes: no path, no control characters, not hidden."""
    name = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]+', "-", " ".join(parts))
    return f"{name.strip(' .')[:150] or 'export'}.csv"


# The sample file ---------------------------------------------------------------------------


def sample(campaign: Campaign) -> list[list[str]]:
    """The columns that an upload to this campaign has, and one row that shows how to fill them."""
    example = [f"sample {name.replace('_', ' ')}" for name in campaign.variables]
    return [
        ["recipient", "language", *campaign.variables],
        [phone_numbers.EXAMPLE, next(iter(campaign.bodies)), *example],
    ]


def email_sample(campaign: Campaign) -> list[list[str]]:
    """The columns that this message needs, and one row that shows how to fill them."""
    example = [_example_of(name) for name in campaign.variables]
    return [["recipient", *campaign.variables], [addresses.EXAMPLE, *example]]


def _example_of(name: str) -> str:
    if name.endswith(("_url", "_link")):
        return "https://www.example.gov.sg/"
    return f"sample {name.replace('_', ' ')}"


# The log -----------------------------------------------------------------------------------

LOG_COLUMNS = (
    "messageId",
    "createdAt",
    "updatedAt",
    "jobType",
    "batchId",
    "recipient",
    "language",
    "status",
    "errorType",
    "errorCode",
    "attempts",
    "segments",
    "creatorEmail",
)
_BEFORE_VARIABLES = LOG_COLUMNS[:7]


def campaign_log(campaign: Campaign, messages: MessageQuerySet) -> Iterator[list[Any]]:
    """The header and a row for each message that stands there now, oldest first."""
    until_now = messages.filter(created_at__lte=timezone.now())
    return _log(campaign, pages(until_now, "created_at", "id"))


def batch_log(campaign: Campaign, messages: MessageQuerySet) -> Iterator[list[Any]]:
    """The same for the messages of one batch, in the order of its file."""
    return _log(campaign, pages(messages, "row"))


def _log(campaign: Campaign, found: Iterator[list[Message]]) -> Iterator[list[Any]]:
    bodies = {body.pk: body for body in campaign.bodies.values()}
    names = campaign.variables
    emails: dict[uuid.UUID, str] = {}
    yield [*_BEFORE_VARIABLES, *names, *LOG_COLUMNS[7:]]
    for page in found:
        errors = _latest_errors(page)
        _learn_emails(page, emails)
        for message in page:
            error = errors.get(message.pk)
            yield [
                message.public_id,
                iso(message.created_at),
                iso(message.updated_at),
                "batch" if message.batch_id else "single",
                f"batch_{message.batch_id}" if message.batch_id else "",
                message.recipient,
                bodies[message.template_body_id].language if message.template_body_id else "",
                *(message.values.get(name, "") for name in names),
                message.status,
                error.type if error else "",
                error.code if error else "",
                message.attempts_made,
                message.segments,
                _api_address(campaign) if message.via_api else emails[message.creator_id],
            ]


# The report of emails -----------------------------------------------------------------------

REPORT_COLUMNS = (
    "recipient",
    "status",
    "error",
    "unsubscribedAt",
    "unsubscribeReason",
    "acceptedAt",
    "sentAt",
    "deliveredAt",
    "openedAt",
    "updatedAt",
    "file",
    "row",
)


def email_report(
    campaign: Campaign, messages: MessageQuerySet, *key: str, values: Sequence[str] = ()
) -> Iterator[list[Any]]:
    """The header and a row for each recipient, in the order of `key`; `values`: their columns too."""
    yield [*REPORT_COLUMNS, *values]
    files: dict[uuid.UUID | None, str] = {None: ""}
    for page in pages(messages, *key):
        attempts = _latest_attempts(page)
        left = _unsubscribed(campaign, page)
        _learn_files(page, files)
        for message in page:
            attempt = attempts.get(message.pk)
            gone = left.get(message.recipient)
            yield [
                message.recipient,
                Status(message.status).label,
                _why(message, attempt),
                iso(gone.created_at) if gone else "",
                gone.note if gone else "",
                iso(message.created_at),
                *(
                    _iso_or_blank(at)
                    for at in (
                        (attempt.sent_at, attempt.delivered_at, attempt.opened_at)
                        if attempt
                        else (None, None, None)
                    )
                ),
                iso(message.updated_at),
                files[message.batch_id],
                message.row or "",
                *(message.values.get(name, "") for name in values),
            ]


def _why(message: Message, attempt: Attempt | None) -> str:
    if message.suppressed_for:
        return Suppression.Reason(message.suppressed_for).label
    error = attempt.error if attempt and message.status in FAULTY else None
    return error.sentence if error else ""


# The report of bots and WhatsApp ------------------------------------------------------------

# v1's first, in its order (v1-backend §2.12).
_OF_V1 = ("recipient", "status", "errorCode", "updatedAt")
# Telegram tells nothing of a message that it took.
CHAT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    Channel.TELEGRAM: (*_OF_V1, "error", "acceptedAt", "sentAt", "file", "row"),
    Channel.WHATSAPP: (
        *(*_OF_V1, "error", "acceptedAt", "sentAt", "deliveredAt", "readAt"),
        *("file", "row"),
    ),
}


def chat_report(
    campaign: Campaign, messages: MessageQuerySet, *key: str, values: Sequence[str] = ()
) -> Iterator[list[Any]]:
    """The header and a row for each message, in the order of `key`; `values`: their columns too."""
    columns = CHAT_COLUMNS[campaign.channel]
    yield [*columns, *values]
    files: dict[uuid.UUID | None, str] = {None: ""}
    for page in pages(messages, *key):
        attempts = _latest_attempts(page)
        _learn_files(page, files)
        for message in page:
            attempt = attempts.get(message.pk) or Attempt()
            # A retry that still waits has left its failure behind.
            failed = attempt if message.status == Status.FAILURE else None
            cells = {
                "recipient": message.recipient,
                "status": outcomes.label_of(campaign.channel, message.status, attempt),
                "errorCode": (failed.provider_code or failed.error_code) if failed else "",
                "updatedAt": iso(message.updated_at),
                "error": outcomes.why_of(campaign.channel, failed),
                "acceptedAt": iso(message.created_at),
                "sentAt": _iso_or_blank(attempt.sent_at),
                "deliveredAt": _iso_or_blank(attempt.delivered_at),
                "readAt": _iso_or_blank(attempt.opened_at),
                "file": files[message.batch_id],
                "row": message.row or "",
            }
            yield [
                *(cells[name] for name in columns),
                *(message.values.get(name, "") for name in values),
            ]


def _latest_attempts(page: Sequence[Message]) -> dict[uuid.UUID, Attempt]:
    attempts = Attempt.objects.filter(message__in=[message.pk for message in page])
    return {attempt.message_id: attempt for attempt in attempts.order_by("message_id", "number")}


def _unsubscribed(campaign: Campaign, page: Sequence[Message]) -> dict[str, Suppression]:
    found = Suppression.objects.standing().filter(
        campaign=campaign,
        reason=Suppression.Reason.UNSUBSCRIBED,
        recipient__in={message.recipient for message in page if message.recipient},
    )
    return {row.recipient: row for row in found}


def _learn_files(page: Sequence[Message], files: dict[uuid.UUID | None, str]) -> None:
    found = {message.batch_id for message in page if message.batch_id}
    if unknown := found - files.keys():
        rows = Batch.objects.filter(pk__in=unknown).values_list("pk", "original_file_name")
        files.update(dict(rows))


def iso(moment: datetime) -> str:
    """Singapore time with its offset, to the second that a spreadsheet can hold."""
    return timezone.localtime(moment, timezone.get_default_timezone()).isoformat(timespec="seconds")


def _iso_or_blank(moment: datetime | None) -> str:
    return iso(moment) if moment else ""


def pages(rows: QuerySet[Any], *key: str) -> Iterator[list[Any]]:
    """A page at a time by a key that an index serves: a short query each, no open transaction.

    A server-side cursor would hold a persistent connection for as long as the download lasts.
    """
    rows = rows.order_by(*key)
    page = list(rows[:PAGE])
    while page:
        yield page
        if len(page) < PAGE:
            return
        last = tuple(getattr(page[-1], name) for name in key)
        page = list(rows.filter(TupleGreaterThan(Tuple(*map(F, key)), last))[:PAGE])


def _latest_errors(page: Sequence[Message]) -> dict[uuid.UUID, Any]:
    """The error of a failed message is that of its latest attempt."""
    failed = [message.pk for message in page if message.status == "failure"]
    attempts = Attempt.objects.filter(message__in=failed).order_by("message_id", "number")
    return {attempt.message_id: attempt.error for attempt in attempts}


def _learn_emails(page: Sequence[Message], emails: dict[uuid.UUID, str]) -> None:
    unknown = {message.creator_id for message in page} - emails.keys()
    if unknown:
        emails.update(User.objects.filter(pk__in=unknown).values_list("pk", "email"))


def _api_address(campaign: Campaign) -> str:
    """Who "wrote" what came in over the API (v2-sms Q34)."""
    return f"{campaign.public_id}@{urlsplit(settings.PUBLIC_URL).hostname}"
