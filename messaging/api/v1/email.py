"""Programmatic email, `/v1/transactional/email` (v1-backend §3.5, §3.6; v1-web-app §21)."""

import json
import re
from collections.abc import Mapping
from email.headerregistry import Address as Header
from email.utils import parseaddr
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.email.addresses import clean_recipient
from campaigns.models import Channel
from messaging import attachments, transactional, v1_words
from messaging.api.v1.base import MOST_BYTES, AccountThrottle, V1View, check_length, length_of
from messaging.api.v1.listing import iso
from messaging.api.v1.reading import ReadList, ReadOne
from messaging.models import Attempt, Transactional
from postman.api.parsers import StorableJson
from postman.errors import Refused

MOST_BODY_BYTES = 1024 * 1024
MAX_LIMIT = 1000


class Address(serializers.Field):
    """An email address, lower case and without letters that SES does not take."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Send an email address as a string.")
        try:
            return clean_recipient(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


ADDRESS = Address()


class Addresses(serializers.Field):
    """A list of different addresses; in a form, where there are no lists, as JSON."""

    def to_internal_value(self, data: Any) -> list[str]:
        if isinstance(data, str):
            try:
                data = json.loads(data)
                # As of the whole body: half a character, written as \ud83d alone, is no text.
                json.dumps(data, ensure_ascii=False).encode()
            except (ValueError, RecursionError):
                data = None
        if not isinstance(data, list):
            raise serializers.ValidationError("Send a list of email addresses.")
        if len(data) > transactional.MOST_ADDRESSES:
            raise Refused(
                f"Send to at most {transactional.MOST_ADDRESSES} addresses, cc and bcc included.",
                "too_many_recipients",
            )
        found: list[str] = []
        faults: dict[str, Any] = {}
        for place, item in enumerate(data):
            try:
                found.append(_bare(item))
            except serializers.ValidationError as error:
                faults[str(place)] = error.detail
        if faults:
            raise serializers.ValidationError(faults)
        if len(set(found)) < len(found):
            raise serializers.ValidationError("An address stands in the list twice.")
        return found


def _bare(item: Any) -> str:
    """Clients of v1 write `Name <address>` where somebody gave them a name, which v1 refused."""
    if isinstance(item, str) and item.isprintable() and item.endswith(">"):
        item = parseaddr(item)[1] or item
    return ADDRESS.run_validation(item)


class Mailbox(serializers.Field):
    """`Name <name@example.gov.sg>`, or the address alone."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or not data.isprintable():
            raise serializers.ValidationError("Send a name and an address: Name <name@example.sg>.")
        name, address = parseaddr(data)
        try:
            clean = clean_recipient(address)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None
        return str(Header(name, addr_spec=clean))


