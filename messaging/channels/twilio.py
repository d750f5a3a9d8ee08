"""SMS through Twilio, by its official client over one pool of connections.

https://www.twilio.com/docs/messaging/api/message-resource
"""

import asyncio
import hmac
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import orjson
from multidict import CIMultiDict
from twilio.base.exceptions import TwilioException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from yarl import URL

from campaigns import phone_numbers
from messaging.channels.base import (
    DELIVERY_ERRORS,
    Accepted,
    Attempted,
    Callback,
    DeliveryError,
    Event,
    Found,
    InvalidSignature,
    Match,
    Outcome,
    Outgoing,
    Rejected,
    Throttled,
    Unavailable,
    Unknown,
)
from messaging.channels.pool import Pool

logger = logging.getLogger(__name__)

API = "https://api.twilio.com/2010-04-01"

# What Twilio's message states mean for an attempt. Before `sent` Twilio has it and the operator
# does not.
STATUSES: Mapping[str, str] = MappingProxyType(
    {
        "accepted": "sent",
        "scheduled": "sent",
        "queued": "sent",
        "sending": "sent",
        "sent": "sent_to_telco",
        "delivered": "success",
        "read": "success",
        "undelivered": "failure",
        "failed": "failure",
        "canceled": "failure",
    }
)


