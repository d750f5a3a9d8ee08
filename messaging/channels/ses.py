"""Email through Amazon SES: one request of its API v2 for each, over one pool of connections.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html

Not fifty to a call (`SendBulkEmail`), though that costs a sixth: it takes emails as values of a
template that SES fills in only after it has said yes. What comes of that nobody can see beforehand
(documents disagree on whether it escapes HTML), so "accepted" would mean less. docs/performance.md
has the figures.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr, parseaddr
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from uuid import UUID

import aiohttp
import orjson
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.session import get_session
from multidict import CIMultiDict
from yarl import URL

from campaigns.email import addresses
from messaging.channels import sns
from messaging.channels.base import (
    Accepted,
    Attempted,
    Callback,
    Event,
    Found,
    Mail,
    Outcome,
    OutgoingMail,
    Rejected,
    Throttled,
    Unavailable,
    Unknown,
)
from messaging.channels.pool import Pool

logger = logging.getLogger(__name__)

SEND = "/v2/email/outbound-emails"
# The tag by which SES says of an event which attempt it is about.
TAG = "attempt"


class Ses:
    """One account in one region. Make one and keep it: it holds the connections."""

    can_be_asked = False  # SES has no list of what it took

    def __init__(
        self,
        region: str,
        endpoint_url: str = "",
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        configuration_set: str = "",
        untracked_configuration_set: str = "",
        topic_arns: Iterable[str] = (),
        sns_sandbox_url: str = "",
        timeout: float = 30,
        concurrency: int = 200,
    ) -> None:
        """Without a key, AWS's usual places are looked in: environment, profile, machine's role.

        The configuration sets publish events to the topics, one of the sets with open tracking.
        Without the other, `configuration_set` serves all.
        """
        self._region = region
        self._credentials: Credentials | None = None
        if access_key_id and secret_access_key:
            self._credentials = Credentials(access_key_id, secret_access_key)
        self._configuration_sets = {
            True: configuration_set,
            False: untracked_configuration_set or configuration_set,
        }
        endpoint = endpoint_url.rstrip("/") or f"https://email.{region}.amazonaws.com"
        self._url = URL(endpoint + SEND)
        self._pool = Pool(concurrency, timeout)
        self._topics = sns.Topics(topic_arns, sns_sandbox_url)

    def clean_recipient(self, value: str) -> str:
        return addresses.clean_recipient(value)

    async def close(self) -> None:
        await self._pool.close()

    # Sending -------------------------------------------------------------------------------

    async def send(self, messages: Sequence[OutgoingMail]) -> list[Outcome]:
        signer = await self._signer()
        if signer is None:
            return [Unavailable("no AWS credentials")] * len(messages)
        # As many senders as connections take the messages in turn.
        outcomes: list[Outcome] = [Unknown()] * len(messages)
        waiting = iter(enumerate(messages))

        async def send_in_turn() -> None:
            for place, message in waiting:
                outcomes[place] = await self._send_one(signer, message)

        senders = min(len(messages), self._pool.connections)
        await asyncio.gather(*(send_in_turn() for _ in range(senders)))
        for fault in {o.detail for o in outcomes if isinstance(o, Unavailable)}:
            logger.error("emails wait, as Amazon SES does not take them: %s", fault)
        return outcomes

    async def _signer(self) -> "Signer | None":
        """Whoever signs this chunk. A role's credentials change, and asking for them may wait."""
        try:
            if self._credentials is None:
                self._credentials = await asyncio.to_thread(get_session().get_credentials)
            if self._credentials is None:
                logger.error("there are no AWS credentials")
                return None
            frozen = await asyncio.to_thread(self._credentials.get_frozen_credentials)
        except Exception:
            # Nothing has left yet, so the emails wait.
            logger.exception("the AWS credentials could not be had")
            return None
        return _signer_of(frozen, self._region, self._url)

    async def _send_one(self, signer: "Signer", message: OutgoingMail) -> Outcome:
        try:
            body = orjson.dumps(self._request(message))
        except Refused as refused:
            return Rejected(refused.code, str(refused))
        except Exception:
            logger.exception("an email could not be put together")
            return Rejected("server_unknown_error")
        try:
            return _outcome(*await self._post(signer, body))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Unavailable(type(error).__name__)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Unknown(type(error).__name__)
        except Exception:
            # One message's surprise must not lose the outcomes of its whole chunk.
            logger.exception("a send ended in an unforeseen way")
            return Unknown("unforeseen")

    async def _post(
        self, signer: "Signer", body: bytes
    ) -> tuple[int, Mapping[str, str], dict[str, Any]]:
        opened = self._pool.in_this_loop()
        async with opened.free:
            # Signed only now: a signature is good for five minutes.
            headers = signer.headers(body)
            async with opened.session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status, response.headers, _fields(await response.read())

    def _request(self, message: OutgoingMail) -> dict[str, Any]:
        mail = message.mail
        sender = _mailbox(mail.sender)
        destination: dict[str, list[str]] = {"ToAddresses": [_ready(message.recipient)]}
        if mail.cc:
            destination["CcAddresses"] = list(map(_ready, mail.cc))
        if mail.bcc:
            destination["BccAddresses"] = list(map(_ready, mail.bcc))
        reply_to = [_mailbox(mail.reply_to)] if mail.reply_to else []
        _refuse_control_characters("subject", mail.subject)
        _check_headers(mail)
        request: dict[str, Any] = {
            "FromEmailAddress": sender,
            "Destination": destination,
            "ReplyToAddresses": reply_to,
            "Content": (
                {"Simple": _simple(mail)}
                if _fits_simple(mail)
                else {"Raw": {"Data": _raw(mail, sender, destination, reply_to)}}
            ),
            "EmailTags": [{"Name": TAG, "Value": str(message.attempt_id)}],
        }
        if configuration_set := self._configuration_sets[mail.tracks_opens]:
            request["ConfigurationSetName"] = configuration_set
        return request

    # Asking --------------------------------------------------------------------------------

    async def find(self, attempts: Sequence[Attempted]) -> list[Found]:
        """Nobody can be asked: SES keeps no list of what it sent. What it took it reports on, with
        our tag, and that settles an attempt; of one on which nothing came, nothing is known."""
        return []

    # Hearing -------------------------------------------------------------------------------

    def read_events(self, callback: Callback) -> list[Event]:
        """The event in a call of SNS, with no attempt where the email was not one of ours.

        Nothing where it says nothing of the recipient: the copies' own fates are not counted. A
        subscription to one of our topics is confirmed on the way.
        """
        message = self._topics.verified(callback.body)
        if message["Type"] == sns.SUBSCRIBED:
            self._topics.confirm(message)
        elif message["Type"] == sns.UNSUBSCRIBED:
            logger.warning("the subscription to an SNS topic has ended: no more reports come")
        else:
            return _events(_fields(message["Message"].encode()))
        return []


