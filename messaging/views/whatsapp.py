"""WhatsApp campaigns: the template, one message or many, and what became of each."""

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib import messages as flash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from campaigns import passcodes, phone_numbers, sms, templating, whatsapp
from campaigns.access import campaign_for
from campaigns.models import Campaign, Channel, Membership, WhatsappTemplate
from campaigns.templatetags.postman import phone
from messaging import outcomes
from messaging.forms import AgainForm, TemplateForm, WhatsappFilter, WhatsappForm
from messaging.models import Attempt, Batch, BatchStatus, Message, MessageQuerySet, StagedRow
from messaging.sending import retrying, singles
from messaging.sending.whatsapp import send_whatsapp
from messaging.states import PAGE_GROUPS, TERMINAL, Status
from postman.errors import Refused
from postman.ids import new_id, parse_public_id

from .paging import BY_ROW, NEWEST_FIRST, page_of
from .partial import render_page

PAGE_SIZE = 50
GROUPS = {
    **PAGE_GROUPS,
    "delivered": (Status.SUCCESS, Status.OPENED),
    "read": (Status.OPENED,),
}
LANGUAGE_LABELS = {code: str(language.label) for code, language in whatsapp.LANGUAGES.items()}


# The template ------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def template(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    """Choose what the campaign sends, as long as nothing was filled in for another template."""
    campaign, membership = campaign_for(request, campaign_id, channel=Channel.WHATSAPP)
    chosen = whatsapp.chosen_in(campaign)
    is_fixed = chosen is not None and (_is_in_use(campaign) or membership.sees_only_own)
    granted = list(whatsapp.granted_to(membership.user).order_by("name", "id"))
    form = TemplateForm(
        granted, request.POST or None, initial={"template": chosen.pk if chosen else None}
    )
    if request.method == "POST":
        if is_fixed:
            flash.error(request, "This template can no longer be changed.")
            return redirect("whatsapp-template", campaign.pk)
        if form.is_valid():
            whatsapp.choose(campaign, form.chosen, by=membership.user)
            return redirect("compose-" + form.cleaned_data["to"], campaign.pk)
    context = {
        "campaign": campaign,
        "membership": membership,
        "tab": "template",
        "form": form,
        "is_fixed": is_fixed,
        "chosen": _shown(chosen) if chosen else None,
        "granted": [
            {**_shown(each), "option": option}
            for each, option in zip(granted, form["template"], strict=True)
        ],
    }
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "messaging/whatsapp_template.html", context, status=status)


def _is_in_use(campaign: Campaign) -> bool:
    kept = Batch.objects.filter(campaign=campaign).exclude(
        status__in=(BatchStatus.DISCARDED, BatchStatus.INVALID)
    )
    return kept.exists() or Message.objects.filter(campaign=campaign).exists()


def _shown(template: WhatsappTemplate) -> dict[str, Any]:
    return {
        "template": template,
        "texts": [
            {
                "code": code,
                "label": LANGUAGE_LABELS[code],
                "lang": sms.LANGUAGE_TAGS[whatsapp.LANGUAGES[code]],
                "text": text,
            }
            for code, text in template.body_in.items()
        ],
        "params": [whatsapp.label_of(template, name) for name in whatsapp.typed_params(template)],
        "has_passcode": template.has_passcode,
    }


# One message -------------------------------------------------------------------------------


def single(request: HttpRequest, campaign: Campaign, membership: Membership) -> HttpResponse:
    chosen = whatsapp.chosen_in(campaign)
    if chosen is None:
        return redirect("whatsapp-template", campaign.pk)
    if request.method != "POST":
        form = WhatsappForm(chosen, membership.user, initial={"message_id": new_id()})
        return _single_page(request, campaign, chosen, form)
    form = WhatsappForm(chosen, membership.user, request.POST)
    if form.is_valid():
        try:
            message = send_whatsapp(
                campaign=campaign,
                creator=membership.user,
                recipient=form.cleaned_data["recipient"],
                language=form.cleaned_data["language"],
                values=form.values,
                id=form.cleaned_data["message_id"],
            )
        except singles.InvalidMessage as invalid:
            form.add_faults(invalid.faults)
        except Refused as refused:
            form.add_error(None, refused.message)
        else:
            return redirect("message", campaign.pk, message.pk)
    return _single_page(request, campaign, chosen, form, status=422)


