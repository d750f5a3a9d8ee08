"""The addresses of a batch that do not exist, for who has to mend the list."""

import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from campaigns.access import campaign_for
from messaging import exports
from messaging.models import Attempt, Batch, Message, MessageQuerySet
from messaging.states import Status
from postman.accounts import audit

from .downloads import csv_answer


@require_safe
@login_required
def bad_addresses(
    request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID
) -> HttpResponseBase:
    campaign, membership = campaign_for(request, campaign_id)
    batch = get_object_or_404(Batch.objects.visible_to(membership), pk=batch_id)
    if not (campaign.is_email and batch.is_accepted):
        raise Http404("nothing of this batch can have bounced")
    audit.record("bounces.downloaded", by=membership.user, on=batch)
    bounced = Message.objects.filter(batch=batch, status=Status.BOUNCED).exclude(recipient="")
    name = exports.file_name("bounced in", batch.original_file_name.removesuffix(".csv"))
    return csv_answer(_rows(bounced), name)


def _rows(messages: MessageQuerySet) -> Iterator[list[Any]]:
    yield ["recipient", "row", "bouncedAt", "providerCode"]
    for page in exports.pages(messages, "id"):
        codes = dict(
            Attempt.objects.filter(message__in=page, status=Status.BOUNCED).values_list(
                "message_id", "provider_code"
            )
        )
        for message in page:
            at = exports.iso(message.updated_at)
            yield [message.recipient, message.row, at, codes.get(message.pk, "")]
