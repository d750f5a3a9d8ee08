"""How many messages stand where: rows are only added, in the transaction that moves the messages."""

import logging
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from messaging.models import Counter

logger = logging.getLogger(__name__)


def add(campaign_id: UUID, batch_id: UUID | None, changes: dict[str, int]) -> None:
    """Add to the counters; call it in the transaction that moves the messages."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    Counter.objects.bulk_create(
        Counter(campaign_id=campaign_id, batch_id=batch_id, hour=hour, status=status, n=n)
        for status, n in changes.items()
        if n
    )


def fold() -> None:
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


def mend(campaign_id: UUID, batch_id: UUID | None) -> dict[str, int]:
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
