from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.db.models import F, QuerySet
from django.db.models.functions import Lower
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from campaigns import creation
from campaigns.models import Campaign, Channel, Role
from postman.accounts.models import AuditEvent, User

from . import Request

ROWS_PER_PAGE = 20
# Each ends in what no two campaigns share, so that no row shows on two pages.
ORDERS: dict[str, tuple[str, list[Any]]] = {
    "opened": ("Last opened", [F("last_opened_at").desc(nulls_last=True), "-created_at", "-id"]),
    "created": ("Newest first", ["-created_at", "-id"]),
    "name": ("Name", [Lower("name"), "-created_at", "-id"]),
}
DEFAULT_ORDER = "opened"


@login_required
@require_safe
def campaign_list(request: Request) -> HttpResponse:
    """The person's campaigns. The address is the whole state: q, sort, page, show."""
    q = request.GET.get("q", "").replace("\0", "").strip()
    sort = request.GET.get("sort", DEFAULT_ORDER)
    sort = sort if sort in ORDERS else DEFAULT_ORDER
    # Whoever may not see the agency's deleted campaigns asks for them in vain.
    is_about_deleted = request.GET.get("show") == "deleted" and request.user.is_agency_administrator
    page = (
        _deleted_page(request, q)
        if is_about_deleted
        else _page(request, _mine(request.user, q, sort))
    )
    context = {
        "page": page,
        "q": q,
        "sort": sort,
        "orders": [(key, label) for key, (label, _) in ORDERS.items()],
        "is_about_deleted": is_about_deleted,
        "now": timezone.now(),
    }
    is_part = request.htmx and not request.htmx.history_restore_request
    if not is_part:
        context |= {
            "why_not": creation.why_not(request.user),
            "drafts": request.user.drafts.order_by("-updated_at", "-id"),
            "owns_emails": _owns_emails(request.user),
        }
    template = "campaigns/_results.html" if is_part else "campaigns/list.html"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _page(request: Request, rows: QuerySet[Campaign]) -> Page:
    return Paginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))


def _mine(user: User, q: str, sort: str) -> QuerySet[Campaign]:
    return (
        Campaign.objects.visible_to(user)
        .filter(name__icontains=q)
        .annotate(last_opened_at=F("memberships__last_opened_at"))
        .select_related("creator")
        .order_by(*ORDERS[sort][1])
    )


def _owns_emails(user: User) -> bool:
    """Whether the suppression list of their agency is any use to this officer."""
    own = user.memberships.filter(role=Role.OWNER, campaign__agency=user.agency_id)
    return own.filter(campaign__channel=Channel.EMAIL, campaign__deleted_at=None).exists()


def _deleted_page(request: Request, q: str) -> Page:
    """Deleted campaigns of the administrator's agency, with who did it (v2-sms §10A.10)."""
    rows = Campaign.objects.filter(
        agency__users=request.user, deleted_at__isnull=False, name__icontains=q
    )
    page = _page(request, rows.order_by("-deleted_at", "-id"))
    deletions = AuditEvent.objects.filter(
        action="campaign.deleted",
        object_type="campaign",
        object_id__in=[campaign.public_id for campaign in page],
    ).select_related("actor")
    deleters = {event.object_id: event.actor for event in deletions}
    for campaign in page:
        campaign.deleter = deleters.get(campaign.public_id)
    return page
