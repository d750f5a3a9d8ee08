"""What the administrators (PICs) of an agency see of it (v2-sms §10A.2); a 404 for everybody else."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.access import agency_of_administrator
from campaigns.email import images
from campaigns.forms import PictureForm
from campaigns.models import Campaign, image_url
from postman.accounts import officers
from postman.accounts.models import Agency
from postman.errors import Refused
from postman.uploads import SizeLimit

from . import Request
from .email import takes_picture

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


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def logo(request: Request) -> HttpResponse:
    """The picture at the top of the agency's emails: a POST uploads another one, or removes it."""
    return _logo(request, agency_of_administrator(request))


@takes_picture
def _logo(request: Request, agency: Agency, *, limit: SizeLimit) -> HttpResponse:
    form = PictureForm()
    if request.method == "POST":
        if "remove" in request.POST:
            images.set_logo(agency, None, by=request.user)
            messages.success(request, "Emails have no logo from now on.")
            return redirect("agency-logo")
        form = PictureForm(request.POST, request.FILES, is_too_large=limit.is_too_large)
        if form.is_valid() and _has_new_logo(request, agency, form):
            messages.success(request, "Emails show this logo from now on.")
            return redirect("agency-logo")
    url = image_url(agency.logo_key) if agency.logo_key else ""
    context = {"agency": agency, "tab": "logo", "form": form, "url": url}
    status = 422 if form.errors else 200
    return render(request, "campaigns/agency_logo.html", context, status=status)


def _has_new_logo(request: Request, agency: Agency, form: PictureForm) -> bool:
    """Whether it is done; if not, the form says why."""
    try:
        image = images.keep(
            form.cleaned_data["file"],
            alt=f"Logo of {agency.name}",
            agency=agency,
            by=request.user,
        )
    except images.Unusable as refused:
        form.add_error("file", refused.message)
        return False
    images.set_logo(agency, image, by=request.user)
    return True


def _asked(request: Request) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()
