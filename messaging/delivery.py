"""Carry out what was accepted: expand, claim, deliver a chunk, record, apply receipts, sweep.

Every function may run twice, at once and after a crash: rows are moved, locked or changed only
from the state they must be in. Redis knows nothing; `tasks` calls these.
"""

import asyncio
import atexit
import logging
import threading
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from campaigns.models import TemplateBody, TwilioCredentials
from messaging.channels import get_channel, twilio
from messaging.channels.base import (
    DELIVERY_ERRORS,
    Accepted,
    Channel,
    Event,
    Outcome,
    Outgoing,
    Rejected,
    Throttled,
    Unavailable,
)
from messaging.models import Attempt, Batch, BatchStatus, Counter, Message, ProviderEvent
from messaging.states import RANK, WAITING, Status, advance, release
from postman.ids import new_id, now_ms

logger = logging.getLogger(__name__)

CHUNK = 500
EXPAND_CHUNK = 5_000
EVENTS_CHUNK = 1_000
# Longer than any call to a provider may take; past it nobody will report the outcome.
LEASE = timedelta(seconds=90)
# A provider that is away or asks for patience is left alone that long.
HOLD = timedelta(seconds=5)

TEST_NUMBERS = {error.test_number: error.code for error in DELIVERY_ERRORS.values()}


# --- Expand: staged rows become messages ----------------------------------------------------------


def expand(batch_id: UUID) -> int:
    """Move the batch's staged rows into messages, chunk by chunk; returns how many this run moved.

    A row is deleted where it was staged and inserted as a message in one statement, under the id
    it was given when it was checked, so no crash and no second run loses or doubles one.
    """
    moved = 0
    while count := _expand_chunk(batch_id):
        moved += count
    Batch.objects.filter(
        id=batch_id, status=BatchStatus.ENQUEUING, staged_rows__isnull=True
    ).update(status=BatchStatus.ENQUEUED, updated_at=now_ms())
    return moved


@transaction.atomic
def _expand_chunk(batch_id: UUID) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH chosen AS (
                SELECT batch_id, row FROM messaging_stagedrow
                WHERE batch_id = %(batch)s ORDER BY row LIMIT %(limit)s FOR UPDATE SKIP LOCKED
            ), moved AS (
                DELETE FROM messaging_stagedrow staged USING chosen
                WHERE staged.batch_id = chosen.batch_id AND staged.row = chosen.row
                RETURNING staged.*
            )
            INSERT INTO messaging_message (
                id, campaign_id, batch_id, row, template_body_id, creator_id, via_api, recipient,
                values, segments, status, attempts_made, created_at, updated_at
            )
            SELECT moved.message_id, batch.campaign_id, batch.id, moved.row,
                moved.template_body_id, batch.creator_id, false, moved.recipient, moved.values,
                moved.segments, 'created', 0, batch.accepted_at, batch.accepted_at
            FROM moved JOIN messaging_batch batch ON batch.id = moved.batch_id
            WHERE batch.status = 'messages_enqueuing'
            ORDER BY moved.row
            RETURNING campaign_id
            """,
            {"batch": batch_id, "limit": EXPAND_CHUNK},
        )
        campaigns = cursor.fetchall()
    if campaigns:
        count(campaigns[0][0], batch_id, {Counter.TOTAL: len(campaigns), "created": len(campaigns)})
    return len(campaigns)


# --- Count ----------------------------------------------------------------------------------------


def count(campaign_id: UUID, batch_id: UUID | None, changes: dict[str, int]) -> None:
    """Add to the counters; call it in the transaction that moves the messages."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    Counter.objects.bulk_create(
        Counter(campaign_id=campaign_id, batch_id=batch_id, hour=hour, status=status, n=n)
        for status, n in changes.items()
        if n
    )


