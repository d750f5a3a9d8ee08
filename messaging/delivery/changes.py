"""Move attempts on, and their messages and counters with them: the one place that does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection, transaction

from messaging.models import Webhook
from messaging.states import RANK, TOLD, Status
from postman.ids import now_ms

# When the provider is first asked about an attempt with an unheard outcome.
ASK_AFTER: timedelta = settings.ASK_AFTER
# And about one that was sent, and on which no report came (field §10).
REPORTS_TAKE = timedelta(hours=72)


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
                RETURNING a.message_id, a.number, was, becomes, d.again_at, d.error_code,
                    d.provider_code
            ), mirrored AS (
                UPDATE messaging_message m
                SET status = becomes, updated_at = %(now)s,
                    due_at = CASE WHEN becomes = 'enqueued' THEN again_at END
                FROM changed
                -- A message that was retried meanwhile no longer mirrors this attempt.
                WHERE m.id = changed.message_id AND m.attempts_made = number AND m.status = was
                    AND becomes <> was
                RETURNING m.id, m.campaign_id, m.batch_id, was, becomes, number, error_code,
                    provider_code
            ), told AS (
                INSERT INTO messaging_webhookdelivery (
                    webhook_id, message_id, batch_id, number, status, error_code, provider_code,
                    at, due_at, retry_until, state, tries
                )
                SELECT webhook.id, mirrored.id, batch_id, number, becomes, error_code,
                    provider_code, %(now)s, %(now)s, %(until)s, 'waiting', 0
                FROM mirrored
                JOIN messaging_webhook webhook ON webhook.campaign_id = mirrored.campaign_id
                WHERE becomes = ANY(%(told)s)
                UNION ALL
                SELECT webhook.id, mirrored.id, batch_id, mirrored.number, becomes, error_code,
                    provider_code, %(now)s, %(now)s, %(until)s, 'waiting', 0
                FROM mirrored
                JOIN campaigns_campaign campaign
                    ON campaign.id = mirrored.campaign_id AND campaign.is_programmatic
                JOIN messaging_webhook webhook ON webhook.account_id = campaign.creator_id
                -- What its provider took is accepted in v1's words, as its call was told already.
                WHERE becomes = ANY(%(told)s) AND becomes <> 'sent'
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
                "told": [str(status) for status in TOLD],
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