class Text(serializers.CharField):
    """As it was sent; DRF would take numbers too, which v1 did not."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Send a string.")
        return super().to_internal_value(data)


class Flag(serializers.Field):
    """True or false, in JSON or as a word: DRF would take `on` and `1` too."""

    def to_internal_value(self, data: Any) -> bool:
        word = str(data).lower() if isinstance(data, bool | str) else ""
        if word not in ("true", "false"):
            raise serializers.ValidationError("Give true or false.")
        return word == "true"


class EmailSend(serializers.Serializer):
    recipient = Address()
    subject = Text(max_length=2000)
    body = Text()
    from_ = Mailbox(required=False)
    reply_to = Address(required=False)
    cc = Addresses(required=False)
    bcc = Addresses(required=False)
    tag = Text(required=False, max_length=255, allow_blank=True)
    classification = Text(required=False)
    disable_tracking = Flag(required=False, default=False)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError("Send an object.")
        data = {"from_" if name == "from" else name: value for name, value in data.items()}
        if unknown := data.keys() - self.fields.keys():
            raise serializers.ValidationError(
                {name[:50]: "Unknown field." for name in sorted(unknown)[:10]}
            )
        try:
            return super().to_internal_value(data)
        except serializers.ValidationError as error:
            faults = dict(error.detail)  # type: ignore[arg-type]
            if "from_" in faults:
                faults["from"] = faults.pop("from_")
            raise serializers.ValidationError(faults) from None

    def validate_subject(self, subject: str) -> str:
        """One line: headers cannot be smuggled in behind it."""
        return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", subject).split())

    def validate_body(self, body: str) -> str:
        if len(body.encode()) > MOST_BODY_BYTES:
            raise serializers.ValidationError(f"The body is larger than {MOST_BODY_BYTES:,} bytes.")
        return body

    def validate_classification(self, value: str) -> str:
        if value.upper() not in transactional.CLASSIFICATIONS:
            raise serializers.ValidationError(
                f"Give one of: {', '.join(transactional.CLASSIFICATIONS)}."
            )
        return value.upper()


# One for all calls, as it keeps nothing of any.
EMAIL_SEND = EmailSend()


class Send(V1View):
    throttle_classes = [AccountThrottle]
    parser_classes = [StorableJson, MultiPartParser, FormParser]
    http_method_names = ["post", "options"]

    def post(self, request: Request) -> Response:
        """Send one email. The answer proves that it is stored; its outcome comes later."""
        self._check_length(request)
        http = request._request
        http.upload_handlers = [TemporaryFileUploadHandler(http)]
        # Forms hold a body of a megabyte, written in more bytes than it has.
        http.encoding = "utf-8"
        return self.once(lambda: self._send(request))

    def _send(self, request: Request) -> Response:
        asked, uploads = _parts(request.data)
        asked = EMAIL_SEND.run_validation(asked)
        if uploads:
            transactional.check_may_attach(asked.get("from_", ""))
        files = attachments.check([(upload.name or "", upload.read()) for upload in uploads])
        row = transactional.send_email(self.account, files=files, **asked)
        return Response(shown(row, None), status=201)

    def _check_length(self, request: Request) -> None:
        if not (request.content_type or "").startswith("multipart/"):
            check_length(request)
        elif length_of(request) > attachments.MOST_BYTES + MOST_BYTES:
            raise Refused(
                "The attached files must be smaller than 10 MB together.", "attachment_limit"
            )


def _parts(data: Any) -> tuple[Any, list[UploadedFile]]:
    """Fields and files of a call, whichever way it came."""
    if isinstance(data, QueryDict):
        files: list[Any] = [f for f in data.getlist("attachments") if isinstance(f, UploadedFile)]
        strange = [n for n, v in data.lists() if any(isinstance(x, UploadedFile) for x in v)]
        if set(strange) - {"attachments"}:
            raise Refused("Send files in parts named `attachments`.", "attachment_format")
        fields: dict[str, Any] = {}
        for name, values in data.lists():
            if name == "attachments":
                if len(files) < len(values):
                    raise _not_a_file()
                continue
            # Some clients repeat a field instead of writing a list.
            is_list = name in ("cc", "bcc") and (len(values) > 1 or not _is_json(values[0]))
            fields[name.removesuffix("[]")] = values if is_list else values[-1]
        return fields, files
    if isinstance(data, Mapping) and "attachments" in data:
        raise _not_a_file()
    return data, []


def _is_json(value: str) -> bool:
    return value.lstrip().startswith("[")


def _not_a_file() -> Refused:
    return Refused("Send files as multipart/form-data, each as a file.", "attachment_format")


def shown(row: Transactional, attempt: Attempt | None) -> dict[str, Any]:
    """v1's object of an email (v1-web-app §21.3)."""
    message, content = row.message, row.content
    known = (attempt.error_code, attempt.provider_code) if attempt else ()
    code, sub_type = v1_words.error_of(Channel.EMAIL, message.status, *known)
    return {
        "id": str(row.pk),
        "from": content.get("from"),
        "recipient": message.recipient,
        "params": {name: content.get(name) for name in ("subject", "body", "from", "reply_to")},
        "attachments_metadata": row.attachments,
        "status": v1_words.status_of(Channel.EMAIL, message.status),
        "error_code": code,
        "error_sub_type": sub_type,
        "created_at": iso(row.created_at),
        "updated_at": iso(message.updated_at),
        "accepted_at": iso(row.created_at),
        "sent_at": iso(attempt.passed_on_at if attempt else None),
        "delivered_at": iso(attempt.delivered_at if attempt else None),
        "opened_at": iso(attempt.opened_at if attempt else None),
        "classification": row.classification or None,
        "tag": row.tag or None,
        "cc": content.get("cc", []),
        "bcc": content.get("bcc", []),
    }


class One(ReadOne):
    channel = Channel.EMAIL
    shown = staticmethod(shown)


class List(ReadList):
    channel = Channel.EMAIL
    shown = staticmethod(shown)
    statuses = v1_words.EMAIL
    max_limit = MAX_LIMIT
    has_tags = True
