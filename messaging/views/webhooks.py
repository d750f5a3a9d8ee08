"""Settings → Webhooks: for owners of the campaign, and a 404 for everybody else."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.contrib import messages as flash
from django.contrib.auth.decorators import login_required
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.defaultfilters import pluralize
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.access import campaign_for
from campaigns.membership import NotAnOwner
from campaigns.models import Campaign, Membership
from messaging import tasks
from messaging import webhooks as engine
from messaging.forms import DeliveryFilter, WebhookForm
from messaging.models import Webhook, WebhookDelivery, WebhookTry
from messaging.states import Status
from postman.celery import ring
from postman.errors import Refused

from .paging import Order, page_of
from .partial import render_page

PAGE_SIZE = 50
# A page says how many there are up to this many.
MOST_COUNTED = 1000
TRIES_SHOWN = 100
# An event that is due is answered for within seconds, or waits for long.
WATCHED_FOR = timedelta(minutes=1)


def _owners_decide(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """To who stopped being an owner since the page was opened, there is no such page."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(*args, **kwargs)
        except NotAnOwner:
            raise Http404("no longer theirs") from None

    return guarded


def _read_id(text: str) -> tuple[int]:
    if not 0 <= int(text) < 2**63:
        raise ValueError
    return (int(text),)


BY_ID = Order(("id",), True, lambda delivery: str(delivery.id), _read_id)


# The list ------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
@_owners_decide
def webhooks(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    """The answers to adding and to rotating are the two places where a secret is ever shown."""
    campaign, membership = campaign_for(request, campaign_id, owner=True)
    form = WebhookForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            webhook, secret = engine.add_webhook(
                campaign=campaign, url=form.cleaned_data["url"], by=membership.user
            )
        except NotAnOwner:
            raise
        except Refused as refused:
            form.add_error(None if refused.code == "too_many_webhooks" else "url", refused.message)
        else:
            return _list(request, campaign, membership, secret=secret, of=webhook)
    return _list(request, campaign, membership, form=form)


def _list(
    request: HttpRequest,
    campaign: Campaign,
    membership: Membership,
    *,
    form: WebhookForm | None = None,
    **context: Any,
) -> HttpResponse:
    form = form or WebhookForm()
    own = Webhook.objects.filter(campaign=campaign).select_related("creator")
    context |= {
        "campaign": campaign,
        "membership": membership,
        "tab": "webhooks",
        "form": form,
        "rows": [
            {"webhook": webhook, "waiting": _number(_in(webhook, WebhookDelivery.State.WAITING))}
            for webhook in own.order_by("created_at", "id")
        ],
        "most": engine.MAX_WEBHOOKS,
    }
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "messaging/settings_webhooks.html", context, status=status)


def _in(webhook: Webhook, state: str) -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(webhook=webhook, state=state)


def _number(deliveries: QuerySet[WebhookDelivery]) -> str:
    """`12`, or `1,000+`: never more is counted than that."""
    number = deliveries.order_by("id")[: MOST_COUNTED + 1].count()
    return f"{MOST_COUNTED:,}+" if number > MOST_COUNTED else f"{number:,}"


def _found(
    request: HttpRequest, campaign_id: uuid.UUID, webhook_id: uuid.UUID
) -> tuple[Webhook, Membership]:
    """The webhook of a campaign that this person owns, or Http404."""
    campaign, membership = campaign_for(request, campaign_id, owner=True)
    rows = Webhook.objects.filter(campaign=campaign).select_related("campaign", "creator")
    return get_object_or_404(rows, pk=webhook_id), membership


# What can be done to one ---------------------------------------------------------------------


@require_POST
@login_required
@_owners_decide
def pause(request: HttpRequest, campaign_id: uuid.UUID, webhook_id: uuid.UUID) -> HttpResponse:
    webhook, membership = _found(request, campaign_id, webhook_id)
    engine.pause_webhook(webhook, by=membership.user)
    flash.success(request, f"{webhook.host} is told nothing until you resume it.")
    return redirect("campaign-webhooks", campaign_id)


@require_POST
@login_required
@_owners_decide
def resume(request: HttpRequest, campaign_id: uuid.UUID, webhook_id: uuid.UUID) -> HttpResponse:
    webhook, membership = _found(request, campaign_id, webhook_id)
    engine.resume_webhook(webhook, by=membership.user)
    flash.success(request, f"{webhook.host} is told again, of what waits first.")
    return redirect("campaign-webhooks", campaign_id)


@require_POST
@login_required
def test(request: HttpRequest, campaign_id: uuid.UUID, webhook_id: uuid.UUID) -> HttpResponse:
    """Lead to the page on which its answer will appear."""
    webhook, membership = _found(request, campaign_id, webhook_id)
    delivery = engine.send_test(webhook, by=membership.user)
    return redirect("webhook-delivery", campaign_id, webhook_id, delivery.id)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
