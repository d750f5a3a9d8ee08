"""Thin Celery tasks: load nothing, call once. All of them may run twice or not at all.

`tick` runs each second and rings for whatever waits, so a lost bell costs a second and no more.
"""

import logging
import time
from uuid import UUID

from celery import shared_task
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from messaging import billing, delivery, ingest, reconciling
from messaging.models import Attempt, Batch, BatchStatus, IdempotencyKey, Message, ProviderEvent
from messaging.states import Status

logger = logging.getLogger(__name__)

# One task works that long and then lets others have the process; the next tick rings again.
SLICE_SECONDS = 10


@shared_task(name="messaging.check_upload")
def check_upload(batch_id: str) -> None:
    ingest.check(UUID(batch_id))


@shared_task(name="messaging.expand")
def expand(batch_id: str) -> None:
    delivery.expand(UUID(batch_id))
    send_batches.delay()


@shared_task(name="messaging.send_singles")
def send_singles() -> None:
    end = time.monotonic() + SLICE_SECONDS
    while delivery.send_chunk(None) and time.monotonic() < end:
        pass


@shared_task(name="messaging.send_batches")
def send_batches() -> None:
    """A chunk of each batch in turn, so that a large one does not make a small one wait."""
    end = time.monotonic() + SLICE_SECONDS
    sent = 1
    with delivery.Pipeline() as pipeline:
        while sent and time.monotonic() < end:
            lanes = Batch.objects.being_sent(timezone.now()).values_list("id", flat=True)
            sent = sum(_send_chunk_of(batch_id, pipeline) for batch_id in lanes)


def _send_chunk_of(batch_id: UUID, pipeline: delivery.Pipeline) -> int:
    """A fault of one batch is told and must not keep those behind it waiting."""
    try:
        return pipeline.send_chunk(batch_id)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("a chunk of batch %s was not sent", batch_id)
        return 0


@shared_task(name="messaging.apply_receipts")
def apply_receipts() -> None:
    end = time.monotonic() + SLICE_SECONDS
    while delivery.apply_events() and time.monotonic() < end:
        pass


@shared_task(name="messaging.tick")
def tick() -> None:
    """Find every kind of work that waits, however long it has waited, and ring for it."""
    now = timezone.now()
    delivery.start_due_batches()
    for batch_id in ingest.waiting(now):
        check_upload.apply_async((str(batch_id),), expires=5)
    for batch_id in Batch.objects.filter(status=BatchStatus.ENQUEUING).values_list("id", flat=True):
        expand.apply_async((str(batch_id),), expires=2)
    if Batch.objects.being_sent(now).exists():
        send_batches.apply_async(expires=2)
    if Message.objects.due_singles(now).exists():
        send_singles.apply_async(expires=2)
    if ProviderEvent.objects.filter(applied_at=None).exists():
        apply_receipts.apply_async(expires=2)
    delivery.sweep_leases()
    if Attempt.objects.filter(status=Status.UNKNOWN, ask_at__lte=now).exists():
        ask_about_unknown.apply_async(expires=2)


@shared_task(name="messaging.ask_about_unknown")
def ask_about_unknown() -> None:
    end = time.monotonic() + SLICE_SECONDS
    while reconciling.ask_about_unknown() and time.monotonic() < end:
        pass


@shared_task(name="messaging.fold_counters")
def fold_counters() -> None:
    delivery.fold_counters()


@shared_task(name="messaging.forget")
def forget() -> None:
    """What is kept for a time only, and whose time is over."""
    IdempotencyKey.objects.expired(timezone.now()).delete()


@shared_task(name="messaging.charge_days")
def charge_days() -> None:
    billing.charge_days(seconds=SLICE_SECONDS)
