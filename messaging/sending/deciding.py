"""What is decided on a batch: to send, schedule, stop, go on with, cancel or discard it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from campaigns import plain_sms
from campaigns.email import pinning
from campaigns.models import EmailDraft, TemplateBody
from messaging import readiness, tasks
from messaging.models import SENT_STATUSES, Batch, BatchStatus, StagedRow
from postman.accounts import audit
from postman.accounts.models import User
from postman.celery import ring
from postman.errors import Refused
from postman.ids import now_ms

from .whatsapp import template_of

LATEST_SCHEDULE = timedelta(days=365)


@transaction.atomic
def send_batch(batch: Batch, *, by: User, reviewed: int | None = None) -> Batch:
    """Send all of it now; raises Refused where it is not waiting for that word.

    Of an email, `reviewed` is the version of the draft that the officer looked at before: where
    somebody has changed it since, nothing is sent.
    """
    if batch.campaign.is_whatsapp:
        template_of(batch.campaign, by=by)
    _move(
        batch,
        (BatchStatus.READY, BatchStatus.SCHEDULED),
        BatchStatus.ENQUEUING,
        accepted_at=now_ms(),
        **_text_of(batch, reviewed),
    )
    audit.record("batch.accepted", by=by, on=batch, messages=batch.total_messages)
    ring(tasks.expand, str(batch.id))
    return batch


@transaction.atomic
def schedule_batch(batch: Batch, *, at: datetime, by: User, reviewed: int | None = None) -> Batch:
    """Send it at `at`, which must be in the future and within a year; again to reschedule.

    An email is pinned now, so that what was reviewed is what leaves (`reviewed`: as for sending).
    """
    now = timezone.now()
    if at <= now:
        raise Refused("This time has passed. Choose a later one.", "schedule_in_the_past")
    if at > now + LATEST_SCHEDULE:
        raise Refused("Choose a time within a year from now.", "schedule_too_far")
    if batch.campaign.is_whatsapp:
        template_of(batch.campaign, by=by)
    _move(
        batch,
        (BatchStatus.READY, BatchStatus.SCHEDULED),
        BatchStatus.SCHEDULED,
        scheduled_at=at,
        **_text_of(batch, reviewed),
    )
    audit.record("batch.scheduled", by=by, on=batch, at=at.isoformat())
    return batch


def _text_of(batch: Batch, reviewed: int | None) -> dict[str, TemplateBody]:
    """The text of an email, pinned; nothing where a schedule has pinned it, or it always was.

    Raises Refused where the draft is not ready, not tested, or not what was reviewed.
    """
    if batch.campaign.is_telegram:
        readiness.check_text(batch)
        return {}
    if not batch.campaign.is_email:
        plain_sms.check_sender(batch.campaign)
        return {}
    stored = Batch.objects.select_for_update(no_key=True).get(id=batch.id)
    if stored.status not in (BatchStatus.READY, BatchStatus.SCHEDULED):
        return {}
    if stored.template_body_id:
        readiness.check_kept(stored)
        return {}
    # Locked, so that nobody saves another text between this look at it and its pinning.
    locked = EmailDraft.objects.select_for_update(of=("self",), no_key=True)
    draft = locked.select_related("campaign__agency").get(campaign=batch.campaign_id)
    if reviewed is not None and reviewed != draft.version:
        raise readiness.NotReady(
            "The message was changed after you looked at it. Here is how it is now: look it over "
            "again.",
            "draft_changed",
        )
    readiness.check_content(draft, stored)
    readiness.check_tested(draft)
    return {"template_body": pinning.pin(batch.campaign)}


@transaction.atomic
def unschedule_batch(batch: Batch, *, by: User) -> Batch:
    """Back to review, as long as it has not started."""
    _move(batch, (BatchStatus.SCHEDULED,), BatchStatus.READY, scheduled_at=None, template_body=None)
    audit.record("batch.unscheduled", by=by, on=batch)
    return batch


@transaction.atomic
def stop_batch(batch: Batch, *, by: User) -> Batch:
    """Let no more of it leave: from here on nothing is claimed, at most a chunk is in flight.

    Raises Refused where all of it has left, or it is stopped already.
    """
    _decide(batch, {"stopped_at": None, "dispatched_at": None}, stopped_at=now_ms())
    audit.record("batch.stopped", by=by, on=batch)
    return batch


@transaction.atomic
def resume_batch(batch: Batch, *, by: User) -> Batch:
    """Go on where it was stopped."""
    _decide(batch, _STOPPED, stopped_at=None, halted_at=None)
    audit.record("batch.resumed", by=by, on=batch)
    ring(tasks.send_batches)
    return batch


@transaction.atomic
def cancel_batch(batch: Batch, *, by: User) -> Batch:
    """Of a stopped batch, cancel for good whatever has not left (`ending.cancel_chunk`)."""
    _decide(batch, _STOPPED, cancelled_at=now_ms())
    audit.record("batch.cancelled", by=by, on=batch)
    ring(tasks.send_batches)
    return batch


_STOPPED = {"stopped_at__isnull": False, "cancelled_at": None, "dispatched_at": None}


def _decide(batch: Batch, where: Mapping[str, Any], **facts: Any) -> None:
    mine = Batch.objects.of_living_campaigns().filter(id=batch.id, status__in=SENT_STATUSES)
    decided = mine.filter(**where).update(updated_at=now_ms(), **facts)
    batch.refresh_from_db()
    if not decided:
        raise Refused(
            "This can no longer be done: somebody else decided on this batch, or all of its "
            "messages have left.",
            "batch_moved_on",
        )


@transaction.atomic
def check_again(batch: Batch, *, by: User) -> Batch:
    """Check the file anew, with the message as it is by now; raises Refused."""
    _move(batch, (BatchStatus.READY,), BatchStatus.UPLOADED, summary={}, rows_checked=0)
    audit.record("batch.checked_again", by=by, on=batch)
    ring(tasks.check_upload, str(batch.id))
    return batch


@transaction.atomic
def discard_batch(batch: Batch, *, by: User) -> Batch:
    """Throw an unsent upload away, its rows and its files with it."""
    _move(
        batch,
        (BatchStatus.READY, BatchStatus.SCHEDULED, BatchStatus.INVALID),
        BatchStatus.DISCARDED,
        scheduled_at=None,
        first_faults=[],
    )
    StagedRow.objects.filter(batch=batch)._raw_delete("default")
    for stored in (batch.file, batch.report):
        if stored.name:
            transaction.on_commit(partial(stored.storage.delete, stored.name))
    audit.record("batch.discarded", by=by, on=batch)
    return batch


def _move(
    batch: Batch, allowed: tuple[BatchStatus, ...], status: BatchStatus, **facts: Any
) -> None:
    """The status change is the lock: of two at once, one finds the batch already moved."""
    mine = Batch.objects.of_living_campaigns().filter(id=batch.id, status__in=allowed)
    moved = mine.update(status=status, updated_at=now_ms(), **facts)
    batch.refresh_from_db()
    if not moved:
        raise Refused(
            f"This batch is now “{batch.get_status_display()}”, so this can no longer be done.",
            "batch_moved_on",
        )