# Events ------------------------------------------------------------------------------------

# Who an event is about, where it is about a person and not about the email.
_RECIPIENTS: Mapping[str, Callable[[Any], list[str]]] = MappingProxyType(
    {
        "Delivery": lambda delivery: delivery["recipients"],
        "Bounce": lambda bounce: [r["emailAddress"] for r in bounce["bouncedRecipients"]],
        "Complaint": lambda spam: [r["emailAddress"] for r in spam["complainedRecipients"]],
        "DeliveryDelay": lambda delay: [r["emailAddress"] for r in delay["delayedRecipients"]],
    }
)
# What is kept of an event: nothing that names a person, as diagnostic texts and user agents do.
_KEPT = (
    *("timestamp", "bounceType", "bounceSubType", "feedbackId", "complaintFeedbackType"),
    *("complaintSubType", "arrivalDate", "delayType", "processingTimeMillis", "reason"),
    *("templateName",),
)
_UNHEARD = ("Click", "Subscription")
_LONGEST_REFERENCE = 64


def _events(event: Mapping[str, Any]) -> list[Event]:
    """At most one. What is not an event of SES (it tries a new topic with a plain sentence) is
    nothing, though SNS signed it."""
    try:
        kind, mail = event["eventType"], event["mail"]
        about = event.get(_FIELD_OF.get(kind, kind.lower())) or {}
        if kind in _UNHEARD or not _is_about_the_recipient(kind, about, mail):
            return []
        reference = mail["messageId"]
        if not 0 < len(reference) <= _LONGEST_REFERENCE:
            raise ValueError("a reference that SES does not make")
        return [
            Event(
                provider_event_id=_event_id(kind, about, reference),
                reference=reference,
                attempt_id=_attempt(mail.get("tags") or {}),
                kind=kind[:20],
                code=_code(kind, about)[:60],
                raw=_raw_of(kind, about, mail),
                at=datetime.now(UTC),
            )
        ]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        logger.warning("SNS told what is no event of SES: %s", type(error).__name__)
        return []


