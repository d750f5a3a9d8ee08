"""An email before it leaves: what the review says of it, and how each row's email looks."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, cast

from csp.decorators import csp
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_http_methods, require_safe

from campaigns.access import campaign_for
from campaigns.email import pinning, theme
from campaigns.email.composing import Parts
from campaigns.models import Channel, EmailBody, Membership
from messaging import readiness, reports, unsubscribing
from messaging.forms import EmailScheduleForm, EmailTestForm, ReviewForm
from messaging.models import Batch, EmailTest, Message, StagedRow, Suppression
from messaging.sending import trials
from messaging.states import EMAIL_GROUPS
from postman.errors import Refused

from .partial import render_page
from .steps import REVIEWED

View = Callable[..., HttpResponse]

# Where nobody limits the rate, an estimate far below what was measured, so that it is kept.
USUAL_RATE = 200
# An email may load nothing but its pictures, run nothing, and lead nowhere.
PREVIEW_POLICY = {
    "default-src": ["'none'"],
    # In a sandbox we are not 'self' to every browser.
    "img-src": ["'self'", settings.PUBLIC_URL, "https:", "data:"],
    "style-src": ["'unsafe-inline'"],
    "font-src": ["'none'"],
    "connect-src": ["'none'"],
    "script-src": ["'none'"],
    "object-src": ["'none'"],
    "form-action": ["'none'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'self'"],
    "sandbox": True,
}


def review_facts(
    request: HttpRequest,
    batch: Batch,
    send_form: ReviewForm | None,
    form: EmailScheduleForm | None,
) -> dict[str, Any]:
    """What an officer looks over before the word to send."""
    draft = readiness.draft_of(batch.campaign)
    pinned = batch.template_body
    email = pinned.email if pinned else pinning.email_of(draft)
    html = pinned.body if pinned else draft.html
    row = _row_of(batch, request.GET.get("row", ""))
    return {
        "draft": draft,
        "email": email,
        "is_pinned": pinned is not None,
        "faults": [] if pinned else pinning.faults_of(draft),
        "missing": [] if pinned else readiness.missing_columns(draft, batch),
        "is_tested": pinned is not None or readiness.is_tested(draft),
        "review": review(batch),
        "preview": _preview(batch, email, html, row) if row else None,
        "send_form": send_form or ReviewForm(batch),
        "form": form or EmailScheduleForm(batch, scheduled_at=batch.scheduled_at),
    }


def review(batch: Batch) -> dict[str, Any]:
    """What the check found out, in the words and sums of the page."""
    summary = batch.summary
    suppressed = [
        (Suppression.Reason(reason).label, number)
        for reason, number in summary.get("suppressed", {}).items()
        if number
    ]
    recipients = readiness.recipients_of(batch)
    return {
        "rows": batch.total_messages,
        "recipients": recipients,
        "suppressed": suppressed,
        "left_out": sum(number for _, number in suppressed),
        "duplicates": summary.get("duplicates", 0),
        "blank": list(summary.get("blank", {}).items()),
        "typos": summary.get("typos", {"count": 0}),
        "roles": summary.get("role_addresses", {"count": 0}),
        "takes": _takes(recipients),
    }


def _takes(emails: int) -> str:
    seconds = emails / (settings.EMAILS_PER_SECOND or USUAL_RATE)
    if seconds < 60:
        return "less than a minute"
    minutes = -(-int(seconds) // 60)
    if minutes < 90:
        return f"about {minutes} minute{'' if minutes == 1 else 's'}"
    return f"about {-(-minutes // 60)} hours"


# What became of them -----------------------------------------------------------------------

NUMBERS = {
    "left": "Sent",
    "delivered": "Delivered",
    "opened": "Opened",
    "bounced": "Bounced (hard)",
    "soft_bounced": "Bounced (soft)",
    "refused": "Failed",
    "complained": "Reported as spam",
    "suppressed": "Suppressed",
}


def numbers(by_status: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """(name of the filter, label, how many) of a batch's emails."""
    return [
        (name, label, sum(by_status[status] for status in EMAIL_GROUPS[name]))
        for name, label in NUMBERS.items()
    ]


def sent_facts(batch: Batch) -> dict[str, Any]:
    """What the page of a file that was sent says beside its numbers."""
    until = reports.kept_until(batch.campaign, batch)
    return {
        "until": until,
        "is_erased": bool(until and until <= timezone.now()),
        "large": reports.LARGE,
    }


# How it looks ------------------------------------------------------------------------------


def _row_of(batch: Batch, asked: str) -> StagedRow | None:
    """The row that was asked for, or the next there is; the last one where none follows."""
    rows = StagedRow.objects.filter(batch=batch).order_by("row")
    start = int(asked) if asked.isdecimal() and len(asked) < 9 else 0
    return rows.filter(row__gte=start).first() or rows.last()


def _preview(batch: Batch, email: EmailBody, html: str, row: StagedRow) -> dict[str, Any]:
    rows = StagedRow.objects.filter(batch=batch).order_by("row")
    parts = parts_of(email, html, row.recipient, row.values)
    return {
        "row": row,
        "parts": parts,
        "bytes": theme.size(parts.html) + theme.size(parts.text),
        "is_clipped": theme.size(parts.html) > theme.WARN_SIZE,
        "previous": rows.filter(row__lt=row.row).values_list("row", flat=True).last(),
        "next": rows.filter(row__gt=row.row).values_list("row", flat=True).first(),
    }


