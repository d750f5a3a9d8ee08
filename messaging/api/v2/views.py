"""The v2 API (v2-sms §4): one small class an address, its objects made in `serializers`."""

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.urls import reverse
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from campaigns.models import Campaign
from campaigns.throttling import CampaignThrottle
from messaging.api.idempotency import once
from messaging.api.v2 import schema
from messaging.api.v2.serializers import (
    BatchProgress,
    MessageDetail,
    MessageInBatch,
    MessageInCampaign,
    MessageRetried,
    MessageShort,
    SingleSend,
)
from messaging.models import SENT_STATUSES, Batch, Message, MessageQuerySet
from messaging.sending import deciding, retrying, singles, uploading
from postman.accounts.models import User
from postman.api.pagination import LAST_ROW_FIRST, NEWEST_FIRST, Order, page_of
from postman.errors import Refused
from postman.ids import parse_public_id

# What the form around a file takes.
FORM_MARGIN = 64 * 1024
# DRF copies every field of a serializer that is made for one call.
SINGLE_SEND = SingleSend(error_messages={"null": "No data provided"})


class CampaignView(APIView):
    """An address under one campaign, open to the campaign's own keys."""

    throttle_classes = [CampaignThrottle]
    http_method_names = ["get", "head", "post"]

    @property
    def campaign(self) -> Campaign:
        return self.request.auth.campaign  # type: ignore[union-attr]

    @property
    def caller(self) -> User:
        """Who made the key: in whose name a program calls."""
        return self.request.user  # type: ignore[return-value]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # Without its length Django reads none of a body, and does not say so.
        if "HTTP_TRANSFER_ENCODING" in request.META and "CONTENT_LENGTH" not in request.META:
            raise Refused("Send a `Content-Length`, not a chunked body.", "length_required")

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        if rate_limit := getattr(request, "rate_limit", None):
            rate_limit.stand_on(answer)
        return answer

    def sent_batch(self, batch_id: str) -> Batch:
        """A batch of the campaign that was accepted for sending; raises Refused."""
        wanted = parse_public_id(batch_id, "batch")
        batches = Batch.objects.filter(campaign=self.campaign, status__in=SENT_STATUSES)
        batch = batches.filter(id=wanted).first() if wanted else None
        if batch is None:
            raise Refused("This campaign has no such batch.", "resource_not_found")
        return batch

    def once(self, act: Callable[[], Response]) -> Response:
        """Carry the call out, or answer as before where it repeats its `Idempotency-Key`."""
        return once(self.request, self.campaign.id, act)


class Messages(CampaignView):
    @schema.send_message
    def post(self, request: Request, campaign_id: str) -> Response:
        """E1: send one message. The answer proves that it is stored; its outcome comes later."""
        return self.once(lambda: self._send(request))

    def _send(self, request: Request) -> Response:
        asked = SINGLE_SEND.run_validation(request.data)
        message = singles.send_message(
            campaign=self.campaign,
            creator=self.caller,
            via_api=True,
            **asked,
        )
        return Response(MessageShort.of(message), status=status.HTTP_201_CREATED)

    @schema.list_messages
    def get(self, request: Request, campaign_id: str) -> Response:
        """E4: all messages of the campaign, single and batch, newest first."""
        messages = Message.objects.filter(campaign=self.campaign)
        return _list(request, messages, MessageInCampaign)


class BatchSend(CampaignView):
    parser_classes = [MultiPartParser]

    @schema.send_batch
    def post(self, request: Request, campaign_id: str) -> Response:
        """E5: send a CSV file whole, or refuse it with a report on every row that is wrong."""
        # Only who has a key may put a file on our disk, and none that is larger than any we take.
        length = request.META.get("CONTENT_LENGTH") or ""
        if length.isdigit() and int(length) > settings.BATCH_BYTES_LIMIT + FORM_MARGIN:
            raise Refused("The file is larger than 40 MB. Split it.", "parameter_invalid")
        http_request = request._request
        http_request.upload_handlers = [TemporaryFileUploadHandler(http_request)]
        files = request.FILES.getlist("file")
        if len(files) != 1:
            raise Refused("Send one CSV file, in a part named `file`.", "parameter_invalid")
        return self.once(lambda: self._send(files[0]))

    def _send(self, upload: UploadedFile) -> Response:
        batch = uploading.send_file(campaign=self.campaign, creator=self.caller, upload=upload)
        if batch.is_accepted:
            return Response({"isValid": True, "batchId": batch.public_id}, status=201)
        report = reverse("batch-report", args=[self.campaign.id, batch.id])
        return Response(
            {
                "isValid": False,
                "reportURL": f"{settings.PUBLIC_URL}{report}",
                "numRows": batch.rows_bad,
                "numErrors": batch.errors_total,
                "fileHasAvoidableExpensiveCharacter": batch.summary[
                    "file_has_avoidable_expensive_character"
                ],
                "fileHasUnicode": batch.summary["file_has_unicode"],
            },
            status=201,
        )