class Twilio:
    """One Twilio account. Make one for each set of credentials and keep it: it holds the
    connections, which belong to the event loop they were first used in."""

    can_be_asked = True

    def __init__(
        self,
        account_sid: str,
        username: str,
        password: str,
        messaging_service_sid: str | None = None,
        sender: str | None = None,
        auth_token: str | None = None,
        base_url: str | None = None,
        timeout: float = 30,
        connections: int = 200,
        test_numbers: bool = False,
    ) -> None:
        """`username` and `password` are an API key and its secret (or the account's SID and
        token). `auth_token` is what Twilio signs its callbacks with, whoever sent the message.
        """
        self._account_sid = account_sid
        self._from = (
            {"MessagingServiceSid": messaging_service_sid}
            if messaging_service_sid
            else {"From": sender or ""}
        )
        self._validator = RequestValidator(auth_token) if auth_token else None
        self._test_numbers = test_numbers
        self._http = _Pool(base_url, timeout, connections)
        self._client = Client(username, password, account_sid, http_client=self._http)
        self._messages_url = self._http.place(f"{API}/Accounts/{account_sid}/Messages.json")
        self._send_headers = CIMultiDict(
            self._client.get_headers("POST", None)
            | {"Authorization": aiohttp.encode_basic_auth(username, password)}
        )

    def clean_recipient(self, value: str) -> str:
        return phone_numbers.clean_recipient(value, test_numbers=self._test_numbers)

    async def close(self) -> None:
        await self._http.pool.close()

    # Sending -------------------------------------------------------------------------------

    async def send(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        # As many senders as connections take the messages in turn: a task for each message
        # would cost a tenth more.
        outcomes: list[Outcome] = [Unknown()] * len(messages)
        waiting = iter(enumerate(messages))

        async def send_in_turn() -> None:
            for place, message in waiting:
                outcomes[place] = await self._send_one(message)

        senders = min(len(messages), self._http.pool.connections)
        await asyncio.gather(*(send_in_turn() for _ in range(senders)))
        return outcomes

    async def _send_one(self, message: Outgoing) -> Outcome:
        # The official client spends on each message as much as half the request itself: it
        # builds objects nobody looks at. So it lends this its headers and its connections only.
        form = {
            "To": f"+{message.recipient}",
            "Body": message.text,
            "StatusCallback": message.callback_url,
            **self._from,
        }
        try:
            answer = await self._http.post(self._messages_url, _form(form), self._send_headers)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Unavailable(type(error).__name__)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Unknown(type(error).__name__)
        except Exception:
            # One message's surprise must not lose the outcomes of its whole chunk.
            logger.exception("a send ended in an unforeseen way")
            return Unknown("unforeseen")
        return _outcome(answer)

    # Asking --------------------------------------------------------------------------------

    async def find(self, attempts: Sequence[Attempted]) -> list[Found]:
        found = await asyncio.gather(*map(self._find_one, attempts))
        return [answer for answer in found if answer]

    async def _find_one(self, attempt: Attempted) -> Found | None:
        try:
            matches = await self._matches(attempt)
        except (aiohttp.ClientError, TimeoutError, TwilioException) as error:
            logger.warning("Twilio could not be asked about an attempt: %s", type(error).__name__)
            return None
        return Found(attempt.attempt_id, tuple(sorted(matches, key=lambda m: m.created_at)))

    async def _matches(self, attempt: Attempted) -> list[Match]:
        if attempt.reference:
            return [_match(await self._client.messages(attempt.reference).fetch_async())]
        matches = []
        # Twilio's filter by date looks at when a message was sent, which a queued one has not
        # been yet; the list is newest first, so read back to the moment instead.
        earliest = attempt.attempted_at - CLOCK_SKEW
        text = _fingerprint(attempt.text)
        async for message in await self._client.messages.stream_async(
            to=f"+{attempt.recipient}", page_size=100
        ):
            if message.date_created < earliest:
                break
            if _fingerprint(message.body) == text:
                matches.append(_match(message))
        return matches

    # Hearing -------------------------------------------------------------------------------

    def read_events(self, callback: Callback) -> list[Event]:
        """The report in a status callback.

        An account whose Auth Token we were not given cannot be checked: the caller must have
        made the address one that nobody can guess.
        """
        url, params = callback.url, callback.params
        if self._validator and not _is_signed(self._validator, url, params, callback.signature):
            raise InvalidSignature
        if params.get("AccountSid") != self._account_sid:
            raise InvalidSignature
        reference, kind = params.get("MessageSid", ""), params.get("MessageStatus", "")
        if not reference or not kind:
            return []
        code = params.get("ErrorCode", "")
        return [
            Event(
                # Twilio numbers messages but not its reports on them; it repeats one as it was.
                provider_event_id=":".join(filter(None, (reference, kind, code))),
                reference=reference,
                attempt_id=_attempt_in(url),
                kind=kind,
                code=code,
                raw={name: params[name] for name in KEPT_PARAMETERS if name in params},
                at=datetime.now(UTC),
            )
        ]


def _is_signed(
    validator: RequestValidator, url: str, params: Mapping[str, str], signature: str
) -> bool:
    # Twilio signs the address as we gave it. The official check also tries it with and without
    # a port, both each time, so it is left for the rare case.
    expected = validator.compute_signature(url, params)
    if hmac.compare_digest(expected.encode(), signature.encode()):
        return True
    return bool(validator.validate(url, params, signature))


# How far Twilio's clock and ours may be apart.
CLOCK_SKEW = timedelta(minutes=1)
# Of a callback; To and From are left out, as the attempt knows its recipient.
KEPT_PARAMETERS = (
    "MessageSid",
    "MessageStatus",
    "ErrorCode",
    "ErrorMessage",
    "MessagingServiceSid",
    "RawDlrDoneDate",
    "ApiVersion",
)


class _Pool(AsyncTwilioHttpClient):
    """Twilio's asynchronous transport with connections enough for a chunk.

    The client's own has a pool of 100, makes its session outside the event loop and logs whole
    requests, recipients included.
    """

    def __init__(self, base_url: str | None, timeout: float, connections: int) -> None:
        super().__init__(pool_connections=False)
        self._base_url = (base_url or "").rstrip("/")
        self.pool = Pool(connections, timeout)

    async def post(self, url: URL, form: bytes, headers: CIMultiDict[str]) -> "_Answer":
        opened = self.pool.in_this_loop()
        async with (
            opened.free,
            opened.session.post(url, data=form, headers=headers, allow_redirects=False) as response,
        ):
            return _Answer(response.status, await response.read(), response.headers)

    async def request(
        self,
        method: str,
        url: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        opened = self.pool.in_this_loop()
        authorization = {"Authorization": aiohttp.encode_basic_auth(*auth)} if auth else {}
        async with (
            opened.free,
            opened.session.request(
                method,
                self.place(url),
                params=params or None,
                data=_form(data) if data else None,
                headers=(headers or {}) | authorization,
                allow_redirects=allow_redirects,
            ) as response,
        ):
            return Response(response.status, await response.text(), response.headers)

    def place(self, url: str) -> URL:
        if not self._base_url:
            return URL(url)
        parts = urlsplit(url)
        return URL(self._base_url + parts._replace(scheme="", netloc="").geturl())


class _Answer(NamedTuple):
    status: int
    content: bytes
    headers: Mapping[str, str]


def _form(data: Mapping[str, Any]) -> bytes:
    # yarl quotes in C, three times as fast as urllib.
    return URL.build(query=data).raw_query_string.encode()


# Answers -----------------------------------------------------------------------------------


def _outcome(answer: _Answer) -> Outcome:
    status, fields = answer.status, _fields(answer.content)
    if status in (200, 201) and fields.get("sid"):
        return Accepted(fields["sid"])
    if status == 429:
        return Throttled(_retry_after(answer.headers.get("Retry-After")))
    if status == 503:
        return Unavailable("Twilio says it is unavailable")
    if status in (401, 403):
        return _rejected("20003", "Twilio does not accept the credentials")
    if str(fields.get("code")) in FULL:
        return Throttled()
    if 400 <= status < 500 and status != 408:
        return _rejected(str(fields.get("code") or status), str(fields.get("message") or ""))
    # 500 is what Twilio answers when it broke, and it may have taken the message before.
    return Unknown(f"HTTP {status}")


def _rejected(code: str, detail: str) -> Rejected:
    return Rejected(delivery_error(code).code, detail, code)


def _fields(content: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(content)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _retry_after(header: str | None) -> float | None:
    try:
        return max(0.0, float(header or ""))
    except ValueError:
        return None


def _match(message: Any) -> Match:
    code = str(message.error_code or "")
    status, error = meaning_of(message.status, code) or ("", "")
    return Match(message.sid, message.date_created, status, error, code if error else "")


def _fingerprint(text: str) -> str:
    """A text without what Twilio may have replaced in it (its smart encoding of punctuation)."""
    return "".join(filter(str.isalnum, text))


_find_ids = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").findall


def _attempt_in(url: str) -> UUID | None:
    found = _find_ids(url)
    return UUID(found[-1]) if found else None


# Twilio's codes ----------------------------------------------------------------------------
# https://www.twilio.com/docs/api/errors: what each means for an officer, and the sentence that
# tells the officer why, where it says more than the delivery error alone.

_EXPLAINED: dict[str, tuple[str, str]] = {
    "20003": ("server_unknown_error", "Twilio does not accept the credentials of this campaign."),
    "20005": ("server_unknown_error", "The Twilio account is not active."),
    "20404": ("server_unknown_error", "The Twilio account or Messaging Service does not exist."),
    "20429": ("server_unknown_error", "Twilio was given more messages at once than it takes."),
    "20500": ("server_unknown_error", "Twilio had a fault."),
    "20503": ("server_unknown_error", "Twilio was unavailable."),
    "21211": ("recipient_invalid", "This is not a phone number."),
    "21212": ("server_unknown_error", "The sender name is not valid."),
    "21214": ("recipient_invalid", "This number cannot be reached by SMS."),
    "21217": ("recipient_invalid", "This does not look like a phone number."),
    "21265": ("recipient_invalid", "This is a short code, which cannot receive SMS."),
    "21266": ("recipient_invalid", "The message was to be sent to its own sender."),
    "21408": ("routing_error", "The Twilio account may not send to this country."),
    "21601": ("server_unknown_error", "The sender cannot send SMS."),
    "21602": ("content_invalid", "The message is empty."),
    "21603": ("server_unknown_error", "The campaign has no sender."),
    "21604": ("recipient_invalid", "There is no phone number."),
    "21605": ("content_invalid", "The message is too long."),
    "21606": ("routing_error", "The sender cannot send SMS to this number."),
    "21608": ("recipient_invalid", "A Twilio trial account sends to verified numbers only."),
    "21609": ("server_unknown_error", "Twilio does not accept the address for delivery reports."),
    "21610": ("recipient_invalid", "The recipient has unsubscribed from this sender."),
    "21612": ("routing_error", "This sender cannot reach this number."),
    "21614": ("recipient_invalid", "This is not a mobile number."),
    "21617": ("content_invalid", "The message is longer than Twilio takes (1,600 characters)."),
    "21619": ("content_invalid", "The message is empty."),
    "21635": ("recipient_invalid", "This is a landline, which cannot receive SMS."),
    "21659": ("server_unknown_error", "The sender is not a number of Twilio's."),
    "21660": ("server_unknown_error", "The sender does not belong to this Twilio account."),
    "21701": ("server_unknown_error", "The Messaging Service does not exist."),
    "21703": ("server_unknown_error", "The Messaging Service has no sender."),
    "21704": ("server_unknown_error", "The Messaging Service has no sender."),
    "30001": ("server_unknown_error", "Too many messages were waiting at Twilio."),
    "30002": ("server_unknown_error", "The Twilio account is suspended."),
    "30003": ("recipient_unavailable", "The phone is off, out of coverage or cannot take SMS."),
    "30004": ("recipient_unavailable", "The recipient or the operator blocks these messages."),
    "30005": ("recipient_invalid", "The number is unknown to the operator or no longer in use."),
    "30006": ("routing_error", "This is a landline, or its operator cannot be reached."),
    "30007": ("content_invalid", "The operator or Twilio filtered the message for its content."),
    "30008": ("delivery_unknown_error", "The operator did not say why delivery failed."),
    "30009": ("delivery_unknown_error", "A part of the message was lost on its way."),
    "30017": ("routing_error", "The operator's network was congested."),
    "30018": ("routing_error", "The operator wants this sender name registered first."),
    "30019": ("content_invalid", "The message is longer than the operator takes."),
    "30022": ("server_unknown_error", "The sender sent more than the operator allows at once."),
    "30023": ("server_unknown_error", "The sender has reached its limit for the day."),
    "30024": ("routing_error", "The operator does not know this sender."),
    "30032": ("routing_error", "The sender has not been verified for this country."),
    "30034": ("routing_error", "The sender is not registered for this country."),
    "30035": ("routing_error", "The sender is not set up for this country."),
    "30036": ("message_expired", "The message waited at Twilio for longer than it was valid."),
    "30410": ("delivery_unknown_error", "The operator did not answer in time."),
}

# The sender's queue at Twilio is full: the message was not taken, and there will be room again.
FULL = ("21611",)

# Provider code → (type, code) of the delivery error; what is not here is delivery_unknown_error.
ERRORS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {number: (DELIVERY_ERRORS[code].type, code) for number, (code, _) in sorted(_EXPLAINED.items())}
)


def meaning_of(kind: str, code: str) -> tuple[str, str] | None:
    """What a message state of Twilio's says of an attempt: (status, delivery error)."""
    status = STATUSES.get(kind)
    if status is None:
        return None
    return status, delivery_error(code).code if status == "failure" else ""


def delivery_error(code: str) -> DeliveryError:
    """What officers and clients are told when Twilio gives this code."""
    _, ours = ERRORS.get(code, ("", "delivery_unknown_error"))
    return DELIVERY_ERRORS[ours]


def explain(code: str) -> str:
    """One plain sentence for the officer."""
    if code in _EXPLAINED:
        return _EXPLAINED[code][1]
    return DELIVERY_ERRORS["delivery_unknown_error"].sentence
