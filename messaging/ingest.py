"""Check an uploaded file and stage its rows, or refuse it with everything that is wrong.

Runs in the background. Rows are staged chunk by chunk with progress anyone can see; they become
messages only when an officer says send, so a file that turns out bad leaves nothing.
"""

import io
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, cast
from uuid import UUID

import orjson
from django.conf import settings
from django.core.files import File
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from campaigns import whatsapp
from campaigns.email import pinning
from campaigns.models import Campaign
from campaigns.phone_numbers import clean_recipient, normalise
from campaigns.telegram import drafts, texts
from messaging import recipients
from messaging.models import Batch, BatchStatus, StagedRow, Suppression
from messaging.recipients.plain_sms_rows import PlainSmsRows
from postman.errors import Refused
from postman.ids import new_ids, now_ms

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
# So many chunks of the reader go into one transaction: a fraction of a second, then progress shows.
CHUNKS = 40
OUR_FAULT = {
    "code": "internal_error",
    "message": "We could not check this file, and the fault is ours. Please upload it again.",
}


class LostLease(Exception):
    """Another process took this batch over; whatever this one still does must not count."""


def check(batch_id: UUID) -> None:
    """Check the batch's file: it ends `ready` with all rows staged, or `invalid` with none."""
    batch = _take(batch_id)
    if batch is None:
        return
    try:
        _check(batch)
    except LostLease:
        logger.warning("batch %s was taken over by another process", batch_id)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the lease runs out and the check starts again
    except Exception:
        logger.exception("batch %s could not be checked", batch_id)
        _finish(batch, BatchStatus.INVALID, file_fault=OUR_FAULT)


def waiting(now: datetime) -> list[UUID]:
    """Uploads that nobody checks: new ones, and those whose process died."""
    return list(
        Batch.objects.filter(
            Q(status=BatchStatus.UPLOADED) | Q(status=BatchStatus.CHECKING, lease_until__lt=now)
        )
        .order_by("created_at")
        .values_list("id", flat=True)[:50]
    )


def _take(batch_id: UUID) -> Batch | None:
    """The batch, if it is this process's to check: nobody else's, or of one that died."""
    now = timezone.now()
    lease = now + LEASE
    taken = Batch.objects.filter(
        Q(status=BatchStatus.UPLOADED) | Q(status=BatchStatus.CHECKING, lease_until__lt=now),
        id=batch_id,
    ).update(status=BatchStatus.CHECKING, lease_until=lease, rows_checked=0, bytes_checked=0)
    if not taken:
        return None
    _unstage(batch_id)
    return Batch.objects.select_related("campaign").get(id=batch_id)


# What is read ------------------------------------------------------------------------------------


class _Kind(NamedTuple):
    """How the files of a campaign are read, and what its rows are staged with."""

    rows: recipients.Rows
    # By `Row.language`: the id of the text that the row will be sent in.
    bodies: dict[str, str]
    # What the database has to add to the summary of the rows that were staged.
    look_up: Callable[[Batch], dict[str, Any]]


def _kind_of(campaign: Campaign) -> _Kind:
    """The one place that knows of all kinds; raises Refused where there is nothing to send yet."""
    if campaign.is_email:
        return _emails(campaign)
    if campaign.is_whatsapp:
        return _whatsapp(campaign)
    if campaign.is_telegram:
        return _telegram(campaign)
    return _sms(campaign)


def _sms(campaign: Campaign) -> _Kind:
    bodies = campaign.bodies
    if not bodies:
        raise Refused("Write the message first.", "draft_not_ready")
    if not next(iter(bodies.values())).header:
        return _plain_sms(campaign)
    rows = recipients.SmsRows(
        template={language: body.body for language, body in bodies.items()},
        variables=campaign.variables,
        clean_recipient=partial(
            clean_recipient, test_numbers=settings.POSTMAN_ENVIRONMENT == "test"
        ),
        header=next(iter(bodies.values())).header,
        notice=settings.TRAINING_NOTICE,
    )
    ids = {language: str(body.id) for language, body in bodies.items()}
    return _Kind(rows, ids, look_up=lambda batch: {})


