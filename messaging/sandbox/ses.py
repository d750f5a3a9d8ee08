"""Amazon SES, API v2: SendEmail, simple and raw."""

from __future__ import annotations

import base64
import email
import email.policy
import email.utils
import hashlib
import hmac
import re
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qsl, quote

import orjson

from . import constants
from .numbers import BY_LOCAL_PART
from .wire import Scope

SEND_EMAIL = "/v2/email/outbound-emails"
_MAX_RECIPIENTS = 50
_MAX_BYTES = 40 * 1024 * 1024
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>\w+)/(?P<scope>\d{8}/[\w-]+/\w+/aws4_request), ?"
    r"SignedHeaders=(?P<headers>[\w;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


class Refused(Exception):
    """An answer that is one of SES's errors."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = (
            (b"content-type", b"application/json"),
            (b"x-amzn-errortype", error.encode()),
        )
        self.body = orjson.dumps({"message": message})


def check_signature(scope: Scope, body: bytes) -> None:
    """Signature version 4: checked whole for the published key, in form for any other."""
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    authorization = headers.get("authorization", "")
    if not authorization:
        raise Refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is None:
        raise Refused(403, "IncompleteSignatureException", "Authorization header is malformed.")
    if match["key"] == constants.AWS_ACCESS_KEY_ID:
        expected = _signature(scope, headers, match["headers"], match["scope"], body)
        if not hmac.compare_digest(expected, match["signature"]):
            raise Refused(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            )


def check_email(body: bytes) -> dict[str, Any]:
    """The log entry of an acceptable SendEmail; `Refused` with what is wrong with it."""
    if len(body) > _MAX_BYTES:
        raise _bad("Maximum message size exceeded.")
    try:
        request = orjson.loads(body)
        content = request["Content"]
        destination = request.get("Destination") or {}
        shown = _raw(content["Raw"]) if "Raw" in content else _simple(content["Simple"])
        recipients = [
            address
            for name in ("ToAddresses", "CcAddresses", "BccAddresses")
            for address in destination.get(name) or ()
        ] or shown["recipients"]
        sender = request.get("FromEmailAddress") or shown["from"]
        tags = {tag["Name"]: tag["Value"] for tag in request.get("EmailTags") or ()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _bad("The request could not be read.") from None
    _check_addresses(recipients, sender)
    return {
        "channel": "email",
        "to": ", ".join(recipients),
        "from": sender,
        "subject": shown["subject"],
        "text": shown["text"],
        "html": shown["html"],
        "tags": tags,
        "configuration_set": request.get("ConfigurationSetName") or "",
    }


def _check_addresses(recipients: list[str], sender: str) -> None:
    if not sender:
        raise _bad("Missing required header 'From'.")
    if not recipients:
        raise _bad("Destination must have at least one recipient.")
    if len(recipients) > _MAX_RECIPIENTS:
        raise _bad(f"Recipient count exceeds {_MAX_RECIPIENTS}.")
    for recipient in recipients:
        address = email.utils.parseaddr(recipient)[1]
        local_part, at, domain = address.rpartition("@")
        if not (local_part and at and domain):
            raise _bad("Missing final '@domain'")
        if mailbox := BY_LOCAL_PART.get(local_part):
            raise Refused(mailbox.status, mailbox.error, mailbox.message)


def _simple(content: dict[str, Any]) -> dict[str, Any]:
    body = content["Body"]
    return {
        "recipients": [],
        "from": "",
        "subject": content["Subject"]["Data"],
        "text": (body.get("Text") or {}).get("Data", ""),
        "html": (body.get("Html") or {}).get("Data", ""),
    }


def _raw(content: dict[str, Any]) -> dict[str, Any]:
    mail = email.message_from_bytes(
        base64.b64decode(content["Data"], validate=True), policy=email.policy.default
    )
    return {
        "recipients": [
            address.addr_spec
            for name in ("To", "Cc", "Bcc")
            if mail[name]
            for address in mail[name].addresses
        ],
        "from": str(mail["From"] or ""),
        "subject": str(mail["Subject"] or ""),
        "text": _part(mail, "plain"),
        "html": _part(mail, "html"),
    }


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    return part.get_content() if part else ""


def _bad(message: str) -> Refused:
    return Refused(400, "BadRequestException", message)


def _signature(
    scope: Scope, headers: dict[str, str], signed: str, credential_scope: str, body: bytes
) -> str:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
    )
    canonical = "\n".join(
        [
            scope["method"],
            quote(scope["path"], safe="/-_.~"),
            query,
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed.split(";")),
            "",
            signed,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    to_sign = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            headers.get("x-amz-date", ""),
            credential_scope,
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = b"AWS4" + constants.AWS_SECRET_ACCESS_KEY.encode()
    for part in credential_scope.split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