_FIELD_OF = MappingProxyType({"DeliveryDelay": "deliveryDelay", "Rendering Failure": "failure"})


def _is_about_the_recipient(kind: str, about: Any, mail: Mapping[str, Any]) -> bool:
    if kind not in _RECIPIENTS:
        return True
    main = _bare(mail["destination"][0])
    return any(_bare(address) == main for address in _RECIPIENTS[kind](about))


def _bare(address: str) -> str:
    return parseaddr(address)[1].lower()


def _event_id(kind: str, about: Mapping[str, Any], reference: str) -> str:
    """The same whenever SES or SNS tells the same again. Of an email's openings the first counts."""
    if kind == "DeliveryDelay":
        return f"{reference}:{kind}:{about['timestamp']}"[:120]
    return f"{kind}:{about.get('feedbackId') or reference}"[:120]


def _attempt(tags: Mapping[str, Sequence[str]]) -> UUID | None:
    try:
        return UUID(tags[TAG][0])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None


def _code(kind: str, about: Mapping[str, Any]) -> str:
    if kind == "Bounce":
        return f"{about['bounceType']}/{about['bounceSubType']}"
    if kind == "Complaint":
        parts = (about.get("complaintFeedbackType"), about.get("complaintSubType"))
        return "/".join(filter(None, parts))
    if kind == "DeliveryDelay":
        return str(about.get("delayType") or "")
    return ""


def _raw_of(kind: str, about: Mapping[str, Any], mail: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: about[name] for name in _KEPT if isinstance(about.get(name), str | int)}
    if kind == "Bounce":
        main = _bare(mail["destination"][0])
        kept |= {
            name: recipient[name]
            for recipient in about["bouncedRecipients"]
            if _bare(recipient["emailAddress"]) == main
            for name in ("action", "status")
            if isinstance(recipient.get(name), str)
        }
    return kept


# Signing -----------------------------------------------------------------------------------


class Signer:
    """Signature version 4 of a POST of JSON to one address.

    The same as botocore's `SigV4Auth` makes, which takes all requests there can be and so costs
    this one kind of them five times as much, a fifth of a send.
    """

    def __init__(self, credentials: ReadOnlyCredentials, region: str, url: URL) -> None:
        self._credentials = credentials
        self._scope = (region, "ses", "aws4_request")
        host = url.host if url.is_default_port() else f"{url.host}:{url.port}"
        self._head = f"POST\n{url.raw_path}\n\ncontent-type:application/json\nhost:{host}\n"
        self._token = credentials.token
        self._signed = "content-type;host;x-amz-date"
        if self._token:
            self._signed += ";x-amz-security-token"
        self._days_key = ("", b"")

    def headers(self, body: bytes) -> CIMultiDict[str]:
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = CIMultiDict({"Content-Type": "application/json", "X-Amz-Date": now})
        canonical = f"{self._head}x-amz-date:{now}\n"
        if self._token:
            headers["X-Amz-Security-Token"] = self._token
            canonical += f"x-amz-security-token:{self._token}\n"
        canonical += f"\n{self._signed}\n{hashlib.sha256(body).hexdigest()}"
        scope = "/".join((now[:8], *self._scope))
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}".encode()
        signature = hmac.digest(self._key(now[:8]), to_sign, "sha256").hex()
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._credentials.access_key}/{scope}, "
            f"SignedHeaders={self._signed}, Signature={signature}"
        )
        return headers

    def _key(self, day: str) -> bytes:
        if self._days_key[0] != day:
            key = f"AWS4{self._credentials.secret_key}".encode()
            for part in (day, *self._scope):
                key = hmac.digest(key, part.encode(), "sha256")
            self._days_key = (day, key)
        return self._days_key[1]