def parts_of(email: EmailBody, html: str, recipient: str, values: Mapping[str, str]) -> Parts:
    """The email of one row, with a way out that leads nowhere: as long as it has faults as well."""
    values = {**values, "recipient": recipient}
    return pinning.composed(email, html).mail_parts(values, unsubscribing.test_url())


def shown_in_a_frame(view: View) -> View:
    """The answer is an email: our own pages may show it, and it can do nothing there."""
    guarded = csp(PREVIEW_POLICY)(cast(Any, view))
    return cast(View, never_cache(xframe_options_sameorigin(guarded)))


@require_safe
@login_required
@shown_in_a_frame
def preview(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    """The email of one row that waits to be sent: `?row=7`."""
    campaign, membership = campaign_for(request, campaign_id, channel=Channel.EMAIL)
    batch = batch_of(membership, batch_id)
    row = _row_of(batch, request.GET.get("row", ""))
    if row is None:
        raise Http404("nothing of this batch waits")
    pinned = batch.template_body
    if pinned:
        return HttpResponse(parts_of(pinned.email, pinned.body, row.recipient, row.values).html)
    draft = readiness.draft_of(campaign)
    email = pinning.email_of(draft)
    return HttpResponse(parts_of(email, draft.html, row.recipient, row.values).html)


@require_safe
@login_required
@shown_in_a_frame
def sent(request: HttpRequest, campaign_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """The email that somebody got or will get, as it was put together for them."""
    _, membership = campaign_for(request, campaign_id, channel=Channel.EMAIL)
    messages = Message.objects.visible_to(membership).select_related("template_body__email")
    message = get_object_or_404(messages, pk=message_id)
    body = message.template_body
    if message.is_erased or body is None:
        raise Http404("erased")
    return HttpResponse(parts_of(body.email, body.body, message.recipient, message.values).html)


def batch_of(membership: Membership, batch_id: uuid.UUID) -> Batch:
    """A batch with all that its pages look at; Http404 for one that this person may not see."""
    found = Batch.objects.visible_to(membership)
    with_all = found.select_related("creator", "campaign__agency", "template_body__email")
    return get_object_or_404(with_all, pk=batch_id)


# Tests -------------------------------------------------------------------------------------

TESTS_SHOWN = 20
ON_THEIR_WAY = (EmailTest.Outcome.WAITING, EmailTest.Outcome.SENDING)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def test(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    """Send the email of one row to oneself and to colleagues, and see who tested what before."""
    campaign, membership = campaign_for(request, campaign_id, channel=Channel.EMAIL)
    batch = batch_of(membership, batch_id)
    if batch.status not in REVIEWED:
        return redirect("batch", campaign.pk, batch.pk)
    if request.method != "POST":
        return _test_page(request, membership, batch)

    form = EmailTestForm(request.POST)
    if form.is_valid():
        typed = form.cleaned_data
        try:
            trials.send_test(
                batch,
                row=typed["row"],
                recipients=typed["recipients"],
                by=membership.user,
                is_marked=typed["is_marked"],
            )
        except Refused as refused:
            form.add_error(_FIELD_OF.get(refused.code), refused.message)
        else:
            return redirect("batch-test", campaign.pk, batch.pk)
    return _test_page(request, membership, batch, form, status=422)


_FIELD_OF = {
    "tester_not_an_officer": "recipients",
    "number_of_testers_out_of_range": "recipients",
    "no_such_row": "row",
}


def _test_page(
    request: HttpRequest,
    membership: Membership,
    batch: Batch,
    form: EmailTestForm | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    draft = readiness.draft_of(batch.campaign)
    tests = list(
        EmailTest.objects.filter(campaign=batch.campaign)
        .select_related("creator")
        .order_by("-id")[:TESTS_SHOWN]
    )
    row = _row_of(batch, request.GET.get("row", ""))
    email, pinned = pinning.email_of(draft), batch.template_body
    context = {
        "campaign": batch.campaign,
        "membership": membership,
        "batch": batch,
        "draft": draft,
        "is_pinned": pinned is not None,
        "faults": [] if pinned else pinning.faults_of(draft),
        "missing": [] if pinned else readiness.missing_columns(draft, batch),
        # Said by this page itself.
        "is_tested": True,
        "was_tested": readiness.is_tested(draft),
        "form": form
        or EmailTestForm(
            initial={"recipients": membership.user.email, "row": row.row if row else 2}
        ),
        "preview": _preview(batch, email, draft.html, row) if row and not pinned else None,
        "tests": tests,
        "is_poll": request.htmx.target == "tests",  # type: ignore[attr-defined]
        "poll_seconds": 2 if any(test.outcome in ON_THEIR_WAY for test in tests) else None,
    }
    page = "messaging/email_test.html"
    part = "messaging/_email_tests.html" if context["is_poll"] else page
    return render_page(request, page, part, context, status=status)
