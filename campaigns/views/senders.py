"""Settings → Email senders: an officer's own address, and an agency's domains and mailboxes.

Whoever may not see a sender or a domain gets a 404, as if there were none.
"""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_ratelimit.core import get_usage

from campaigns import tasks
from campaigns.access import agency_of_administrator
from campaigns.email import dns_records, domains, identities
from campaigns.email import senders as rules
from campaigns.email.forms import DomainForm, MailboxForm, SenderNameForm
from campaigns.models import DomainState, Sender, SenderDomain
from postman.accounts.limits import TooMany
from postman.celery import ring
from postman.errors import Refused

from . import Request

CHECK_RATE = "10/10m"
POLL_SECONDS = 15
PURPOSES = {
    "ownership": "Shows that the domain is your agency’s",
    "dkim": "Signs your emails (DKIM)",
    "return_path": "Takes what bounces (MAIL FROM)",
    "spf": "Says that Amazon SES may send (SPF)",
    "dmarc": "Says what becomes of forged emails (DMARC)",
}


# The list ------------------------------------------------------------------------------------


@require_safe
@login_required
def senders(request: Request) -> HttpResponse:
    return _list_page(request)


def _list_page(request: Request, *, status: int = 200, **forms: Form) -> HttpResponse:
    """`own_form`, `mailbox_form` or `domain_form` is one that was refused."""
    user, agency = request.user, request.user.agency
    is_admin = _administers(request)
    boxes = Sender.objects.filter(owner=None, agency=agency, agency__isnull=False)
    context = {
        "default": rules.default(),
        "own": Sender.objects.filter(owner=user).select_related("domain").first(),
        "mailboxes": boxes.select_related("domain").order_by("address"),
        "domains": SenderDomain.objects.filter(agency=agency).order_by("domain")
        if is_admin
        else [],
        "agency": agency,
        "is_admin": is_admin,
        "own_form": SenderNameForm(auto_id="own_%s"),
        "mailbox_form": MailboxForm(auto_id="mailbox_%s"),
        "domain_form": DomainForm(auto_id="domain_%s"),
    } | forms
    return render(request, "campaigns/senders.html", context, status=status)


@require_POST
@login_required
def own_add(request: Request) -> HttpResponse:
    form = SenderNameForm(request.POST, auto_id="own_%s")
    if form.is_valid():
        try:
            sender = domains.add_own_address(request.user, name=form.cleaned_data["name"])
        except Refused as refusal:
            form.add_error("name" if refusal.code == "invalid_from_name" else None, refusal.message)
        else:
            return _looked_at(request, sender.domain, f"{sender.address} is added.")
    return _list_page(request, status=422, own_form=form)


@require_POST
@login_required
def domain_add(request: Request) -> HttpResponse:
    agency = agency_of_administrator(request)
    form = DomainForm(request.POST, auto_id="domain_%s")
    if form.is_valid():
        try:
            domain = domains.add_domain(form.cleaned_data["domain"], agency=agency, by=request.user)
        except Refused as refusal:
            form.add_error("domain", refusal.message)
        else:
            return _looked_at(request, domain, f"{domain.domain} is added.")
    return _list_page(request, status=422, domain_form=form)


@require_POST
@login_required
def mailbox_add(request: Request) -> HttpResponse:
    agency = agency_of_administrator(request)
    form = MailboxForm(request.POST, auto_id="mailbox_%s")
    if form.is_valid():
        try:
            sender = domains.add_mailbox(
                form.cleaned_data["address"],
                name=form.cleaned_data["name"],
                agency=agency,
                by=request.user,
            )
        except Refused as refusal:
            form.add_error(
                "name" if refusal.code == "invalid_from_name" else "address", refusal.message
            )
        else:
            ring(tasks.mail_senders)
            messages.success(request, f"{sender.address} is added.")
            return redirect("senders")
    return _list_page(request, status=422, mailbox_form=form)