def _single_page(
    request: HttpRequest,
    campaign: Campaign,
    chosen: WhatsappTemplate,
    form: WhatsappForm,
    *,
    status: int = 200,
) -> HttpResponse:
    code = form["language"].value()
    code = code if code in chosen.body_in else whatsapp.ENGLISH
    context = {
        "campaign": campaign,
        "form": form,
        "template": chosen,
        "preview": templating.render(chosen.body_in[code], form.typed_values),
        "texts": {
            each: {"body": text, "lang": sms.LANGUAGE_TAGS[whatsapp.LANGUAGES[each]]}
            for each, text in chosen.body_in.items()
        },
        "lang": sms.LANGUAGE_TAGS[whatsapp.LANGUAGES[code]],
    }
    return render(request, "messaging/whatsapp_single.html", context, status=status)


# Many --------------------------------------------------------------------------------------


def upload_facts(campaign: Campaign) -> dict[str, Any]:
    """What the upload page says of the file."""
    chosen = whatsapp.chosen_in(campaign)
    assert chosen  # or the page leads to the choice of one
    names = whatsapp.typed_params(chosen)
    return {
        "template": chosen,
        "columns": columns_of(chosen),
        "is_multilingual": bool(chosen.languages),
        "languages": [LANGUAGE_LABELS[code] for code in chosen.body_in],
        "preview": templating.render(
            chosen.body,
            {name: f"{{{{{name}}}}}" for name in names} | {passcodes.PARAM: "····"},
        ),
        "lang": "en",
    }


def columns_of(template: WhatsappTemplate) -> list[str]:
    return [
        "recipient",
        *(["language"] if template.languages else []),
        *whatsapp.typed_params(template),
    ]


def example_of(template: WhatsappTemplate) -> list[str]:
    """A row that shows how the columns are filled in."""
    return [
        phone_numbers.EXAMPLE,
        *(["English"] if template.languages else []),
        *(f"sample {name.replace('_', ' ')}" for name in whatsapp.typed_params(template)),
    ]


def review_facts(batch: Batch, asked: str) -> dict[str, Any]:
    """What an officer looks over before the word to send."""
    summary = batch.summary
    return {
        "review": {
            "messages": batch.total_messages,
            "template": summary.get("template", ""),
            "languages": [
                (LANGUAGE_LABELS[code], rows)
                for code, rows in summary.get("languages", {}).items()
                if rows
            ],
            "duplicates": summary.get("duplicates", 0),
        },
        "preview": _preview(batch, asked),
    }


def _preview(batch: Batch, asked: str) -> dict[str, Any] | None:
    """One row as its recipient will read it, and its neighbours."""
    rows = StagedRow.objects.filter(batch=batch).select_related("template_body").order_by("row")
    start = int(asked) if asked.isdecimal() and len(asked) < 9 else 0
    row = rows.filter(row__gte=start).first() or rows.last()
    if row is None:
        return None
    language = row.template_body.language
    return {
        "row": row,
        "text": row.template_body.full_message(row.values),
        "lang": sms.LANGUAGE_TAGS[language],
        "language": row.template_body.get_language_display(),
        "previous": rows.filter(row__lt=row.row).values_list("row", flat=True).last(),
        "next": rows.filter(row__gt=row.row).values_list("row", flat=True).first(),
    }


# What became of them -----------------------------------------------------------------------


def messages(request: HttpRequest, campaign: Campaign, membership: Membership) -> HttpResponse:
    """Everybody whom the campaign wrote to, by name or number."""
    visible = Message.objects.visible_to(membership)
    if not request.GET and whatsapp.chosen_in(campaign) is None:
        return redirect("whatsapp-template", campaign.pk)
    filters = WhatsappFilter(request.GET)
    batch_id = parse_public_id(filters.asked["batch"], "batch")
    if batch_id:
        get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
        visible = visible.filter(batch=batch_id)
    found = _filtered(visible, filters.asked).select_related("creator")
    page = page_of(found, request.GET, BY_ROW if batch_id else NEWEST_FIRST, size=PAGE_SIZE)
    return render_page(
        request,
        "messaging/whatsapp_messages.html",
        "messaging/_whatsapp_messages.html",
        {
            "campaign": campaign,
            "membership": membership,
            "tab": "messages",
            "filters": filters,
            "batch_id": batch_id,
            "rows": _rows(page.rows),
            "has_passcode": any(passcodes.SEALED in each.values for each in page.rows),
            "page": page,
            "is_filtered": filters.is_filtered,
            "updated_at": timezone.now(),
        },
    )


def _filtered(messages: MessageQuerySet, asked: Mapping[str, str]) -> MessageQuerySet:
    """One to ten digits are part of a number, anything else is part of a name."""
    part = asked["search"].replace("\0", "").strip()
    bare = re.sub(r"[\s+()-]", "", part)
    if bare.isascii() and bare.isdigit():
        messages = messages.filter(recipient__contains=bare)
    elif part:
        messages = messages.filter(values__recipient_name__icontains=part)
    if statuses := GROUPS.get(asked["status"]):
        messages = messages.filter(status__in=[str(status) for status in statuses])
    return messages


