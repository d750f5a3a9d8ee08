"""Check an uploaded file and stage its rows, or refuse it with everything that is wrong.

Runs in the background. Rows are staged chunk by chunk with progress anyone can see; they become
messages only when an officer says send, so a file that turns out bad leaves nothing.
"""

import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, cast
from uuid import UUID

import orjson
from django.conf import settings
from django.core.files import File
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from campaigns.models import TemplateBody
from campaigns.phone_numbers import clean_recipient
from messaging import recipients
from messaging.models import Batch, BatchStatus, StagedRow
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


def _check(batch: Batch) -> None:
    bodies = batch.campaign.bodies
    with (
        batch.file.open("rb") as file,
        tempfile.TemporaryFile("w+", newline="", encoding="utf-8-sig") as report,
    ):
        reader = recipients.read(
            cast(BinaryIO, file),
            template={language: body.body for language, body in bodies.items()},
            variables=batch.campaign.variables,
            clean_recipient=partial(
                clean_recipient, test_numbers=settings.POSTMAN_ENVIRONMENT == "test"
            ),
            header=next(iter(bodies.values())).header,
            notice=settings.TRAINING_NOTICE,
            max_rows=settings.BATCH_ROW_LIMIT,
            report=report,
        )
        try:
            chunks = iter(reader)
            while _stage(batch, islice(chunks, CHUNKS), bodies, reader):
                pass
        except recipients.FileFault as fault:
            _finish(
                batch,
                BatchStatus.INVALID,
                file_fault={"code": fault.code, "message": _storable(fault.message)},
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
                summary=_summary(reader),
            )


@transaction.atomic
def _stage(
    batch: Batch,
    chunks: Iterator[Sequence[recipients.Row]],
    bodies: dict[str, TemplateBody],
    reader: recipients.Reader,
) -> bool:
    """Store some chunks, and how far the check is; False when there are no more."""
    ids = {language: str(body.id) for language, body in bodies.items()}
    read = 0
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for read, chunk in enumerate(chunks, 1):  # noqa: B007
            if not reader.rows_bad:
                # PostgreSQL stores these rows while the next are read.
                copy.write(_lines(str(batch.id), chunk, ids))
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
                f"{starts[row.language]}\t{row.number}\t{message_id}\t{row.recipient}"
                f"\t{orjson.dumps(row.values).decode()}\t{row.segments}\n"
                for row, message_id in zip(rows, new_ids(len(rows)), strict=True)
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
        summary=_summary(reader),
    )


def _storable(text: str) -> str:
    """PostgreSQL takes every character of a file but this one."""
    return text.replace("\0", "\ufffd")


def _summary(reader: recipients.Reader) -> dict[str, Any]:
    return {
        "languages": reader.languages,
        "segments": reader.segments,
        "segments_min": reader.segments_min,
        "segments_max": reader.segments_max,
        "segments_total": reader.segments_total,
        "cost_micros": reader.cost_micros,
        "duplicates": reader.duplicates,
        "file_has_unicode": reader.file_has_unicode,
        "file_has_avoidable_expensive_character": reader.file_has_avoidable_expensive_character,
    }


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
