"""Twilio's REST API: Messages, and enough of Accounts and Services to check credentials."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

import orjson

from . import constants
from .log import RANK, Log
from .numbers import BY_NUMBER, TWILIO_MESSAGES

API_VERSION = "2010-04-01"
_PHONE = re.compile(r"\+[1-9]\d{6,14}")
_ANY_ACCOUNT = re.compile(r"AC[0-9a-f]{32}")
_ANY_API_KEY = re.compile(r"SK[0-9a-f]{32}")
_MAX_BODY = 1600
_OPENED = 1_704_067_200  # the accounts exist since 2024
_HTTP_STATUS = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 20503: 503}
_GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_7_DOUBLE = frozenset("^{}\\[~]|€\f")


class Refused(Exception):
    """An answer that is one of Twilio's errors."""

    def __init__(self, code: int) -> None:
        super().__init__(TWILIO_MESSAGES[code])
        self.status = _HTTP_STATUS.get(code, 400)
        self.body = orjson.dumps(
            {
                "code": code,
                "message": TWILIO_MESSAGES[code],
                "more_info": f"https://www.twilio.com/docs/errors/{code}",
                "status": self.status,
            }
        )


@dataclass(frozen=True, eq=False)
class Credentials:
    """Who may call. The platform's account is configurable; the staff account is published."""

    account_sid: str = constants.PLATFORM_ACCOUNT_SID
    auth_token: str = constants.PLATFORM_AUTH_TOKEN
    services: dict[str, str] = field(default_factory=dict)  # Messaging Service → its account

    def __post_init__(self) -> None:
        self.services[constants.PLATFORM_MESSAGING_SERVICE_SID] = self.account_sid
        self.services[constants.STAFF_MESSAGING_SERVICE_SID] = constants.STAFF_ACCOUNT_SID

    def auth_token_of(self, account_sid: str) -> str:
        """What callbacks about this account's messages are signed with."""
        return self.auth_token if account_sid == self.account_sid else constants.STAFF_AUTH_TOKEN

    @lru_cache(maxsize=1024)  # noqa: B019 - one instance for the life of the process
    def caller(self, authorization: str, account_sid: str = "") -> str:
        """The account these credentials open: `account_sid`, or the key's own where none is named.

        Any well-formed account and API key pass with the published secret, so that several
        agencies can be tried out.
        """
        username, password = _basic(authorization)
        if username == self.account_sid:
            account, secret = self.account_sid, self.auth_token
        elif username == constants.STAFF_ACCOUNT_SID:
            account, secret = constants.STAFF_ACCOUNT_SID, constants.STAFF_AUTH_TOKEN
        elif _ANY_API_KEY.fullmatch(username) and account_sid != self.account_sid:
            account = account_sid or constants.STAFF_ACCOUNT_SID
            secret = constants.STAFF_API_SECRET
        else:
            raise Refused(20003)
        is_account = account == self.account_sid or _ANY_ACCOUNT.fullmatch(account)
        if password != secret or account_sid not in ("", account) or not is_account:
            raise Refused(20003)
        return account

    def has_service(self, account_sid: str, service_sid: str) -> bool:
        """The published service belongs to every account that the published secret opens."""
        if service_sid == constants.STAFF_MESSAGING_SERVICE_SID:
            return account_sid != self.account_sid
        return self.services.get(service_sid) == account_sid


def check_message(credentials: Credentials, account_sid: str, body: bytes) -> dict[str, Any]:
    """The log entry of an acceptable create request; `Refused` with what is wrong with it."""
    form = _parse_form(body)
    to, text = form.get("To", ""), form.get("Body", "")
    service, sender = form.get("MessagingServiceSid", ""), form.get("From", "")
    callback = form.get("StatusCallback", "")
    if not to:
        raise Refused(21604)
    if not _PHONE.fullmatch(to):
        raise Refused(21211)
    if not text:
        raise Refused(21602)
    if len(text) > _MAX_BODY:
        raise Refused(21617)
    if not service and not sender:
        raise Refused(21603)
    if service and not credentials.has_service(account_sid, service):
        raise Refused(21701)
    if callback and not callback.startswith(("http://", "https://")):
        raise Refused(21609)
    number = BY_NUMBER.get(to)
    if number and number.behaviour == "refused":
        raise Refused(number.code)
    return {
        "channel": "sms",
        "to": to,
        "from": sender,
        "service": service,
        "text": text,
        "status_callback": callback,
        "account": account_sid,
        "first_status": "accepted" if service else "queued",
    }


def resource(entry: dict[str, Any]) -> dict[str, Any]:
    """A message as Twilio shows it."""
    sid, account = entry["sid"], entry["account"]
    uri = f"/{API_VERSION}/Accounts/{account}/Messages/{sid}"
    status = entry.get("status") or entry["first_status"]
    error = entry.get("error")
    is_sent = RANK[status] >= RANK["sent"]
    created = _rfc_2822(int(entry["at"]))
    service = entry["service"] or None
    return {
        "account_sid": account,
        "api_version": API_VERSION,
        "body": entry["text"],
        "date_created": created,
        "date_sent": created if is_sent else None,
        "date_updated": _rfc_2822(int(entry.get("changed") or entry["at"])),
        "direction": "outbound-api",
        "error_code": error,
        "error_message": TWILIO_MESSAGES[error] if error else None,
        "from": entry["from"] or (constants.SENDER if is_sent else None),
        "messaging_service_sid": service,
        "num_media": "0",
        # A Messaging Service has not chosen the sender yet, so Twilio does not count yet.
        "num_segments": "0" if service and status == "accepted" else str(segments(entry["text"])),
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": entry["to"],
        "uri": f"{uri}.json",
    }


