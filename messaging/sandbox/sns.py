"""Amazon SNS: one topic, whose messages are signed and posted to whoever confirmed to want them.

https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode

import aiohttp
import orjson
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from .constants import SNS_TOPIC_ARN
from .control import Controls

PATH = "/sns/"
_SIGNED = {
    "Notification": ("Message", "MessageId", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
_SECONDS_BETWEEN_QUESTIONS = 1.0


class Post(NamedTuple):
    """One call to the subscriber."""

    url: str
    body: bytes
    headers: dict[str, str]


class Topic:
    """Who subscribed is a switch (`sns.endpoint`), as somebody would subscribe in the console."""

    def __init__(self, controls: Controls, base_url: str) -> None:
        self._controls = controls
        self._base_url = base_url
        self._token = secrets.token_hex(64)
        self._confirmed = ""
        self._changed = asyncio.Event()
        self._changed.set()

    @property
    def endpoint(self) -> str:
        endpoint: str = self._controls.values["sns"]["endpoint"]
        return endpoint

    @property
    def is_confirmed(self) -> bool:
        return self.endpoint != "" and self._confirmed == self.endpoint

    def look(self) -> None:
        """The switches may have changed."""
        self._changed.set()

    async def keep_asking(self, client: aiohttp.ClientSession) -> None:
        """Ask each new subscriber to confirm, until it has."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self.endpoint and not self.is_confirmed:
                question = self._question()
                try:
                    async with client.post(
                        question.url, data=question.body, headers=question.headers
                    ):
                        pass
                except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                    pass  # it is not up yet
                if not self.is_confirmed:
                    await asyncio.sleep(_SECONDS_BETWEEN_QUESTIONS)

    def notification(self, text: str, message_id: str) -> Post:
        """The message as it goes to the subscriber; the same again has the same id."""
        return self._post("Notification", text, message_id)

    def answer(self, path: str, query: str) -> tuple[int, bytes, str]:
        """Status, body and type: the certificate, or what follows from a SubscribeURL."""
        if path == self._certificate_path:
            return 200, self._certificate, "application/x-pem-file"
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        if path != PATH or asked.get("Action") != "ConfirmSubscription":
            return 404, b"", "text/plain"
        if asked.get("Token") != self._token or asked.get("TopicArn") != SNS_TOPIC_ARN:
            return 400, b"<ErrorResponse>Invalid token</ErrorResponse>", "text/xml"
        self._confirmed = self.endpoint
        return 200, b"<ConfirmSubscriptionResponse/>", "text/xml"

    def _question(self) -> Post:
        asked = {"Action": "ConfirmSubscription", "TopicArn": SNS_TOPIC_ARN, "Token": self._token}
        return self._post(
            "SubscriptionConfirmation",
            f"You have chosen to subscribe to the topic {SNS_TOPIC_ARN}.",
            str(uuid.uuid4()),
            Token=self._token,
            SubscribeURL=f"{self._base_url}{PATH}?{urlencode(asked)}",
        )

    def _post(self, kind: str, text: str, message_id: str, **more: str) -> Post:
        message = {
            "Type": kind,
            "MessageId": message_id,
            "TopicArn": SNS_TOPIC_ARN,
            "Message": text,
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds")[:23] + "Z",
            "SignatureVersion": "2",
            "SigningCertURL": self._base_url + self._certificate_path,
            **more,
        }
        signed = "".join(f"{name}\n{message[name]}\n" for name in _SIGNED[kind]).encode()
        signature = self._key.sign(signed, padding.PKCS1v15(), SHA256())
        message["Signature"] = base64.b64encode(signature).decode()
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "x-amz-sns-message-type": kind,
            "x-amz-sns-message-id": message_id,
            "x-amz-sns-topic-arn": SNS_TOPIC_ARN,
            "User-Agent": "Amazon Simple Notification Service Agent",
        }
        return Post(self.endpoint, orjson.dumps(message), headers)

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(65537, 2048)

    @cached_property
    def _certificate(self) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .sign(self._key, SHA256())
        )
        return certificate.public_bytes(Encoding.PEM)

    @cached_property
    def _certificate_path(self) -> str:
        """Another certificate has another address, as whoever fetched one keeps it."""
        digest = hashlib.sha256(self._certificate).hexdigest()[:32]
        return f"{PATH}SimpleNotificationService-{digest}.pem"


def message_id(*parts: str) -> str:
    """The id of a message, made of what it is about."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))
