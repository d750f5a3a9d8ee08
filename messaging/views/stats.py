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
from campaigns.models import Campaign, Channel, Membership
from messaging import reports
from messaging.models import SENT_STATUSES, Batch, Counter, CounterQuerySet
from messaging.states import EMAIL_GROUPS, PAGE_GROUPS, Status

from .campaign import unsubscribed_from
from .downloads import report_facts

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
# Of WhatsApp: those who read are among those who got it, so no number drops as people read.
OF_WHATSAPP = [
    ("delivered", "Delivered", "It is on the recipient’s phone, read or not."),
    ("read", "Read", "Part of the delivered: the recipient opened the chat, with receipts on."),
    ("sent", "Sent", "WhatsApp has it; the phone has not confirmed yet."),
    ("pending", "Pending", "Waiting to be handed to WhatsApp."),
    *MEANINGS[3:],
]
# Of Telegram, which tells nothing of a message that it took.
OF_TELEGRAM = [
    ("delivered", "Delivered", "Telegram took it for a subscriber. Bots are not told who read it."),
    ("pending", "Pending", "Waiting to be handed to Telegram."),
    *MEANINGS[3:],
]
_MEANINGS_OF = {Channel.WHATSAPP.value: OF_WHATSAPP, Channel.TELEGRAM.value: OF_TELEGRAM}
# Of emails: first how far they got, each a part of the one before, then how else they ended.
FUNNEL = [
    ("left", "Sent", "Handed to the mail service, whatever came of it."),
    ("delivered", "Delivered", "The recipient’s mail server took it."),
    (
        "opened",
        "Opened",
        "Its pictures were loaded. Many mail apps load none, and some load them without anybody "
        "reading, so this is a hint and no count of readers.",
    ),
]
ENDS = [
    ("pending", "Waiting", "Waiting to be handed to the mail service."),
    (
        "bounced",
        "Bounced (hard)",
        "The address does not exist or refuses us for good. It is suppressed from now on.",
    ),
    (
        "soft_bounced",
        "Bounced (soft)",
        "The mailbox was full, away or too busy. It can be retried.",
    ),
    ("refused", "Failed", "It could not be sent; each recipient’s page says why."),
    (
        "complained",
        "Reported as spam",
        "It was delivered, and the recipient reported it. The address is suppressed from now on.",
    ),
    ("unsubscribed", "Unsubscribed", "They asked, in this campaign’s emails, to get no more."),
    (
        "suppressed",
        "Suppressed",
        "Not sent: the address had bounced, complained or unsubscribed before.",
    ),
    (
        "unknown",
        "Outcome unknown",
        "Handed over, but the answer was lost. It may have arrived. It is never sent again by "
        "itself.",
    ),
    ("cancelled", "Cancelled", "Sending was stopped before it left, and the rest cancelled."),
]


@require_safe
@login_required
def stats(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    counters = _counters(membership)
    if campaign.is_email:
        return _email_stats(request, campaign, membership, counters)
    counts = counters.grouped()
    shown = counts
    if campaign.is_whatsapp:
        shown = counts | {"read": counters.by_status()[Status.OPENED]}
    by_day = request.GET.get("by") == "day"
    context = {
        "campaign": campaign,
        "membership": membership,
        "tab": "stats",
        "counts": counts,
        "totals": _rows_of(_MEANINGS_OF.get(campaign.channel, MEANINGS), shown),
        "by_day": by_day,
        "series": _by_day(counters) if by_day else _by_hour(counters),
        "billed": _billed(membership) if campaign.channel == Channel.SMS else {},
        "updated_at": timezone.now(),
    }
    if campaign.channel != Channel.SMS:
        context |= report_facts(campaign)
    return render(request, "messaging/stats.html", context)


def _email_stats(
    request: HttpRequest, campaign: Campaign, membership: Membership, counters: CounterQuerySet
) -> HttpResponse:
    by_status = counters.by_status()
    counts = {
        name: sum(by_status[status] for status in statuses)
        for name, statuses in EMAIL_GROUPS.items()
    }
    # Who unsubscribed is known by campaign, not by whose file they were in.
    if not membership.sees_only_own:
        counts["unsubscribed"] = unsubscribed_from(campaign).count()
    by_day = request.GET.get("by") == "day"
    until = reports.kept_until(campaign, None)
    context = {
        "campaign": campaign,
        "membership": membership,
        "tab": "stats",
        "total": by_status["total"],
        "counts": {name: counts[name] for name in PAGE_GROUPS},
        "funnel": _rows_of(FUNNEL, counts),
        "ends": _rows_of(ENDS, counts),
        "by_day": by_day,
        "series": _by_day(counters) if by_day else _by_hour(counters),
        "until": until,
        "is_erased": bool(until and until <= timezone.now()),
        "large": reports.LARGE,
        "updated_at": timezone.now(),
    }
    return render(request, "messaging/email_stats.html", context)


def _rows_of(meanings: list[tuple[str, str, str]], counts: Mapping[str, int]) -> list[Any]:
    return [
        {"name": name, "label": label, "meaning": meaning, "count": counts[name]}
        for name, label, meaning in meanings
        if name in counts
    ]


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
            delivered=Sum("n", filter=Q(status__in=PAGE_GROUPS["delivered"]), default=0),
            failed=Sum("n", filter=Q(status__in=PAGE_GROUPS["failed"]), default=0),
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
