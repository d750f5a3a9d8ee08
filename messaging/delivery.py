"""Carry out what was accepted: expand, claim, deliver a chunk, record, apply receipts, sweep.

Every function may run twice, at once and after a crash: rows are moved, locked or changed only
from the state they must be in. Redis knows nothing; `tasks` calls these.
"""

import asyncio
import logging
import time
from collections import Counter as Tally
from collections import defaultdict, deque
from collections.abc import Awaitable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple, Self
from uuid import UUID

import orjson
from django.conf import settings
from django.db import DataError, InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Greatest
from django.utils import timezone

from campaigns.models import Channel as Kind
from messaging import chats, composing, mails, pacing, readiness
from messaging.channels import meaning_of
from messaging.channels.base import (
    DELIVERY_ERRORS,
    ERRORS,
    Accepted,
    ChatMessage,
    Mail,
    Outcome,
    Outgoing,
    OutgoingChat,
    OutgoingMail,
    OutgoingTemplate,
    Rejected,
    TemplateMessage,
    Throttled,
    Unavailable,
)
from messaging.models import (
    RETRYABLE_STATUSES,
    Attempt,
    Batch,
    BatchStatus,
    Counter,
    Message,
    Transactional,
    Webhook,
)
from messaging.providers import account_of, callback_url, channel_of, kind_of, start
from messaging.states import RANK, WAITING, Status
from postman.accounts import audit
from postman.ids import new_ids, now_ms

logger = logging.getLogger(__name__)

CHUNK = 500
# Bytes of attached files that a chunk may hold at most, as all of it is in memory at once.
MOST_ATTACHED = 32 * 1024 * 1024
EXPAND_CHUNK = 5_000
EVENTS_CHUNK = 1_000
# How many chunks a process has on their way at once: while one is with the provider, the next is
# claimed and the one before is written down.
CHUNKS_AT_ONCE = 2
# Longer than all of them may take with a provider that never answers (200 calls of 30 seconds at
# once), and then the wait for a database; past it nobody will report the outcome.
LEASE: timedelta = settings.SEND_LEASE
# A provider that is away is left alone that long, and one that asks for patience as long as it
# says: the bots of Telegram that do not listen are made to wait for hours.
HOLD, LONGEST_HOLD = timedelta(seconds=5), timedelta(days=1)
EVER = datetime.min.replace(tzinfo=UTC)
# When the provider is first asked about an attempt with an unheard outcome.
ASK_AFTER: timedelta = settings.ASK_AFTER
# And about one that was sent, and on which no report came (field §10).
REPORTS_TAKE = timedelta(hours=72)
# How far ahead of its account's pace each lane may go: the most urgent never waits behind others.
URGENT_CREDIT, SINGLE_CREDIT, NO_CREDIT = timedelta(seconds=2), timedelta(seconds=1), timedelta()
# Single messages over the pace are looked at again after that long.
SINGLES_WAIT = timedelta(milliseconds=200)

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
                SELECT staged.batch_id, staged.row FROM messaging_stagedrow staged
                JOIN messaging_batch batch ON batch.id = staged.batch_id
                WHERE batch.id = %(batch)s AND batch.status = 'messages_enqueuing'
                ORDER BY staged.row LIMIT %(limit)s FOR UPDATE OF staged SKIP LOCKED
            ), moved AS (
                DELETE FROM messaging_stagedrow staged USING chosen
                WHERE staged.batch_id = chosen.batch_id AND staged.row = chosen.row
                RETURNING staged.*
            ), judged AS (
                SELECT moved.*, batch.campaign_id, batch.creator_id, batch.via_api,
                    batch.accepted_at, batch.template_body_id AS pinned_body_id,
                    -- Looked up for emails only: others have nobody to suppress.
                    CASE WHEN campaign.channel = 'email' THEN (
                        SELECT reason FROM messaging_suppression suppression
                        WHERE suppression.recipient = moved.recipient AND lifted_at IS NULL
                            AND COALESCE(suppression.agency_id, campaign.agency_id)
                                = campaign.agency_id
                        ORDER BY suppression.id LIMIT 1
                    ) END AS suppressed_for
                FROM moved
                JOIN messaging_batch batch ON batch.id = moved.batch_id
                JOIN campaigns_campaign campaign ON campaign.id = batch.campaign_id
            )
            INSERT INTO messaging_message (
                id, campaign_id, batch_id, row, template_body_id, creator_id, via_api, recipient,
                values, segments, status, suppressed_for, attempts_made, created_at, updated_at
            )
            SELECT message_id, campaign_id, batch_id, row,
                COALESCE(pinned_body_id, template_body_id), creator_id, via_api, recipient, values,
                segments, CASE WHEN suppressed_for IS NULL THEN 'created' ELSE 'suppressed' END,
                suppressed_for, 0, accepted_at, accepted_at
            FROM judged ORDER BY row
            RETURNING campaign_id, status
            """,
            {"batch": batch_id, "limit": EXPAND_CHUNK},
        )
        made = cursor.fetchall()
    if made:
        by_status = Tally(status for _, status in made)
        count(made[0][0], batch_id, {Counter.TOTAL: len(made), **by_status})
    return len(made)


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


def mend_counters(campaign_id: UUID, batch_id: UUID | None) -> dict[str, int]:
    """Compare the counters of a batch (None: of single messages) with the messages themselves.

    What they were off by is added and returned; nothing ever is, so it is told as a fault of ours.
    One statement sees one moment of both, and sums do not mind what is added meanwhile.
    """
    lane = "batch_id = %(batch)s" if batch_id else "batch_id IS NULL"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH told AS (
                SELECT status, sum(n) AS n FROM messaging_counter
                WHERE campaign_id = %(campaign)s AND {lane} GROUP BY status
            ), found AS (
                SELECT COALESCE(status, 'total') AS status, count(*) AS n FROM messaging_message
                WHERE campaign_id = %(campaign)s AND {lane} GROUP BY GROUPING SETS ((status), ())
            )
            INSERT INTO messaging_counter (campaign_id, batch_id, hour, status, n)
            SELECT %(campaign)s, %(batch)s, date_trunc('hour', now()), status,
                COALESCE(found.n, 0) - COALESCE(told.n, 0)
            FROM found FULL JOIN told USING (status)
            WHERE COALESCE(found.n, 0) <> COALESCE(told.n, 0)
            RETURNING status, n
            """,  # noqa: S608
            {"campaign": campaign_id, "batch": batch_id},
        )
        drift = dict(cursor.fetchall())
    if drift:
        logger.error("counters of batch %s in campaign %s were off", batch_id, campaign_id)
    return drift


