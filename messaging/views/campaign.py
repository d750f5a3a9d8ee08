"""The campaign's page: its messages, and one message with every try at it."""

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages as flash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns import sms
from campaigns.access import campaign_for
from campaigns.models import Campaign, Language, Membership
from campaigns.templatetags.postman import phone
from messaging.forms import EmailFilter, MessageFilter, TelegramFilter
from messaging.models import (
    SENT_STATUSES,
    Attempt,
    Batch,
    Message,
    MessageQuerySet,
    Suppression,
    SuppressionQuerySet,
)
from messaging.sending import retrying
from messaging.states import EMAIL_GROUPS, PAGE_GROUPS, TERMINAL, Status
from postman.errors import Refused
from postman.ids import parse_public_id

from . import steps, telegram, whatsapp
from .paging import BY_ROW, NEWEST_FIRST, page_of
from .partial import render_page
from .unknown import resend_unknown

PAGE_SIZE = 50
# Reports mostly come within minutes; whoever still looks later can refresh.
WATCHED_FOR = timedelta(minutes=10)


@require_safe
@login_required
def campaign(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    _note_opening(membership)
    if campaign.is_email:
        return recipients(request, campaign, membership)
    if campaign.is_whatsapp:
        return whatsapp.messages(request, campaign, membership)
    if campaign.is_telegram and not Message.objects.visible_to(membership).exists():
        return redirect(_work_of_bot(campaign, membership))
    filters = (TelegramFilter if campaign.is_telegram else MessageFilter)(request.GET)
    asked = filters.asked
    batch_id = parse_public_id(asked["batch"], "batch")
    if batch_id:
        messages = messages_of_batch(membership, batch_id)
    else:
        messages = Message.objects.visible_to(membership)
    order = BY_ROW if batch_id else NEWEST_FIRST
    found = _filtered(messages, asked)
    if campaign.is_telegram:
        found = found.select_related("batch")
    page = page_of(found, request.GET, order, size=PAGE_SIZE)
    reasons = telegram.reasons_of(page.rows) if campaign.is_telegram else None
    return render_page(
        request,
        "messaging/campaign.html",
        "messaging/_messages.html",
        {
            "campaign": campaign,
            "membership": membership,
            "tab": "messages",
            "filters": filters,
            "batch_id": batch_id,
            "variables": campaign.variables,
            "rows": _rows(page.rows, campaign.variables, reasons),
            "page": page,
            "is_filtered": filters.is_filtered,
            "updated_at": timezone.now(),
        },
    )


def _work_of_bot(campaign: Campaign, membership: Membership) -> str:
    """Where a Telegram campaign goes on that has no messages yet."""
    if batch := steps.open_batch(membership):
        return reverse("batch", args=[campaign.pk, batch.pk])
    is_written = bool(telegram.draft_of(campaign).body) or membership.sees_only_own
    return reverse("compose-multiple" if is_written else "telegram-message", args=[campaign.pk])


def _note_opening(membership: Membership) -> None:
    """For the list of campaigns; to the minute, so that refreshing does not write each time."""
    now = timezone.now()
    if not membership.last_opened_at or now - membership.last_opened_at > timedelta(minutes=1):
        Membership.objects.filter(pk=membership.pk).update(last_opened_at=now)


def messages_of_batch(membership: Membership, batch_id: uuid.UUID) -> MessageQuerySet:
    """Those that this person may see; Http404 for a batch they may not.

    Asked for by their batch alone: told the campaign as well, PostgreSQL may fetch and sort a
    million rows for a page of fifty until it has gathered statistics on them.
    """
    get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
    messages = Message.objects.filter(batch_id=batch_id)
    return messages.filter(via_api=False) if membership.sees_only_own else messages


def _filtered(messages: MessageQuerySet, asked: dict[str, str]) -> MessageQuerySet:
    if digits := re.sub(r"\D", "", asked["search"]):
        messages = messages.filter(recipient__contains=digits)
    if statuses := PAGE_GROUPS.get(asked["status"]):
        messages = messages.filter(status__in=[str(status) for status in statuses])
    if asked["job"]:
        messages = messages.filter(batch__isnull=asked["job"] == "single")
    return messages


def _rows(
    messages: Sequence[Message],
    variables: list[str],
    reasons: Mapping[uuid.UUID, str] | None = None,
) -> list[dict[str, Any]]:
    """What a row shows, worked out here: a page has fifty, and templates are slow at it.

    `reasons`: why those failed that did, on pages that say so in the list.
    """
    chips = {
        status: render_to_string("_status.html", {"status": status, "label": Status(status).label})
        for status in {message.status for message in messages}
    }
    return [
        {
            "message": message,
            "to": phone(message.recipient),
            "chip": chips[message.status],
            "why": None if reasons is None else reasons.get(message.pk, ""),
            "cells": [
                (f"{{{{{name}}}}}", _short(message.values.get(name, ""))) for name in variables
            ],
        }
        for message in messages
    ]


def _short(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:59]}…"