# One sender ----------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def sender_name(request: Request, sender_id: uuid.UUID) -> HttpResponse:
    sender = _sender_of(request, sender_id)
    form = SenderNameForm(request.POST or None, initial={"name": sender.name})
    if request.method == "POST" and form.is_valid():
        try:
            domains.rename(sender, form.cleaned_data["name"], by=request.user)
        except Refused as refusal:
            form.add_error("name", refusal.message)
        else:
            messages.success(request, f"The display name of {sender.address} is changed.")
            return redirect("senders")
    status = 422 if form.errors else 200
    context = {"sender": sender, "form": form}
    return render(request, "campaigns/sender_name.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def sender_remove(request: Request, sender_id: uuid.UUID) -> HttpResponse:
    sender = _sender_of(request, sender_id)
    if request.method != "POST":
        drafts = domains.drafts_from([sender.address], seen_by=request.user)
        return render(request, "campaigns/sender_remove.html", {"sender": sender, "drafts": drafts})
    domains.remove_sender(sender, by=request.user)
    messages.success(request, f"{sender.address} is removed.")
    return redirect("senders")


def _sender_of(request: Request, sender_id: uuid.UUID) -> Sender:
    """One's own address, or a mailbox of the agency that one administers."""
    rows = Sender.objects.select_related("domain").of(
        request.user, request.user.agency if _administers(request) else None
    )
    return get_object_or_404(rows, pk=sender_id)


# One domain ----------------------------------------------------------------------------------


@require_safe
@login_required
@never_cache
def domain(request: Request, domain_id: uuid.UUID) -> HttpResponse:
    return _domain_page(request, _domain_of(request, domain_id))


def _domain_page(
    request: Request, row: SenderDomain, *, status: int = 200, errors: list[str] | None = None
) -> HttpResponse:
    records = dns_records.restored(row.records)
    context = {
        "domain": row,
        "records": [{"record": record, "why": PURPOSES[record.purpose]} for record in records],
        "zone": "\n".join(record.line for record in records),
        "missing": sum(record.is_required and record.state != "found" for record in records),
        "until": row.pending_since + domains.PATIENCE,
        "is_admin": _administers(request),
        "poll_seconds": POLL_SECONDS if row.state == DomainState.PENDING and not errors else None,
        "errors": errors or [],
    }
    template = "_sender_domain" if request.htmx else "sender_domain"
    return render(request, f"campaigns/{template}.html", context, status=status)


@require_POST
@login_required
def domain_check(request: Request, domain_id: uuid.UUID) -> HttpResponse:
    row = _domain_of(request, domain_id)
    usage = get_usage(
        request,
        group="sender domain checks",
        key=lambda group, request: str(row.pk),
        rate=CHECK_RATE,
        increment=True,
    )
    if usage and usage["should_limit"]:
        refusal = TooMany(usage["time_left"])
        response = _domain_page(request, row, status=429, errors=[refusal.message])
        response["Retry-After"] = str(refusal.seconds)
        return response
    return _looked_at(request, row)


def _looked_at(request: Request, row: SenderDomain, done: str = "") -> HttpResponse:
    """Its page, after a look at SES and DNS; where they are away, the page says so."""
    try:
        row = domains.check(row, by=request.user)
    except identities.Unreachable as refusal:
        messages.warning(request, f"{done} {refusal.message} Postman looks by itself, too.".strip())
    else:
        ring(tasks.mail_senders)
        if row.is_verified:
            messages.success(request, f"{done} Its records stand: emails can be sent.".strip())
        else:
            messages.info(request, f"{done} {_still_missing(row)}".strip())
    return redirect("sender-domain", domain_id=row.pk)


def _still_missing(row: SenderDomain) -> str:
    required = [record for record in dns_records.restored(row.records) if record.is_required]
    missing = sum(record.state != dns_records.FOUND for record in required)
    if row.state == DomainState.LOST and not missing:
        return "Amazon SES no longer signs its emails."
    if missing:
        return f"{missing} of {len(required)} required records are not found yet."
    return (
        "All required records are found. Amazon SES has not seen them yet; that may take an hour."
    )


@require_safe
@login_required
def domain_records(request: Request, domain_id: uuid.UUID) -> HttpResponse:
    """For whoever runs the agency's DNS, as zone files have it."""
    row = _domain_of(request, domain_id)
    lines = [f"; {row.domain}: records for sending emails through Postman"]
    lines += [record.line for record in dns_records.restored(row.records)]
    return HttpResponse(
        "\n".join([*lines, ""]),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{row.domain}.txt"'},
    )


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def domain_remove(request: Request, domain_id: uuid.UUID) -> HttpResponse:
    agency = agency_of_administrator(request)
    row = get_object_or_404(SenderDomain, pk=domain_id, agency=agency)
    if request.method != "POST":
        addresses = list(row.senders.order_by("address").values_list("address", flat=True))
        context = {
            "domain": row,
            "addresses": addresses,
            "drafts": domains.drafts_from(addresses, seen_by=request.user),
        }
        return render(request, "campaigns/sender_domain_remove.html", context)
    domains.remove_domain(row, by=request.user)
    messages.success(request, f"{row.domain} is removed.")
    return redirect("senders")


def _domain_of(request: Request, domain_id: uuid.UUID) -> SenderDomain:
    """For the administrators of its agency, and those with an own address there."""
    row = get_object_or_404(SenderDomain, pk=domain_id)
    is_theirs = _administers(request) and row.agency_id == request.user.agency_id
    if not is_theirs and not row.senders.filter(owner=request.user).exists():
        raise Http404("no such domain")
    return row


def _administers(request: Request) -> bool:
    return request.user.is_agency_administrator and request.user.agency_id is not None