def _plain_sms(campaign: Campaign) -> _Kind:
    [(language, body)] = campaign.bodies.items()
    rows = PlainSmsRows(
        body=body.body,
        language=language,
        variables=campaign.variables,
        clean_recipient=partial(normalise, test_numbers=settings.POSTMAN_ENVIRONMENT == "test"),
    )
    return _Kind(rows, {language: str(body.id)}, look_up=lambda batch: {})


def _emails(campaign: Campaign) -> _Kind:
    rows = recipients.EmailRows(campaign.variables)
    bodies = {"": str(pinning.pin(campaign).id)}
    return _Kind(rows, bodies, look_up=lambda batch: {"suppressed": suppressed_of(batch)})


def _whatsapp(campaign: Campaign) -> _Kind:
    template = whatsapp.chosen_in(campaign)
    if template is None:
        raise Refused("Choose a template first.", "template_not_chosen")
    bodies = template.body_in
    rows = recipients.WhatsappRows(
        bodies=bodies,
        languages=whatsapp.SPELLINGS,
        variables=whatsapp.typed_params(template),
        clean_recipient=partial(normalise, test_numbers=settings.POSTMAN_ENVIRONMENT == "test"),
        complete=partial(whatsapp.with_passcode, template),
        fault_of_value=whatsapp.fault_of_value,
        fault_of_text=whatsapp.fault_of_text,
    )
    pinned = {
        code: str(whatsapp.pin(campaign, template, code, by=campaign.creator).id) for code in bodies
    }
    return _Kind(rows, pinned, look_up=lambda batch: {"template": template.name})


def _telegram(campaign: Campaign) -> _Kind:
    body = drafts.pin(campaign)
    rows = recipients.TelegramRows(
        variables=texts.variables(body.body),
        clean_recipient=partial(normalise, test_numbers=settings.POSTMAN_ENVIRONMENT == "test"),
        length_of=lambda values, number: texts.length(texts.render(body.body, values, number)),
        most=texts.MAX_LENGTH,
    )
    return _Kind(rows, {"": str(body.id)}, look_up=lambda batch: {"text": str(body.id)})


def suppressed_of(batch: Batch) -> dict[str, int]:
    """Reason → how many staged rows are of somebody who is not to be written to.

    They stay staged: whoever is suppressed when the batch becomes messages is what counts
    (`expanding.expand`), and that may be others by then.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH first_reason AS (
                SELECT DISTINCT ON (recipient) recipient, reason FROM messaging_suppression
                WHERE lifted_at IS NULL AND (agency_id IS NULL OR agency_id = %(agency)s)
                ORDER BY recipient, id
            )
            SELECT reason, count(*)
            FROM messaging_stagedrow staged JOIN first_reason USING (recipient)
            WHERE staged.batch_id = %(batch)s GROUP BY reason
            """,
            {"agency": batch.campaign.agency_id, "batch": batch.id},
        )
        return dict.fromkeys(Suppression.Reason.values, 0) | dict(cursor.fetchall())


# Checking ----------------------------------------------------------------------------------------


def _check(batch: Batch) -> None:
    try:
        kind = _kind_of(batch.campaign)
    except Refused as refused:
        fault = {"code": refused.code, "message": refused.message}
        _finish(batch, BatchStatus.INVALID, file_fault=fault)
        return
    with (
        batch.file.open("rb") as file,
        tempfile.TemporaryFile("w+", newline="", encoding="utf-8-sig") as report,
    ):
        reader = recipients.read(
            _bare(file), kind.rows, max_rows=settings.BATCH_ROW_LIMIT, report=report
        )
        try:
            chunks = iter(reader)
            while _stage(batch, islice(chunks, CHUNKS), kind.bodies, reader):
                pass
        except recipients.FileFault as unreadable:
            _finish(
                batch,
                BatchStatus.INVALID,
                file_fault={"code": unreadable.code, "message": _storable(unreadable.message)},
            )
            return
        if reader.rows_bad:
            _refuse(batch, reader, report)
        else:
            _finish(
                batch,
                BatchStatus.READY,
                rows_checked=reader.rows_total,
                total_messages=reader.rows_total,
                summary=kind.rows.summary() | kind.look_up(batch),
            )


