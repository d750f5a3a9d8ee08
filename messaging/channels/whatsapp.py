"""WhatsApp messages through Meta's Cloud API, over one pool of connections.

https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import aiohttp
import orjson

from campaigns import phone_numbers
from messaging.channels.base import (
    DELIVERY_ERRORS,
    Accepted,
    Attempted,
    Callback,
    Event,
    Found,
    InvalidSignature,
    Outcome,
    OutgoingTemplate,
    Rejected,
    Throttled,
    Unavailable,
    Unknown,
)
from messaging.channels.pool import Pool

logger = logging.getLogger(__name__)

API = "https://graph.facebook.com"
VERSION = "v23.0"

# What WhatsApp's message statuses mean for an attempt. What a recipient deletes was delivered, and
# a warning is about us, not about the message.
STATUSES: Mapping[str, str] = MappingProxyType(
    {
        "sent": "sent_to_telco",
        "delivered": "success",
        "read": "opened",
        "failed": "failure",
    }
)


class Whatsapp:
    """One number of a WhatsApp Business account. Keep it: it holds the connections, which belong
    to the event loop they were first used in."""

    can_be_asked = False

    def __init__(
        self,
        phone_number_id: str,
        access_token: str,
        app_secret: str,
        verify_token: str = "",
        base_url: str | None = None,
        version: str = VERSION,
        timeout: float = 30,
        connections: int = 100,
        test_numbers: bool = False,
    ) -> None:
        """Meta signs its webhooks with `app_secret`, and shows `verify_token` when they are set up."""
        self._phone_number_id = phone_number_id
        self._app_secret = app_secret.encode()
        self._verify_token = verify_token
        self._test_numbers = test_numbers
        self._pool = Pool(connections, timeout)
        base = (base_url or API).rstrip("/")
        self._messages_url = f"{base}/{version}/{phone_number_id}/messages"
        self._headers = {
            "Authorization": f"Bearer {access_token}",
            "Content-Type": "application/json",
        }

    def clean_recipient(self, value: str) -> str:
        return phone_numbers.clean_recipient(value, test_numbers=self._test_numbers)

    async def close(self) -> None:
        await self._pool.close()

    # Sending -------------------------------------------------------------------------------

    async def send(self, messages: Sequence[OutgoingTemplate]) -> list[Outcome]:
        outcomes: list[Outcome] = [Unknown()] * len(messages)
        waiting = iter(enumerate(messages))

        async def send_in_turn() -> None:
            for place, message in waiting:
                outcomes[place] = await self._send_one(_template(message))

        senders = min(len(messages), self._pool.connections)
        await asyncio.gather(*(send_in_turn() for _ in range(senders)))
        return outcomes

    async def send_text(self, recipient: str, text: str) -> Outcome:
        """Answer somebody who wrote to us within the last day; others may be sent templates only."""
        return await self._send_one(_text(recipient, text))

    async def _send_one(self, body: dict[str, Any]) -> Outcome:
        try:
            answer = await self._post(body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Unavailable(type(error).__name__)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Unknown(type(error).__name__)
        except Exception:
            # One message's surprise must not lose the outcomes of its whole chunk.
            logger.exception("a send ended in an unforeseen way")
            return Unknown("unforeseen")
        return _outcome(answer)

    async def _post(self, body: dict[str, Any]) -> "_Answer":
        opened = self._pool.in_this_loop()
        async with (
            opened.free,
            opened.session.post(
                self._messages_url,
                data=orjson.dumps(body),
                headers=self._headers,
                allow_redirects=False,
            ) as response,
        ):
            return _Answer(response.status, await response.read(), response.headers)

    async def find(self, attempts: Sequence[Attempted]) -> list[Found]:
        """Nothing: WhatsApp has no list of messages. Its webhooks name the attempt."""
        return []

    # Hearing -------------------------------------------------------------------------------

    def answer_to_challenge(self, token: str) -> bool:
        """Whether whoever sets the webhook up is ours."""
        known, given = self._verify_token.encode(), token.encode()
        return bool(known) and hmac.compare_digest(known, given)

    def read_events(self, callback: Callback) -> list[Event]:
        """Every status in a webhook, of all its entries; those of other numbers are left out."""
        return [
            event
            for value in self._values(callback)
            for status in _objects(value.get("statuses"))
            if (event := _event(status))
        ]

    def read_texts(self, callback: Callback) -> list["Text"]:
        """What people wrote to our number."""
        return [
            text
            for value in self._values(callback)
            for message in _objects(value.get("messages"))
            if (text := _text_in(message))
        ]

    def _values(self, callback: Callback) -> Iterator[dict[str, Any]]:
        expected = hmac.digest(self._app_secret, callback.body, hashlib.sha256).hex()
        scheme, _, given = callback.signature.partition("=")
        if scheme != "sha256" or not hmac.compare_digest(expected.encode(), given.encode()):
            raise InvalidSignature
        for entry in _objects(_object(callback.body).get("entry")):
            for change in _objects(entry.get("changes")):
                value = change.get("value")
                if change.get("field") != "messages" or not isinstance(value, dict):
                    continue
                metadata = value.get("metadata")
                number = metadata.get("phone_number_id") if isinstance(metadata, dict) else None
                if number == self._phone_number_id:
                    yield value


@dataclass(frozen=True, slots=True)
class Text:
    """What somebody wrote to our number."""

    id: str
    sender: str
    text: str = field(repr=False)


class _Answer(NamedTuple):
    status: int
    content: bytes
    headers: Mapping[str, str]


# What is asked -----------------------------------------------------------------------------


def _template(message: OutgoingTemplate) -> dict[str, Any]:
    template = message.template
    parameters = [{"type": "text", "text": value} for value in template.parameters]
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": f"+{message.recipient}",
        "type": "template",
        "template": {
            "name": template.name,
            "language": {"policy": "deterministic", "code": template.language},
            "components": [{"type": "body", "parameters": parameters}] if parameters else [],
        },
        # Comes back with every status.
        "biz_opaque_callback_data": str(message.attempt_id),
    }


def _text(recipient: str, text: str) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": f"+{recipient}",
        "type": "text",
        "text": {"preview_url": False, "body": text},
    }


# Answers -----------------------------------------------------------------------------------


# As much as an attempt keeps of it.
REFERENCE_LENGTH = 128


def _outcome(answer: _Answer) -> Outcome:
    status, fields = answer.status, _object(answer.content)
    if 200 <= status < 300:
        first = next(iter(_objects(fields.get("messages"))), {})
        reference = str(first.get("id") or "")[:REFERENCE_LENGTH]
        return Accepted(reference) if reference else Unknown("no id in the answer")
    error = fields.get("error")
    error = error if isinstance(error, dict) else {}
    code, detail = str(error.get("code", status))[:20], str(error.get("message") or "")
    if code in TO_ONE_PERSON:
        return Throttled(_retry_after(answer.headers), is_personal=True)
    if status == 429 or code in THROTTLED:
        return Throttled(_retry_after(answer.headers))
    if status == 401 or code in OUR_ACCOUNT or (code.isdigit() and 200 <= int(code) < 300):
        # Nobody mends this but us, and then the messages leave.
        logger.error("WhatsApp does not serve our account: error %s", code)
        return Unavailable(f"error {code}")
    if code in AWAY:
        return Unavailable(f"error {code}")
    # Without an error of its own it is not WhatsApp that refused it.
    if error and 400 <= status < 500 and status != 408:
        return Rejected(delivery_error(code), detail, provider_code=code)
    # It broke, and may have taken the message before.
    return Unknown(f"HTTP {status}")


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list; whatever else came is left out."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers.get("Retry-After") or ""))
    except ValueError:
        return None


# Reports -----------------------------------------------------------------------------------


def _event(status: dict[str, Any]) -> Event | None:
    reference, kind = status.get("id"), status.get("status")
    if not isinstance(reference, str) or not isinstance(kind, str) or not reference or not kind:
        return None
    error = next(iter(_objects(status.get("errors"))), {})
    code = str(error.get("code") or "")[:20]
    return Event(
        # WhatsApp numbers messages but not its reports on them.
        provider_event_id=hashlib.sha256(f"{reference}:{kind}:{code}".encode()).hexdigest(),
        # It holds the recipient's number, and the attempt is named by what comes back with it.
        reference="",
        attempt_id=_attempt_of(status),
        kind=kind[:20],
        code=code,
        # Neither the recipient's number nor what may hold it.
        raw={
            "timestamp": str(status.get("timestamp") or "")[:20],
            **({"title": str(error.get("title") or "")[:200]} if error else {}),
        },
        at=datetime.now(UTC),
    )


def _attempt_of(status: dict[str, Any]) -> UUID | None:
    """Ours of what the status comes back with; None for messages of somebody else's."""
    with suppress(ValueError):
        return UUID(str(status.get("biz_opaque_callback_data")))
    return None


