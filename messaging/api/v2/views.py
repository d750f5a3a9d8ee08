"""The v2 API (v2-sms §4): one small class an address, its objects made in `serializers`."""

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from messaging import sending
from messaging.api.v2.serializers import MessageDetail, MessageShort, SingleSend
from messaging.models import Message
from postman.errors import Refused
from postman.ids import parse_public_id


class Messages(APIView):
    def post(self, request: Request, campaign_id: str) -> Response:
        """E1: send one message. The answer proves that it is stored; its outcome comes later."""
        asked = SingleSend(data=request.data)
        asked.is_valid(raise_exception=True)
        message = sending.send_message(
            campaign=request.auth.campaign,  # type: ignore[union-attr]
            creator=request.user,  # type: ignore[arg-type]
            via_api=True,
            **asked.validated_data,
        )
        return Response(MessageShort(message).data, status=status.HTTP_201_CREATED)


class OneMessage(APIView):
    def get(self, request: Request, campaign_id: str, message_id: str) -> Response:
        """E3: one message and every attempt at it, newest first."""
        wanted = parse_public_id(message_id, "message")
        found = Message.objects.select_related("template_body", "batch", "creator").filter(
            campaign=request.auth.campaign  # type: ignore[union-attr]
        )
        message = found.filter(id=wanted).first() if wanted else None
        if message is None:
            raise Refused("This campaign has no such message.", "resource_not_found")
        return Response(MessageDetail(message).data)
