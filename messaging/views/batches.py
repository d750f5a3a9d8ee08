"""A batch from its file to its last receipt: one address, and the page that its state calls for."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib import messages as flash
from django.contrib.auth.decorators import login_required
from django.db.models import CharField, Q, Sum
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns import sms
from campaigns.access import campaign_for
from campaigns.models import Campaign, Channel, Language, Membership
from campaigns.telegram.forms import TestForm
from messaging import halting, outcomes, pricing
from messaging.forms import (
    BatchFilter,
    EmailScheduleForm,
    ReviewForm,
    ScheduleForm,
    UploadForm,
    is_night,
)
from messaging.models import SENT_STATUSES, Batch, BatchStatus, Counter, Message, StagedRow
from messaging.sending import deciding, retrying, trials
from messaging.states import RETRIED
from postman.errors import Refused

from . import emails, steps, telegram, whatsapp
from .downloads import report_facts
from .paging import NEWEST_FIRST, page_of
from .partial import render_page
from .unknown import resend_unknown

CARDS = 20
COMPLETED, STOPPED, HALTED, CANCELLING = "Completed", "Stopped", "Halted", "Being cancelled"
_CHIPS = {
    COMPLETED: "completed",
    STOPPED: "stopped",
    HALTED: "failed",
    CANCELLING: "stopped",
}
FAULTS_SHOWN = 25
REASONS_AT_EACH_LOOK = 5_000
STATES = {
    "checking": (BatchStatus.UPLOADED, BatchStatus.CHECKING),
    "invalid": (BatchStatus.INVALID,),
    "ready": (BatchStatus.READY,),
    "scheduled": (BatchStatus.SCHEDULED,),
    "sent": SENT_STATUSES,
    "discarded": (BatchStatus.DISCARDED,),
}
_STATE_OF = {status: state for state, statuses in STATES.items() for status in statuses}


# The list ----------------------------------------------------------------------------------


@require_safe
@login_required
def batches(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    filters = BatchFilter(campaign, request.GET)
    found = _filtered(Batch.objects.visible_to(membership), filters.asked)
    page = page_of(found.select_related("creator"), request.GET, NEWEST_FIRST, size=CARDS)
    counters = _counts_of(page.rows)
    return render_page(
        request,
        "messaging/batches.html",
        "messaging/_batches.html",
        {
            "campaign": campaign,
            "membership": membership,
            "tab": "batches",
            "has_open_batch": campaign.is_email and bool(steps.open_batch(membership)),
            "filters": filters,
            "is_filtered": filters.is_filtered,
            "cards": [_card(batch, counters.get(batch.pk, {})) for batch in page.rows],
            "page": page,
            "updated_at": timezone.now(),
        },
    )


def _filtered(batches: Any, asked: Mapping[str, str]) -> Any:
    if asked["status"]:
        batches = batches.filter(status__in=STATES[asked["status"]])
    else:
        batches = batches.exclude(status=BatchStatus.DISCARDED)
    if part := asked["search"].replace("\0", "").strip().lower().removeprefix("batch_"):
        is_found = Q(id_text__contains=part) | Q(original_file_name__icontains=part)
        batches = batches.annotate(id_text=Cast("id", CharField())).filter(is_found)
    return batches


def _counts_of(batches: Iterable[Batch]) -> dict[uuid.UUID, dict[str, int]]:
    """Status → number for each of these batches, in one query."""
    rows = Counter.objects.filter(batch__in=[batch.pk for batch in batches])
    counts: dict[uuid.UUID, dict[str, int]] = {}
    for batch_id, status, n in rows.order_by().values_list("batch_id", "status").annotate(Sum("n")):
        counts.setdefault(batch_id, {})[status] = n
    return counts


def _card(batch: Batch, by_status: Mapping[str, int]) -> dict[str, Any]:
    counts = progress(batch, by_status) if batch.is_accepted else None
    label = label_of(batch, counts)
    return {
        "batch": batch,
        "counts": counts,
        "state": state_of(batch),
        "label": label,
        "chip": chip_of(batch, label),
    }


def progress(batch: Batch, by_status: Mapping[str, int]) -> dict[str, int]:
    """What a page shows of a batch: its progress, and their total."""
    counts = batch.progress(by_status)
    return {**counts, "total": sum(counts.values())}


def state_of(batch: Batch) -> str:
    return _STATE_OF[BatchStatus(batch.status)]


def label_of(batch: Batch, counts: Mapping[str, int] | None) -> str:
    if counts and counts["pending"] and batch.stopped_at:
        if batch.cancelled_at:
            return CANCELLING
        return HALTED if batch.halted_at else STOPPED
    if batch.status == BatchStatus.ENQUEUED and counts and not is_under_way(counts):
        return COMPLETED
    return BatchStatus(batch.status).label


def chip_of(batch: Batch, label: str) -> str:
    return _CHIPS.get(label, batch.status)


def is_under_way(counts: Mapping[str, int]) -> bool:
    return bool(counts["pending"] or counts["sent"] or counts["unknown"])


# One batch ---------------------------------------------------------------------------------


@require_safe
@login_required
def batch(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    batch = emails.batch_of(membership, batch_id)
    return _page(request, campaign, membership, batch)


def _page(
    request: HttpRequest,
    campaign: Campaign,
    membership: Membership,
    batch: Batch,
    *,
    form: ScheduleForm | EmailScheduleForm | None = None,
    send_form: ReviewForm | None = None,
    test_form: TestForm | None = None,
    status: int = 200,
) -> HttpResponse:
    state = state_of(batch)
    context = {
        "campaign": campaign,
        "membership": membership,
        "batch": batch,
        "state": state,
        "status_label": BatchStatus(batch.status).label,
        "chip": batch.status,
    }
    if state == "sent":
        context |= _progress_facts(request, batch)
        if campaign.is_email:
            context |= emails.sent_facts(batch)
        elif campaign.channel != Channel.SMS:
            context |= report_facts(campaign, batch)
            if _tells_reasons(context):
                context["reasons"] = outcomes.reasons_in(batch)
    elif state == "invalid":
        context |= _fault_facts(batch)
    elif state in ("ready", "scheduled") and campaign.is_telegram:
        context |= telegram.review_facts(request, batch, cast(Any, form), test_form) | {
            "sent_before": _sent_before(batch, membership)
        }
    elif state in ("ready", "scheduled") and campaign.is_email:
        context |= emails.review_facts(request, batch, send_form, cast(Any, form)) | {
            "sent_before": _sent_before(batch, membership)
        }
    elif state in ("ready", "scheduled") and campaign.is_whatsapp:
        context |= whatsapp.review_facts(batch, request.GET.get("row", "")) | _when(batch, form)
        context["sent_before"] = _sent_before(batch, membership)
    elif state in ("ready", "scheduled"):
        context |= _review_facts(request, campaign, membership, batch, form)
    part = "messaging/_batch.html"
    if context.get("is_poll"):
        part = "messaging/_batch_progress.html"
    return render_page(request, "messaging/batch.html", part, context, status=status)


def _progress_facts(request: HttpRequest, batch: Batch) -> dict[str, Any]:
    by_status = batch.counts()
    counts = progress(batch, by_status)
    label = label_of(batch, counts)
    now = timezone.now()
    done = counts["total"] - counts["pending"]
    # Spoken anew only when a tenth more has left or the last has finished, not at every look.
    spoken = f"{done * 10 // (counts['total'] or 1)}-{'going' if is_under_way(counts) else 'over'}"
    return {
        "counts": counts,
        "done": done,
        "is_under_way": is_under_way(counts),
        "is_stopped": label in (STOPPED, HALTED),
        "halted": halting.facts(batch, by_status) if label == HALTED else None,
        "bounce_warning": halting.warning_of(by_status) if batch.campaign.is_email else None,
        # Claimed when the officer said stop: nobody can call these back.
        "in_flight": by_status["sending"],
        "retryable": sum(by_status[status] for status in RETRIED),
        "numbers": emails.numbers(by_status) if batch.campaign.is_email else [],
        "status_label": label,
        "chip": chip_of(batch, label),
        "is_poll": request.htmx.target == "batch-progress",  # type: ignore[attr-defined]
        "poll_seconds": poll_seconds(batch, counts, now),
        "spoken": spoken,
        "speak": request.GET.get("spoken") != spoken,
        "updated_at": now,
    }


def poll_seconds(batch: Batch, counts: Mapping[str, int], now: datetime) -> int | None:
    """How soon to look again: at once while messages leave, seldom while receipts may still come."""
    if batch.status == BatchStatus.ENQUEUING_FAILED or not is_under_way(counts):
        return None
    if label_of(batch, counts) in (STOPPED, HALTED):
        return 5
    if counts["pending"]:
        return 2
    age = now - (batch.accepted_at or batch.created_at)
    if age < timedelta(minutes=10):
        return 5
    return 30 if age < timedelta(hours=72) else None


def _tells_reasons(context: Mapping[str, Any]) -> bool:
    """Once all have left; of very many it takes a while, so not at every look of a page that polls."""
    counts = context["counts"]
    is_looked_at_again = context["poll_seconds"] is not None
    if counts["pending"] or not counts["failed"]:
        return False
    return not is_looked_at_again or counts["failed"] <= REASONS_AT_EACH_LOOK


def _fault_facts(batch: Batch) -> dict[str, Any]:
    faults = batch.first_faults[:FAULTS_SHOWN]
    return {
        "faults": faults,
        "rows_not_shown": max(0, batch.rows_bad - len(faults)),
        "upload_form": UploadForm(),
        "limit": settings.BATCH_BYTES_LIMIT,
    }


def _review_facts(
    request: HttpRequest,
    campaign: Campaign,
    membership: Membership,
    batch: Batch,
    form: ScheduleForm | None,
) -> dict[str, Any]:
    return {
        "review": review(batch),
        "preview": _preview(batch, request.GET.get("row", "")),
        "sent_before": _sent_before(batch, membership),
        **_when(batch, form),
    }


def _when(batch: Batch, form: ScheduleForm | EmailScheduleForm | None) -> dict[str, Any]:
    return {
        "form": form or ScheduleForm(scheduled_at=batch.scheduled_at),
        "is_night_now": is_night(timezone.now()),
        "is_scheduled_at_night": bool(batch.scheduled_at and is_night(batch.scheduled_at)),
    }


def review(batch: Batch) -> dict[str, Any]:
    """What the check found out, in the words and sums of the page."""
    summary = batch.summary
    places = []
    for place, label, is_local in (
        ("local", "Singapore numbers (+65)", True),
        ("foreign", "Foreign numbers", False),
    ):
        by_segments = {int(n): rows for n, rows in summary["segments"].get(place, {}).items()}
        segments = sum(n * rows for n, rows in by_segments.items())
        if segments:
            places.append(
                {
                    "label": label,
                    "messages": sum(by_segments.values()),
                    "segments": segments,
                    "price": pricing.price_micros(is_local, 1),
                    "cost": pricing.price_micros(is_local, segments),
                }
            )
    messages = sum(place["messages"] for place in places)
    segments = sum(place["segments"] for place in places)
    return {
        "messages": messages,
        "languages": [
            (language.label, summary["languages"][language])
            for language in Language
            if summary["languages"].get(language)
        ],
        "places": places,
        "segments": segments,
        "segments_min": summary["segments_min"],
        "segments_max": summary["segments_max"],
        "segments_average": segments / messages if messages else 0,
        "cost": sum(place["cost"] for place in places),
        "duplicates": summary["duplicates"],
        "has_unicode": summary.get("file_has_unicode", False),
        "has_expensive": summary.get("file_has_avoidable_expensive_character", False),
    }


def _preview(batch: Batch, asked: str) -> dict[str, Any] | None:
    """One row as the phone will show it, and its neighbours."""
    rows = StagedRow.objects.filter(batch=batch).order_by("row")
    start = int(asked) if asked.isdecimal() and len(asked) < 9 else 0
    shown = list(rows.filter(row__gte=start).select_related("template_body")[:2])
    if not shown:
        shown = list(rows.select_related("template_body").reverse()[:1])
    if not shown:
        return None
    row = shown[0]
    earlier = rows.filter(row__lt=row.row).order_by("-row").values_list("row", flat=True).first()
    return {
        "row": row,
        "text": row.template_body.full_message(row.values),
        "lang": sms.LANGUAGE_TAGS[row.template_body.language],
        "language": Language(row.template_body.language).label,
        "previous": earlier,
        "next": shown[1].row if len(shown) > 1 else None,
    }


def _sent_before(batch: Batch, membership: Membership) -> dict[str, Any] | None:
    """The last time these very bytes were sent in this campaign, whoever did it."""
    if not batch.file_sha256:
        return None
    same = Batch.objects.filter(
        campaign=batch.campaign_id, file_sha256=batch.file_sha256, status__in=SENT_STATUSES
    )
    earlier = same.exclude(pk=batch.pk).order_by("-accepted_at", "-id").first()
    if earlier is None:
        return None
    is_visible = not membership.sees_only_own or earlier.creator_id == membership.user_id
    return {"batch": earlier, "is_visible": is_visible}


# The word to send --------------------------------------------------------------------------


@require_POST
@login_required
def send(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    if not campaign.is_email:
        return _change(request, campaign_id, batch_id, deciding.send_batch)
    batch = emails.batch_of(membership, batch_id)
    if state_of(batch) not in ("ready", "scheduled"):
        if not batch.is_accepted:  # or this is the second press
            flash.error(request, "This file can no longer be sent.")
        return redirect("batch", campaign.pk, batch.pk)
    form = ReviewForm(batch, request.POST)
    if form.is_valid():
        try:
            deciding.send_batch(batch, by=membership.user, reviewed=form.cleaned_data["version"])
        except Refused as refused:
            form.add_error(None, refused.message)
        else:
            return redirect("batch", campaign.pk, batch.pk)
    return _page(request, campaign, membership, batch, send_form=form, status=422)


@require_POST
@login_required
def telegram_test(
    request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID
) -> HttpResponse:
    """Send the message of the file's first row to oneself, and see what became of it."""
    campaign, membership = campaign_for(request, campaign_id, channel=Channel.TELEGRAM)
    batch = emails.batch_of(membership, batch_id)
    if state_of(batch) != "ready":
        flash.error(request, "Nothing of this file waits to be tested any more.")
        return redirect("batch", campaign.pk, batch.pk)
    form = TestForm(request.POST)
    if form.is_valid():
        try:
            sent = trials.send_bot_test(
                batch,
                recipient=form.cleaned_data["phone"],
                by=membership.user,
                id=form.cleaned_data["message_id"],
            )
        except Refused as refused:
            form.add_error("phone", refused.message)
        else:
            flash.success(request, "The test message is on its way.")
            return redirect("message", campaign.pk, sent.pk)
    return _page(request, campaign, membership, batch, test_form=form, status=422)


