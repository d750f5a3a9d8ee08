"""A campaign in numbers: all of them from counters, none from a count of messages."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import BigIntegerField, Q, QuerySet, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, TruncDay, TruncHour
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from campaigns.access import campaign_for
from campaigns.models import Membership
from messaging.models import SENT_STATUSES, Batch, Counter, CounterQuerySet
from messaging.states import Status

HOURS, DAYS = 48, 30
MEANINGS = [
    ("delivered", "Delivered", "The phone confirmed that it has the message."),
    ("sent", "Sent", "The provider or the telco has it; the phone has not confirmed yet."),
    ("pending", "Pending", "Waiting to be handed to the provider."),
    (
        "unknown",
        "Outcome unknown",
        "Handed over, but the provider’s answer was lost. It may have arrived. "
        "It is never sent again by itself.",
    ),
    ("failed", "Failed", "It was not delivered; each message says why."),
    ("cancelled", "Cancelled", "Its batch was stopped before it left, and the rest cancelled."),
]


@require_safe
@login_required
def stats(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    counters = _counters(membership)
    counts = counters.grouped()
    by_day = request.GET.get("by") == "day"
    context = {
        "campaign": campaign,
        "membership": membership,
        "tab": "stats",
        "counts": counts,
        "totals": [
            {"name": name, "label": label, "meaning": meaning, "count": counts[name]}
            for name, label, meaning in MEANINGS
        ],
        "by_day": by_day,
        "series": _by_day(counters) if by_day else _by_hour(counters),
        "billed": _billed(membership),
        "updated_at": timezone.now(),
    }
    return render(request, "messaging/stats.html", context)


def _counters(membership: Membership) -> CounterQuerySet:
    """A counter knows its batch, not who sent a single message: those of a restricted member are
    left out, and the page says so."""
    counters = Counter.objects.filter(campaign_id=membership.campaign_id)
    if membership.sees_only_own:
        counters = counters.filter(batch__creator_id=membership.user_id)
    return counters


def _by_hour(counters: CounterQuerySet) -> list[dict[str, Any]]:
    now = timezone.localtime().replace(minute=0, second=0, microsecond=0)
    hours = [now - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    settled = _settled(counters.filter(hour__gte=hours[0]).annotate(at=TruncHour("hour")))
    return [{"label": f"{at.day} {at:%b, %H:%M}", **settled.get(at, {})} for at in hours]


def _by_day(counters: CounterQuerySet) -> list[dict[str, Any]]:
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    settled = _settled(counters.filter(hour__gte=days[0]).annotate(at=TruncDay("hour")))
    return [{"label": f"{at.day} {at:%b}", **settled.get(at, {})} for at in days]


def _settled(counters: QuerySet[Any]) -> Mapping[datetime, dict[str, int]]:
    """Hour or day → how many became delivered or failed in it.

    A counter's hour is when a message moved, so only the last states add up over time. A retry
    takes its failure back, maybe in a later hour, which then has none rather than less than none.
    """
    sums = (
        counters.order_by()
        .values("at")
        .annotate(
            delivered=Sum("n", filter=Q(status=Status.SUCCESS), default=0),
            failed=Sum("n", filter=Q(status=Status.FAILURE), default=0),
        )
    )
    return {
        row["at"]: {"delivered": max(0, row["delivered"]), "failed": max(0, row["failed"])}
        for row in sums
    }


def _billed(membership: Membership) -> dict[str, int]:
    """Segments and cost of the accepted batches, as their review pages said."""
    sent = Batch.objects.visible_to(membership).filter(status__in=SENT_STATUSES)
    sums = {
        name: Sum(Cast(KeyTextTransform(key, "summary"), BigIntegerField()), default=0)
        for name, key in {"segments": "segments_total", "cost": "cost_micros"}.items()
    }
    return sent.aggregate(**sums)
