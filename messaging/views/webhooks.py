"""Settings → Webhooks: of a campaign for its owners, of an account for itself; others find nothing.

The same pages serve both: those of an account have no campaign in their address."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, cast

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
from campaigns.models import Campaign
from messaging import tasks, v1_words
from messaging import webhooks as engine
from messaging.forms import DeliveryFilter, WebhookForm
from messaging.models import Webhook, WebhookDelivery, WebhookTry
from messaging.states import Status
from postman.accounts.models import User
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
def webhooks(request: HttpRequest, campaign_id: uuid.UUID | None = None) -> HttpResponse:
    """The answers to adding and to rotating are the two places where a secret is ever shown."""
    campaign, by = _owner(request, campaign_id)
    form = WebhookForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            webhook, secret = engine.add_webhook(
                campaign=campaign, url=form.cleaned_data["url"], by=by
            )
        except NotAnOwner:
            raise
        except Refused as refused:
            form.add_error(None if refused.code == "too_many_webhooks" else "url", refused.message)
        else:
            return _list(request, campaign, secret=secret, of=webhook)
    return _list(request, campaign, form=form)


def _list(
    request: HttpRequest,
    campaign: Campaign | None,
    *,
    form: WebhookForm | None = None,
    **context: Any,
) -> HttpResponse:
    form = form or WebhookForm()
    own = Webhook.objects.of(campaign or cast(User, request.user)).select_related("creator")
    context |= {
        "campaign": campaign,
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


def _owner(request: HttpRequest, campaign_id: uuid.UUID | None) -> tuple[Campaign | None, User]:
    """Whose webhooks these are, and who asks: a campaign that they own, or else they themselves."""
    user = cast(User, request.user)
    if campaign_id is None:
        return None, user
    campaign, _ = campaign_for(request, campaign_id, owner=True)
    return campaign, user


def _found(
    request: HttpRequest, campaign_id: uuid.UUID | None, webhook_id: uuid.UUID
) -> tuple[Webhook, User]:
    """The webhook of theirs that is asked for, and who asks; or Http404."""
    campaign, user = _owner(request, campaign_id)
    rows = Webhook.objects.of(campaign or user).select_related("campaign", "account", "creator")
    return get_object_or_404(rows, pk=webhook_id), user


# What can be done to one ---------------------------------------------------------------------


@require_POST
@login_required
@_owners_decide
def pause(
    request: HttpRequest, webhook_id: uuid.UUID, campaign_id: uuid.UUID | None = None
) -> HttpResponse:
    webhook, by = _found(request, campaign_id, webhook_id)
    engine.pause_webhook(webhook, by=by)
    flash.success(request, f"{webhook.host} is told nothing until you resume it.")
    return redirect(webhook.list_url)


@require_POST
@login_required
@_owners_decide
def resume(
    request: HttpRequest, webhook_id: uuid.UUID, campaign_id: uuid.UUID | None = None
) -> HttpResponse:
    webhook, by = _found(request, campaign_id, webhook_id)
    engine.resume_webhook(webhook, by=by)
    flash.success(request, f"{webhook.host} is told again, of what waits first.")
    return redirect(webhook.list_url)


@require_POST
@login_required
def send_test(
    request: HttpRequest, webhook_id: uuid.UUID, campaign_id: uuid.UUID | None = None
) -> HttpResponse:
    """Lead to the page on which its answer will appear."""
    webhook, by = _found(request, campaign_id, webhook_id)
    delivery = engine.send_test(webhook, by=by)
    return redirect(webhook.url_of("webhook-delivery", delivery.id))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
@_owners_decide
def rotate(
    request: HttpRequest, webhook_id: uuid.UUID, campaign_id: uuid.UUID | None = None
) -> HttpResponse:
    webhook, by = _found(request, campaign_id, webhook_id)
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
        return redirect(webhook.list_url)
    secret = engine.rotate_secret(webhook, by=by)
    return _list(request, webhook.campaign, secret=secret, of=webhook, is_rotated=True)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@_owners_decide
def delete(
    request: HttpRequest, webhook_id: uuid.UUID, campaign_id: uuid.UUID | None = None
) -> HttpResponse:
    webhook, by = _found(request, campaign_id, webhook_id)
    if request.method != "POST":
        waiting = _number(_in(webhook, WebhookDelivery.State.WAITING))
        context = {"campaign": webhook.campaign, "webhook": webhook, "waiting": waiting}
        return render(request, "messaging/webhook_delete.html", context)
    engine.delete_webhook(webhook, by=by)
    ring(tasks.forget_webhook, str(webhook_id))
    flash.success(request, f"The webhook to {webhook.host} is deleted.")
    return redirect(webhook.list_url)


# The log -------------------------------------------------------------------------------------


@require_safe
@login_required
def log(
    request: HttpRequest, webhook_id: uuid.UUID, campaign_id: uuid.UUID | None = None
) -> HttpResponse:
    webhook, _ = _found(request, campaign_id, webhook_id)
    filters = DeliveryFilter(request.GET)
    newest = WebhookTry.objects.filter(delivery=OuterRef("id")).order_by("-id")
    deliveries = WebhookDelivery.objects.filter(webhook=webhook).annotate(
        answer=Subquery(newest.values("status")[:1]), fault=Subquery(newest.values("fault")[:1])
    )
    if filters.asked["state"]:
        deliveries = deliveries.filter(state=filters.asked["state"])
    page = page_of(deliveries, request.GET, BY_ID, size=PAGE_SIZE)
    calls = engine.calls_of(webhook, page.rows)
    return render_page(
        request,
        "messaging/webhook_log.html",
        "messaging/_webhook_log.html",
        {
            "campaign": webhook.campaign,
            "webhook": webhook,
            "filters": filters,
            "is_filtered": filters.is_filtered,
            "page": page,
            "rows": [_row(row, calls) for row in page.rows],
            "given_up": _number(_in(webhook, WebhookDelivery.State.GAVE_UP)),
            "updated_at": timezone.now(),
        },
    )


def _row(delivery: WebhookDelivery, calls: engine.Calls) -> dict[str, Any]:
    """`call`: what an account sent and is told of, as v1 names it."""
    call = calls.get(delivery.message_id) if delivery.message_id else None
    if delivery.message_id is None:
        told = "Test event"
    elif call:
        told = engine.status_in_v1(call, delivery)
    else:
        told = Status(delivery.status).label
    named = f"{v1_words.CHANNELS[call.channel]} {call.pk}" if call else ""
    return {"delivery": delivery, "told": told, "call": named}


@require_safe
@login_required
def delivery(
    request: HttpRequest,
    webhook_id: uuid.UUID,
    delivery_id: int,
    campaign_id: uuid.UUID | None = None,
) -> HttpResponse:
    webhook, _ = _found(request, campaign_id, webhook_id)
    delivery = get_object_or_404(WebhookDelivery, webhook=webhook, pk=delivery_id)
    calls = engine.calls_of(webhook, [delivery])
    is_waiting = delivery.state == WebhookDelivery.State.WAITING
    is_due = is_waiting and abs(timezone.now() - delivery.due_at) < WATCHED_FOR
    return render_page(
        request,
        "messaging/webhook_delivery.html",
        "messaging/_webhook_delivery.html",
        {
            "campaign": webhook.campaign,
            "webhook": webhook,
            **_row(delivery, calls),
            "body": engine.body_of(webhook, delivery, calls).decode(),
            "tries": delivery.log.order_by("-id")[:TRIES_SHOWN],
            "most_tries": TRIES_SHOWN,
            "poll_seconds": 2 if is_due and not webhook.paused_at else None,
        },
    )


@require_POST
@login_required
def replay(
    request: HttpRequest,
    webhook_id: uuid.UUID,
    delivery_id: int,
    campaign_id: uuid.UUID | None = None,
) -> HttpResponse:
    webhook, by = _found(request, campaign_id, webhook_id)
    delivery = get_object_or_404(WebhookDelivery, webhook=webhook, pk=delivery_id)
    if not engine.replay(webhook, by=by, delivery_id=delivery.id):
        flash.error(request, "This event is waiting to be sent already.")
    return redirect(webhook.url_of("webhook-delivery", delivery_id))


@require_POST
@login_required
def replay_all(
    request: HttpRequest, webhook_id: uuid.UUID, campaign_id: uuid.UUID | None = None
) -> HttpResponse:
    webhook, by = _found(request, campaign_id, webhook_id)
    number = engine.replay(webhook, by=by)
    flash.success(request, f"{number:,} event{pluralize(number)} will be sent again.")
    return redirect(webhook.url_of("webhook-log"))
