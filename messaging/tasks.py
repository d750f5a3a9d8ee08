"""Thin Celery tasks: load nothing, call once. All of them may run twice or not at all.

`tick` runs each second and rings for whatever waits, so a lost bell costs a second and no more.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from celery import shared_task
from django.core.cache import cache
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from campaigns.telegram import subscribers
from messaging import (
    billing,
    counters,
    email_tests,
    halting,
    ingest,
    mails,
    owner_mails,
    receipts,
    reconciling,
    reports,
    retention,
    webhooks,
)
from messaging.delivery import expanding, leases, starting
from messaging.delivery.pipeline import Pipeline, send_chunk
from messaging.models import (
    Attempt,
    Batch,
    BatchStatus,
    Counter,
    EmailReport,
    EmailTest,
    IdempotencyKey,
    Message,
    ProtectedUpload,
    ProviderEvent,
    WrongGuesses,
)
from messaging.states import ASKED_ABOUT
from postman.celery import hear, is_stopping

logger = logging.getLogger(__name__)

# One task works that long and then lets others have the process; the next tick rings again.
SLICE_SECONDS = 10
# A process that finds nothing it may send looks again so often, then lets others have it.
WAIT_SECONDS, MOST_WAITS = 0.02, 50
# Counters that moved within this time are compared with their messages once in it.
COUNTED_WITHIN = timedelta(days=1)
# Chunks of personal data erased before others have the process.
ERASED_AT_A_TIME = 20


@shared_task(name="messaging.check_upload")
def check_upload(batch_id: str) -> None:
    ingest.check(UUID(batch_id))


@shared_task(name="messaging.expand")
def expand(batch_id: str) -> None:
    expanding.expand(UUID(batch_id))
    send_batches.delay()


@shared_task(name="messaging.send_singles")
def send_singles() -> None:
    hear(send_singles)
    end = time.monotonic() + SLICE_SECONDS
    while not is_stopping() and send_chunk(None) and time.monotonic() < end:
        pass


@shared_task(name="messaging.send_email_tests")
def send_email_tests() -> None:
    while not is_stopping() and email_tests.send_waiting():
        pass


@shared_task(name="messaging.send_batches")
def send_batches() -> None:
    """A chunk for each agency in turn, so that a large batch makes nobody else wait."""
    end = time.monotonic() + SLICE_SECONDS
    waits = 0
    with Pipeline() as pipeline:
        while time.monotonic() < end and waits < MOST_WAITS and not is_stopping():
            turns = _turns.next(Batch.objects.lanes(timezone.now()))
            if not turns:
                return
            sent = 0
            for agency, batch in turns:
                sent += (number := _send_chunk_of(batch, pipeline))
                _turns.gave(agency, batch, number)
            if not sent:
                # What is left waits for its account's pace, or another process has it.
                pipeline.finish()
                waits += 1
                time.sleep(WAIT_SECONDS)


class Turns:
    """Who is next in this process: each agency's turn, those that had the least so far first."""

    def __init__(self) -> None:
        self._had: dict[UUID, int] = {}

    def next(self, lanes: Iterable[tuple[UUID, UUID]]) -> list[tuple[UUID, UUID]]:
        """One (agency, batch) of each agency: of its batches the one that had the least."""
        batches = defaultdict(list)
        for agency, batch in lanes:
            batches[agency].append(batch)
        self._welcome(batches)
        for own in batches.values():
            self._welcome(own)
        here = {*batches, *(batch for own in batches.values() for batch in own)}
        self._had = {key: had for key, had in self._had.items() if key in here}
        return [
            (agency, min(batches[agency], key=self._had.__getitem__))
            for agency in sorted(batches, key=self._had.__getitem__)
        ]

    def gave(self, agency: UUID, batch: UUID, messages: int) -> None:
        self._had[agency] += messages
        self._had[batch] += messages

    def _welcome(self, keys: Iterable[UUID]) -> None:
        """Newcomers start level with who had the least, not with a claim on all that was before."""
        least = min((self._had[key] for key in keys if key in self._had), default=0)
        for key in keys:
            self._had.setdefault(key, least)


