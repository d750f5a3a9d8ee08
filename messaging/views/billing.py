"""Bills by month: of a campaign for its owners, of an agency for its administrators (v2-sms §10.6)."""

import uuid
from collections.abc import Iterator
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from campaigns.access import agency_of_administrator, billed_campaign_for
from campaigns.models import Campaign
from messaging import exports
from messaging.billing import Bill, bill_of, months_of
from messaging.pricing import dollars, price_micros
from postman.accounts import audit
from postman.accounts.models import User

from .downloads import csv_answer

ROWS_PER_PAGE = 50
COLUMNS = (
    "month",
    "campaignId",
    "campaign",
    "deletedAt",
    "country",
    "outcome",
    "charged",
    "sends",
    "segments",
    "amountSGD",
)


@require_safe
@login_required
def agency_bill(request: HttpRequest) -> HttpResponse:
    agency = agency_of_administrator(request)
    context = _bill(request, Campaign.objects.filter(agency=agency))
    campaigns = Paginator(context["bill"].by_campaign, ROWS_PER_PAGE)
    context |= {
        "agency": agency,
        "tab": "billing",
        "page": campaigns.get_page(request.GET.get("page")),
    }
    return render(request, "messaging/agency_billing.html", context)


@require_safe
@login_required
def agency_bill_csv(request: HttpRequest) -> HttpResponseBase:
    agency = agency_of_administrator(request)
    bill = _bill(request, Campaign.objects.filter(agency=agency))["bill"]
    audit.record("bill.downloaded", by=_who(request), on=agency, month=f"{bill.month:%Y-%m}")
    return csv_answer(_rows(bill), exports.file_name(agency.name, "bill", f"{bill.month:%Y-%m}"))


@require_safe
@login_required
def campaign_bill(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    campaign = billed_campaign_for(request, campaign_id)
    context = _bill(request, Campaign.objects.filter(id=campaign.id)) | {
        "campaign": campaign,
        "is_member": campaign.deleted_at is None
        and campaign.memberships.filter(user=_who(request)).exists(),
    }
    return render(request, "messaging/campaign_billing.html", context)


@require_safe
@login_required
def campaign_bill_csv(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponseBase:
    campaign = billed_campaign_for(request, campaign_id)
    bill = _bill(request, Campaign.objects.filter(id=campaign.id))["bill"]
    audit.record("bill.downloaded", by=_who(request), on=campaign, month=f"{bill.month:%Y-%m}")
    return csv_answer(_rows(bill), exports.file_name(campaign.name, "bill", f"{bill.month:%Y-%m}"))


def _bill(request: HttpRequest, campaigns: QuerySet[Campaign]) -> dict[str, Any]:
    """The month that `?month=2026-11` asks for; any other text is this month."""
    months = months_of(campaigns, timezone.now())
    asked = request.GET.get("month", "")
    month = next((month for month in months if f"{month:%Y-%m}" == asked), months[0])
    return {
        "months": months,
        "bill": bill_of(campaigns, month),
        "local_price": price_micros(True, 1),
        "foreign_price": price_micros(False, 1),
    }


def _rows(bill: Bill) -> Iterator[tuple[Any, ...]]:
    yield COLUMNS
    for line in bill.lines:
        deleted_at = line.campaign.deleted_at
        yield (
            f"{bill.month:%Y-%m}",
            line.campaign.public_id,
            line.campaign.name,
            exports.iso(deleted_at) if deleted_at else "",
            "local" if line.is_local else "foreign",
            line.outcome,
            "yes" if line.is_charged else "no",
            line.sends,
            line.segments,
            f"{dollars(line.micros):f}",
        )


def _who(request: HttpRequest) -> User:
    return cast(User, request.user)
