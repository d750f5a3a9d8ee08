"""Telegram campaigns: the message, who of a file can be reached, and what became of each."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib import messages as flash
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.defaultfilters import pluralize
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_http_methods, require_POST

from campaigns.access import campaign_for
from campaigns.models import Campaign, Channel, Membership, TelegramDraft
from campaigns.telegram import drafts, texts
from campaigns.telegram.forms import MessageForm, TestForm
from messaging import chats, outcomes, readiness
from messaging.forms import ScheduleForm, is_night
from messaging.models import Attempt, Batch, Message, StagedRow
from messaging.sending import deciding
from messaging.states import Status
from postman.errors import Refused
from postman.ids import new_id

from .partial import render_page
from .steps import open_batch

EXAMPLE = "91234567"
# The buttons over the message: tag → what it says.
TOOLS = [
    *(("b", "Bold"), ("i", "Italic"), ("u", "Underline"), ("s", "Strike")),
    *(("code", "Code"), ("a", "Link")),
]


# The message -------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def message(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    """Write it. What is wrong with it is said beside it and keeps nobody from saving."""
    campaign, membership = campaign_for(request, campaign_id, channel=Channel.TELEGRAM)
    if membership.sees_only_own:
        raise Http404("no message to write")
    draft = draft_of(campaign)
    if request.method != "POST":
        initial = {"version": draft.version, "body": texts.as_typed(draft.body)}
        return _message_page(request, membership, draft, MessageForm(initial=initial))
    form = MessageForm(request.POST)
    if not form.is_valid():
        return _message_page(request, membership, draft, form, status=422)
    typed = form.cleaned_data
    try:
        draft = drafts.save(campaign, typed["body"], version=typed["version"], by=membership.user)
    except drafts.Conflict as conflict:
        form.add_error("body", f"{conflict.message} Theirs is below: save again to replace it.")
        form.go_on_from(conflict.theirs.version)
        return _message_page(request, membership, conflict.theirs, form, is_theirs=True, status=409)
    faults = texts.faults_of(draft.body)
    if "next" in request.POST and not faults:
        return redirect("compose-multiple", campaign.pk)
    if "next" in request.POST:
        form.add_error("body", faults)
        form.go_on_from(draft.version)  # it is saved, faults and all
        return _message_page(request, membership, draft, form, status=422)
    flash.success(request, "Saved.")
    return redirect("telegram-message", campaign.pk)


def _message_page(
    request: HttpRequest,
    membership: Membership,
    draft: TelegramDraft,
    form: MessageForm,
    *,
    is_theirs: bool = False,
    status: int = 200,
) -> HttpResponse:
    context = {
        "campaign": draft.campaign,
        "membership": membership,
        "tab": "message",
        "draft": draft,
        "form": form,
        "is_theirs": is_theirs,
        # What the form says itself need not be said twice.
        "faults": texts.faults_of(draft.body) if draft.body and not form.errors else [],
        "length": texts.length(draft.body),
        "warn_length": texts.WARN_LENGTH,
        "max_length": texts.MAX_LENGTH,
        "variables": texts.variables(draft.body),
        "shown": as_shown(draft.body),
        "tools": TOOLS,
        "waiting": open_batch(membership),
    }
    return render(request, "messaging/telegram_message.html", context, status=status)


def draft_of(campaign: Campaign) -> TelegramDraft:
    found = TelegramDraft.objects.select_related("bot", "campaign__agency", "updated_by")
    return found.get(campaign=campaign)


def as_shown(html: str) -> SafeString:
    """A text as Telegram shows it. Only `texts.clean` makes such HTML, and nothing in it can act."""
    return mark_safe(texts.clean(html))  # noqa: S308


# A file ------------------------------------------------------------------------------------


def upload_facts(campaign: Campaign) -> dict[str, Any]:
    draft = draft_of(campaign)
    return {
        "draft": draft,
        "faults": drafts.faults_of(campaign),
        "variables": texts.variables(draft.body),
        "shown": as_shown(draft.body),
        "tab": "batches",
    }


def sample(campaign: Campaign) -> list[list[str]]:
    """The rows of a file that could be uploaded."""
    names = texts.variables(draft_of(campaign).body)
    return [["recipient", *names], [EXAMPLE, *(f"({name})" for name in names)]]


def review_facts(
    request: HttpRequest, batch: Batch, form: ScheduleForm | None, test_form: TestForm | None
) -> dict[str, Any]:
    """What an officer looks over before the word to send."""
    draft = draft_of(batch.campaign)
    reach = chats.reach_of(batch)
    is_ready = batch.scheduled_at is None
    return {
        "draft": draft,
        "reach": reach,
        "missing": reach.total - reach.subscribed,
        "duplicates": batch.summary.get("duplicates", 0),
        "ignored": batch.summary.get("columns_ignored", []),
        "takes": _takes(reach.subscribed),
        "per_second": settings.TELEGRAM_MESSAGES_PER_SECOND,
        "faults": drafts.faults_of(batch.campaign),
        "is_changed": is_ready and not readiness.is_text_checked(batch),
        "preview": _preview(batch, request.GET.get("row", "")),
        "form": form or ScheduleForm(scheduled_at=batch.scheduled_at),
        "test_form": test_form or TestForm(initial={"message_id": new_id()}),
        "is_night_now": is_night(timezone.now()),
        "is_scheduled_at_night": bool(batch.scheduled_at and is_night(batch.scheduled_at)),
    }


def _takes(messages: int) -> str:
    seconds = messages / settings.TELEGRAM_MESSAGES_PER_SECOND
    if seconds < 60:
        return "less than a minute"
    minutes = -(-int(seconds) // 60)
    if minutes < 90:
        return f"about {minutes} minute{pluralize(minutes)}"
    return f"about {-(-minutes // 60)} hours"


def _preview(batch: Batch, asked: str) -> dict[str, Any] | None:
    """One row as its recipient will see it, and its neighbours."""
    rows = StagedRow.objects.filter(batch=batch).order_by("row")
    start = int(asked) if asked.isdecimal() and len(asked) < 9 else 0
    row = rows.filter(row__gte=start).select_related("template_body").first()
    row = row or rows.select_related("template_body").last()
    if row is None:
        return None
    html = texts.render(row.template_body.body, row.values, row.recipient)
    return {
        "row": row,
        "shown": as_shown(html),
        "length": texts.length(html),
        "previous": rows.filter(row__lt=row.row).values_list("row", flat=True).last(),
        "next": rows.filter(row__gt=row.row).values_list("row", flat=True).first(),
    }


@require_POST
@login_required
def check_again(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    """The message was changed after the file was checked."""
    campaign, membership = campaign_for(request, campaign_id, channel=Channel.TELEGRAM)
    batch = get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
    try:
        deciding.check_again(batch, by=membership.user)
    except Refused as refused:
        flash.error(request, refused.message)
    return redirect("batch", campaign.pk, batch.pk)


# What became of one ------------------------------------------------------------------------


def reasons_of(messages: Sequence[Message]) -> dict[uuid.UUID, str]:
    """Message → why it failed, of those that did; one query for a page of them."""
    failed = [each.pk for each in messages if each.status == Status.FAILURE]
    attempts = Attempt.objects.filter(message__in=failed, status=Status.FAILURE).order_by("number")
    return {each.message_id: outcomes.why_of(Channel.TELEGRAM, each) for each in attempts}


def sent_message(
    request: HttpRequest,
    campaign: Campaign,
    membership: Membership,
    message: Message,
    attempts: Sequence[Attempt],
    *,
    poll_seconds: int | None,
) -> HttpResponse:
    body = message.template_body
    shown = None
    if body and not message.is_erased:
        shown = as_shown(texts.render(body.body, message.values, message.recipient))
    context = {
        "campaign": campaign,
        "membership": membership,
        "message": message,
        "draft": draft_of(campaign),
        "shown": shown,
        "status_label": Status(message.status).label,
        "is_unknown": message.status == Status.UNKNOWN,
        # Of a test, which comes before the sending of a file.
        "waiting": None if message.batch_id else open_batch(membership),
        "may_retry": message.can_retry and (not message.batch or message.batch.is_retryable),
        "attempts": [
            {"attempt": each, "why": outcomes.why_of(Channel.TELEGRAM, each)} for each in attempts
        ],
        "poll_seconds": poll_seconds,
    }
    page, part = "messaging/telegram_sent.html", "messaging/_telegram_sent.html"
    return render_page(request, page, part, context)
