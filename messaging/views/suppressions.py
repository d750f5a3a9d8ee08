"""The addresses that an agency's emails leave out: found, added, imported, taken off, downloaded.

Every officer of the agency who owns one of its campaigns may. Of everybody's list they see what
their agency's campaigns led to, and whether an address that they ask for stands there.
"""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import messages as flash
from django.contrib.auth.decorators import login_required
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_safe

from campaigns.access import agency_of_owner
from campaigns.models import Campaign
from campaigns.views import Request
from messaging import exports, suppression
from messaging.forms import FilterForm, UploadForm
from messaging.models import Suppression, SuppressionQuerySet
from messaging.recipients import FileFault
from postman.accounts import audit
from postman.accounts.models import Agency
from postman.ids import parse_public_id

from .downloads import csv_answer
from .paging import Order, page_of
from .uploads import SizeLimit

ROWS = 50


def _read_id(text: str) -> tuple[int]:
    if not 0 <= int(text) < 2**63:
        raise ValueError
    return (int(text),)


NEWEST_FIRST = Order(("id",), True, lambda entry: str(entry.pk), _read_id)


class SuppressionFilter(FilterForm):
    search = forms.CharField(
        label="Email address",
        required=False,
        max_length=254,
        widget=forms.TextInput(
            attrs={"type": "search", "inputmode": "email", "placeholder": "Its beginning, or all"}
        ),
    )
    reason = forms.ChoiceField(
        label="Reason", required=False, choices=[("", "Any reason"), *Suppression.Reason.choices]
    )
    campaign = forms.CharField(required=False, max_length=50, widget=forms.HiddenInput)


class AddForm(forms.Form):
    recipient = forms.CharField(
        label="Email address",
        max_length=254,
        widget=forms.TextInput(attrs={"inputmode": "email", "autocomplete": "off"}),
        error_messages={"required": "Enter an email address."},
    )
    note = forms.CharField(
        label="Note",
        help_text="Why, for your colleagues.",
        required=False,
        max_length=suppression.LONGEST_NOTE,
    )

    def clean_recipient(self) -> str:
        typed: str = self.cleaned_data["recipient"]
        if fault := suppression.fault_of(typed):
            raise forms.ValidationError(fault)
        return suppression.clean_recipient(typed)


# The list ----------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def suppressions(request: Request) -> HttpResponse:
    """The list, and below it the form to add an address."""
    agency = agency_of_owner(request)
    if request.method == "POST":
        return _add(request, agency)
    return _list_page(request, agency, AddForm())


def _list_page(
    request: Request, agency: Agency, form: AddForm, *, status: int = 200
) -> HttpResponse:
    filters = SuppressionFilter(request.GET)
    campaign = _campaign_of(agency, filters)
    rows = _found(agency, filters, campaign).select_related("campaign", "creator")
    page = page_of(rows, request.GET, NEWEST_FIRST, size=ROWS)
    asked = filters.asked["search"]
    is_address = bool(asked) and not suppression.fault_of(asked)
    context = {
        "agency": agency,
        "tab": "suppressions",
        "filters": filters,
        "is_filtered": filters.is_filtered,
        "campaign": campaign,
        "page": page,
        "own_campaigns": _campaigns_seen_by(request, page.rows),
        "elsewhere": (
            suppression.of_everybody(agency, suppression.clean_recipient(asked))
            if is_address
            else []
        ),
        "is_address": is_address,
        "form": form,
    }
    return render(request, "messaging/suppressions.html", context, status=status)


def _found(
    agency: Agency, filters: SuppressionFilter, campaign: Campaign | None
) -> SuppressionQuerySet:
    rows = suppression.listed_by(agency)
    if part := filters.asked["search"]:
        rows = suppression.beginning_with(rows, part)
    if reason := filters.asked["reason"]:
        rows = rows.filter(reason=reason)
    if filters.asked["campaign"]:
        rows = rows.filter(campaign=campaign) if campaign else rows.none()
    return rows


def _campaign_of(agency: Agency, filters: SuppressionFilter) -> Campaign | None:
    asked = parse_public_id(filters.asked["campaign"], Campaign.id_prefix)
    return Campaign.objects.filter(agency=agency, id=asked).first() if asked else None