# --- Claim ----------------------------------------------------------------------------------------


Content = str | Mail | TemplateMessage | ChatMessage


class Claimed(NamedTuple):
    """A message that this process, and no other, hands to the provider now."""

    attempt_id: UUID
    campaign_id: UUID
    batch_id: UUID | None
    recipient: str
    lease_until: datetime
    # None: it could not be put together, so it fails instead of being sent.
    content: Content | Rejected | None


@transaction.atomic
def claim(batch_id: UUID | None, limit: int = CHUNK) -> list[Claimed]:
    """Take a chunk of one lane (a batch; None: single messages) and write its attempts.

    The attempts are committed before the provider is called. A process that dies after this leaves
    attempts that nobody reported on, never a message sent twice.
    """
    now = now_ms()
    lease_until = now + LEASE
    found = _due_of(batch_id, now, limit)
    found = _without_suppressed(found, batch_id, now)
    due = _in_pace(found if batch_id else _light_enough(found), batch_id, now)
    due = chats.one_a_second(found, due, now)
    if not due:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH due AS (
                SELECT id, status FROM messaging_message WHERE id = ANY(%(due)s)
            ), claimed AS (
                UPDATE messaging_message m
                SET status = 'sending', updated_at = %(now)s, due_at = NULL,
                    attempts_made = attempts_made + (due.status = 'created')::int
                FROM due WHERE m.id = due.id
                RETURNING m.*, due.status AS was
            ), numbered AS (
                SELECT id, attempts_made, row_number() OVER () AS position FROM claimed
            ), attempted AS (
                INSERT INTO messaging_attempt (
                    id, message_id, number, status, error_code, provider_code, reference,
                    lease_until, created_at, updated_at
                )
                SELECT new.id, numbered.id, attempts_made, 'sending', '', '', '',
                    %(lease)s, %(now)s, %(now)s
                FROM numbered
                JOIN unnest(%(ids)s::uuid[]) WITH ORDINALITY AS new (id, position) USING (position)
                ON CONFLICT (message_id, number) DO UPDATE
                SET status = 'sending', lease_until = excluded.lease_until,
                    updated_at = excluded.updated_at
                RETURNING id, message_id
            )
            SELECT attempted.id, campaign_id, template_body_id, recipient, values, was, claimed.id
            FROM claimed JOIN attempted ON attempted.message_id = claimed.id
            """,
            {
                "due": due,
                "now": now,
                "lease": lease_until,
                "ids": f"{{{','.join(new_ids(len(due)))}}}",
            },
        )
        rows = cursor.fetchall()
    for campaign_id in {row[1] for row in rows}:
        before = Tally(row[5] for row in rows if row[1] == campaign_id)
        changes = {status: -n for status, n in before.items()} | {"sending": before.total()}
        count(campaign_id, batch_id, changes)
    own = composing.own_contents([row[6] for row in rows if row[2] is None])
    reached = chats.reached((row[1], row[3]) for row in rows)
    return [
        Claimed(
            attempt_id,
            campaign_id,
            batch_id,
            recipient,
            lease_until,
            reached.into(campaign_id, recipient, _content(campaign_id, body, recipient, values))
            if body
            else own.get(message_id),
        )
        for attempt_id, campaign_id, body, recipient, values, _, message_id in rows
    ]


@dataclass(frozen=True, slots=True)
class Due:
    id: UUID
    campaign_id: UUID
    segments: int
    is_urgent: bool
    recipient: str


def _due_of(batch_id: UUID | None, now: datetime, limit: int) -> list[Due]:
    """Messages of a lane that may be sent now, locked; the urgent first, then the oldest."""
    batch_lane = """
        -- Locked, so that after an officer's stop has committed nothing more is claimed.
        WITH open AS (
            SELECT campaign_id FROM messaging_batch
            WHERE id = %(batch)s AND stopped_at IS NULL FOR SHARE
        )
        SELECT m.id, open.campaign_id, m.segments, false, m.recipient
        FROM open, messaging_message m
        WHERE batch_id = %(batch)s AND status IN ('created', 'enqueued')
            AND (due_at IS NULL OR due_at <= %(now)s)
        ORDER BY m.id LIMIT %(limit)s FOR UPDATE OF m SKIP LOCKED
    """
    single_lane = """
        SELECT m.id, m.campaign_id, m.segments, campaign.is_urgent, m.recipient
        FROM messaging_message m JOIN campaigns_campaign campaign ON campaign.id = m.campaign_id
        WHERE batch_id IS NULL AND status IN ('created', 'enqueued')
            AND (due_at IS NULL OR due_at <= %(now)s)
        ORDER BY campaign.is_urgent DESC, m.id LIMIT %(limit)s FOR UPDATE OF m SKIP LOCKED
    """
    with connection.cursor() as cursor:
        cursor.execute(
            batch_lane if batch_id else single_lane,
            {"batch": batch_id, "now": now, "limit": limit},
        )
        return [Due(*row) for row in cursor.fetchall()]


def _without_suppressed(due: list[Due], batch_id: UUID | None, now: datetime) -> list[Due]:
    """Those of them whose recipients may be written to; the others end here.

    Somebody may have unsubscribed, or an address may have bounced, since the batch was expanded.
    """
    emails = [message for message in due if kind_of(message.campaign_id) == Kind.EMAIL]
    if not emails:
        return due
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE messaging_message m
            SET status = 'suppressed', suppressed_for = suppression.reason, updated_at = %(now)s,
                due_at = NULL
            FROM campaigns_campaign campaign, messaging_suppression suppression,
                (SELECT id, status FROM messaging_message WHERE id = ANY(%(due)s)) AS stood
            WHERE m.id = stood.id AND m.id = ANY(%(due)s) AND campaign.id = m.campaign_id
                AND suppression.recipient = m.recipient AND suppression.lifted_at IS NULL
                AND COALESCE(suppression.agency_id, campaign.agency_id) = campaign.agency_id
                -- Nobody unsubscribes from a system's own mails, such as a one-time password.
                AND (NOT campaign.is_programmatic OR suppression.agency_id IS NULL)
            RETURNING m.id, m.campaign_id, stood.status, m.attempts_made
            """,
            {"due": [message.id for message in emails], "now": now},
        )
        ended = cursor.fetchall()
    if not ended:
        return due
    # The try that was given back to wait has ended with its message.
    Attempt.objects.filter(message__in=[id_ for id_, *_ in ended], status=Status.ENQUEUED).update(
        status=Status.SUPPRESSED, lease_until=None, updated_at=now
    )
    for (campaign_id, was), number in Tally((c, was) for _, c, was, _ in ended).items():
        count(campaign_id, batch_id, {was: -number, Status.SUPPRESSED.value: number})
    over = {id_ for id_, *_ in ended}
    return [message for message in due if message.id not in over]


