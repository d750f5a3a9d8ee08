"""A batch ends: nothing of it waits any more, or the rest of it is cancelled."""

from collections import Counter as Tally
from uuid import UUID

from django.db import connection, transaction

from messaging import counters
from messaging.models import RETRYABLE_STATUSES, Batch, Message
from messaging.states import WAITING
from postman.ids import now_ms

CHUNK = 5_000


def mark_dispatched(batch_id: UUID) -> None:
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
def cancel_chunk(batch_id: UUID, limit: int = CHUNK) -> int:
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
        counters.add(ended[0][0], batch_id, changes)
    return sum(number for *_, number in ended)