def _text_in(message: dict[str, Any]) -> Text | None:
    text = message.get("text")
    sender = str(message.get("from") or "")
    if message.get("type") != "text" or not isinstance(text, dict):
        return None
    if not (sender.isascii() and sender.isdigit()):
        return None
    return Text(str(message.get("id") or ""), sender, str(text.get("body") or ""))


# WhatsApp's codes --------------------------------------------------------------------------
# https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes

THROTTLED = frozenset({"4", "80007", "130429", "131048"})
# Too many to this one person: the others need not wait.
TO_ONE_PERSON = frozenset({"131056"})
# Our token, our rights, our number, our bill.
OUR_ACCOUNT = frozenset(
    {"0", "3", "10", "33", "190", "368", "131005", "131031", "131037", "131042", "131045", "133010"}
)
AWAY = frozenset({"131016", "131057", "133004"})

# What each means for an officer, and the sentence that tells why.
_EXPLAINED: dict[str, tuple[str, str]] = {
    "100": ("content_invalid", "WhatsApp could not read this message."),
    "1013": ("recipient_invalid", "This number is not on WhatsApp."),
    "1026": ("recipient_unavailable", "This person's WhatsApp cannot receive such a message."),
    "130472": ("recipient_unavailable", "WhatsApp holds messages to this person back for a test."),
    "130497": ("routing_error", "WhatsApp may not carry our messages to this country."),
    "131000": ("delivery_unknown_error", "WhatsApp had a fault and did not say which."),
    "131008": ("content_invalid", "A value that the template needs is missing."),
    "131009": ("content_invalid", "WhatsApp does not take one of the values."),
    "131021": ("recipient_invalid", "The message was to be sent to its own sender."),
    "131026": ("recipient_invalid", "This number is not on WhatsApp, or cannot be reached there."),
    "131030": ("recipient_invalid", "A number for testing sends to registered numbers only."),
    "131047": ("routing_error", "More than a day has passed since this person last wrote to us."),
    "131049": (
        "recipient_unavailable",
        "WhatsApp held it back: this person got many such messages lately.",
    ),
    "131050": ("recipient_unavailable", "This person has asked WhatsApp for no such messages."),
    "131051": ("content_invalid", "WhatsApp does not know this type of message."),
    "131053": ("content_invalid", "WhatsApp could not take a file of the template's."),
    "132000": ("content_invalid", "The template has another number of values at WhatsApp."),
    "132001": ("content_invalid", "WhatsApp has no such template in this language."),
    "132005": ("content_invalid", "With its values the message is too long for WhatsApp."),
    "132007": ("content_invalid", "The text breaks a rule of WhatsApp's."),
    "132012": ("content_invalid", "A value is not in the form that the template asks for."),
    "132015": ("content_invalid", "WhatsApp has paused this template."),
    "132016": ("content_invalid", "WhatsApp has disabled this template for good."),
    "132018": ("content_invalid", "WhatsApp does not take one of the values."),
    "135000": ("content_invalid", "WhatsApp could not read this message."),
}


def meaning_of(kind: str, code: str) -> tuple[str, str] | None:
    """What a message status of WhatsApp's says of an attempt: (status, delivery error)."""
    status = STATUSES.get(kind)
    if status is None:
        return None
    return status, delivery_error(code) if status == "failure" else ""


def delivery_error(code: str) -> str:
    return _EXPLAINED.get(code, ("delivery_unknown_error", ""))[0]


def explain(code: str) -> str:
    """One plain sentence for the officer."""
    if code in _EXPLAINED:
        return _EXPLAINED[code][1]
    return DELIVERY_ERRORS["delivery_unknown_error"].sentence
