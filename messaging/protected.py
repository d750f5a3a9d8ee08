"""Secure pages: what a password-protected email leads to (docs/security.md).

The sender's browser encrypts each recipient's page with a key made of that person's password, and
uploads only what came of it; the recipient's browser does the reverse. Here we keep what neither we
nor a thief can read, hand it out to whoever proves to know the password, and count who does not.
"""

import binascii
import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, F
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from campaigns.email import pinning
from campaigns.email.addresses import clean_recipient
from campaigns.email.composing import NOTICE_KEYWORDS
from campaigns.models import Campaign, TemplateBody
from campaigns.phone_numbers import InvalidRecipient
from messaging import counters, ingest, tasks
from messaging.models import (
    Batch,
    BatchStatus,
    Message,
    PageState,
    ProtectedMessage,
    ProtectedMessageQuerySet,
    ProtectedUpload,
    StagedRow,
    WrongGuesses,
)
from messaging.states import EMAIL_GROUPS, Status
from postman.accounts import audit
from postman.accounts.models import User
from postman.celery import ring
from postman.crypto import decrypt, encrypt
from postman.errors import Refused
from postman.ids import new_ids, now_ms

# How browsers make keys of passwords, and bind what they encrypt to its page (static/js/
# protected-crypto.js). A new way gets a new number; pages that exist keep theirs.
VERSION = 1
MAX_ROWS = 100_000
ROWS_A_CHUNK = 500
SALT_BYTES, IV_BYTES, VERIFIER_BYTES = 16, 12, 32
# Pages are padded, so that their length tells little; and AES-GCM adds its tag.
PADDED_TO, TAG_BYTES = 1024, 16
MAX_PAGE_BYTES = 100 * 1024
# From this wrong guess on, the next has to wait: 2 seconds, then twice as long each time.
DELAYED_FROM = 3
# The email that leads to a page has left, whatever came of it.
SENT_AGAIN = (*EMAIL_GROUPS["left"], Status.FAILURE)
# How often the email that leads to a page may leave, the first time included.
MOST_NOTICES = 10


class NotOurs(Refused):
    """What was uploaded is nothing that our page uploads."""

    code = "parameter_invalid"


# --- Upload ---------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A recipient and their page, encrypted."""

    id: UUID
    number: int  # as a spreadsheet numbers it
    recipient: str
    salt: bytes
    iv: bytes
    ciphertext: bytes
    verifier: bytes


def most_rows() -> int:
    return min(settings.BATCH_ROW_LIMIT or MAX_ROWS, MAX_ROWS)


@transaction.atomic
def start_upload(
    *,
    campaign: Campaign,
    creator: User,
    file_name: str,
    rows: int,
    hint: str,
    ignores_case_and_spaces: bool,
    lifetime: timedelta,
) -> Batch:
    """A batch that takes encrypted pages until `finish_upload`; raises Refused.

    Refused as well while the email that leads to the pages cannot be sent.
    """
    if not 0 < rows <= most_rows():
        raise Refused(f"A file may have 1 to {most_rows():,} recipients.", "parameter_invalid")
    pinning.pin(campaign)
    batch = Batch.objects.create(
        campaign=campaign,
        creator=creator,
        status=BatchStatus.CHECKING,
        original_file_name=file_name[-255:],
    )
    ProtectedUpload.objects.create(
        batch=batch,
        version=VERSION,
        iterations=settings.PROTECTED_ITERATIONS,
        rows_announced=rows,
        hint=hint,
        ignores_case_and_spaces=ignores_case_and_spaces,
        lifetime=lifetime,
    )
    audit.record("batch.uploaded", by=creator, on=batch, rows=rows)
    return batch


