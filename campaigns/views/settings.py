"""A campaign's settings: for its owners, and a 404 for everybody else."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns import integrations as callers
from campaigns import membership as people
from campaigns import sms
from campaigns.access import campaign_for
from campaigns.forms import AddressForm, DeleteForm, KeyForm, MemberForm, RoleForm
from campaigns.models import (
    MAX_ALLOWED_ADDRESSES,
    MAX_API_KEYS,
    AllowedAddress,
    ApiKey,
    Campaign,
    Channel,
    Membership,
)
from postman.errors import Refused

from . import Request

View = Callable[..., HttpResponse]


def owners_only(view: View) -> View:
    """Hand over the campaign that the person owns."""

    @login_required
    @wraps(view)
    def guarded(request: Request, campaign_id: uuid.UUID, **kwargs: Any) -> HttpResponse:
        campaign, membership = campaign_for(request, campaign_id, owner=True)
        request.membership = membership
        try:
            return view(request, campaign, **kwargs)
        except people.NotAnOwner:
            raise Http404("no longer theirs") from None

    return guarded


def _page(
    request: Request, campaign: Campaign, tab: str, *, status: int = 200, **context: Any
) -> HttpResponse:
    context |= {"campaign": campaign, "membership": request.membership, "tab": tab}
    return render(request, f"campaigns/settings_{tab}.html", context, status=status)


def sms_only(view: View) -> View:
    """API keys and what belongs to them: other channels are not called that way."""

    @wraps(view)
    def guarded(request: Request, campaign: Campaign, **kwargs: Any) -> HttpResponse:
        if campaign.channel != Channel.SMS:
            raise Http404("a page of another channel")
        return view(request, campaign, **kwargs)

    return guarded


# About ---------------------------------------------------------------------------------------


@owners_only
@require_safe
def about(request: Request, campaign: Campaign) -> HttpResponse:
    texts = [
        {
            "label": body.get_language_display(),
            "lang": sms.LANGUAGE_TAGS[code],
            "text": sms.wrap(body.header, body.body, body.footer),
        }
        for code, body in (campaign.bodies.items() if campaign.channel == Channel.SMS else ())
    ]
    return _page(request, campaign, "about", texts=texts, variables=campaign.variables)


# Members -------------------------------------------------------------------------------------


@owners_only
@require_http_methods(["GET", "HEAD", "POST"])
def members(request: Request, campaign: Campaign) -> HttpResponse:
    form = MemberForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            added = people.add_member(
                campaign=campaign,
                email=form.cleaned_data["email"],
                role=form.cleaned_data["role"],
                by=request.user,
            )
        except people.NotAnOwner:
            raise
        except Refused as refusal:
            field = "role" if refusal.code == "owner_needs_gov_sg" else "email"
            form.add_error(field, refusal.message)
        else:
            messages.success(request, f"{added.user.email} is added as {added.get_role_display()}.")
            return redirect("campaign-members", campaign_id=campaign.pk)
    return _members_page(request, campaign, form)


def _members_page(
    request: Request, campaign: Campaign, form: MemberForm, errors: list[str] | None = None
) -> HttpResponse:
    rows = campaign.memberships.select_related("user").order_by("user__email", "id")
    status = 422 if errors or (form.is_bound and form.errors) else 200
    return _page(
        request, campaign, "members", status=status, form=form, rows=rows, errors=errors or []
    )


@owners_only
@require_POST
def member_role(request: Request, campaign: Campaign, membership_id: int) -> HttpResponse:
    row = get_object_or_404(_members_of(campaign), pk=membership_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return _members_page(request, campaign, MemberForm(), ["Choose one of the roles."])
    try:
        people.change_role(row, role=form.cleaned_data["role"], by=request.user)
    except Refused as refusal:
        return _members_page(request, campaign, MemberForm(), [refusal.message])
    messages.success(request, f"The role of {row.user.email} is changed.")
    return redirect("campaign-members", campaign_id=campaign.pk)


@owners_only
@require_http_methods(["GET", "HEAD", "POST"])
def member_remove(request: Request, campaign: Campaign, membership_id: int) -> HttpResponse:
    row = get_object_or_404(_members_of(campaign), pk=membership_id)
    if request.method != "POST":
        return _page(request, campaign, "member_remove", row=row)
    try:
        people.remove_member(row, by=request.user)
    except Refused as refusal:
        return _members_page(request, campaign, MemberForm(), [refusal.message])
    messages.success(request, f"{row.user.email} is no longer a member.")
    return redirect("campaign-members", campaign_id=campaign.pk)


def _members_of(campaign: Campaign) -> Any:
    return Membership.objects.filter(campaign=campaign).select_related("campaign", "user")


# Integrations --------------------------------------------------------------------------------


@owners_only
@sms_only
@require_safe
def integrations(request: Request, campaign: Campaign) -> HttpResponse:
    return _integrations_page(request, campaign)


def _integrations_page(
    request: Request,
    campaign: Campaign,
    *,
    address_form: Form | None = None,
    key_form: Form | None = None,
    **context: Any,
) -> HttpResponse:
    addresses = list(campaign.allowed_addresses.order_by("created_at", "id"))
    keys = list(campaign.api_keys.select_related("creator").order_by("created_at", "id"))
    address_form, key_form = address_form or AddressForm(), key_form or KeyForm()
    caller = request.client_ip
    is_refused = address_form.errors or key_form.errors
    return _page(
        request,
        campaign,
        "integrations",
        status=422 if is_refused else 200,
        addresses=addresses,
        keys=keys,
        address_form=address_form,
        key_form=key_form,
        caller="" if any(row.covers(caller) for row in addresses) else caller,
        max_addresses=MAX_ALLOWED_ADDRESSES,
        max_keys=MAX_API_KEYS,
        **context,
    )


@owners_only
@sms_only
@require_POST
def address_add(request: Request, campaign: Campaign) -> HttpResponse:
    form = AddressForm(request.POST)
    if form.is_valid():
        try:
            row = callers.allow_address(
                campaign=campaign,
                text=form.cleaned_data["address"],
                by=request.user,
                seen_from=request.client_ip,
            )
        except Refused as refusal:
            form.add_error("address", refusal.message)
        else:
            extent = f": every address from {row.extent}" if row.extent else ""
            messages.success(request, f"{row.address} may call now{extent}.")
            return redirect("campaign-integrations", campaign_id=campaign.pk)
    return _integrations_page(request, campaign, address_form=form)


@owners_only
@sms_only
@require_http_methods(["GET", "HEAD", "POST"])
def address_remove(request: Request, campaign: Campaign, address_id: int) -> HttpResponse:
    rows = AllowedAddress.objects.filter(campaign=campaign).select_related("campaign")
    row = get_object_or_404(rows, pk=address_id)
    if request.method != "POST":
        is_last = rows.count() == 1 and campaign.api_keys.exists()
        return _page(request, campaign, "address_remove", row=row, is_last=is_last)
    callers.forget_address(row, by=request.user)
    messages.success(request, f"{row.address} is removed. Calls from it are refused now.")
    return redirect("campaign-integrations", campaign_id=campaign.pk)


@owners_only
@sms_only
@require_POST
@never_cache
def key_create(request: Request, campaign: Campaign) -> HttpResponse:
    """The answer to this very request is the one place where the secret is ever shown."""
    form = KeyForm(request.POST)
    if form.is_valid():
        try:
            key, secret = callers.create_key(
                campaign=campaign, by=request.user, **form.cleaned_data
            )
        except Refused as refusal:
            field = "expires_on" if refusal.code == "expires_in_the_past" else None
            form.add_error(field, refusal.message)
        else:
            return _integrations_page(request, campaign, new_key=key, secret=secret)
    return _integrations_page(request, campaign, key_form=form)


@owners_only
@sms_only
@require_http_methods(["GET", "HEAD", "POST"])
def key_delete(request: Request, campaign: Campaign, key_id: uuid.UUID) -> HttpResponse:
    rows = ApiKey.objects.filter(campaign=campaign).select_related("campaign")
    key = get_object_or_404(rows, pk=key_id)
    if request.method != "POST":
        return _page(request, campaign, "key_delete", key=key)
    callers.delete_key(key, by=request.user)
    messages.success(request, f"The key {key.shown}… is deleted. Calls with it are refused now.")
    return redirect("campaign-integrations", campaign_id=campaign.pk)


# The end -------------------------------------------------------------------------------------


@owners_only
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: Request, campaign: Campaign) -> HttpResponse:
    form = DeleteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            people.delete_campaign(campaign, typed_name=form.cleaned_data["name"], by=request.user)
        except Refused as refusal:
            form.add_error("name", refusal.message)
        else:
            messages.success(request, f"“{campaign.name}” is deleted.")
            return redirect("campaign-list")
    status = 422 if form.is_bound and form.errors else 200
    return _page(request, campaign, "delete", status=status, form=form)