_signer_of = lru_cache(maxsize=4)(Signer)


# Addresses ---------------------------------------------------------------------------------

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MAILBOX = re.compile(r"(?:(?P<name>[^<>]*)<(?P<in_brackets>[^<>]*)>|(?P<bare>[^<>]*))")


class Refused(ValueError):
    """This email must not leave; `code` is a delivery error of ours."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _ready(address: str) -> str:
    """An address as it was cleaned, should somebody have forgotten to."""
    _refuse_control_characters("recipient", address, "mail_address_invalid")
    try:
        return addresses.clean_recipient(address)
    except ValueError as error:
        raise Refused("mail_address_invalid", str(error)) from None


@lru_cache(maxsize=4096)
def _mailbox(value: str) -> str:
    """Name and address as they stand in a header: the name quoted, or encoded as RFC 2047 says."""
    _refuse_control_characters("sender", value)
    parts = _MAILBOX.fullmatch(value.strip())
    if parts is None:
        raise Refused("mail_rejected", "The sender is not a name and an <address>.")
    try:
        address = addresses.clean_recipient(parts["in_brackets"] or parts["bare"] or "")
    except ValueError as error:
        raise Refused("mail_rejected", str(error)) from None
    name = (parts["name"] or "").strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return formataddr((name, address))


def _refuse_control_characters(where: str, value: str, code: str = "mail_rejected") -> None:
    """A line break in a header would begin another, with other recipients perhaps."""
    if _CONTROL.search(value):
        raise Refused(code, f"There is a control character in the {where}.")


# Content -----------------------------------------------------------------------------------

# Set by SES or by the request itself, which alone decides on them.
_NOT_OURS = frozenset(
    {
        *("from", "sender", "reply-to", "to", "cc", "bcc", "return-path", "subject", "date"),
        *("message-id", "received", "mime-version", "content-type", "content-disposition"),
        *("content-transfer-encoding", "content-id"),
    }
)
_is_header_name = re.compile(r"[!-9;-@A-~]{1,126}").fullmatch
_is_simple_value = re.compile(r"[ -~]{1,995}").fullmatch
_MOST_SIMPLE_HEADERS = 15


def _check_headers(mail: Mail) -> None:
    for name, value in mail.headers.items():
        _refuse_control_characters("headers", value)
        lower = name.lower()
        if not _is_header_name(name) or lower in _NOT_OURS or lower.startswith("x-ses-"):
            raise Refused("mail_rejected", "An email may not have a header of that name.")
    for file in mail.attachments:
        _refuse_control_characters("name of a file", file.name + file.content_type)


def _fits_simple(mail: Mail) -> bool:
    """Whether SES can put it together: no files, and headers as its API takes them."""
    return (
        not mail.attachments
        and len(mail.headers) <= _MOST_SIMPLE_HEADERS
        and all(map(_is_simple_value, mail.headers.values()))
    )


def _simple(mail: Mail) -> dict[str, Any]:
    body = {"Html": mail.html, "Text": mail.text}
    return {
        "Subject": {"Data": mail.subject, "Charset": "UTF-8"},
        "Body": {kind: {"Data": data, "Charset": "UTF-8"} for kind, data in body.items() if data},
        "Headers": [{"Name": name, "Value": value} for name, value in mail.headers.items()],
    }


def _raw(
    mail: Mail, sender: str, destination: Mapping[str, list[str]], reply_to: Iterable[str]
) -> str:
    """The email as it goes over the wire; blind copies stand in the request alone."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = destination["ToAddresses"]
    if cc := destination.get("CcAddresses"):
        message["Cc"] = cc
    for address in reply_to:
        message["Reply-To"] = address
    message["Subject"] = mail.subject
    for name, value in mail.headers.items():
        message[name] = value
    _fill(message, mail)
    return base64.b64encode(message.as_bytes()).decode()


