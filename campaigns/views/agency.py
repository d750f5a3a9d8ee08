"""What the administrators (PICs) of an agency see of it (v2-sms §10A.2); a 404 for everybody else."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from campaigns.access import agency_of_administrator
from campaigns.models import Campaign
from postman.accounts import officers
from postman.errors import Refused

from . import Request

ROWS_PER_PAGE = 20


@require_safe
@login_required
def campaigns(request: Request) -> HttpResponse:
    """Every campaign of the agency, deleted ones included."""
    agency = agency_of_administrator(request)
    q = _asked(request)
    rows = (
        Campaign.objects.filter(agency=agency, name__icontains=q)
        .select_related("creator")
        .order_by("-created_at", "-id")
    )
    page = Paginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    context = {"agency": agency, "tab": "campaigns", "q": q, "page": page}
    return render(request, "campaigns/agency_campaigns.html", context)


@require_safe
@login_required
def people(request: Request) -> HttpResponse:
    """The officers of the administrator's email domain, and who of them may create campaigns."""
    agency = agency_of_administrator(request)
    q = _asked(request)
    rows = officers.colleagues_of(request.user).filter(email__icontains=q).order_by("email")
    page = Paginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    context = {"agency": agency, "tab": "officers", "q": q, "page": page}
    return render(request, "campaigns/agency_officers.html", context)


@require_POST
@login_required
def creation_right(request: Request, officer_id: uuid.UUID) -> HttpResponse:
    agency_of_administrator(request)
    may_create = request.POST.get("may_create") == "yes"
    try:
        officer = officers.set_creation_right(officer_id, may_create, by=request.user)
    except Refused as refused:
        raise Http404(refused.message) from None
    can = "can now create campaigns" if may_create else "can no longer create campaigns"
    messages.success(request, f"{officer.email} {can}.")
    return redirect("agency-officers")


def _asked(request: Request) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()