_turns = Turns()


def _send_chunk_of(batch_id: UUID, pipeline: Pipeline) -> int:
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
    while receipts.apply_events() and time.monotonic() < end:
        pass


@shared_task(name="messaging.tick")
def tick() -> None:
    """Find every kind of work that waits, however long it has waited, and ring for it."""
    now = timezone.now()
    starting.start_due_batches()
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
    if halting.untold().exists():
        tell_of_halts.apply_async(expires=2)
    leases.sweep()
    if EmailTest.objects.due(now).exists():
        send_email_tests.apply_async(expires=2)
    email_tests.sweep()
    if EmailReport.objects.to_be_made(now).exists():
        make_reports.apply_async(expires=2)
    webhooks.give_up_old_ones(now)
    for webhook_id in webhooks.to_be_served(now):
        send_webhook.apply_async((str(webhook_id),), expires=2)
    for batch_id in ProtectedUpload.objects.to_be_told(now - mails.TOLD_EVERY):
        tell_of_locked_pages.apply_async((str(batch_id),), expires=5)
    if Attempt.objects.filter(status__in=ASKED_ABOUT, ask_at__lte=now).exists():
        ask_about_unknown.apply_async(expires=2)


@shared_task(name="messaging.ask_about_unknown")
def ask_about_unknown() -> None:
    end = time.monotonic() + SLICE_SECONDS
    while reconciling.ask_about_unknown() and time.monotonic() < end:
        pass


@shared_task(name="messaging.tell_of_locked_pages")
def tell_of_locked_pages(batch_id: str) -> None:
    mails.mail_locked_pages(UUID(batch_id))


@shared_task(name="messaging.send_webhook")
def send_webhook(webhook_id: str) -> None:
    webhooks.serve(UUID(webhook_id), seconds=SLICE_SECONDS)


@shared_task(name="messaging.forget_webhook")
def forget_webhook(webhook_id: str) -> None:
    webhooks.forget_log(UUID(webhook_id))


@shared_task(name="messaging.tell_of_halts")
def tell_of_halts() -> None:
    owner_mails.tell_of_halts()


@shared_task(name="messaging.send_digest")
def send_digest() -> None:
    owner_mails.send_digest()


@shared_task(name="messaging.fold_counters")
def fold_counters() -> None:
    counters.fold()


@shared_task(name="messaging.check_counters")
def check_counters() -> None:
    """Every lane in which something moved lately, each once a day; hourly, a slice at a time."""
    end = time.monotonic() + SLICE_SECONDS
    for campaign_id, batch_id in Counter.objects.lanes_since(timezone.now() - COUNTED_WITHIN):
        if cache.add(f"counted:{campaign_id}:{batch_id}", True, COUNTED_WITHIN.total_seconds()):
            counters.mend(campaign_id, batch_id)
        if time.monotonic() > end:
            check_counters.delay()
            return


@shared_task(name="messaging.forget")
def forget() -> None:
    """What is kept for a time only, and whose time is over."""
    if retention.erase(chunks=ERASED_AT_A_TIME):
        forget.delay()
    retention.erase_orphans(timezone.now())
    IdempotencyKey.objects.expired(timezone.now()).delete()
    webhooks.forget(timezone.now())
    reports.forget(timezone.now())
    retention.discard_left_uploads(timezone.now())
    retention.erase_pages(timezone.now())
    retention.erase_attached()
    subscribers.forget(timezone.now())
    WrongGuesses.objects.filter(hour__lt=timezone.now() - timedelta(days=1)).delete()


@shared_task(name="messaging.make_reports")
def make_reports() -> None:
    while not is_stopping() and reports.make_next():
        pass


@shared_task(name="messaging.charge_days")
def charge_days() -> None:
    billing.charge_days(seconds=SLICE_SECONDS)
