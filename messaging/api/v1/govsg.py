"""Programmatic WhatsApp, `/v1/transactional/govsg`, and the templates that it sends
(v1-backend §3.8; v1-web-app §21, §22.6)."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Exists, F, OuterRef, Q
from rest_framework import serializers
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import whatsapp
from campaigns.models import Channel, WhatsappTemplate
from messaging import transactional, v1_words
from messaging.api.v1.base import (
    AccountKeyAuthentication,
    AccountThrottle,
    V1View,
    check_length,
)
from messaging.api.v1.errors import Invalid
from messaging.api.v1.listing import iso
from messaging.api.v1.reading import ReadList, ReadOne
from messaging.channels.whatsapp import explain
from messaging.models import Attempt, Transactional
from messaging.states import Status
from postman.api.parsers import StorableJson

MAX_LIMIT = 1000
# A number that is not on WhatsApp has a status of its own.
_OF_THE_NUMBER = Q(
    Exists(
        Attempt.objects.filter(
            message=OuterRef("message"),
            number=F("message__attempts_made"),
            error_code="recipient_invalid",
        )
    )
)
_FAILED = Q(message__status=Status.FAILURE)
# v1's statuses → ours.
STATUSES: Mapping[str, Sequence[str] | Q] = {
    **v1_words.GOVSG,
    "ERROR": _FAILED & ~_OF_THE_NUMBER,
    "INVALID_RECIPIENT": _FAILED & _OF_THE_NUMBER,
}


class GovsgSend(serializers.Serializer):
    recipient = serializers.CharField(max_length=50)
    template_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    params = serializers.DictField(
        child=serializers.CharField(allow_blank=True, trim_whitespace=False), required=False
    )
    language_code = serializers.CharField(max_length=10, default=whatsapp.ENGLISH)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            if unknown := data.keys() - self.fields.keys():
                raise serializers.ValidationError(
                    {name[:50]: "Unknown field." for name in sorted(unknown)[:10]}
                )
            self._check_kinds(data)
        return super().to_internal_value(data)

    def _check_kinds(self, data: Mapping[str, Any]) -> None:
        """What DRF would turn into what it should have been."""
        for name in ("recipient", "language_code"):
            if name in data and not isinstance(data[name], str):
                raise serializers.ValidationError({name: "Send a string."})
        if isinstance(data.get("template_id"), bool | float):
            raise serializers.ValidationError({"template_id": "Send a whole number."})
        params = data.get("params", {})
        if isinstance(params, Mapping) and not all(isinstance(v, str) for v in params.values()):
            raise serializers.ValidationError({"params": "Send an object of strings."})
        if isinstance(params, Mapping) and any("\0" in name for name in params):
            raise serializers.ValidationError({"params": "Take out the NUL character."})


# One for all calls, as it keeps nothing of any.
GOVSG_SEND = GovsgSend()


class KeyOnly(V1View):
    """Systems send through these, never a page."""

    authentication_classes = [AccountKeyAuthentication]


class Send(KeyOnly):
    throttle_classes = [AccountThrottle]
    parser_classes = [StorableJson, MultiPartParser, FormParser]
    http_method_names = ["post", "options"]

    def post(self, request: Request) -> Response:
        """Send one message. The answer proves that it is stored; its outcome comes later."""
        check_length(request)
        return self.once(lambda: self._send(request))

    def _send(self, request: Request) -> Response:
        data = request.data.dict() if hasattr(request.data, "dict") else request.data
        asked = GOVSG_SEND.run_validation(data)
        try:
            row = transactional.send_whatsapp(self.account, **{"params": {}, **asked})
        except transactional.InvalidParams as invalid:
            raise Invalid(invalid.faults) from None
        return Response(shown(row, None), status=201)


class Templates(V1View):
    def get(self, request: Request) -> Response:
        """The templates that the account may send."""
        granted = whatsapp.granted_to(self.account).order_by("name", "id")
        return Response({"data": [_template(template) for template in granted]})


def shown(row: Transactional, attempt: Attempt | None) -> dict[str, Any]:
    """v1's object of a WhatsApp message (v1-web-app §21.3)."""
    message, content = row.message, row.content
    known = (attempt.error_code, attempt.provider_code) if attempt else ()
    status = v1_words.status_of(Channel.WHATSAPP, message.status, *known[:1])
    has_failed = status in ("ERROR", "INVALID_RECIPIENT")
    return {
        "id": str(row.pk),
        "recipient": message.recipient and f"+{message.recipient}",
        "template_id": content.get("template_id"),
        "params": content.get("params"),
        "language_code": content.get("language_code"),
        "created_at": iso(row.created_at),
        "updated_at": iso(message.updated_at),
        "accepted_at": iso(row.created_at),
        "sent_at": iso(attempt.passed_on_at if attempt else None),
        "delivered_at": iso(attempt.delivered_at if attempt else None),
        "read_at": iso(attempt.opened_at if attempt else None),
        "errored_at": iso(message.updated_at) if has_failed else None,
        "error_code": v1_words.error_of(Channel.WHATSAPP, message.status, *known)[0],
        "error_description": _description(attempt) if attempt and has_failed else None,
        "status": status,
    }


def _description(attempt: Attempt) -> str:
    if attempt.provider_code:
        return explain(attempt.provider_code)
    return attempt.error.sentence if attempt.error else ""


def _template(template: WhatsappTemplate) -> dict[str, Any]:
    """v1's object of a template. Its guide has another name for the languages than its code had:
    both are here (v1-web-app §25)."""
    languages = template.languages
    return {
        "id": template.pk,
        "name": template.name,
        "body": template.body,
        "params": template.params,
        "param_metadata": template.param_metadata,
        "languages": [
            {"code": each["code"], "language": each["language"], "body": each["body"]}
            for each in languages
        ],
        "multilingual_support": [
            {"languageCode": each["code"], "language": each["language"], "body": each["body"]}
            for each in languages
        ],
    }


class One(KeyOnly, ReadOne):
    channel = Channel.WHATSAPP
    shown = staticmethod(shown)


class List(KeyOnly, ReadList):
    channel = Channel.WHATSAPP
    shown = staticmethod(shown)
    statuses = STATUSES
    max_limit = MAX_LIMIT
