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
from .numbers import mailbox_of
from .wire import Scope

SEND_EMAIL = "/v2/email/outbound-emails"
_MAX_RECIPIENTS = 50
_MAX_BYTES = 40 * 1024 * 1024
_CONFIGURATION_SETS = (
    *("", constants.SES_CONFIGURATION_SET, constants.SES_UNTRACKED_CONFIGURATION_SET),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TAG = re.compile(r"[A-Za-z0-9_:-]{1,256}")
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.@:-]{1,256}")
_USUAL = frozenset(
    {
        *("from", "to", "cc", "subject", "reply-to", "mime-version", "content-type"),
        "content-transfer-encoding",
    }
)
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
    """The log entry of an acceptable SendEmail; `Refused` with what is wrong with it.

    `to` is all recipients, for the search; the first of `recipients` is whom it is for.
    """
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
        reply_to = request.get("ReplyToAddresses") or shown["reply_to"]
        configuration_set = request.get("ConfigurationSetName") or ""
        tags = {tag["Name"]: tag["Value"] for tag in request.get("EmailTags") or ()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _bad("The request could not be read.") from None
    _check_addresses(recipients, sender)
    _check_headers(shown["subject"], sender, *reply_to, *shown["headers"].values())
    for name, value in tags.items():
        if not _TAG.fullmatch(name) or not _TAG_VALUE.fullmatch(value):
            raise _bad("Invalid email tag.")
    if configuration_set not in _CONFIGURATION_SETS:
        raise Refused(
            404, "NotFoundException", f"Configuration set <{configuration_set}> does not exist."
        )
    return {
        "channel": "email",
        "to": ", ".join(recipients),
        "recipients": recipients,
        "from": sender,
        "reply_to": list(reply_to),
        "headers": shown["headers"],
        "attachments": shown["attachments"],
        "subject": shown["subject"],
        "text": shown["text"],
        "html": shown["html"],
        "tags": tags,
        "configuration_set": configuration_set,
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
        if not local_part.isascii() or _CONTROL.search(recipient):
            raise _bad("Local address contains control or whitespace")
        mailbox = mailbox_of(address)
        if mailbox and mailbox.behaviour == "refused":
            raise Refused(mailbox.status, mailbox.error, mailbox.message)


def _check_headers(*values: str) -> None:
    for value in values:
        if _CONTROL.search(value):
            raise _bad("Header value contains control characters.")


def fate_of(entry: dict[str, Any]) -> str:
    """What befalls the call that sends to this mailbox."""
    mailbox = mailbox_of(entry["recipients"][0])
    return mailbox.fate if mailbox else ""


def _simple(content: dict[str, Any]) -> dict[str, Any]:
    body = content["Body"]
    return {
        "recipients": [],
        "from": "",
        "reply_to": [],
        "headers": {h["Name"]: h["Value"] for h in content.get("Headers") or ()},
        "attachments": [file["FileName"] for file in content.get("Attachments") or ()],
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
        "reply_to": [str(mail["Reply-To"])] if mail["Reply-To"] else [],
        "headers": {name: str(value) for name, value in mail.items() if name.lower() not in _USUAL},
        "attachments": [part.get_filename() or "" for part in mail.iter_attachments()],
        "subject": str(mail["Subject"] or ""),
        "text": _part(mail, "plain"),
        "html": _with_images(_part(mail, "html"), mail),
    }


def _with_images(html: str, mail: EmailMessage) -> str:
    """As a reader of mail shows it: the images that came along where they are named (`cid:`)."""
    for part in mail.walk():
        name = (part["Content-ID"] or "").strip("<> ")
        if name and part.get_content_maintype() == "image":
            data = base64.b64encode(part.get_content()).decode()
            html = html.replace(f"cid:{name}", f"data:{part.get_content_type()};base64,{data}")
    return html


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