def _light_enough(due: list[Due]) -> list[Due]:
    """As many of them as their attached files leave room for in memory; at least one."""
    emails = [message.id for message in due if kind_of(message.campaign_id) == Kind.EMAIL]
    if not emails:
        return due
    heavy = Transactional.objects.filter(message__in=emails, attachment_bytes__gt=0)
    size_of = dict(heavy.values_list("message", "attachment_bytes"))
    totals = accumulate(size_of.get(message.id, 0) for message in due)
    light = sum(total <= MOST_ATTACHED for total in totals)
    return due[: max(1, light)]


def _in_pace(due: Sequence[Due], batch_id: UUID | None, now: datetime) -> list[UUID]:
    """Those of them that their accounts may be given now, in their order."""
    by_account = defaultdict(list)
    for message in due:
        by_account[account_of(message.campaign_id)].append(message)
    chosen, put_off = [], []
    # Always in the same order, so that no two claims wait for each other's accounts.
    for account, messages in sorted(by_account.items()):
        for is_urgent in (True, False):
            lane = [m for m in messages if m.is_urgent == is_urgent]
            borrow = NO_CREDIT if batch_id else URGENT_CREDIT if is_urgent else SINGLE_CREDIT
            number = pacing.take(account, [m.segments for m in lane], now=now, borrow=borrow)
            chosen += lane[:number]
            put_off += lane[number:]
    if put_off and not batch_id:
        # Out of the way of single messages that other accounts have room for.
        Message.objects.filter(id__in=[m.id for m in put_off]).update(due_at=now + SINGLES_WAIT)
    return [message.id for message in chosen]


