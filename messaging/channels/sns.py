"""Amazon SNS at our door: which of its calls are real, and about a topic of ours.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import asyncio
import base64
import binascii
import logging
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import aiohttp
import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature as WrongSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from messaging.channels.base import InvalidSignature, NotNow

logger = logging.getLogger(__name__)

NOTIFICATION = "Notification"
SUBSCRIBED, UNSUBSCRIBED = "SubscriptionConfirmation", "UnsubscribeConfirmation"
_SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIBED: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_SIGNED[UNSUBSCRIBED] = _SIGNED[SUBSCRIBED]
_HASHES = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - what SNS signs with where nobody asked for 2

# SNS itself gives up within an hour, but what it could not deliver lies in a dead-letter queue for
# up to fourteen days, and is true when somebody sends it on. An old report that comes again does no
# harm: it bears the same id, and states move forward only.
OLDEST = {NOTIFICATION: timedelta(days=15), SUBSCRIBED: timedelta(hours=1)}
OLDEST[UNSUBSCRIBED] = OLDEST[SUBSCRIBED]
CLOCK_SKEW = timedelta(minutes=15)

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_LARGEST_CERTIFICATE = 64 * 1024
_KEPT_FOR = timedelta(days=1)
_MOST_KEPT = 16
_is_arn = re.compile(r"arn:aws:sns:(?P<region>[a-z0-9-]+):\d{12}:[\w-]{1,256}(?:\.fifo)?").fullmatch


class _Key(NamedTuple):
    public: RSAPublicKey
    until: datetime


class Topics:
    """The topics whose messages are believed, and the keys that Amazon signs with."""

    def __init__(self, arns: Iterable[str], sandbox_url: str = "") -> None:
        """Whatever lies below `sandbox_url` counts as Amazon's: only where SNS is the sandbox's."""
        self._regions = {}
        for arn in arns:
            parts = _is_arn(arn)
            if parts is None:
                raise ValueError(f"{arn!r} is not the ARN of an SNS topic.")
            self._regions[arn] = parts["region"]
        self._sandbox = sandbox_url.rstrip("/")
        self._keys: dict[str, _Key] = {}

    def verified(self, body: bytes) -> Mapping[str, Any]:
        """The message in a call of SNS; InvalidSignature unless it comes from a topic of ours.

        Topic, age and the certificate's address are looked at before anything is fetched.
        """
        message = _parsed(body)
        region = self._regions.get(message["TopicArn"])
        if region is None:
            raise InvalidSignature("not a topic of ours")
        _check_age(message)
        url = message["SigningCertURL"]
        if not self._is_amazons(url, region, r"[\w-]{1,100}\.pem"):
            raise InvalidSignature("not a certificate of Amazon's")
        try:
            self._key(url).verify(
                base64.b64decode(message["Signature"], validate=True),
                _signed_text(message),
                PKCS1v15(),
                _HASHES[message["SignatureVersion"]],
            )
        except (WrongSignature, binascii.Error, KeyError):
            raise InvalidSignature("not signed by Amazon") from None
        return message

    def confirm(self, message: Mapping[str, Any]) -> None:
        """Let SNS know that we want the topic which this verified message asks about."""
        url, region = message["SubscribeURL"], self._regions[message["TopicArn"]]
        if not self._is_amazons(url, region, r"\?[!-~]*"):
            raise InvalidSignature("not an address of Amazon's")
        if _get(url)[0] != 200:
            raise NotNow("the subscription could not be confirmed")
        logger.info("the subscription to an SNS topic was confirmed")

    def _is_amazons(self, url: str, region: str, rest: str) -> bool:
        if self._sandbox and url.startswith(f"{self._sandbox}/"):
            return True
        # The whole address at once: what takes it apart might see another host in it than we do.
        return bool(re.fullmatch(rf"https://sns\.{region}\.amazonaws\.com/{rest}", url, re.ASCII))

    def _key(self, url: str) -> RSAPublicKey:
        now = datetime.now(UTC)
        kept = self._keys.get(url)
        if kept is None or kept.until < now:
            kept = _fetched(url, now)
            if len(self._keys) >= _MOST_KEPT:
                self._keys.clear()
            self._keys[url] = kept
        return kept.public


def _parsed(body: bytes) -> dict[str, Any]:
    """The message, with all that its signature is about; each field a text."""
    try:
        message = orjson.loads(body)
        needed = {*_SIGNED[message["Type"]], "Signature", "SignatureVersion", "SigningCertURL"}
    except (ValueError, KeyError, TypeError):
        raise InvalidSignature("not a message of SNS") from None
    if message.get("Subject") is None:
        needed.discard("Subject")
    if not all(isinstance(message.get(name), str) for name in needed):
        raise InvalidSignature("not a message of SNS")
    return message  # type: ignore[no-any-return]


def _signed_text(message: Mapping[str, Any]) -> bytes:
    names = [name for name in _SIGNED[message["Type"]] if message.get(name) is not None]
    return "".join(f"{name}\n{message[name]}\n" for name in names).encode()


def _check_age(message: Mapping[str, Any]) -> None:
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(message["Timestamp"])
    except (ValueError, TypeError):
        raise InvalidSignature("no time of a message") from None
    if not -CLOCK_SKEW <= age <= OLDEST[message["Type"]]:
        raise InvalidSignature("too old")


def _fetched(url: str, now: datetime) -> _Key:
    status, content = _get(url)
    if status >= 500:
        raise NotNow("the certificate could not be fetched")
    try:
        if status != 200:
            raise ValueError
        certificate = x509.load_pem_x509_certificate(content)
        public = certificate.public_key()
    except ValueError:
        raise InvalidSignature("no certificate") from None
    is_valid = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    if not is_valid or not isinstance(public, RSAPublicKey):
        raise InvalidSignature("not a certificate that counts")
    return _Key(public, min(now + _KEPT_FOR, certificate.not_valid_after_utc))


def _get(url: str) -> tuple[int, bytes]:
    """Rarely needed, so a loop and a connection of its own each time; no redirect is followed."""
    try:
        return asyncio.run(_get_once(url))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NotNow(type(error).__name__) from None


async def _get_once(url: str) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        return answer.status, await answer.content.read(_LARGEST_CERTIFICATE)