class MessageRetry(CampaignView):
    @schema.retry_message
    def post(self, request: Request, campaign_id: str, message_id: str) -> Response:
        """E2: send a failed message once more, under the same id."""
        return self.once(lambda: self._retry(message_id))

    def _retry(self, message_id: str) -> Response:
        message = retrying.retry_message(
            self.campaign,
            parse_public_id(message_id, "message"),
            by=self.caller,
        )
        return Response(MessageRetried.of(message), status=status.HTTP_201_CREATED)


class BatchRetry(CampaignView):
    @schema.retry_batch
    def post(self, request: Request, campaign_id: str, batch_id: str) -> Response:
        """E6: send the failed messages of a batch once more. The answer has no body."""
        return self.once(lambda: self._retry(batch_id))

    def _retry(self, batch_id: str) -> Response:
        retrying.retry_batch(
            self.campaign,
            parse_public_id(batch_id, "batch"),
            by=self.caller,
        )
        return Response(status=status.HTTP_201_CREATED)


class OneBatch(CampaignView):
    @schema.get_batch
    def get(self, request: Request, campaign_id: str, batch_id: str) -> Response:
        """Beyond v2: how far a batch is."""
        return Response(BatchProgress.of(self.sent_batch(batch_id)))


class BatchDecision(CampaignView):
    """Beyond v2: stop a batch that is being sent, go on with it, or cancel what has not left."""

    decide: Callable[..., Batch]

    def _decide(self, batch_id: str) -> Response:
        batch = self.sent_batch(batch_id)
        type(self).decide(batch, by=self.caller)
        return Response(BatchProgress.of(batch))


class BatchStop(BatchDecision):
    decide = deciding.stop_batch

    @schema.stop_batch
    def post(self, request: Request, campaign_id: str, batch_id: str) -> Response:
        return self.once(lambda: self._decide(batch_id))


class BatchResume(BatchDecision):
    decide = deciding.resume_batch

    @schema.resume_batch
    def post(self, request: Request, campaign_id: str, batch_id: str) -> Response:
        return self.once(lambda: self._decide(batch_id))


class BatchCancel(BatchDecision):
    decide = deciding.cancel_batch

    @schema.cancel_batch
    def post(self, request: Request, campaign_id: str, batch_id: str) -> Response:
        return self.once(lambda: self._decide(batch_id))


class BatchMessages(CampaignView):
    @schema.list_batch_messages
    def get(self, request: Request, campaign_id: str, batch_id: str) -> Response:
        """E7: the messages of one batch, newest first."""
        messages = Message.objects.filter(batch=self.sent_batch(batch_id))
        return _list(request, messages, MessageInBatch, LAST_ROW_FIRST)


def _list(
    request: Request,
    messages: MessageQuerySet,
    shown_as: type[MessageShort],
    order: Order = NEWEST_FIRST,
) -> Response:
    """A page (v2-sms §7); `search` is a part of the number, whatever else stands around its digits."""
    rows = messages.with_all_for_api()
    if digits := re.sub(r"[^0-9]", "", request.query_params.get("search", "")):
        # Their places first, which an index holds beside the numbers, then the rows of this page.
        places = messages.filter(recipient__contains=digits[:20]).only("created_at", *order.fields)
        page = page_of(places, request.query_params, order)
        by_id = rows.in_bulk([place.id for place in page.rows])
        shown = [by_id[place.id] for place in page.rows]
    else:
        page = page_of(rows, request.query_params, order)
        shown = list(page.rows)
    return Response({"data": [shown_as.of(each) for each in shown], "pageData": page.data})


class OneMessage(CampaignView):
    @schema.get_message
    def get(self, request: Request, campaign_id: str, message_id: str) -> Response:
        """E3: one message and every attempt at it, newest first."""
        wanted = parse_public_id(message_id, "message")
        message = Message.objects.one_for_api(self.campaign, wanted) if wanted else None
        if message is None:
            raise Refused("This campaign has no such message.", "resource_not_found")
        return Response(MessageDetail.of(message))
