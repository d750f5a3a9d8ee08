"""How many messages stand where."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import models
from django.db.models import Sum

from campaigns.models import Campaign
from messaging.states import PAGE_GROUPS, Status

from .batches import Batch


class CounterQuerySet(models.QuerySet["Counter"]):
    def lanes_since(self, moment: datetime) -> models.QuerySet[Counter, tuple[UUID, UUID | None]]:
        """(campaign, batch or None for single messages) in which something moved since then."""
        moved = self.filter(hour__gte=moment).order_by("campaign_id", "batch_id")
        return moved.values_list("campaign_id", "batch_id").distinct()

    def by_status(self) -> dict[str, int]:
        """Status → number; every status stands there, and "total" as well."""
        found = dict(self.values_list("status").annotate(Sum("n")).order_by())
        return {"total": found.get(Counter.TOTAL, 0)} | {
            status: found.get(status, 0) for status in Status.values
        }

    def grouped(self) -> dict[str, int]:
        """What a page shows: total, pending, sent, delivered, failed, unknown; they add up."""
        counts = self.by_status()
        groups = {name: sum(counts[s] for s in statuses) for name, statuses in PAGE_GROUPS.items()}
        return {"total": counts["total"], **groups}


class Counter(models.Model):
    """How many messages stand where: changes are added as rows, in the transaction that moves them.

    Rows are only added (nothing to wait for, nothing to deadlock on) and now and then folded
    together by `counters.fold`, which changes no sum.
    """

    TOTAL = "total"

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey(Campaign, models.CASCADE, db_index=False, related_name="counters")
    batch = models.ForeignKey(
        Batch, models.CASCADE, null=True, db_index=False, related_name="counters"
    )
    hour = models.DateTimeField()
    status = models.CharField(max_length=13)
    n = models.IntegerField()

    objects = CounterQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["campaign", "hour"], name="counters_of_a_campaign"),
            models.Index(fields=["batch"], name="counters_of_a_batch"),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.n:+}"