def _campaigns_seen_by(request: Request, rows: Any) -> set[Any]:
    """Of the campaigns that led to these, the ones whose names this officer knows."""
    asked = {row.campaign_id for row in rows} - {None}
    mine = Campaign.objects.visible_to(request.user).filter(id__in=asked)
    return set(mine.values_list("id", flat=True))


@require_safe
@login_required
def suppressions_csv(request: Request) -> HttpResponseBase:
    agency = agency_of_owner(request)
    filters = SuppressionFilter(request.GET)
    rows = _found(agency, filters, _campaign_of(agency, filters))
    audit.record("suppressions.downloaded", by=request.user, on=agency)
    stamp = f"{timezone.localtime():%Y-%m-%d %H%M}"
    return csv_answer(_lines(rows), exports.file_name(agency.name, "suppression list", stamp))


def _lines(rows: SuppressionQuerySet) -> Iterator[list[Any]]:
    yield ["recipient", "reason", "note", "listedFor", "campaignId", "addedAt", "addedBy"]
    for page in exports.pages(rows.select_related("creator"), "id"):
        for entry in page:
            yield [
                entry.recipient,
                entry.reason,
                entry.note,
                "agency" if entry.agency_id else "everybody",
                f"campaign_{entry.campaign_id}" if entry.campaign_id else "",
                exports.iso(entry.created_at),
                entry.creator.email if entry.creator else "",
            ]


# Adding ------------------------------------------------------------------------------------


def _add(request: Request, agency: Agency) -> HttpResponse:
    form = AddForm(request.POST)
    if not form.is_valid():
        return _list_page(request, agency, form, status=422)
    recipient, note = form.cleaned_data["recipient"], form.cleaned_data["note"]
    if suppression.add(agency, recipient, note, by=request.user):
        flash.success(request, f"{recipient} is added. {agency.name} writes to it no more.")
    else:
        flash.info(request, f"{recipient} had been added before.")
    return redirect("suppressions")


# CSRF looks for its token in the form and so reads the whole upload: our limit has to stand in
# line before that, which is why the check is made by the inner view.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def import_file(request: Request) -> HttpResponse:
    agency = agency_of_owner(request)
    limit = SizeLimit(request)
    request.upload_handlers = [limit, TemporaryFileUploadHandler(request)]
    return _import_file(request, agency, limit)


@csrf_protect
def _import_file(request: Request, agency: Agency, limit: SizeLimit) -> HttpResponse:
    context: dict[str, Any] = {"agency": agency, "most_rows": suppression.MOST_ROWS}
    if request.method != "POST":
        return _import_page(request, context, UploadForm())
    form = UploadForm(request.POST, request.FILES, is_too_large=limit.is_too_large)
    if form.is_valid():
        file = form.cleaned_data["file"].file
        try:
            added, others = suppression.add_file(agency, file, by=request.user)
        except FileFault as fault:
            form.add_error("file", fault.message)
        except suppression.Faulty as faulty:
            form.add_error("file", "Nothing was added, as some rows are wrong. They stand below.")
            context |= {"faults": faulty.faults, "rows_bad": faulty.rows_bad}
        else:
            flash.success(request, _said_of(added, others))
            return redirect("suppressions")
    return _import_page(request, context, form, status=422)


def _import_page(
    request: Request, context: dict[str, Any], form: UploadForm, *, status: int = 200
) -> HttpResponse:
    return render(
        request, "messaging/suppressions_import.html", {**context, "form": form}, status=status
    )


def _said_of(added: int, others: int) -> str:
    said = f"{added:,} address{pluralize(added, 'es')} added."
    if others:
        said += (
            f" {others:,} stood there before, or stand{pluralize(others, 's,')} in the file twice."
        )
    return said


# Taking off --------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def remove(request: Request, entry_id: int) -> HttpResponse:
    """Of the agency's own entries only: what is everybody's, only an admin of Postman can lift."""
    agency = agency_of_owner(request)
    own = Suppression.objects.standing().filter(agency=agency)
    entry = get_object_or_404(own.select_related("creator"), pk=entry_id)
    if request.method != "POST":
        context = {"agency": agency, "entry": entry, "back": reverse("suppressions")}
        return render(request, "messaging/suppression_remove.html", context)
    suppression.lift(entry, by=request.user)
    flash.success(request, f"{entry.recipient} is taken off the list.")
    return redirect("suppressions")