@transaction.atomic
def take_rows(batch: Batch, rows: Sequence[Row], *, after: int) -> int:
    """Store the rows that follow the first `after` ones; returns how many are stored by now.

    Rows that are stored already, as nobody heard our answer, are not stored again. Raises Refused
    where some before them are missing.
    """
    upload = _open_upload(batch)
    stored = upload.batch.rows_checked
    if after + len(rows) <= stored:
        return stored
    if after != stored:
        raise Refused(f"{stored} rows are stored, so those after them come next.", "rows_missing")
    if stored + len(rows) > upload.rows_announced:
        raise NotOurs("There are more rows than were announced.")
    body = pinned_notice(upload.batch.campaign)
    message_ids = new_ids(len(rows))
    try:
        with transaction.atomic():
            ProtectedMessage.objects.bulk_create(
                [
                    ProtectedMessage(
                        id=row.id,
                        upload=upload,
                        row=row.number,
                        message_id=message_id,
                        salt=row.salt,
                        iv=row.iv,
                        sealed=encrypt(row.ciphertext, context=_context("page", row.id)),
                        verifier=encrypt(_hash(row.verifier), context=_context("verifier", row.id)),
                    )
                    for row, message_id in zip(rows, message_ids, strict=True)
                ]
            )
            StagedRow.objects.bulk_create(
                [
                    StagedRow(
                        batch=upload.batch,
                        row=row.number,
                        message_id=message_id,
                        template_body=body,
                        recipient=row.recipient,
                        values={"protectedlink": url_of(row.id)},
                        segments=1,
                    )
                    for row, message_id in zip(rows, message_ids, strict=True)
                ]
            )
    except IntegrityError:
        raise NotOurs("One of these rows is stored already.") from None
    stored += len(rows)
    Batch.objects.filter(id=batch.id).update(rows_checked=stored, updated_at=now_ms())
    return stored


@transaction.atomic
def finish_upload(batch: Batch, *, by: User) -> Batch:
    """All rows are here: the batch is ready to be reviewed. Raises Refused; twice is as once."""
    batch.refresh_from_db()
    if batch.status == BatchStatus.READY:
        return batch
    upload = _open_upload(batch)
    if upload.batch.rows_checked != upload.rows_announced:
        raise Refused(
            f"{upload.batch.rows_checked:,} of {upload.rows_announced:,} rows have arrived.",
            "rows_missing",
        )
    Batch.objects.filter(id=batch.id).update(
        status=BatchStatus.READY,
        total_messages=upload.rows_announced,
        checked_at=timezone.now(),
        updated_at=now_ms(),
        summary=_summary(batch),
    )
    audit.record("batch.encrypted", by=by, on=batch, rows=upload.rows_announced)
    batch.refresh_from_db()
    return batch


@transaction.atomic
def abandon_upload(batch: Batch, *, by: User | None) -> None:
    """Nothing of it is kept; raises Refused where it was finished meanwhile."""
    _open_upload(batch)
    Batch.objects.filter(id=batch.id).update(status=BatchStatus.DISCARDED, updated_at=now_ms())
    StagedRow.objects.filter(batch=batch)._raw_delete("default")
    ProtectedMessage.objects.filter(upload_id=batch.id)._raw_delete("default")
    audit.record("batch.discarded", by=by, on=batch)


def url_of(page_id: UUID) -> str:
    return settings.PUBLIC_URL + reverse("secure-page", args=[page_id])


def pinned_notice(campaign: Campaign) -> TemplateBody:
    """As `start_upload` pinned it. What is sent is pinned when somebody says so."""
    return TemplateBody.objects.filter(template__campaign=campaign).latest("version")


def _open_upload(batch: Batch) -> ProtectedUpload:
    """Locked, so that two calls for it take turns."""
    found = ProtectedUpload.objects.select_for_update().select_related("batch__campaign")
    upload = found.filter(batch=batch.pk, batch__status=BatchStatus.CHECKING).first()
    if upload is None:
        raise Refused("This upload is over. Start again with the file.", "upload_over")
    return upload


