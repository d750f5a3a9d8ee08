"""What leaves as a file: the logs of a campaign and of a batch, and the report on a bad upload."""

import uuid
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from campaigns.access import campaign_for
from messaging import exports
from messaging.models import Batch, Message
from postman.accounts import audit

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
    campaign, membership = campaign_for(request, campaign_id)
    audit.record("log.downloaded", by=membership.user, on=campaign)
    rows = exports.campaign_log(campaign, Message.objects.visible_to(membership))
    return csv_answer(rows, exports.file_name(campaign.name, "messages", _stamp()))


@require_safe
@login_required
def batch_log(
    request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID
) -> HttpResponseBase:
    campaign, membership = campaign_for(request, campaign_id)
    batch = get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
    if not batch.is_accepted:
        raise Http404("nothing of this batch was sent")
    audit.record("log.downloaded", by=membership.user, on=batch)
    rows = exports.batch_log(campaign, messages_of_batch(membership, batch_id))
    return csv_answer(rows, exports.file_name(campaign.name, batch.public_id, _stamp()))


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