def _rows(rows: Sequence[Message]) -> list[dict[str, Any]]:
    attempts = {
        attempt.message_id: attempt
        for attempt in Attempt.objects.filter(message__in=[row.pk for row in rows]).order_by(
            "number"
        )
    }
    return [
        {
            "message": row,
            "name": row.values.get("recipient_name", ""),
            "to": phone(row.recipient),
            "label": label_of(row.status, attempts.get(row.pk)),
            "why": _fault_of(attempts.get(row.pk)) if row.status == Status.FAILURE else "",
            "cells": [
                (name, value if len(value) <= 60 else f"{value[:59]}…")
                for name, value in sorted(row.values.items())
                if name not in ("recipient_name", passcodes.SEALED)
            ],
            "passcode": passcodes.of(row.values),
            "sent_at": attempts[row.pk].sent_at if row.pk in attempts else None,
        }
        for row in rows
    ]


def label_of(status: str, attempt: Attempt | None = None) -> str:
    return outcomes.label_of(Channel.WHATSAPP, status, attempt)


def message(
    request: HttpRequest,
    campaign: Campaign,
    membership: Membership,
    message: Message,
    attempts: Sequence[Attempt],
) -> HttpResponse:
    """One message with every try at it."""
    latest = attempts[-1] if attempts else None
    body = message.template_body
    assert body  # WhatsApp sends templates only
    is_over = message.status in TERMINAL and message.status != Status.SUCCESS
    lately = timezone.now() - message.updated_at
    return render_page(
        request,
        "messaging/whatsapp_message.html",
        "messaging/_whatsapp_message.html",
        {
            "campaign": campaign,
            "membership": membership,
            "message": message,
            "label": label_of(message.status, latest),
            "language": body.get_language_display(),
            "lang": sms.LANGUAGE_TAGS[body.language],
            "passcode": passcodes.of(message.values),
            "timeline": timeline(message, attempts),
            "fault": _fault_of(latest),
            "is_unknown": message.status == Status.UNKNOWN,
            "why_not_again": retrying.why_not_again(message, timezone.now()),
            "poll_seconds": 5 if not is_over and lately < retrying.AGAIN_AFTER else None,
        },
    )


def _fault_of(attempt: Attempt | None) -> str:
    return outcomes.why_of(Channel.WHATSAPP, attempt)


def timeline(message: Message, attempts: Sequence[Attempt]) -> list[tuple[datetime, str, str]]:
    """(when, what, in plain words) of all that is known of a message, oldest first."""
    events = [(message.created_at, "Taken", "Postman has it and hands it to WhatsApp.")]
    for attempt in attempts:
        again = f" (try {attempt.number})" if len(attempts) > 1 else ""
        events += [
            (at, what + again, words)
            for at, what, words in (
                (attempt.sent_at, "Accepted", "WhatsApp took it."),
                (attempt.passed_on_at, "Sent", "It left WhatsApp for the recipient’s phone."),
                (attempt.delivered_at, "Delivered", "It is on the recipient’s phone."),
                (attempt.opened_at, "Read", "The recipient opened the chat, with receipts on."),
            )
            if at
        ]
        if attempt.error:
            events.append((attempt.updated_at, f"Failed{again}", _fault_of(attempt)))
        elif attempt.status == Status.UNKNOWN:
            words = "It was handed over, and the answer was lost on its way."
            events.append((attempt.updated_at, f"Outcome unknown{again}", words))
    if message.status == Status.CANCELLED:
        events.append((message.updated_at, "Cancelled", "It was not sent."))
    return sorted(events, key=lambda event: event[0])


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def again(request: HttpRequest, campaign_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """Send a message once more: asked for on a page of its own, with the reason."""
    campaign, membership = campaign_for(request, campaign_id, channel=Channel.WHATSAPP)
    found = get_object_or_404(Message.objects.visible_to(membership), pk=message_id)
    form = AgainForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            retrying.send_again(
                campaign, found.pk, reason=form.cleaned_data["reason"], by=membership.user
            )
        except Refused as refused:
            form.add_error(None, refused.message)
        else:
            flash.success(request, "It is being sent again.")
            return redirect("message", campaign.pk, found.pk)
    context = {
        "campaign": campaign,
        "message": found,
        "form": form,
        "label": label_of(found.status),
        "why_not": retrying.why_not_again(found, timezone.now()),
    }
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "messaging/whatsapp_again.html", context, status=status)