def fold_counters() -> None:
    """Fold the rows of each counter into one; no sum changes, and readers never see a half."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('messaging.fold_counters'))")
        if not cursor.fetchone()[0]:
            return
        cursor.execute(
            """
            WITH crowded AS (
                SELECT campaign_id, batch_id, hour, status FROM messaging_counter
                GROUP BY 1, 2, 3, 4 HAVING count(*) > 1 LIMIT 1000
            ), folded AS (
                DELETE FROM messaging_counter c USING crowded k
                WHERE c.campaign_id = k.campaign_id AND c.batch_id IS NOT DISTINCT FROM k.batch_id
                    AND c.hour = k.hour AND c.status = k.status
                RETURNING c.*
            )
            INSERT INTO messaging_counter (campaign_id, batch_id, hour, status, n)
            SELECT campaign_id, batch_id, hour, status, sum(n) FROM folded GROUP BY 1, 2, 3, 4
            """
        )


# --- Claim ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this process, and no other, hands to the provider now."""

    attempt_id: UUID
    campaign_id: UUID
    batch_id: UUID | None
    recipient: str
    text: str


@transaction.atomic
def claim(batch_id: UUID | None, limit: int = CHUNK) -> list[Claimed]:
    """Take a chunk of one lane (a batch; None: single messages) and write its attempts.

    The attempts are committed before the provider is called. A process that dies after this leaves
    attempts that nobody reported on, never a message sent twice.
    """
    now = now_ms()
    lane = "batch_id = %(batch)s" if batch_id else "batch_id IS NULL"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH due AS (
                SELECT id, status FROM messaging_message
                WHERE {lane} AND status IN ('created', 'enqueued')
                    AND (due_at IS NULL OR due_at <= %(now)s)
                ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
            )
            UPDATE messaging_message m
            SET status = 'sending', updated_at = %(now)s, due_at = NULL,
                attempts_made = attempts_made + (due.status = 'created')::int
            FROM due WHERE m.id = due.id
            RETURNING m.id, m.campaign_id, m.attempts_made, m.template_body_id, m.recipient,
                m.values, due.status
            """,  # noqa: S608
            {"batch": batch_id, "now": now, "limit": limit},
        )
        rows = cursor.fetchall()
        if not rows:
            return []
        cursor.execute(
            """
            INSERT INTO messaging_attempt (
                id, message_id, number, status, error_code, provider_code, reference,
                lease_until, created_at, updated_at
            )
            SELECT id, message, number, 'sending', '', '', '', %s, %s, %s
            FROM unnest(%s::uuid[], %s::uuid[], %s::int[]) AS new (id, message, number)
            ON CONFLICT (message_id, number) DO UPDATE
            SET status = 'sending', lease_until = excluded.lease_until,
                updated_at = excluded.updated_at
            RETURNING message_id, id
            """,
            [
                now + LEASE,
                now,
                now,
                [new_id() for _ in rows],
                [row[0] for row in rows],
                [row[2] for row in rows],
            ],
        )
        attempts = dict(cursor.fetchall())
    for campaign_id in {row[1] for row in rows}:
        before = Tally(row[6] for row in rows if row[1] == campaign_id)
        count(campaign_id, batch_id, _moved(before, Tally(sending=before.total())))
    return [
        Claimed(attempts[message_id], campaign_id, batch_id, recipient, _full_text(body, values))
        for message_id, campaign_id, _, body, recipient, values, _ in rows
    ]


def _full_text(body_id: UUID, values: str) -> str:
    return _body(body_id).full_message(orjson.loads(values))


@lru_cache(maxsize=256)
def _body(body_id: UUID) -> TemplateBody:
    """Bodies never change, so a process may remember them."""
    return TemplateBody.objects.get(id=body_id)


def _moved(before: Tally[str], after: Tally[str]) -> dict[str, int]:
    """What to add to the counters when messages stood there and stand here now."""
    return {status: after[status] - before[status] for status in before.keys() | after.keys()}


# --- Deliver --------------------------------------------------------------------------------------


def send_chunk(batch_id: UUID | None) -> int:
    """Claim a chunk of one lane, hand it over, write down what came of it; returns its size."""
    claimed = claim(batch_id)
    if claimed:
        record(deliver(claimed))
    elif batch_id:
        _mark_dispatched(batch_id)
    return len(claimed)


def deliver(claimed: Sequence[Claimed]) -> list[tuple[Claimed, Outcome]]:
    """Hand over all of the chunk at once, each campaign through its own account."""
    results: list[tuple[Claimed, Outcome]] = []
    by_campaign = defaultdict(list)
    for message in claimed:
        by_campaign[message.campaign_id].append(message)
    for campaign_id, messages in by_campaign.items():
        simulated = [m for m in messages if _simulated(m.recipient)]
        real = [m for m in messages if not _simulated(m.recipient)]
        results += [(m, Rejected(_simulated(m.recipient))) for m in simulated]
        if real:
            account = _account_of(campaign_id)
            outgoing = [
                Outgoing(m.attempt_id, m.recipient, m.text, callback_url(account, m.attempt_id))
                for m in real
            ]
            results += zip(real, _send(channel_of(account), outgoing), strict=True)
    return results


def _simulated(recipient: str) -> str:
    """The delivery error that this number stands for in the test environment (v2-sms §8.3)."""
    return TEST_NUMBERS.get(recipient, "") if settings.POSTMAN_ENVIRONMENT == "test" else ""


def _send(channel: Channel, outgoing: Sequence[Outgoing]) -> Sequence[Outcome]:
    return _this_thread.runner.run(channel.send(outgoing))


class _ThisThread(threading.local):
    """One event loop for the life of a worker process, so that connections stay open."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()


