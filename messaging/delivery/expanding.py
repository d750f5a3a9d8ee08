"""The staged rows of a batch become messages."""

from collections import Counter as Tally
from uuid import UUID

from django.db import connection, transaction

from messaging import counters
from messaging.models import Batch, BatchStatus, Counter
from postman.ids import now_ms

CHUNK = 5_000


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
            {"batch": batch_id, "limit": CHUNK},
        )
        made = cursor.fetchall()
    if made:
        by_status = Tally(status for _, status in made)
        counters.add(made[0][0], batch_id, {Counter.TOTAL: len(made), **by_status})
    return len(made)
