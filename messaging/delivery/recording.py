"""Write down what providers answered."""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import DataError, InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Greatest
from django.utils import timezone

from messaging import chats, pacing
from messaging.channels.base import (
    Accepted,
    ChatMessage,
    Outcome,
    Rejected,
    Throttled,
    Unavailable,
)
from messaging.models import Batch
from messaging.providers import account_of
from messaging.states import Status

from .changes import Change, apply
from .claiming import Claimed
from .leases import LEASE

logger = logging.getLogger(__name__)

# A provider that is away is left alone that long, and one that asks for patience as long as it
# says: the bots of Telegram that do not listen are made to wait for hours.
HOLD, LONGEST_HOLD = timedelta(seconds=5), timedelta(days=1)
EVER = datetime.min.replace(tzinfo=UTC)


def record_whatever_happens(results: Sequence[tuple[Claimed, Outcome]]) -> None:
    """The provider has them: a database that is away for a moment must not make them unknown."""
    until = time.monotonic() + LEASE.total_seconds() / 3
    while True:
        try:
            return record(results)
        except DataError:
            # One of them is not fit to be stored; what became of the others must be.
            if len(results) == 1:
                logger.exception("the outcome of attempt %s is lost", results[0][0].attempt_id)
                return None
            for result in results:
                record_whatever_happens([result])
            return None
        except (OperationalError, InterfaceError):
            if time.monotonic() > until or connection.in_atomic_block:
                raise
            logger.warning("the database is away: %d outcomes wait to be recorded", len(results))
            connection.close()
            time.sleep(1)


def record(results: Sequence[tuple[Claimed, Outcome]]) -> None:
    """Write down the outcomes of a chunk: attempts, messages and counters in one transaction."""
    changes = [_change(claimed, outcome) for claimed, outcome in results]
    holds: dict[UUID, datetime] = {}
    for (claimed, outcome), change in zip(results, changes, strict=True):
        if claimed.batch_id and change.again_at:
            is_personal = isinstance(outcome, Throttled) and outcome.is_personal
            until = EVER if is_personal else change.again_at
            holds[claimed.batch_id] = max(holds.get(claimed.batch_id, EVER), until)
    _leave_alone(results)
    with transaction.atomic():
        for batch_id, until in sorted(holds.items()):
            # Never shorter than another chunk of it was told.
            hold = {} if until == EVER else {"hold_until": Greatest("hold_until", until)}
            Batch.objects.filter(id=batch_id).update(**hold, dispatched_at=None)
        apply(changes)
        chats.end_with_those_who_left(
            (claimed.campaign_id, claimed.content.chat_id, outcome)
            for claimed, outcome in results
            if isinstance(claimed.content, ChatMessage)
        )


def _leave_alone(results: Sequence[tuple[Claimed, Outcome]]) -> None:
    """What else waits for an account whose provider named a time has to wait for it too."""
    patience: dict[str, timedelta] = {}
    for claimed, outcome in results:
        if isinstance(outcome, Throttled) and outcome.retry_after and not outcome.is_personal:
            account = account_of(claimed.campaign_id)
            patience[account] = max(_patience(outcome), patience.get(account, HOLD / 5))
    for account, asked in patience.items():
        pacing.leave_alone(account, timezone.now() + asked)


def _change(claimed: Claimed, outcome: Outcome) -> Change:
    attempt_id, lease_until = claimed.attempt_id, claimed.lease_until
    match outcome:
        case Accepted(reference, is_final):
            status = Status.SUCCESS if is_final else Status.SENT
            return Change(attempt_id, status, reference=reference)
        case Rejected(code, provider_code=provider_code):
            return Change(attempt_id, Status.FAILURE, code, provider_code)
        case Throttled() | Unavailable():
            return Change(
                attempt_id,
                Status.ENQUEUED,
                released=True,
                lease_until=lease_until,
                again_at=timezone.now() + _patience(outcome),
            )
        case _:
            return Change(attempt_id, Status.UNKNOWN, lease_until=lease_until)


def _patience(outcome: Throttled | Unavailable) -> timedelta:
    """How long the provider is left alone: as long as it asks for, within reason."""
    if isinstance(outcome, Throttled) and outcome.retry_after is not None:
        seconds = min(outcome.retry_after, LONGEST_HOLD.total_seconds())
        return max(HOLD / 5, timedelta(seconds=seconds))
    return HOLD