_this_thread = _ThisThread()


# The account in a callback's address: an agency's own has the id of its credentials.
PUBLIC_ACCOUNT = "gov"


def _account_of(campaign_id: UUID) -> str:
    own = TwilioCredentials.objects.filter(campaign_id=campaign_id).values_list("id", flat=True)
    return str(own.first() or PUBLIC_ACCOUNT)


@lru_cache(maxsize=64)
def channel_of(account: str) -> Channel:
    """One channel, and so one pool of connections, an account and process.

    Credentials are made with their campaign and never changed, so a process may remember them.
    """
    channel = _new_channel(account)
    atexit.register(lambda: _this_thread.runner.run(channel.close()))
    return channel


def _new_channel(account: str) -> Channel:
    if account == PUBLIC_ACCOUNT:
        return get_channel("sms")
    credentials = TwilioCredentials.objects.get(id=account)
    return get_channel(
        "sms",
        account_sid=credentials.account_sid,
        username=credentials.api_key_sid,
        password=credentials.api_secret,
        messaging_service_sid=credentials.messaging_service_sid,
        auth_token=credentials.auth_token,
    )


def callback_url(account: str, attempt_id: UUID) -> str:
    """Where the provider reports on this attempt. Nobody can make one up: it is signed by us."""
    token = _callback_token(account, attempt_id)
    return f"{settings.PUBLIC_URL}{reverse('twilio-callback', args=[account, attempt_id, token])}"


def is_callback_token(account: str, attempt_id: UUID, token: str) -> bool:
    return constant_time_compare(token, _callback_token(account, attempt_id))


def _callback_token(account: str, attempt_id: UUID) -> str:
    value = f"{account}/{attempt_id}"
    return salted_hmac("messaging.callbacks", value, algorithm="sha256").hexdigest()[:32]


# --- Record ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """What is known of an attempt now. `released`: certainly not taken, to be tried again."""

    attempt_id: UUID
    status: str
    error_code: str = ""
    provider_code: str = ""
    reference: str = ""
    released: bool = False


def record(results: Sequence[tuple[Claimed, Outcome]]) -> None:
    """Write down the outcomes of a chunk: attempts, messages and counters in one transaction."""
    holds = {
        claimed.batch_id: outcome
        for claimed, outcome in results
        if isinstance(outcome, Throttled | Unavailable)
    }
    with transaction.atomic():
        for batch_id in sorted(filter(None, holds)):
            Batch.objects.filter(id=batch_id).update(
                hold_until=timezone.now() + HOLD, dispatched_at=None
            )
        apply([_change(claimed.attempt_id, outcome) for claimed, outcome in results])


