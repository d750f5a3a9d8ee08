"""What leaves as a file: logs and reports of a campaign and of a batch, and what is wrong in a file."""

import uuid
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from django.contrib import messages as flash
from django.contrib.auth.decorators import login_required
from django.core.signing import BadSignature
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_POST, require_safe

from campaigns.access import campaign_for
from campaigns.models import Campaign, Channel
from messaging import exports, reports
from messaging.models import Batch, EmailReport, Message
from messaging.sending import ordering
from postman.accounts import audit
from postman.errors import Refused

from .campaign import messages_of_batch


def csv_answer(rows: Iterable[Sequence[Any]], name: str) -> StreamingHttpResponse:
    """The rows as a file, written while they are read.

    The first part is read before the answer starts, so that an outage is still a page with 503
    and not an empty file.
    """
    parts = exports.write(rows)
    first = next(parts)
    response = StreamingHttpResponse(chain([first], parts), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = content_disposition_header(True, name)
    response["Cache-Control"] = "no-store"
    return response


def _stamp() -> str:
    return f"{timezone.localtime():%Y-%m-%d %H%M}"


@require_safe
@login_required
def campaign_log(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponseBase:
    campaign, membership = campaign_for(request, campaign_id, channel=Channel.SMS)
    audit.record("log.downloaded", by=membership.user, on=campaign)
    rows = exports.campaign_log(campaign, Message.objects.visible_to(membership))
    return csv_answer(rows, exports.file_name(campaign.name, "messages", _stamp()))


@require_safe
@login_required
def batch_log(
    request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID
) -> HttpResponseBase:
    campaign, membership = campaign_for(request, campaign_id, channel=Channel.SMS)
    batch = get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
    if not batch.is_accepted:
        raise Http404("nothing of this batch was sent")
    audit.record("log.downloaded", by=membership.user, on=batch)
    rows = exports.batch_log(campaign, messages_of_batch(membership, batch_id))
    return csv_answer(rows, exports.file_name(campaign.name, batch.public_id, _stamp()))


@require_safe
@login_required
def delivery_report(
    request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID | None = None
) -> HttpResponseBase:
    """Every recipient of a file (without one, of all) and what became of them: `?columns=1`."""
    campaign, membership = campaign_for(request, campaign_id)
    if campaign.channel == Channel.SMS:
        raise Http404("SMS has its log")
    batch = None
    if batch_id:
        batch = get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
        if not batch.is_accepted:
            raise Http404("nothing of this file was sent")
    try:
        reports.check_kept(campaign, batch)
    except Refused as refused:
        flash.error(request, refused.message)
        return _back(campaign.pk, batch)
    with_values = bool(request.GET.get("columns"))
    audit.record(
        "report.downloaded", by=membership.user, on=batch or campaign, with_values=with_values
    )
    rows = reports.rows_of(membership, batch, with_values=with_values)
    name = batch.original_file_name.removesuffix(".csv") if batch else "all recipients"
    return csv_answer(rows, exports.file_name(campaign.name, name, _stamp()))


def report_facts(campaign: Campaign, batch: Batch | None = None) -> dict[str, Any]:
    """What a page says of the report of Telegram or WhatsApp: how long there is one."""
    until = reports.kept_until(campaign, batch)
    return {"until": until, "is_erased": bool(until and until <= timezone.now())}


@require_POST
@login_required
def order_report(
    request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID | None = None
) -> HttpResponseBase:
    """Have it made in the background, and be mailed where it is."""
    campaign, membership = campaign_for(request, campaign_id, channel=Channel.EMAIL)
    batch = None
    if batch_id:
        batch = get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
    try:
        ordering.order_report(
            campaign, batch, by=membership.user, with_values=bool(request.POST.get("columns"))
        )
    except Refused as refused:
        flash.error(request, refused.message)
    else:
        flash.success(
            request,
            f"The report is being made. We mail {membership.user.email} a link when it is there.",
        )
    return _back(campaign.pk, batch)


def _back(campaign_id: uuid.UUID, batch: Batch | None) -> HttpResponseBase:
    if batch:
        return redirect("batch", campaign_id, batch.pk)
    return redirect("campaign-stats", campaign_id)


@require_safe
@login_required
def made_report(
    request: HttpRequest, campaign_id: uuid.UUID, report_id: uuid.UUID, token: str
) -> HttpResponseBase:
    """A report that was made in the background, for who ordered it and is still a member."""
    campaign, membership = campaign_for(request, campaign_id, channel=Channel.EMAIL)
    try:
        is_signed = reports.read_token(token) == report_id
    except BadSignature:
        is_signed = False
    found = EmailReport.objects.filter(campaign=campaign, creator=membership.user)
    report = get_object_or_404(found.select_related("batch"), pk=report_id)
    if not is_signed or not report.is_ready:
        raise Http404("expired, or nothing of the kind")
    audit.record("report.downloaded", by=membership.user, on=report.batch or campaign)
    name = exports.file_name(campaign.name, "report", f"{report.created_at:%Y-%m-%d}")
    response = FileResponse(
        report.file.open("rb"), as_attachment=True, filename=name, content_type="text/csv"
    )
    response["Cache-Control"] = "no-store"
    return response


@require_safe
@login_required
def batch_report(
    request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID
) -> HttpResponseBase:
    """The uploaded rows that are wrong, with the column that says why (v2-sms §9)."""
    _, membership = campaign_for(request, campaign_id)
    batch = get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
    if not batch.report:
        raise Http404("no row of this batch was wrong")
    audit.record("report.downloaded", by=membership.user, on=batch)
    name = exports.file_name("errors in", batch.original_file_name.removesuffix(".csv"))
    response = FileResponse(
        batch.report.open("rb"), as_attachment=True, filename=name, content_type="text/csv"
    )
    response["Cache-Control"] = "no-store"
    return response
