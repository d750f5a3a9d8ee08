"""WhatsApp's Cloud API: messages of one number, and the webhooks that tell what became of them."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import Any
from uuid import uuid4

import orjson

from . import constants
from .numbers import WHATSAPP_BY_NUMBER
from .sns import Post
from .wire import JSON, Scope, header

PATH = re.compile(r"/v\d+\.\d+/(\d+)/messages")
_PHONE = re.compile(r"\+?[1-9]\d{6,14}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2,3})?")
_NAME = re.compile(r"[a-z0-9_]{1,512}")
_MOST_CHARACTERS = 1024
_BREAKS = re.compile(r"[\n\r\t]| {5,}")
MESSAGES = {
    0: "We were unable to authenticate the app user.",
    100: "Invalid parameter",
    130429: "Rate limit hit",
    131000: "Something went wrong",
    131009: "Parameter value is not valid",
    131016: "Service unavailable",
    131026: "Message undeliverable",
    131049: "This message was not delivered to maintain healthy ecosystem engagement.",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
    132000: "Number of parameters does not match the expected number of params",
    132001: "Template name does not exist in the translation",
    132015: "Template is Paused",
    132018: "There is an issue with the parameters in your template",
    190: "Error validating access token",
}
_STATUS = {190: 401, 0: 401, 130429: 429, 131056: 429, 131000: 500, 131016: 503, 132001: 404}


class Refused(Exception):
    """An answer that is one of WhatsApp's errors."""

    headers: tuple[tuple[bytes, bytes], ...] = JSON

    def __init__(self, code: int, details: str = "", retry_after: int | None = None) -> None:
        super().__init__(MESSAGES[code])
        self.status = _STATUS.get(code, 400)
        if retry_after is not None:
            self.headers = (*JSON, (b"retry-after", str(retry_after).encode()))
        self.body = orjson.dumps(
            {
                "error": {
                    "message": f"(#{code}) {MESSAGES[code]}",
                    "type": "OAuthException",
                    "code": code,
                    "error_data": {
                        "messaging_product": "whatsapp",
                        "details": details or MESSAGES[code],
                    },
                    "fbtrace_id": "Sandbox",
                }
            }
        )


FATES = {
    "429": Refused(130429, retry_after=1),
    "5xx": Refused(131000),
    "down": Refused(131016),
    "refused_auth": Refused(190),
}


def check_message(scope: Scope, body: bytes, endpoint: str) -> dict[str, Any]:
    """The log entry of an acceptable message; `Refused` with what is wrong with it."""
    if header(scope, b"authorization") != f"Bearer {constants.WHATSAPP_ACCESS_TOKEN}":
        raise Refused(190)
    match = PATH.fullmatch(scope["path"])
    if not match or match[1] != constants.WHATSAPP_PHONE_NUMBER_ID:
        raise Refused(100, "Unsupported post request. Object does not exist.")
    try:
        asked = orjson.loads(body)
        to, kind = str(asked["to"]), asked["type"]
        if asked["messaging_product"] != "whatsapp" or not _PHONE.fullmatch(to):
            raise ValueError
        content = _template(asked["template"]) if kind == "template" else _text(asked)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise Refused(100) from None
    to = f"+{to.removeprefix('+')}"
    number = WHATSAPP_BY_NUMBER.get(to)
    if number and number.behaviour == "refused":
        raise Refused(number.code)
    return {
        "channel": "whatsapp",
        "to": to,
        "from": constants.WHATSAPP_NUMBER,
        **content,
        "attempt": str(asked.get("biz_opaque_callback_data") or ""),
        "status_callback": endpoint,
        "first_status": "accepted",
    }


def _template(template: dict[str, Any]) -> dict[str, Any]:
    name, language = template["name"], template["language"]["code"]
    if not _NAME.fullmatch(name) or not _LANGUAGE.fullmatch(language):
        raise Refused(132001)
    parameters = []
    for component in template.get("components") or ():
        if component["type"] != "body":
            raise ValueError
        for parameter in component["parameters"]:
            if parameter["type"] != "text":
                raise ValueError
            parameters.append(parameter["text"])
    if any(not text or _BREAKS.search(text) for text in parameters):
        raise Refused(132018)
    if sum(map(len, parameters)) > _MOST_CHARACTERS:
        raise Refused(131009)
    shown = "\n".join(f"{{{{{place}}}}} {text}" for place, text in enumerate(parameters, 1))
    return {
        "template": name,
        "language": language,
        "parameters": parameters,
        "text": f"[{name}, {language}]\n{shown}".strip(),
    }


def _text(asked: dict[str, Any]) -> dict[str, Any]:
    if asked["type"] != "text" or not asked["text"]["body"]:
        raise ValueError
    return {"template": "", "language": "", "parameters": [], "text": asked["text"]["body"]}


def answer(entry: dict[str, Any]) -> bytes:
    wa_id = entry["to"].removeprefix("+")
    return orjson.dumps(
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": entry["to"], "wa_id": wa_id}],
            "messages": [{"id": entry["sid"], "message_status": "accepted"}],
        }
    )


def status_call(entry: dict[str, Any], status: str, error: int) -> Post:
    """The webhook that tells of one status."""
    told: dict[str, Any] = {
        "id": entry["sid"],
        "status": status,
        "timestamp": str(int(time.time())),
        "recipient_id": entry["to"].removeprefix("+"),
    }
    if entry["attempt"]:
        told["biz_opaque_callback_data"] = entry["attempt"]
    if error:
        told["errors"] = [
            {
                "code": error,
                "title": MESSAGES[error],
                "message": MESSAGES[error],
                "error_data": {"details": MESSAGES[error]},
                "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
            }
        ]
    return _call(entry["status_callback"], {"statuses": [told]})


def text_call(endpoint: str, sender: str, text: str) -> Post:
    """The webhook that tells what somebody wrote to our number."""
    sender = sender.removeprefix("+")
    message = {
        "from": sender,
        "id": f"wamid.{uuid4().hex}",
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": text},
    }
    contact = {"profile": {"name": "Sandbox"}, "wa_id": sender}
    return _call(endpoint, {"contacts": [contact], "messages": [message]})


def _call(url: str, value: dict[str, Any]) -> Post:
    metadata = {
        "display_phone_number": constants.WHATSAPP_NUMBER,
        "phone_number_id": constants.WHATSAPP_PHONE_NUMBER_ID,
    }
    body = orjson.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": "200000000000002",
                    "changes": [
                        {
                            "field": "messages",
                            "value": {
                                "messaging_product": "whatsapp",
                                "metadata": metadata,
                                **value,
                            },
                        }
                    ],
                }
            ],
        }
    )
    return Post(url, body, {"Content-Type": "application/json", **signed(body)})


def signed(body: bytes) -> dict[str, str]:
    """https://developers.facebook.com/docs/graph-api/webhooks/getting-started#validate-payloads"""
    digest = hmac.digest(constants.WHATSAPP_APP_SECRET.encode(), body, hashlib.sha256)
    return {"X-Hub-Signature-256": f"sha256={digest.hex()}"}