def _fill(message: EmailMessage, mail: Mail) -> None:
    if mail.text or not mail.html:
        message.set_content(mail.text)
    if mail.text and mail.html:
        message.add_alternative(mail.html, subtype="html")
    elif mail.html:
        message.set_content(mail.html, subtype="html")
    html = message.get_body(("html",))
    for file in mail.attachments:
        main, _, sub = file.content_type.partition("/")
        if file.content_id and html is not None:
            html.add_related(
                file.data,
                main,
                sub,
                cid=f"<{file.content_id}>",
                filename=file.name,
                disposition="inline",
            )
    for file in mail.attachments:
        main, _, sub = file.content_type.partition("/")
        if not file.content_id or html is None:
            message.add_attachment(file.data, main, sub, filename=file.name)


# Answers -----------------------------------------------------------------------------------

_THROTTLED = ("TooManyRequestsException", "LimitExceededException", "ThrottlingException")
# The day's quota is used up: a second is too soon to ask again.
_DAILY = re.compile(r"daily", re.IGNORECASE)
_DAYS_PATIENCE = 60.0
# Faults of our account or its settings. The emails wait until they are mended.
_OURS = ("SendingPausedException", "AccountSuspendedException", "NotFoundException")
# What SES says in a BadRequestException where the recipient's address is what is wrong.
_ABOUT_ADDRESS = re.compile(
    r"final '@domain'|illegal address|local address|invalid (email )?address|user name is missing"
    r"|domain (name )?(is missing|starts|ends|contains)",
    re.IGNORECASE,
)


def _outcome(status: int, headers: Mapping[str, str], fields: Mapping[str, Any]) -> Outcome:
    reference = fields.get("MessageId")
    if status == 200 and isinstance(reference, str) and 0 < len(reference) <= 64:
        return Accepted(reference)
    # As botocore reads it: "MessageRejected:http://…" or "com.amazonaws…#MessageRejected".
    kind = str(headers.get("x-amzn-ErrorType") or fields.get("__type") or fields.get("code") or "")
    kind = kind.partition(":")[0].rpartition("#")[2]
    said = str(fields.get("message") or fields.get("Message") or "")
    if kind in _THROTTLED or status == 429:
        patience = _DAYS_PATIENCE if _DAILY.search(said) else None
        return Throttled(_retry_after(headers.get("Retry-After")) or patience)
    if status == 503:
        return Unavailable("SES says it is unavailable")
    if kind in _OURS or status in (401, 403):
        return Unavailable(kind or f"HTTP {status}")
    if 400 <= status < 500 and status != 408:
        is_address = kind == "BadRequestException" and _ABOUT_ADDRESS.search(said)
        code = "mail_address_invalid" if is_address else "mail_rejected"
        return Rejected(code, said, (kind or f"HTTP {status}")[:60])
    # 500 is what SES answers when it broke, and it may have taken the email before.
    return Unknown(f"HTTP {status}")


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


# SES' words -------------------------------------------------------------------------------
# https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html

_MEANINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "Send": ("sent_to_telco", ""),
        "Delivery": ("success", ""),
        "Open": ("opened", ""),
        "Reject": ("failure", "mail_rejected"),
        "Rendering Failure": ("failure", "mail_rejected"),
    }
)


def meaning_of(kind: str, code: str) -> tuple[str, str] | None:
    """What an event of SES says of an attempt: (status, error code).

    `kind` is its type. `code` is `Permanent/General` for a bounce (its type and subtype), and
    `abuse` or `abuse/OnAccountSuppressionList` for a complaint.
    """
    if kind == "Bounce":
        is_hard = code.partition("/")[0] == "Permanent"
        return ("bounced", "hard_bounce") if is_hard else ("soft_bounced", "soft_bounce")
    if kind == "Complaint":
        return None if "not-spam" in code.split("/") else ("complained", "complaint")
    return _MEANINGS.get(kind)