# Emails ------------------------------------------------------------------------------------


def recipients(request: HttpRequest, campaign: Campaign, membership: Membership) -> HttpResponse:
    """Everybody whom an email campaign wrote to; until there is somebody, the work to be done."""
    batches = Batch.objects.visible_to(membership)
    if not request.GET and not batches.filter(status__in=SENT_STATUSES).exists():
        return redirect(
            steps.next_of(steps.steps_of(campaign, membership))
            or reverse("compose-multiple", args=[campaign.pk])
        )
    filters = EmailFilter(request.GET)
    batch_id = parse_public_id(filters.asked["batch"], "batch")
    if batch_id:
        messages = messages_of_batch(membership, batch_id)
    else:
        messages = Message.objects.visible_to(membership)
    order = BY_ROW if batch_id else NEWEST_FIRST
    found = _emails(messages, campaign, filters.asked).select_related("batch")
    page = page_of(found, request.GET, order, size=PAGE_SIZE)
    return render_page(
        request,
        "messaging/email_recipients.html",
        "messaging/_email_recipients.html",
        {
            "campaign": campaign,
            "membership": membership,
            "tab": "messages",
            "filters": filters,
            "batch_id": batch_id,
            "rows": page.rows,
            "page": page,
            "is_filtered": filters.is_filtered,
            "waiting": steps.open_batch(membership),
            "updated_at": timezone.now(),
        },
    )


def _emails(
    messages: MessageQuerySet, campaign: Campaign, asked: dict[str, str]
) -> MessageQuerySet:
    if part := asked["search"].replace("\0", "").strip().lower():
        messages = messages.filter(recipient__contains=part)
    if asked["status"] == "unsubscribed":
        return messages.filter(recipient__in=unsubscribed_from(campaign).values("recipient"))
    if statuses := EMAIL_GROUPS.get(asked["status"]):
        messages = messages.filter(status__in=[str(status) for status in statuses])
    return messages


def unsubscribed_from(campaign: Campaign) -> SuppressionQuerySet:
    """Those who used the link in an email of this campaign, and have not taken it back."""
    reason = Suppression.Reason.UNSUBSCRIBED
    return Suppression.objects.standing().filter(campaign=campaign, reason=reason)


