"""Settle attempts that nobody reports on, by asking the provider (field B-1).

An attempt becomes `unknown` when its process died or the provider's answer was lost. It is never
sent again on a guess: the provider is asked until it shows the message, or has shown for long
enough that it has none. What cannot be settled so stays on the page for an officer to decide.
Of one that was sent and never reported on, the provider is asked once, after three days.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from messaging import providers
from messaging.channels.base import Attempted, Found, Match
from messaging.delivery import leases
from messaging.delivery.changes import Change, apply
from messaging.models import Attempt, Batch
from messaging.states import ASKED_ABOUT, Status

CHUNK = 100
# Age of the question → how long until it is asked again. Past the last, nobody asks any more.
PATIENCE = (
    (timedelta(minutes=5), timedelta(minutes=1)),
    (timedelta(minutes=30), timedelta(minutes=5)),
    (timedelta(hours=24), timedelta(hours=1)),
)
# One that was sent is asked about again after that, where the provider could not be asked.
UNREPORTED_PAUSE = timedelta(hours=1)
# A provider that has shown nothing for that long never took it: its lists lag by seconds.
SURE_AFTER: timedelta = settings.SURE_AFTER
# How far the moment a provider made a message and the one we wrote its reference may be apart.
RECORDED_WITHIN = timedelta(minutes=10)


def ask_about_unknown() -> int:
    """Ask about a chunk of attempts that are due to be asked about; returns how many."""
    now = timezone.now()
    asked = _take(now)
    by_account = defaultdict(list)
    for attempt in asked:
        by_account[providers.account_of(attempt.message.campaign_id)].append(attempt)
    for account, attempts in by_account.items():
        if not providers.channel_of(account).can_be_asked:
            # Only a report can say what became of these, whenever it comes.
            Attempt.objects.filter(id__in=[a.id for a in attempts]).update(ask_at=None)
            continue
        found = providers.wait_for(_ask(account, attempts))
        _settle(attempts, {answer.attempt_id: answer.matches for answer in found}, now)
    return len(asked)


def _take(now: datetime) -> list[Attempt]:
    """Those whose time has come; nobody else asks about them before their next."""
    with transaction.atomic():
        due = Attempt.objects.select_for_update(skip_locked=True, of=("self",))
        attempts = list(
            due.filter(status__in=ASKED_ABOUT, ask_at__lte=now)
            .select_related("message__template_body")
            .order_by("ask_at")[:CHUNK]
        )
        for attempt in attempts:
            attempt.ask_at = _next(now, attempt)
        Attempt.objects.bulk_update(attempts, ["ask_at"])
    return attempts


def _next(now: datetime, attempt: Attempt) -> datetime | None:
    """For one that was sent: only if the provider cannot be asked now."""
    if attempt.status == Status.SENT:
        return now + UNREPORTED_PAUSE
    age = now - attempt.updated_at
    return next((now + pause for until, pause in PATIENCE if age < until), None)


async def _ask(account: str, attempts: Sequence[Attempt]) -> Sequence[Found]:
    return await providers.channel_of(account).find(
        [
            Attempted(
                attempt.id,
                attempt.message.recipient,
                attempt.message.full_message,
                # The lease began with the call that nobody heard back from.
                (attempt.lease_until or attempt.updated_at) - leases.LEASE,
                attempt.reference,
            )
            for attempt in attempts
        ]
    )


def _settle(
    attempts: Sequence[Attempt], answers: Mapping[UUID, Sequence[Match]], now: datetime
) -> None:
    """Give each attempt a message of the provider's that nobody else holds, the oldest first.

    Two attempts with the same text to the same number look alike to the provider, and it makes no
    difference to anybody which of them a message is counted for.
    """
    taken = _held([match for matches in answers.values() for match in matches])
    changes, never_taken = [], []
    for attempt in sorted(attempts, key=lambda a: a.id):
        if attempt.id not in answers:
            continue  # the provider could not be asked
        others = taken - {attempt.reference}
        match = next((m for m in answers[attempt.id] if m.reference not in others), None)
        if match:
            taken.add(match.reference)
            if match.status:
                error, said = match.error_code, match.provider_code
                changes.append(Change(attempt.id, match.status, error, said, match.reference))
        elif attempt.status == Status.UNKNOWN and now - attempt.updated_at >= SURE_AFTER:
            never_taken.append(attempt)
    with transaction.atomic():
        answered = [a.id for a in attempts if a.status == Status.SENT and a.id in answers]
        Attempt.objects.filter(id__in=answered).update(ask_at=None)
        _release(never_taken)
        apply(changes)


def _held(matches: Iterable[Match]) -> set[str]:
    """Of these references, the ones that attempts hold already."""
    matches = list(matches)
    if not matches:
        return set()
    first = min(match.created_at for match in matches) - RECORDED_WITHIN
    last = max(match.created_at for match in matches) + RECORDED_WITHIN
    # References have no index, as each would cost every send; the time sent has one for nothing.
    held = Attempt.objects.filter(
        sent_at__range=(first, last), reference__in={match.reference for match in matches}
    )
    return set(held.values_list("reference", flat=True))


def _release(attempts: Sequence[Attempt]) -> None:
    """The provider never took these, so they wait to be sent as the attempts they are."""
    if not attempts:
        return
    batches = sorted({a.message.batch_id for a in attempts if a.message.batch_id})
    for batch_id in batches:
        Batch.objects.filter(id=batch_id).update(dispatched_at=None)
    apply(
        [
            Change(attempt.id, Status.ENQUEUED, released=True, lease_until=attempt.lease_until)
            for attempt in attempts
        ]
    )