def _summary(batch: Batch) -> dict[str, Any]:
    """What the review page says of the recipients."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) - count(DISTINCT recipient) FROM messaging_stagedrow"
            " WHERE batch_id = %s",
            [batch.id],
        )
        (duplicates,) = cursor.fetchone()
    return {
        "columns": list(NOTICE_KEYWORDS),
        "duplicates": duplicates,
        "suppressed": ingest.suppressed_of(batch),
    }


def clean_rows(posted: object) -> list[Row]:
    """Rows as our page posts them, and nothing else; raises NotOurs.

    A field that we do not know is refused, so that no text and no password can be sent along.
    """
    if not isinstance(posted, list) or not 0 < len(posted) <= ROWS_A_CHUNK:
        raise NotOurs(f"Post 1 to {ROWS_A_CHUNK} rows.")
    return [_clean_row(row) for row in posted]


_ROW_FIELDS = {"id", "row", "recipient", "salt", "iv", "ciphertext", "verifier"}


def _clean_row(row: object) -> Row:
    if not isinstance(row, dict) or row.keys() != _ROW_FIELDS:
        raise NotOurs("A row has these fields and no other: " + ", ".join(sorted(_ROW_FIELDS)))
    number, recipient = row["row"], row["recipient"]
    if type(number) is not int or not 1 < number < 10_000_000:
        raise NotOurs("`row` is the number of a row.")
    if not isinstance(recipient, str):
        raise NotOurs("`recipient` is an email address.")
    try:
        recipient = clean_recipient(recipient)
    except InvalidRecipient as invalid:
        raise NotOurs(f"Row {number}: {invalid.message}") from None
    ciphertext = from_base64(row["ciphertext"], most=MAX_PAGE_BYTES + TAG_BYTES)
    if not ciphertext or (len(ciphertext) - TAG_BYTES) % PADDED_TO:
        raise NotOurs("`ciphertext` is a padded page with its tag.")
    return Row(
        _page_id(row["id"]),
        number,
        recipient,
        from_base64(row["salt"], exactly=SALT_BYTES),
        from_base64(row["iv"], exactly=IV_BYTES),
        ciphertext,
        from_base64(row["verifier"], exactly=VERIFIER_BYTES),
    )


def _page_id(value: object) -> UUID:
    """Only a random one, as nobody may be able to guess it."""
    try:
        found = UUID(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or str(found) != value or found.version != 4:
        raise NotOurs("`id` is a random UUID.")
    return found


def from_base64(value: object, *, exactly: int = 0, most: int = 0) -> bytes:
    """Raises NotOurs."""
    longest = 4 * math.ceil((exactly or most) / 3)
    if not isinstance(value, str) or len(value) > longest:
        raise NotOurs("This is no base64 of the right length.")
    try:
        found = binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise NotOurs("This is no base64 of the right length.") from None
    if exactly and len(found) != exactly:
        raise NotOurs("This is no base64 of the right length.")
    return found


# --- Open -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """What the recipient's browser can decrypt."""

    ciphertext: bytes
    iv: bytes


@dataclass(frozen=True, slots=True)
class Wrong:
    """`wait`: seconds until the next guess is looked at."""

    tries_left: int
    wait: int


@dataclass(frozen=True, slots=True)
class TooSoon:
    """Not looked at: this page, or the address that asks, has to wait so many seconds."""

    wait: int


@dataclass(frozen=True, slots=True)
class Closed:
    """Not looked at: nothing opens this page."""

    state: str


def pages() -> ProtectedMessageQuerySet:
    """Those that have an address by now."""
    return ProtectedMessage.objects.exclude(
        upload__batch__status__in=(BatchStatus.CHECKING, BatchStatus.DISCARDED)
    )


@transaction.atomic
def guess(page_id: UUID, verifier: bytes, *, address: str) -> Opened | Wrong | TooSoon | Closed:
    """Hand the page out to whoever proves to know its password; count who does not.

    Raises ProtectedMessage.DoesNotExist. The page's lock makes guesses take turns, so that however
    many come at once, no more are looked at than may be.
    """
    now = timezone.now()
    page = pages().as_of(now).select_for_update(of=("self",)).get(id=page_id)
    if page.state not in (PageState.UNOPENED, PageState.OPENED):
        return Closed(page.state)
    if page.sent_at and page.guessed_at and page.guessed_at < page.sent_at:
        page.wrong_guesses, page.guess_again_at, page.locked_at = 0, None, None
    if page.guess_again_at and page.guess_again_at > now:
        return TooSoon(math.ceil((page.guess_again_at - now).total_seconds()))
    if not _spend_guess(address, now):
        return TooSoon(_rest_of_hour(now))
    page.guessed_at = now
    if not hmac.compare_digest(
        decrypt(bytes(page.verifier), context=_context("verifier", page.id)), _hash(verifier)
    ):
        return _wrong(page, now)
    _give_guess_back(address, now)
    page.wrong_guesses, page.guess_again_at = 0, None
    if page.sent_at:
        page.opened_at = page.opened_at or now
        page.last_opened_at = now
        page.times_opened += 1
    page.save(update_fields=_GUESSED)
    assert page.sealed is not None
    sealed = decrypt(bytes(page.sealed), context=_context("page", page.id))
    return Opened(sealed, bytes(page.iv))


_GUESSED = [
    "wrong_guesses",
    "guessed_at",
    "guess_again_at",
    "locked_at",
    "opened_at",
    "last_opened_at",
    "times_opened",
]