def _bare(file: object) -> BinaryIO:
    """What Django's files are wrapped around: each line that is read asks them if they are open."""
    while isinstance(file, File):
        file = file.file
    return cast(BinaryIO, file)


@transaction.atomic
def _stage(
    batch: Batch,
    chunks: Iterator[Sequence[recipients.Row]],
    bodies: dict[str, str],
    reader: recipients.Reader,
) -> bool:
    """Store some chunks, and how far the check is; False when there are no more."""
    read = 0
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for read, chunk in enumerate(chunks, 1):  # noqa: B007
            if not reader.rows_bad:
                # PostgreSQL stores these rows while the next are read.
                copy.write(_lines(str(batch.id), chunk, bodies))
    _progress(
        batch,
        rows_checked=reader.rows_total,
        rows_bad=reader.rows_bad,
        errors_total=reader.errors_total,
        bytes_checked=reader.bytes_read,
        lease_until=timezone.now() + LEASE,
    )
    return bool(read)


_COPY = (
    "COPY messaging_stagedrow "
    "(batch_id, template_body_id, row, message_id, recipient, values, segments) FROM STDIN"
)


def _lines(batch_id: str, rows: Sequence[recipients.Row], bodies: dict[str, str]) -> bytes:
    """Text format. JSON has no raw tabs or line breaks, so only backslashes are escaped."""
    starts = {language: f"{batch_id}\t{body}" for language, body in bodies.items()}
    return (
        "".join(
            [
                f"{starts[language]}\t{number}\t{message_id}\t{recipient}"
                f"\t{orjson.dumps(values).decode()}\t{segments}\n"
                for (number, recipient, language, values, segments), message_id in zip(
                    rows, new_ids(len(rows)), strict=True
                )
            ]
        )
        .replace("\\", "\\\\")
        .encode()
    )


def _refuse(batch: Batch, reader: recipients.Reader, report: io.TextIOBase) -> None:
    report.flush()
    report.seek(0)
    batch.report.save(f"{batch.public_id}.csv", File(report.buffer), save=False)  # type: ignore[attr-defined]
    _finish(
        batch,
        BatchStatus.INVALID,
        rows_checked=reader.rows_total,
        rows_bad=reader.rows_bad,
        errors_total=reader.errors_total,
        report=batch.report.name,
        first_faults=[
            {
                "row": fault.row_number,
                "reasons": [
                    {name: _storable(text) for name, text in reason._asdict().items()}
                    for reason in fault.reasons
                ],
            }
            for fault in reader.faults
        ],
        summary=reader.rows.summary(),
    )


def _storable(text: str) -> str:
    """PostgreSQL takes every character of a file but this one."""
    return text.replace("\0", "\ufffd")


def _finish(batch: Batch, status: BatchStatus, **facts: Any) -> None:
    with transaction.atomic():
        if status == BatchStatus.INVALID:
            _unstage(batch.id)
        _progress(
            batch,
            status=status,
            lease_until=None,
            checked_at=timezone.now(),
            bytes_checked=batch.file_bytes,
            **facts,
        )


def _progress(batch: Batch, *, lease_until: Any, **facts: Any) -> None:
    """Write down how far the check is, as long as the batch is still this process's."""
    mine = Batch.objects.filter(
        id=batch.id, status=BatchStatus.CHECKING, lease_until=batch.lease_until
    )
    if not mine.update(lease_until=lease_until, updated_at=now_ms(), **facts):
        raise LostLease
    batch.lease_until = lease_until


def _unstage(batch_id: UUID) -> None:
    StagedRow.objects.filter(batch_id=batch_id)._raw_delete("default")