def _content(
    campaign_id: UUID, body_id: UUID, recipient: str, values: str
) -> str | Mail | TemplateMessage | None:
    try:
        return composing.content(
            kind_of(campaign_id), body_id, campaign_id, recipient, orjson.loads(values)
        )
    except Exception as error:
        # It must not roll back its whole chunk, again and again. Its text may hold personal data.
        logger.error("a message of body %s was not filled in: %s", body_id, type(error).__name__)
        return None


# --- Deliver --------------------------------------------------------------------------------------


def send_chunk(batch_id: UUID | None) -> int:
    """Claim a chunk of one lane, hand it over, write down what came of it; returns its size."""
    with Pipeline() as pipeline:
        return pipeline.send_chunk(batch_id)


class Pipeline:
    """Sends chunks without waiting for each; left by `with`, it has written all of them down."""

    def __init__(self) -> None:
        self._under_way: deque[UnderWay] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> None:
        try:
            while self._under_way:
                self._write_down_the_oldest()
        finally:
            if self._under_way:
                self.finish()

    def send_chunk(self, batch_id: UUID | None) -> int:
        """Claim a chunk of one lane and hand it over; returns its size."""
        claimed = claim(batch_id)
        if claimed:
            self._under_way.append(hand_over(claimed))
            if len(self._under_way) == CHUNKS_AT_ONCE:
                self._write_down_the_oldest()
            return len(claimed)
        if batch_id is None:
            return 0
        cancelled = cancel_chunk(batch_id)
        if not cancelled:
            _mark_dispatched(batch_id)
        return cancelled

    def _write_down_the_oldest(self) -> None:
        _record_whatever_happens(self._under_way.popleft().results())


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A chunk that was handed over."""

    known: list[tuple[Claimed, Outcome]]  # without asking a provider
    sent: list[Claimed]
    answers: Future[list[Outcome]]

    def results(self) -> list[tuple[Claimed, Outcome]]:
        """Wait until something is known of each."""
        return [*self.known, *zip(self.sent, self.answers.result(), strict=True)]


def deliver(claimed: Sequence[Claimed]) -> list[tuple[Claimed, Outcome]]:
    return hand_over(claimed).results()


def hand_over(claimed: Sequence[Claimed]) -> UnderWay:
    """Start to send all of the chunk at once, each campaign through its own account."""
    known: list[tuple[Claimed, Outcome]] = []
    by_campaign = defaultdict(list)
    for message in claimed:
        if message.content is None:
            known.append((message, Rejected("server_unknown_error")))
        elif isinstance(message.content, Rejected):
            known.append((message, message.content))
        elif error := _simulated(message.recipient):
            known.append((message, Rejected(error)))
        else:
            by_campaign[message.campaign_id].append(message)
    sends, sent = [], []
    for campaign_id, messages in by_campaign.items():
        try:
            account = account_of(campaign_id)
            channel = channel_of(account)
        except Exception:
            # Nothing has left yet, so they wait; the others of the chunk must not wait with them.
            logger.exception("the account of campaign %s cannot be used", campaign_id)
            known += [(m, Unavailable("account")) for m in messages]
            continue
        sends.append(channel.send([_outgoing(account, message) for message in messages]))
        sent += messages
    return UnderWay(known, sent, start(_all_at_once(sends)))


def _outgoing(
    account: str, message: Claimed
) -> Outgoing | OutgoingMail | OutgoingTemplate | OutgoingChat:
    if isinstance(message.content, Mail):
        return OutgoingMail(message.attempt_id, message.recipient, message.content)
    if isinstance(message.content, TemplateMessage):
        return OutgoingTemplate(message.attempt_id, message.recipient, message.content)
    if isinstance(message.content, ChatMessage):
        return OutgoingChat(message.attempt_id, message.recipient, message.content)
    assert not isinstance(message.content, Rejected)  # which nobody hands over
    return Outgoing(
        message.attempt_id,
        message.recipient,
        message.content or "",
        callback_url(account, message.attempt_id),
    )


async def _all_at_once(sends: Sequence[Awaitable[Sequence[Outcome]]]) -> list[Outcome]:
    """No account waits for a slow one, as the lease of all of them runs."""
    return [outcome for outcomes in await asyncio.gather(*sends) for outcome in outcomes]


def _simulated(recipient: str) -> str:
    """The delivery error that this number stands for in the test environment (v2-sms §8.3)."""
    return TEST_NUMBERS.get(recipient, "") if settings.POSTMAN_ENVIRONMENT == "test" else ""


# --- Record ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """What is known of an attempt now. `released`: certainly not taken, to be tried again.

    With `lease_until` it speaks for the claim that had this lease, and counts only while no other
    process has claimed the attempt since.
    """

    attempt_id: UUID
    status: str
    error_code: str = ""
    provider_code: str = ""
    reference: str = ""
    released: bool = False
    lease_until: datetime | None = None
    again_at: datetime | None = None  # when a released one may be tried


def _record_whatever_happens(results: Sequence[tuple[Claimed, Outcome]]) -> None:
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
                _record_whatever_happens([result])
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
        case Rejected(code, provider_code=provider_code) if code in ERRORS:
            return Change(attempt_id, Status.FAILURE, code, provider_code)
        case Rejected(code):
            return Change(attempt_id, Status.FAILURE, _our_error(code), provider_code=code)
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


def _our_error(provider_code: str) -> str:
    _, code = meaning_of("twilio", "failed", provider_code) or ("", "delivery_unknown_error")
    return code


def apply(changes: Sequence[Change]) -> None:
    """Move attempts on by what was heard of them, their messages and counters with them.

    One statement for the whole chunk, by the rules of `states.advance` and `states.release`.
    Only the latest attempt speaks for its message; a late report on try 1 stays there.
    """
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        # In the order of their ids, so that two of these never wait in a circle. A statement of its
        # own: one that waits inside sees the attempt as it is then, but its message as it was.
        cursor.execute(
            "SELECT FROM messaging_attempt WHERE id = ANY(%s) ORDER BY id FOR UPDATE",
            [[change.attempt_id for change in changes]],
        )
        now = now_ms()
        cursor.execute(
            """
            WITH news AS (
                SELECT * FROM jsonb_to_recordset(%(news)s) AS (
                    attempt_id uuid, status text, error_code text, provider_code text,
                    reference text, released boolean, lease_until timestamptz,
                    again_at timestamptz
                )
            ), ranks AS (
                SELECT key AS status, value::int AS rank FROM jsonb_each_text(%(ranks)s)
            ), locked AS MATERIALIZED (
                SELECT a.id, a.status AS was, news.*,
                    news.lease_until IS NULL OR news.lease_until = a.lease_until AS is_holder
                FROM messaging_attempt a JOIN news ON news.attempt_id = a.id
            ), decided AS (
                SELECT locked.*,
                    CASE
                        WHEN NOT is_holder THEN was
                        WHEN released AND was IN ('sending', 'unknown') THEN 'enqueued'
                        WHEN NOT released AND reported.rank > stood.rank THEN locked.status
                        ELSE was
                    END AS becomes
                FROM locked
                JOIN ranks stood ON stood.status = was
                JOIN ranks reported ON reported.status = locked.status
            ), changed AS (
                UPDATE messaging_attempt a
                SET status = becomes, updated_at = %(now)s,
                    reference = COALESCE(NULLIF(a.reference, ''), d.reference),
                    lease_until = CASE
                        WHEN becomes = was OR becomes = 'unknown' THEN a.lease_until
                    END,
                    ask_at = CASE
                        WHEN becomes = was THEN a.ask_at
                        WHEN becomes = 'unknown' THEN %(ask)s::timestamptz
                        WHEN becomes = 'sent' THEN %(overdue)s::timestamptz
                    END,
                    error_code = CASE WHEN becomes = was THEN a.error_code ELSE d.error_code END,
                    provider_code =
                        CASE WHEN becomes = was THEN a.provider_code ELSE d.provider_code END,
                    sent_at = CASE
                        WHEN becomes IN ('sent', 'sent_to_telco', 'success', 'opened')
                        THEN COALESCE(a.sent_at, %(now)s) ELSE a.sent_at
                    END,
                    passed_on_at = CASE
                        WHEN becomes IN ('sent_to_telco', 'success', 'opened')
                        THEN COALESCE(a.passed_on_at, %(now)s) ELSE a.passed_on_at
                    END,
                    delivered_at = CASE
                        WHEN becomes IN ('success', 'opened')
                        THEN COALESCE(a.delivered_at, %(now)s) ELSE a.delivered_at
                    END,
                    opened_at = CASE WHEN becomes = 'opened' THEN %(now)s ELSE a.opened_at END
                FROM decided d
                WHERE a.id = d.id
                    AND (becomes <> was OR (a.reference = '' AND d.reference <> ''))
                RETURNING a.message_id, a.number, was, becomes, d.again_at, d.error_code
            ), mirrored AS (
                UPDATE messaging_message m
                SET status = becomes, updated_at = %(now)s,
                    due_at = CASE WHEN becomes = 'enqueued' THEN again_at END
                FROM changed
                -- A message that was retried meanwhile no longer mirrors this attempt.
                WHERE m.id = changed.message_id AND m.attempts_made = number AND m.status = was
                    AND becomes <> was
                RETURNING m.id, m.campaign_id, m.batch_id, was, becomes, number, error_code
            ), told AS (
                INSERT INTO messaging_webhookdelivery (
                    webhook_id, message_id, batch_id, number, status, error_code, at, due_at,
                    retry_until, state, tries
                )
                SELECT webhook.id, mirrored.id, batch_id, number, becomes, error_code, %(now)s,
                    %(now)s, %(until)s, 'waiting', 0
                FROM mirrored
                JOIN messaging_webhook webhook ON webhook.campaign_id = mirrored.campaign_id
                WHERE becomes IN (
                    'sent', 'sent_to_telco', 'success', 'failure', 'opened', 'soft_bounced',
                    'bounced', 'complained'
                )
            ), moved AS (
                SELECT campaign_id, batch_id, was AS status, -1 AS n FROM mirrored
                UNION ALL
                SELECT campaign_id, batch_id, becomes, 1 FROM mirrored
            )
            INSERT INTO messaging_counter (campaign_id, batch_id, hour, status, n)
            SELECT campaign_id, batch_id, date_trunc('hour', %(now)s), status, sum(n)
            FROM moved GROUP BY campaign_id, batch_id, status HAVING sum(n) <> 0
            """,
            {
                "news": orjson.dumps(_folded(changes)).decode(),
                "ranks": _RANKS,
                "now": now,
                "ask": now + ASK_AFTER,
                "overdue": now + REPORTS_TAKE,
                "until": now + Webhook.TRIED_FOR,
            },
        )


_RANKS = orjson.dumps({str(status): rank for status, rank in RANK.items()}).decode()


def _folded(changes: Sequence[Change]) -> list[Change]:
    """One change per attempt: the furthest, the first of those that are as far as each other."""
    furthest: dict[UUID, Change] = {}
    for change in changes:
        known = furthest.get(change.attempt_id)
        if known is None:
            furthest[change.attempt_id] = change
        else:
            ahead = known if RANK[Status(known.status)] >= RANK[Status(change.status)] else change
            reference = known.reference or change.reference
            furthest[change.attempt_id] = replace(ahead, reference=reference)
    return list(furthest.values())


def _mark_dispatched(batch_id: UUID) -> None:
    """Take the batch off the list of those being sent once nothing of it waits any more.

    The row's lock makes this and a release (which puts it back on the list) take turns.
    """
    with transaction.atomic():
        batch = Batch.objects.select_for_update().filter(id=batch_id, dispatched_at=None).first()
        if batch is None or batch.status not in RETRYABLE_STATUSES:
            return
        if not Message.objects.filter(batch_id=batch_id, status__in=WAITING).exists():
            Batch.objects.filter(id=batch_id).update(dispatched_at=now_ms(), updated_at=now_ms())


@transaction.atomic
def cancel_chunk(batch_id: UUID, limit: int = EXPAND_CHUNK) -> int:
    """Of a batch that an officer cancelled, end a chunk of what has not left; returns its size.

    A message that failed and waited for its retry goes back to what its last attempt says.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH cancelled AS (
                SELECT FROM messaging_batch
                WHERE id = %(batch)s AND cancelled_at IS NOT NULL FOR SHARE
            ), due AS (
                SELECT id, status, attempts_made FROM messaging_message
                WHERE batch_id = %(batch)s AND status IN ('created', 'enqueued')
                    AND EXISTS (SELECT FROM cancelled)
                ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
            ), let_go AS (
                UPDATE messaging_attempt a
                SET status = 'cancelled', lease_until = NULL, updated_at = %(now)s
                FROM due
                WHERE a.message_id = due.id AND a.number = due.attempts_made
                    AND a.status = 'enqueued'
            ), ended AS (
                UPDATE messaging_message m
                SET updated_at = %(now)s, due_at = NULL, status = COALESCE(
                    (
                        SELECT a.status FROM messaging_attempt a
                        WHERE due.status = 'created' AND a.message_id = due.id
                            AND a.number = due.attempts_made
                    ), 'cancelled'
                )
                FROM due WHERE m.id = due.id
                RETURNING m.campaign_id, due.status AS was, m.status AS becomes
            )
            SELECT campaign_id, was, becomes, count(*) FROM ended GROUP BY 1, 2, 3
            """,
            {"batch": batch_id, "limit": limit, "now": now_ms()},
        )
        ended = cursor.fetchall()
    changes: Tally[str] = Tally()
    for _, was, becomes, number in ended:
        changes[was] -= number
        changes[becomes] += number
    if ended:
        count(ended[0][0], batch_id, changes)
    return sum(number for *_, number in ended)


# --- Sweep ----------------------------------------------------------------------------------------


def sweep_leases() -> int:
    """Attempts whose process died: nobody heard the outcome, so nobody may send them again."""
    expired = list(
        Attempt.objects.filter(status=Status.SENDING, lease_until__lt=timezone.now())
        .order_by("lease_until")
        .values_list("id", "lease_until")[:EVENTS_CHUNK]
    )
    if expired:
        logger.warning("%d attempts with an unheard outcome", len(expired))
        apply([Change(id_, Status.UNKNOWN, lease_until=lease) for id_, lease in expired])
    return len(expired)


def start_due_batches() -> list[UUID]:
    """Scheduled batches whose time has come are accepted now; each by one caller only."""
    now = now_ms()
    due = Batch.objects.due(now).select_related("campaign", "creator")
    return [
        batch.id
        for batch in due
        if not _is_held(batch, now)
        and Batch.objects.due(now)
        .filter(id=batch.id)
        .update(status=BatchStatus.ENQUEUING, accepted_at=now, updated_at=now)
    ]


def _is_held(batch: Batch, now: datetime) -> bool:
    """Whether it may not leave any more: it waits for an officer again, and its owners are told."""
    reason = readiness.why_not_start(batch)
    if not reason:
        return False
    with transaction.atomic():
        held = (
            Batch.objects.due(now)
            .filter(id=batch.id)
            .update(status=BatchStatus.READY, scheduled_at=None, template_body=None, updated_at=now)
        )
        if held:
            audit.record("batch.held", by=None, on=batch, reason=reason)
    if held:
        mails.mail_held(batch, reason)
    return True
