"""Send again what failed, was not heard of, or is asked for once more."""

from collections import Counter as Tally
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from campaigns import plain_sms, whatsapp
from campaigns.models import Campaign, Channel, WhatsappBody
from messaging import counters, tasks
from messaging.models import (
    MAX_RETRIES,
    RETRYABLE_STATUSES,
    Batch,
    BatchStatus,
    Message,
    MessageQuerySet,
)
from messaging.states import RETRIED, Status
from postman.accounts import audit
from postman.accounts.models import User
from postman.celery import ring
from postman.errors import Refused
from postman.ids import now_ms

from .whatsapp import template_of

# For so long the provider is asked about an unheard outcome before an officer may decide on it.
DECIDED_AFTER = timedelta(minutes=20)
# One person is not written to again before.
AGAIN_AFTER = timedelta(minutes=10)


@transaction.atomic
def retry_message(campaign: Campaign, message_id: UUID | None, *, by: User) -> Message:
    """Send a failed message once more, under the same id (v2-sms §4.2); raises Refused.

    The row's lock makes a retry that is asked for twice at once happen once.
    """
    _check_kept(campaign, by=by)
    found = Message.objects.select_for_update(of=("self",)).select_related("batch")
    message = found.filter(campaign=campaign, id=message_id).first() if message_id else None
    is_ours_to_retry = message is not None and (message.batch is None or message.batch.is_retryable)
    if message is None or not is_ours_to_retry or message.status not in RETRIED:
        raise Refused(
            "This campaign has no such message, or it has not failed.",
            "message_not_found_or_retry_message_not_in_failure_status",
        )
    if not message.can_retry:
        raise Refused(
            f"This message was retried {MAX_RETRIES} times already. Send a new one.",
            "too_many_message_attempts_error",
        )
    was, message.status, message.updated_at = message.status, Status.CREATED, now_ms()
    message.save(update_fields=["status", "updated_at"])
    _count_retried(campaign.id, message.batch_id, {was: 1})
    audit.record("message.retried", by=by, on=message)
    if message.batch_id:
        Batch.objects.filter(id=message.batch_id).update(**_ON_ITS_WAY)
        ring(tasks.send_batches)
    else:
        ring(tasks.send_singles)
    return message


def retry_batch(campaign: Campaign, batch_id: UUID | None, *, by: User) -> int:
    """Send the failed messages of a batch once more, those that may be (v2-sms §4.6).

    Returns how many; raises Refused. Of two at once, the second finds nothing that failed.
    """
    _check_kept(campaign, by=by)
    batch = Batch.objects.filter(campaign=campaign, id=batch_id).first() if batch_id else None
    if batch is None or not batch.is_retryable:
        raise Refused(
            "This campaign has no such batch, or its messages are still being made.",
            "batch_not_found_or_is_not_retryable",
        )
    if Message.objects.filter(batch=batch, status=Status.CREATED).exists():
        Batch.objects.filter(id=batch.id, status__in=RETRYABLE_STATUSES).update(
            status=BatchStatus.ENQUEUING_FAILED, updated_at=now_ms()
        )
        raise Refused(
            "Some messages of this batch wait to be sent. Retry once they have been.",
            "unresolved_batch_messages",
        )
    with transaction.atomic():
        failed = Message.objects.filter(
            batch=batch, attempts_made__lte=MAX_RETRIES, recipient__gt=""
        )
        by_status = {
            str(status): failed.filter(status=status).update(
                status=Status.CREATED, updated_at=now_ms()
            )
            for status in RETRIED
        }
        retried = sum(by_status.values())
        if not retried:
            raise Refused(
                "No message of this batch failed and may be retried.",
                "no_failed_batch_messages_to_retry",
            )
        _count_retried(campaign.id, batch.id, by_status)
        Batch.objects.filter(id=batch.id).update(
            status=BatchStatus.ENQUEUED, updated_at=now_ms(), **_ON_ITS_WAY
        )
        audit.record("batch.retried", by=by, on=batch, messages=retried)
        ring(tasks.send_batches)
    return retried