def fetch_message(log: Log, account_sid: str, sid: str) -> bytes:
    entry = log.find(sid)
    if entry is None or entry["account"] != account_sid:
        raise Refused(20404)
    return orjson.dumps(resource(entry))


def list_messages(log: Log, account_sid: str, query: str) -> bytes:
    """A page of messages, newest first. A page token is the `seq` that the page stays below."""
    asked = dict(parse_qsl(query))
    try:
        size = min(max(int(asked.get("PageSize", 50)), 1), 1000)
        page = max(int(asked.get("Page", 0)), 0)
        before = int(asked.get("PageToken", "PA0")[2:])
        earliest, latest = _sent_between(asked)
    except ValueError:
        raise Refused(20404) from None
    wanted = (
        entry
        for entry in _until(earliest, log.newest_first(to=asked.get("To", ""), before=before))
        if entry["channel"] == "sms"
        and entry["account"] == account_sid
        and int(entry["at"]) <= latest
        and asked.get("From", entry["from"]) == entry["from"]
    )
    start = 0 if before else page * size
    found = list(islice(wanted, start, start + size + 1))
    shown = found[:size]
    path = f"/{API_VERSION}/Accounts/{account_sid}/Messages.json"
    asked.pop("PageToken", None)

    def uri(number: int, token: str = "") -> str:
        parts = asked | {"PageSize": str(size), "Page": str(number)}
        return f"{path}?{urlencode(parts | ({'PageToken': token} if token else {}))}"

    return orjson.dumps(
        {
            "messages": [resource(entry) for entry in shown],
            "first_page_uri": uri(0),
            "next_page_uri": (
                uri(page + 1, f"PA{shown[-1]['seq']}") if len(found) > size else None
            ),
            "previous_page_uri": uri(page - 1) if page else None,
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + max(len(shown) - 1, 0),
            "uri": f"{path}?{quote(query, safe='=&%')}",
        }
    )


def account_resource(account_sid: str) -> bytes:
    return orjson.dumps(
        {
            "sid": account_sid,
            "friendly_name": "Sandbox account",
            "status": "active",
            "type": "Full",
            "owner_account_sid": account_sid,
            "date_created": _rfc_2822(_OPENED),
            "date_updated": _rfc_2822(_OPENED),
            "uri": f"/{API_VERSION}/Accounts/{account_sid}.json",
        }
    )


def service_resource(credentials: Credentials, account_sid: str, service_sid: str) -> bytes:
    if not credentials.has_service(account_sid, service_sid):
        raise Refused(20404)
    return orjson.dumps(
        {
            "sid": service_sid,
            "account_sid": account_sid,
            "friendly_name": "Sandbox Messaging Service",
            "date_created": "2024-01-01T00:00:00Z",
            "date_updated": "2024-01-01T00:00:00Z",
            "status_callback": None,
            "sticky_sender": True,
            "smart_encoding": False,
            "validity_period": 36000,
            "usecase": "notifications",
            "use_inbound_webhook_on_number": False,
            "url": f"https://messaging.twilio.com/v1/Services/{service_sid}",
            "links": {},
        }
    )


def segments(text: str) -> int:
    if all(character in _GSM_7 or character in _GSM_7_DOUBLE for character in text):
        length = len(text) + sum(character in _GSM_7_DOUBLE for character in text)
        single, part = 160, 153
    else:
        length, single, part = len(text.encode("utf-16-le")) // 2, 70, 67
    return 1 if length <= single else -(-length // part)


def _parse_form(body: bytes) -> dict[str, str]:
    """As `parse_qsl` reads it, in a third of the time; of a name given twice the last counts."""
    form = {}
    for pair in body.replace(b"+", b" ").split(b"&"):
        name, _, value = pair.partition(b"=")
        form[_unquoted(name)] = _unquoted(value)
    return form


def _unquoted(value: bytes) -> str:
    return (unquote_to_bytes(value) if b"%" in value else value).decode("utf-8", "replace")


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise Refused(20003)
    try:
        username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        raise Refused(20003) from None
    return username, password


def _sent_between(asked: dict[str, str]) -> tuple[float, float]:
    """Twilio's names for the bounds are `DateSent>` and `DateSent<`, each inclusive."""
    earliest, latest = 0.0, float("inf")
    if value := asked.get("DateSent>"):
        earliest = _moment(value)
    if value := asked.get("DateSent<"):
        latest = _moment(value, end_of_day=True)
    if value := asked.get("DateSent"):
        # A day, even when the official client writes it as its first moment.
        earliest, latest = _moment(value[:10]), _moment(value[:10], end_of_day=True)
    return earliest, latest


def _moment(value: str, *, end_of_day: bool = False) -> float:
    if len(value) == 10:
        start = datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
        return (start + timedelta(days=1, seconds=-1) if end_of_day else start).timestamp()
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _until(earliest: float, entries: Any) -> Any:
    for entry in entries:
        if int(entry["at"]) < int(earliest):
            return
        yield entry


@lru_cache(maxsize=4096)
def _rfc_2822(seconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC))