@require_safe
@login_required
def message(request: HttpRequest, campaign_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    messages = Message.objects.visible_to(membership).select_related(
        "template_body__email", "creator", "batch"
    )
    message = get_object_or_404(messages, pk=message_id)
    attempts = Attempt.objects.filter(message=message).order_by("number")
    if campaign.is_email:
        return _email(request, campaign, membership, message, list(attempts))
    if campaign.is_whatsapp:
        return whatsapp.message(request, campaign, membership, message, list(attempts))
    if campaign.is_telegram:
        poll_seconds = _poll_seconds(message, timezone.now())
        return telegram.sent_message(
            request, campaign, membership, message, list(attempts), poll_seconds=poll_seconds
        )
    body = message.template_body
    assert body  # only a message of an account's own call has none, and it is on no page
    return render_page(
        request,
        "messaging/message.html",
        "messaging/_message.html",
        {
            "campaign": campaign,
            "membership": membership,
            "message": message,
            "language": Language(body.language),
            "lang": sms.LANGUAGE_TAGS[body.language],
            "status_label": Status(message.status).label,
            "is_unknown": message.status == Status.UNKNOWN,
            "may_retry": message.can_retry and (not message.batch or message.batch.is_retryable),
            "attempts": attempts,
            "poll_seconds": _poll_seconds(message, timezone.now()),
        },
    )


def _email(
    request: HttpRequest,
    campaign: Campaign,
    membership: Membership,
    message: Message,
    attempts: list[Attempt],
) -> HttpResponse:
    # `success` is on its way still: it may be opened, or bounce after all.
    is_watched = message.status == Status.SUCCESS or message.status not in TERMINAL
    lately = timezone.now() - message.updated_at < WATCHED_FOR
    return render_page(
        request,
        "messaging/email_recipient.html",
        "messaging/_email_recipient.html",
        {
            "campaign": campaign,
            "membership": membership,
            "message": message,
            "email": message.template_body.email if message.template_body else None,
            "attempts": attempts,
            "timeline": timeline(message, attempts),
            "error": attempts[-1].error if attempts else None,
            "reason": SUPPRESSED_FOR.get(message.suppressed_for or "", ""),
            "unsubscribed": unsubscribed_from(campaign)
            .filter(recipient=message.recipient, recipient__gt="")
            .first(),
            "is_unknown": message.status == Status.UNKNOWN,
            "may_retry": message.can_retry and (not message.batch or message.batch.is_retryable),
            "poll_seconds": 5 if is_watched and lately else None,
        },
    )


SUPPRESSED_FOR: dict[str, str] = {
    Suppression.Reason.UNSUBSCRIBED: "They unsubscribed from your agency’s emails.",
    Suppression.Reason.BOUNCED: "An earlier email to this address bounced: it does not exist.",
    Suppression.Reason.COMPLAINED: "They reported an earlier email as spam.",
    Suppression.Reason.ADDED: "An officer put this address on your agency’s suppression list.",
}


def timeline(message: Message, attempts: Sequence[Attempt]) -> list[tuple[datetime, str, str]]:
    """(when, what, in plain words) of all that is known of an email, oldest first."""
    events = [(message.created_at, "Accepted", "Taken for sending.")]
    for attempt in attempts:
        again = f" (try {attempt.number})" if len(attempts) > 1 else ""
        events += [
            (at, what + again, words)
            for at, what, words in (
                (attempt.sent_at, "Sent", "Handed to the mail service, which took it."),
                (attempt.delivered_at, "Delivered", "The recipient’s mail server took it."),
                (attempt.opened_at, "Opened", "Its pictures were loaded for the first time."),
            )
            if at
        ]
        if error := attempt.error:
            words = f"{error.sentence} {error.advice}"
            events.append((attempt.updated_at, f"{attempt.get_status_display()}{again}", words))
        elif attempt.status == Status.UNKNOWN:
            words = "It was handed over, and the answer was lost on its way."
            events.append((attempt.updated_at, f"Outcome unknown{again}", words))
    if message.status in (Status.CANCELLED, Status.SUPPRESSED):
        words = SUPPRESSED_FOR.get(message.suppressed_for or "", "It was not sent.")
        events.append((message.updated_at, message.get_status_display(), words))
    return sorted(events, key=lambda event: event[0])


@require_POST
@login_required
def retry(request: HttpRequest, campaign_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    message = get_object_or_404(Message.objects.visible_to(membership), pk=message_id)
    try:
        retrying.retry_message(campaign, message.pk, by=membership.user)
    except Refused as refused:
        flash.error(request, refused.message)
    return redirect("message", campaign.pk, message.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def resend(request: HttpRequest, campaign_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    message = get_object_or_404(Message.objects.visible_to(membership), pk=message_id)
    return resend_unknown(
        request,
        Message.objects.filter(pk=message.pk),
        on=message,
        back=reverse("message", args=[campaign.pk, message.pk]),
        number=int(message.status == Status.UNKNOWN),
    )


def _poll_seconds(message: Message, now: datetime) -> int | None:
    if message.status in TERMINAL or now - message.updated_at > WATCHED_FOR:
        return None
    return 2 if message.status in PAGE_GROUPS["pending"] else 5