def _wrong(page: ProtectedMessage, now: datetime) -> Wrong | Closed:
    page.wrong_guesses += 1
    wait = 0
    if not page.tries_left:
        page.locked_at = now
        if page.sent_at:
            ring(tasks.tell_of_locked_pages, str(page.upload_id))
    elif page.wrong_guesses >= DELAYED_FROM:
        wait = 2 ** (page.wrong_guesses - DELAYED_FROM + 1)
        page.guess_again_at = now + timedelta(seconds=wait)
    page.save(update_fields=_GUESSED)
    return Wrong(page.tries_left, wait) if page.tries_left else Closed(PageState.LOCKED)


def _spend_guess(address: str, now: datetime) -> bool:
    """Counted before it is looked at, so that parallel guesses all count."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO messaging_wrongguesses AS tally (address, hour, n) VALUES (%s, %s, 1)
            ON CONFLICT (address, hour) DO UPDATE SET n = tally.n + 1 WHERE tally.n < %s
            """,
            [_hidden(address), _hour(now), WrongGuesses.MAX_AN_HOUR],
        )
        return bool(cursor.rowcount)


def _give_guess_back(address: str, now: datetime) -> None:
    tally = WrongGuesses.objects.filter(address=_hidden(address), hour=_hour(now))
    tally.update(n=F("n") - 1)


def _hidden(address: str) -> str:
    """Enough to know it again within the hour; who it was is nobody's business."""
    return salted_hmac("messaging.protected", address, algorithm="sha256").hexdigest()


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _rest_of_hour(now: datetime) -> int:
    return math.ceil((_hour(now) + timedelta(hours=1) - now).total_seconds())


def _hash(verifier: bytes) -> bytes:
    return hashlib.sha256(verifier).digest()


def _context(what: str, page_id: UUID) -> str:
    return f"messaging.protected.{what}.{page_id}"


# --- What the sender may do -----------------------------------------------------------------------


@transaction.atomic
def send_again(campaign: Campaign, message_id: UUID, *, by: User) -> ProtectedMessage:
    """Send the email that leads to the page once more, and renew the page: it is unlocked, and can
    be opened for as long as at first. Raises Refused."""
    message = (
        Message.objects.select_for_update(of=("self",))
        .select_related("batch__protected_upload")
        .get(campaign=campaign, id=message_id)
    )
    page = ProtectedMessage.objects.select_for_update().get(message_id=message.id)
    batch = message.batch
    if page.sealed is None:
        raise Refused("This page is erased. Upload it again.", "page_erased")
    if batch is None or not batch.is_retryable or message.is_erased:
        raise Refused("This email cannot be sent again now.", "message_cannot_be_sent_again")
    if message.status not in SENT_AGAIN:
        raise Refused(
            "This email is on its way, or was not sent. What has left can be sent again.",
            "message_cannot_be_sent_again",
        )
    if message.attempts_made >= MOST_NOTICES:
        raise Refused(
            f"This email was sent {MOST_NOTICES} times already.", "too_many_message_attempts_error"
        )
    now = now_ms()
    was, message.status, message.updated_at = message.status, Status.CREATED, now
    message.save(update_fields=["status", "updated_at"])
    counters.add(campaign.id, batch.id, {was: -1, Status.CREATED.value: 1})
    page.wrong_guesses, page.guess_again_at, page.locked_at, page.told_at = 0, None, None, None
    page.expires_at = now + batch.protected_upload.lifetime
    page.save()
    Batch.objects.filter(id=batch.id).update(
        dispatched_at=None, stopped_at=None, cancelled_at=None, halted_at=None, updated_at=now
    )
    audit.record("page.sent_again", by=by, on=message)
    ring(tasks.send_batches)
    return page


@transaction.atomic
def withdraw(found: ProtectedMessageQuerySet, *, by: User, on: Batch | Message) -> int:
    """Erase these pages at once and for good, whoever has their links; returns how many."""
    withdrawn = found.filter(withdrawn_at=None).update(withdrawn_at=timezone.now(), sealed=None)
    if not withdrawn:
        raise Refused("This is withdrawn already.", "page_withdrawn")
    audit.record("page.withdrawn", by=by, on=on, pages=withdrawn)
    return withdrawn


def counts_of(batch: Batch, now: datetime) -> Mapping[str, int]:
    """State → number of the batch's pages that are in it; every state stands there."""
    found: Any = ProtectedMessage.objects.filter(upload_id=batch.id).as_of(now).order_by()
    counted = dict(found.values_list("state").annotate(Count("id")))
    return {state: counted.get(state, 0) for state in PageState.values}