@transaction.atomic
def resend_unknown(messages: MessageQuerySet, *, by: User, on: Batch | Message) -> int:
    """Send messages with an unheard outcome once more, as an officer decided; returns how many.

    Each gets a new attempt; what is heard of the old one stays with it. Raises Refused where there
    is none, or all of them may still be told of.
    """
    _check_kept(on.campaign, by=by)
    unknown = messages.filter(
        status=Status.UNKNOWN, attempts_made__lte=MAX_RETRIES, recipient__gt=""
    )
    long_ago = timezone.now() - DECIDED_AFTER
    now = now_ms()
    chosen = list(
        unknown.filter(updated_at__lt=long_ago)
        .select_for_update(of=("self",))
        .order_by("id")
        .values_list("id", "campaign_id", "batch_id")
    )
    if not chosen:
        raise Refused(
            "There is nothing to decide yet: what became of them may still be heard. What is not "
            f"heard after {DECIDED_AFTER.seconds // 60} minutes can be sent again."
            if unknown.exists()
            else "The outcome of every message is known by now.",
            "nothing_to_decide",
        )
    ids = [message_id for message_id, *_ in chosen]
    Message.objects.filter(id__in=ids).update(status=Status.CREATED, updated_at=now)
    for (campaign_id, batch_id), number in Tally((c, b) for _, c, b in chosen).items():
        counters.add(
            campaign_id, batch_id, {Status.UNKNOWN.value: -number, Status.CREATED.value: number}
        )
        if batch_id:
            Batch.objects.filter(id=batch_id).update(**_ON_ITS_WAY)
    audit.record("unknown.resent", by=by, on=on, messages=len(ids))
    ring(tasks.send_batches)
    ring(tasks.send_singles)
    return len(ids)


def _check_kept(campaign: Campaign, *, by: User) -> None:
    """Raise Refused where what the campaign is sent by was taken away since it was first sent."""
    if campaign.is_whatsapp:
        template_of(campaign, by=by)
    elif campaign.channel == Channel.SMS:
        plain_sms.check_sender(campaign)


def why_not_again(message: Message, now: datetime) -> str:
    """What keeps a WhatsApp message from being sent once more; empty if nothing does."""
    if message.is_erased:
        return "What this message said was erased, as its time was over."
    if message.status in (Status.CREATED, Status.ENQUEUED, Status.SENDING):
        return "This message is still on its way out."
    if message.attempts_made > MAX_RETRIES:
        return f"This message was sent again {MAX_RETRIES} times already. Send a new one."
    if now - message.updated_at < AGAIN_AFTER:
        minutes = AGAIN_AFTER.seconds // 60
        return f"It can be sent again {minutes} minutes after the last news of it."
    return ""


@transaction.atomic
def send_again(campaign: Campaign, message_id: UUID, *, reason: str, by: User) -> Message:
    """Send a WhatsApp message of this campaign once more, with the same values and passcode.

    Whatever became of it: an officer on the phone may be asked for it. Raises Refused.
    """
    _template_of_message(campaign, message_id, by=by)
    found = Message.objects.select_for_update(of=("self",)).filter(campaign=campaign, id=message_id)
    message = found.get()
    if fault := why_not_again(message, timezone.now()):
        raise Refused(fault, "cannot_be_sent_again")
    was, message.status, message.updated_at = message.status, Status.CREATED, now_ms()
    message.save(update_fields=["status", "updated_at"])
    _count_retried(campaign.id, message.batch_id, {was: 1})
    audit.record("message.sent_again", by=by, on=message, reason=reason, was=was)
    if message.batch_id:
        Batch.objects.filter(id=message.batch_id).update(**_ON_ITS_WAY)
        ring(tasks.send_batches)
    else:
        ring(tasks.send_singles)
    return message


def _template_of_message(campaign: Campaign, message_id: UUID, *, by: User) -> None:
    body = WhatsappBody.objects.select_related("source").filter(
        body__in=Message.objects.filter(campaign=campaign, id=message_id).values("template_body")
    )
    found = body.first()
    if found is None:
        raise Refused("This campaign has no such message.", "not_found")
    whatsapp.check_granted(found.source, by)


# Some of its messages wait to be handed over, and nobody has stopped them.
_ON_ITS_WAY: dict[str, None] = {
    "dispatched_at": None,
    "stopped_at": None,
    "cancelled_at": None,
    "halted_at": None,
}


def _count_retried(campaign_id: UUID, batch_id: UUID | None, was: Mapping[str, int]) -> None:
    changes = {status: -number for status, number in was.items()}
    counters.add(campaign_id, batch_id, {**changes, Status.CREATED.value: sum(was.values())})
