"""Stop a batch of emails by itself when too many of its addresses do not exist.

Providers judge us by our bounces, and would in the end send nobody's emails any more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Sum

from messaging.delivery.changes import Change
from messaging.models import Batch, BatchQuerySet, Counter
from messaging.states import Status
from postman.accounts import audit
from postman.ids import now_ms

# The provider has said the last word on these (an opened email may still be complained about).
FINAL = (
    Status.SUCCESS,
    Status.OPENED,
    Status.COMPLAINED,
    Status.SOFT_BOUNCED,
    Status.BOUNCED,
    Status.FAILURE,
)
# An officer is warned when half of what halts a batch is reached.
WARNED_AT = 0.5
DOMAINS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Bounces:
    """How many addresses do not exist, of those on which the provider has said the last word."""

    bounced: int
    finalised: int

    @property
    def share(self) -> float:
        return self.bounced / self.finalised if self.finalised else 0.0

    @property
    def percent(self) -> float:
        """As a page shows it: 10.04 % is more than 10, so it is never rounded down to it."""
        return -(-self.share * 1000 // 1) / 10

    def exceeds(self, part: float = 1) -> bool:
        """More than both limits (or this part of them)."""
        return (
            self.bounced > settings.MIN_HALT_NUMBER * part
            and self.share > settings.MIN_HALT_PERCENTAGE * part
        )


def bounces_in(counts: Mapping[str, int]) -> Bounces:
    """Of the numbers of a batch by status (`Batch.counts`)."""
    return Bounces(counts.get(Status.BOUNCED, 0), sum(counts.get(s, 0) for s in FINAL))


def warning_of(counts: Mapping[str, int]) -> Bounces | None:
    """What to warn an officer of before it halts their batch, or None."""
    bounces = bounces_in(counts)
    return bounces if bounces.exceeds(WARNED_AT) else None


# --- While reports come in --------------------------------------------------------------------------


def lock(changes: Sequence[Change]) -> list[UUID]:
    """The batches that these reports may halt, locked, so that two chunks of bounces are added up.

    Call it before `changes.apply`: whoever locks both locks a batch before its attempts.
    """
    bounced = [change.attempt_id for change in changes if change.status == Status.BOUNCED]
    if not bounced:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT batch.id FROM messaging_batch batch
            WHERE batch.id IN (
                    SELECT message.batch_id FROM messaging_attempt attempt
                    JOIN messaging_message message ON message.id = attempt.message_id
                    JOIN campaigns_campaign campaign ON campaign.id = message.campaign_id
                    WHERE attempt.id = ANY(%s) AND campaign.channel = 'email'
                )
                AND (halted_at IS NOT NULL OR (stopped_at IS NULL AND dispatched_at IS NULL))
            ORDER BY batch.id FOR NO KEY UPDATE
            """,
            [bounced],
        )
        return [batch_id for (batch_id,) in cursor.fetchall()]


def halt(batch_ids: Iterable[UUID]) -> None:
    """Stop those of these batches, which `lock` has locked, that bounced too often.

    What bounces while a batch stands halted is forgiven: only new bounces can halt it again.
    """
    batches = Batch.objects.filter(id__in=batch_ids).order_by("id")
    counters = Counter.objects.filter(batch__in=batch_ids).order_by()
    counts: dict[UUID, dict[str, int]] = {}
    for batch_id, status, n in counters.values_list("batch_id", "status").annotate(Sum("n")):
        counts.setdefault(batch_id, {})[status] = n
    for batch in batches:
        bounces = bounces_in(counts.get(batch.id, {}))
        since = Bounces(
            bounces.bounced - batch.forgiven_bounces,
            bounces.finalised - batch.forgiven_finalised,
        )
        if batch.halted_at or since.exceeds():
            _stand_still(batch, bounces)


def _stand_still(batch: Batch, bounces: Bounces) -> None:
    now = now_ms()
    forgiven = {
        "forgiven_bounces": bounces.bounced,
        "forgiven_finalised": bounces.finalised,
        "updated_at": now,
    }
    if batch.halted_at:
        Batch.objects.filter(id=batch.id).update(**forgiven)
        return
    Batch.objects.filter(id=batch.id).update(
        stopped_at=now, halted_at=now, halt_told_at=None, **forgiven
    )
    audit.record(
        "batch.halted",
        by=None,
        on=batch,
        bounced=bounces.bounced,
        finalised=bounces.finalised,
    )


# --- What officers are told -------------------------------------------------------------------------


def untold() -> BatchQuerySet:
    """Batches that were halted, and whose owners do not know it yet."""
    return Batch.objects.filter(halted_at__isnull=False, halt_told_at=None)


def facts(batch: Batch, counts: Mapping[str, int] | None = None) -> dict[str, Any]:
    """What the page of a halted batch shows: numbers, limits, and where the bad addresses are."""
    counts = batch.counts() if counts is None else counts
    bounces = bounces_in(counts)
    return {
        "bounces": bounces,
        "most_bounces": settings.MIN_HALT_NUMBER,
        "most_percent": settings.MIN_HALT_PERCENTAGE * 100,
        "pending": batch.progress(counts)["pending"],
        "domains": _worst_domains(batch),
    }


def _worst_domains(batch: Batch) -> list[tuple[str, int]]:
    """Those with the most bad addresses, which have an index of their own."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT split_part(recipient, '@', 2) AS domain, count(*) FROM messaging_message
            WHERE batch_id = %s AND status = 'bounced' AND recipient <> ''
            GROUP BY domain ORDER BY count(*) DESC, domain LIMIT %s
            """,
            [batch.id, DOMAINS_SHOWN],
        )
        return cursor.fetchall()