def _change(attempt_id: UUID, outcome: Outcome) -> Change:
    match outcome:
        case Accepted(reference):
            return Change(attempt_id, Status.SENT, reference=reference)
        case Rejected(code) if code in DELIVERY_ERRORS:
            return Change(attempt_id, Status.FAILURE, error_code=code)
        case Rejected(code):
            return Change(attempt_id, Status.FAILURE, _our_error(code), provider_code=code)
        case Throttled() | Unavailable():
            return Change(attempt_id, Status.ENQUEUED, released=True)
        case _:
            return Change(attempt_id, Status.UNKNOWN)


def _our_error(provider_code: str) -> str:
    _, code = twilio.ERRORS.get(provider_code, ("delivery_error", "delivery_unknown_error"))
    return code


_NEEDED_TO_APPLY = (
    "number",
    "status",
    "error_code",
    "provider_code",
    "reference",
    "lease_until",
    "sent_at",
    "delivered_at",
    "message__campaign_id",
    "message__batch_id",
)


@transaction.atomic
def apply(changes: Sequence[Change]) -> None:
    """Move attempts on by what was heard of them, their messages and counters with them.

    Forward only (`states.advance`); of several changes to one attempt all count, in order.
    Attempts are locked in the order of their ids, so that two of these never wait in a circle.
    """
    news: dict[UUID, list[Change]] = defaultdict(list)
    for change in changes:
        news[change.attempt_id].append(change)
    attempts = list(
        Attempt.objects.select_for_update(of=("self",))
        .select_related("message")
        .only(*_NEEDED_TO_APPLY)
        .filter(id__in=list(news))
        .order_by("id")
    )
    now = now_ms()
    moved: list[tuple[Attempt, str]] = []
    for attempt in attempts:
        before = attempt.status
        for change in news[attempt.id]:
            _take_in(attempt, change, now)
        moved.append((attempt, before))
    _save_attempts([attempt for attempt, _ in moved], now)
    _mirror([(attempt, before) for attempt, before in moved if attempt.status != before], now)


def _take_in(attempt: Attempt, change: Change, now: datetime) -> None:
    before = attempt.status
    attempt.reference = attempt.reference or change.reference
    attempt.status = release(before) if change.released else advance(before, change.status)
    if attempt.status == before:
        return
    attempt.lease_until = None
    if attempt.status == Status.FAILURE:
        attempt.error_code = change.error_code
        attempt.provider_code = change.provider_code
    elif RANK[Status(attempt.status)] >= RANK[Status.SENT]:
        attempt.sent_at = attempt.sent_at or now
        if attempt.status == Status.SUCCESS:
            attempt.delivered_at = now