@require_POST
@login_required
def unschedule(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    return _change(
        request, campaign_id, batch_id, deciding.unschedule_batch, "The schedule is cancelled."
    )


@require_POST
@login_required
def discard(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    return _change(
        request, campaign_id, batch_id, deciding.discard_batch, "Discarded. Nothing was sent."
    )


# While it is being sent, and after -------------------------------------------------------------


@require_POST
@login_required
def stop(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    return _change(request, campaign_id, batch_id, deciding.stop_batch)


@require_POST
@login_required
def resume(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    return _change(request, campaign_id, batch_id, deciding.resume_batch, "Sending goes on.")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def cancel(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    """Cannot be taken back, so it is asked for on a page of its own."""
    if request.method == "POST":
        return _change(
            request, campaign_id, batch_id, deciding.cancel_batch, "The rest is cancelled."
        )
    campaign, membership = campaign_for(request, campaign_id)
    batch = get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
    if not batch.is_stopped:
        return redirect("batch", campaign.pk, batch.pk)
    counts = progress(batch, batch.counts())
    context = {"campaign": campaign, "membership": membership, "batch": batch, "counts": counts}
    return render(request, "messaging/batch_cancel.html", context)


@require_POST
@login_required
def retry(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    batch = get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
    try:
        retried = retrying.retry_batch(campaign, batch.pk, by=membership.user)
    except Refused as refused:
        flash.error(request, refused.message)
    else:
        flash.success(
            request, f"{retried:,} failed message{pluralize(retried)} will be sent again."
        )
    return redirect("batch", campaign.pk, batch.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def resend(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    """Somebody may get it twice, so it is asked for on a page of its own."""
    campaign, membership = campaign_for(request, campaign_id)
    batch = get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
    back = reverse("batch", args=[campaign.pk, batch.pk])
    unknown = batch.progress()["unknown"]
    return resend_unknown(
        request, Message.objects.filter(batch=batch), on=batch, back=back, number=unknown
    )


def _change(
    request: HttpRequest,
    campaign_id: uuid.UUID,
    batch_id: uuid.UUID,
    act: Callable[..., Batch],
    said: str = "",
) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    batch = get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
    try:
        act(batch, by=membership.user)
    except Refused as refused:
        flash.error(request, refused.message)
    else:
        if said:
            flash.success(request, said)
    return redirect("batch", campaign.pk, batch.pk)


@require_POST
@login_required
def schedule(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    batch = emails.batch_of(membership, batch_id)
    if state_of(batch) not in ("ready", "scheduled"):
        flash.error(request, "This batch can no longer be scheduled.")
        return redirect("batch", campaign.pk, batch.pk)
    form = (
        EmailScheduleForm(batch, request.POST) if campaign.is_email else ScheduleForm(request.POST)
    )
    if form.is_valid():
        try:
            deciding.schedule_batch(
                batch,
                at=form.cleaned_data["at"],
                by=membership.user,
                reviewed=form.cleaned_data.get("version"),
            )
        except Refused as refused:
            form.add_error(None, refused.message)
        else:
            return redirect("batch", campaign.pk, batch.pk)
    return _page(request, campaign, membership, batch, form=form, status=422)
