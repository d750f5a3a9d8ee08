"""Programmatic SMS, `/v1/transactional/sms` (v1-backend §3.7; v1-web-app §21)."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.models import Channel
from messaging import transactional, v1_words
from messaging.api.v1.base import AccountThrottle, V1View, check_length
from messaging.api.v1.listing import iso
from messaging.api.v1.reading import ReadList, ReadOne
from messaging.models import Attempt, Transactional
from postman.api.parsers import StorableJson

MAX_LIMIT = 100


class SmsSend(serializers.Serializer):
    recipient = serializers.CharField(max_length=50)
    body = serializers.CharField(trim_whitespace=False)
    label = serializers.CharField(max_length=50)  # type: ignore[assignment]

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := data.keys() - self.fields.keys()):
            raise serializers.ValidationError(
                {name[:50]: "Unknown field." for name in sorted(unknown)[:10]}
            )
        if isinstance(data, Mapping):
            for name in self.fields.keys() & data.keys():
                if not isinstance(data[name], str):
                    raise serializers.ValidationError({name: "Send a string."})
        return super().to_internal_value(data)


# One for all calls, as it keeps nothing of any.
SMS_SEND = SmsSend()


class Send(V1View):
    throttle_classes = [AccountThrottle]
    parser_classes = [StorableJson, MultiPartParser, FormParser]
    http_method_names = ["post", "options"]

    def post(self, request: Request) -> Response:
        """Send one SMS. The answer proves that it is stored; its outcome comes later."""
        check_length(request)
        return self.once(lambda: self._send(request))

    def _send(self, request: Request) -> Response:
        data = request.data.dict() if hasattr(request.data, "dict") else request.data
        asked = SMS_SEND.run_validation(data)
        row = transactional.send_sms(self.account, **asked)
        return Response(shown(row, None), status=201)


def shown(row: Transactional, attempt: Attempt | None) -> dict[str, Any]:
    """v1's object of an SMS (v1-web-app §21.3), with its one name in another style."""
    message, content = row.message, row.content
    status = v1_words.status_of(Channel.SMS, message.status)
    known = (attempt.error_code, attempt.provider_code) if attempt else ()
    return {
        "id": str(row.pk),
        "credentialsLabel": content.get("label"),
        "recipient": message.recipient and f"+{message.recipient}",
        "body": content.get("body"),
        "message_id": (attempt.reference or None) if attempt else None,
        "created_at": iso(row.created_at),
        "updated_at": iso(message.updated_at),
        "status": status,
        "error_code": v1_words.error_of(Channel.SMS, message.status, *known)[0],
        "accepted_at": iso(row.created_at),
        "sent_at": iso(attempt.passed_on_at if attempt else None),
        "delivered_at": iso(attempt.delivered_at if attempt else None),
        "errored_at": iso(message.updated_at) if status == "ERROR" else None,
    }


class One(ReadOne):
    channel = Channel.SMS
    shown = staticmethod(shown)


class List(ReadList):
    channel = Channel.SMS
    shown = staticmethod(shown)
    statuses = v1_words.SMS
    max_limit = MAX_LIMIT