@_owners_decide
def rotate(request: HttpRequest, campaign_id: uuid.UUID, webhook_id: uuid.UUID) -> HttpResponse:
    webhook, membership = _found(request, campaign_id, webhook_id)
    # Loading the answer again must not rotate again: the secret before the last would be dropped.
    seen = webhook.rotated_at.isoformat() if webhook.rotated_at else ""
    if request.method != "POST":
        ends_at = webhook.rotated_at and webhook.rotated_at + engine.ROTATION
        context = {
            "campaign": webhook.campaign,
            "webhook": webhook,
            "seen": seen,
            "earlier_signs": bool(ends_at and timezone.now() < ends_at),
        }
        return render(request, "messaging/webhook_rotate.html", context)
    if request.POST.get("seen", "") != seen:
        flash.error(request, "The secret was changed meanwhile. It can be shown only once.")
        return redirect("campaign-webhooks", campaign_id)
    secret = engine.rotate_secret(webhook, by=membership.user)
    return _list(request, webhook.campaign, membership, secret=secret, of=webhook, is_rotated=True)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@_owners_decide
def delete(request: HttpRequest, campaign_id: uuid.UUID, webhook_id: uuid.UUID) -> HttpResponse:
    webhook, membership = _found(request, campaign_id, webhook_id)
    if request.method != "POST":
        waiting = _number(_in(webhook, WebhookDelivery.State.WAITING))
        context = {"campaign": webhook.campaign, "webhook": webhook, "waiting": waiting}
        return render(request, "messaging/webhook_delete.html", context)
    engine.delete_webhook(webhook, by=membership.user)
    ring(tasks.forget_webhook, str(webhook_id))
    flash.success(request, f"The webhook to {webhook.host} is deleted.")
    return redirect("campaign-webhooks", campaign_id)


# The log -------------------------------------------------------------------------------------


@require_safe
@login_required
def log(request: HttpRequest, campaign_id: uuid.UUID, webhook_id: uuid.UUID) -> HttpResponse:
    webhook, membership = _found(request, campaign_id, webhook_id)
    filters = DeliveryFilter(request.GET)
    newest = WebhookTry.objects.filter(delivery=OuterRef("id")).order_by("-id")
    deliveries = WebhookDelivery.objects.filter(webhook=webhook).annotate(
        answer=Subquery(newest.values("status")[:1]), fault=Subquery(newest.values("fault")[:1])
    )
    if filters.asked["state"]:
        deliveries = deliveries.filter(state=filters.asked["state"])
    page = page_of(deliveries, request.GET, BY_ID, size=PAGE_SIZE)
    return render_page(
        request,
        "messaging/webhook_log.html",
        "messaging/_webhook_log.html",
        {
            "campaign": webhook.campaign,
            "membership": membership,
            "webhook": webhook,
            "filters": filters,
            "is_filtered": filters.is_filtered,
            "page": page,
            "rows": [{"delivery": row, "told": _told(row)} for row in page.rows],
            "given_up": _number(_in(webhook, WebhookDelivery.State.GAVE_UP)),
            "updated_at": timezone.now(),
        },
    )


def _told(delivery: WebhookDelivery) -> str:
    return "Test event" if delivery.message_id is None else Status(delivery.status).label


@require_safe
@login_required
def delivery(
    request: HttpRequest, campaign_id: uuid.UUID, webhook_id: uuid.UUID, delivery_id: int
) -> HttpResponse:
    webhook, membership = _found(request, campaign_id, webhook_id)
    delivery = get_object_or_404(WebhookDelivery, webhook=webhook, pk=delivery_id)
    is_waiting = delivery.state == WebhookDelivery.State.WAITING
    is_due = is_waiting and abs(timezone.now() - delivery.due_at) < WATCHED_FOR
    return render_page(
        request,
        "messaging/webhook_delivery.html",
        "messaging/_webhook_delivery.html",
        {
            "campaign": webhook.campaign,
            "membership": membership,
            "webhook": webhook,
            "delivery": delivery,
            "told": _told(delivery),
            "body": engine.body_of(webhook, delivery).decode(),
            "tries": delivery.log.order_by("-id")[:TRIES_SHOWN],
            "most_tries": TRIES_SHOWN,
            "poll_seconds": 2 if is_due and not webhook.paused_at else None,
        },
    )


@require_POST
@login_required
def replay(
    request: HttpRequest, campaign_id: uuid.UUID, webhook_id: uuid.UUID, delivery_id: int
) -> HttpResponse:
    webhook, membership = _found(request, campaign_id, webhook_id)
    delivery = get_object_or_404(WebhookDelivery, webhook=webhook, pk=delivery_id)
    if not engine.replay(webhook, by=membership.user, delivery_id=delivery.id):
        flash.error(request, "This event is waiting to be sent already.")
    return redirect("webhook-delivery", campaign_id, webhook_id, delivery_id)


@require_POST
@login_required
def replay_all(request: HttpRequest, campaign_id: uuid.UUID, webhook_id: uuid.UUID) -> HttpResponse:
    webhook, membership = _found(request, campaign_id, webhook_id)
    number = engine.replay(webhook, by=membership.user)
    flash.success(request, f"{number:,} event{pluralize(number)} will be sent again.")
    return redirect("webhook-log", campaign_id, webhook_id)