def _save_attempts(attempts: Sequence[Attempt], now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE messaging_attempt a
            SET status = new.status, error_code = new.error_code, reference = new.reference,
                provider_code = new.provider_code, lease_until = new.lease_until,
                sent_at = new.sent_at, delivered_at = new.delivered_at, updated_at = %s
            FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[],
                %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
                AS new (id, status, error_code, provider_code, reference, lease_until, sent_at,
                    delivered_at)
            WHERE a.id = new.id
            """,
            [
                now,
                [a.id for a in attempts],
                [str(a.status) for a in attempts],
                [a.error_code for a in attempts],
                [a.provider_code for a in attempts],
                [a.reference for a in attempts],
                [a.lease_until for a in attempts],
                [a.sent_at for a in attempts],
                [a.delivered_at for a in attempts],
            ],
        )


def _mirror(moved: Sequence[tuple[Attempt, str]], now: datetime) -> None:
    """Only the latest attempt speaks for its message; a late report on try 1 stays there."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE messaging_message m
            SET status = new.status, updated_at = %(now)s,
                due_at = CASE WHEN new.status = 'enqueued' THEN %(again)s END
            FROM unnest(%(messages)s::uuid[], %(numbers)s::int[], %(status)s::text[])
                AS new (id, number, status)
            WHERE m.id = new.id AND m.attempts_made = new.number
            RETURNING m.id
            """,
            {
                "now": now,
                "again": now + HOLD,
                "messages": [a.message_id for a, _ in moved],
                "numbers": [a.number for a, _ in moved],
                "status": [str(a.status) for a, _ in moved],
            },
        )
        mirrored = {row[0] for row in cursor.fetchall()}
    tallies: dict[tuple[UUID, UUID | None], tuple[Tally[str], Tally[str]]] = defaultdict(
        lambda: (Tally(), Tally())
    )
    for attempt, before in moved:
        if attempt.message_id in mirrored:
            was, is_now = tallies[attempt.message.campaign_id, attempt.message.batch_id]
            was[str(before)] += 1
            is_now[str(attempt.status)] += 1
    for (campaign_id, batch_id), (was, is_now) in tallies.items():
        count(campaign_id, batch_id, _moved(was, is_now))


def _mark_dispatched(batch_id: UUID) -> None:
    """Take the batch off the list of those being sent once nothing of it waits any more.

    The row's lock makes this and a release (which puts it back on the list) take turns.
    """
    with transaction.atomic():
        batch = Batch.objects.select_for_update().filter(id=batch_id, dispatched_at=None).first()
        if batch is None or batch.status != BatchStatus.ENQUEUED:
            return
        if not Message.objects.filter(batch_id=batch_id, status__in=WAITING).exists():
            Batch.objects.filter(id=batch_id).update(dispatched_at=now_ms(), updated_at=now_ms())


# --- Receipts -------------------------------------------------------------------------------------


def keep_event(provider: str, attempt_id: UUID, event: Event) -> None:
    """Store a provider's report for `apply_events`; one that came before changes nothing.

    Straight to SQL: two of these come for every message sent.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO messaging_providerevent
                (provider, event_id, attempt_id, kind, code, reference, raw, received_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT DO NOTHING
            """,
            [
                provider,
                event.provider_event_id,
                attempt_id,
                event.kind,
                event.code,
                event.reference,
                orjson.dumps(dict(event.raw)).decode(),
                event.at,
            ],
        )


@transaction.atomic
def apply_events() -> int:
    """Apply a chunk of stored provider events; returns how many. Each counts once, in any order."""
    events = list(
        ProviderEvent.objects.select_for_update(skip_locked=True)
        .filter(applied_at=None)
        .order_by("id")[:EVENTS_CHUNK]
    )
    if events:
        apply([change for event in events if (change := _reported(event))])
        ProviderEvent.objects.filter(id__in=[event.id for event in events]).update(
            applied_at=timezone.now()
        )
    return len(events)


def _reported(event: ProviderEvent) -> Change | None:
    status = twilio.STATUSES.get(event.kind)
    if status is None:
        logger.warning("a provider reported a state we do not know: %s", event.kind)
        return None
    if status != Status.FAILURE:
        return Change(event.attempt_id, status, reference=event.reference)
    return Change(
        event.attempt_id, status, _our_error(event.code), event.code, reference=event.reference
    )


# --- Sweep ----------------------------------------------------------------------------------------


def sweep_leases() -> int:
    """Attempts whose process died: nobody heard the outcome, so nobody may send them again."""
    expired = list(
        Attempt.objects.filter(status=Status.SENDING, lease_until__lt=timezone.now())
        .order_by("lease_until")
        .values_list("id", flat=True)[:EVENTS_CHUNK]
    )
    if expired:
        logger.warning("%d attempts with an unheard outcome", len(expired))
        apply([Change(attempt_id, Status.UNKNOWN) for attempt_id in expired])
    return len(expired)


def start_due_batches() -> list[UUID]:
    """Scheduled batches whose time has come are accepted now; each by one caller only."""
    now = now_ms()
    due = list(Batch.objects.due(now).values_list("id", flat=True))
    return [
        batch_id
        for batch_id in due
        if Batch.objects.due(now)
        .filter(id=batch_id)
        .update(status=BatchStatus.ENQUEUING, accepted_at=now, updated_at=now)
    ]
