"""Take messages that wait, as many as may leave now, and write down that they are attempted."""

import logging
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import NamedTuple
from uuid import UUID

import orjson
from django.db import connection, transaction

from campaigns.models import Channel as Kind
from messaging import chats, composing, counters, pacing
from messaging.channels.base import ChatMessage, Mail, Rejected, TemplateMessage
from messaging.models import Attempt, Message, Transactional, Webhook
from messaging.providers import account_of, kind_of
from messaging.states import Status
from postman.ids import new_ids, now_ms

from .leases import LEASE

logger = logging.getLogger(__name__)

CHUNK = 500
# Bytes of attached files that a chunk may hold at most, as all of it is in memory at once.
MOST_ATTACHED = 32 * 1024 * 1024
# How far ahead of its account's pace each lane may go: the most urgent never waits behind others.
URGENT_CREDIT, SINGLE_CREDIT, NO_CREDIT = timedelta(seconds=2), timedelta(seconds=1), timedelta()
# Single messages over the pace are looked at again after that long.
SINGLES_WAIT = timedelta(milliseconds=200)

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
        counters.add(campaign_id, batch_id, changes)
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
            WITH ended AS (
                UPDATE messaging_message m
                SET status = 'suppressed', suppressed_for = suppression.reason,
                    updated_at = %(now)s, due_at = NULL
                FROM campaigns_campaign campaign, messaging_suppression suppression,
                    (SELECT id, status FROM messaging_message WHERE id = ANY(%(due)s)) AS stood
                WHERE m.id = stood.id AND m.id = ANY(%(due)s) AND campaign.id = m.campaign_id
                    AND suppression.recipient = m.recipient AND suppression.lifted_at IS NULL
                    AND COALESCE(suppression.agency_id, campaign.agency_id) = campaign.agency_id
                    -- Nobody unsubscribes from a system's own mails, such as a one-time password.
                    AND (NOT campaign.is_programmatic OR suppression.agency_id IS NULL)
                RETURNING m.id, m.campaign_id, stood.status AS was, m.attempts_made
            ), told AS (
                INSERT INTO messaging_webhookdelivery (
                    webhook_id, message_id, number, status, error_code, at, due_at, retry_until,
                    state, tries
                )
                SELECT webhook.id, ended.id, attempts_made, 'suppressed', '', %(now)s, %(now)s,
                    %(until)s, 'waiting', 0
                FROM ended
                -- A campaign's owners are not told of what never left.
                JOIN campaigns_campaign campaign
                    ON campaign.id = ended.campaign_id AND campaign.is_programmatic
                JOIN messaging_webhook webhook ON webhook.account_id = campaign.creator_id
            )
            SELECT id, campaign_id, was FROM ended
            """,
            {
                "due": [message.id for message in emails],
                "now": now,
                "until": now + Webhook.TRIED_FOR,
            },
        )
        ended = cursor.fetchall()
    if not ended:
        return due
    # The try that was given back to wait has ended with its message.
    Attempt.objects.filter(message__in=[id_ for id_, *_ in ended], status=Status.ENQUEUED).update(
        status=Status.SUPPRESSED, lease_until=None, updated_at=now
    )
    for (campaign_id, was), number in Tally((c, was) for _, c, was in ended).items():
        counters.add(campaign_id, batch_id, {was: -number, Status.SUPPRESSED.value: number})
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
