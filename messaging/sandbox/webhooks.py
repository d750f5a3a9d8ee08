"""A client's server: takes the app's own webhooks, and checks them as a client would.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

_KEPT = 1000


class Receiver:
    """The newest events that were posted to `/webhooks/<name>`, the answer given to each beside."""

    def __init__(self) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def take(self, name: str, headers: Mapping[str, str], body: bytes, answered: int) -> None:
        self._events.append(
            {
                "name": name,
                "at": time.time(),
                "answered": answered,
                "id": headers.get("webhook-id", ""),
                "timestamp": headers.get("webhook-timestamp", ""),
                "signatures": headers.get("webhook-signature", ""),
                "body": body.decode("utf-8", "replace"),
            }
        )

    def newest_first(self, secrets: Iterable[str], *, name: str = "") -> list[dict[str, Any]]:
        """Each with `signature`: `valid` by one of the secrets, `invalid`, or `unknown`."""
        return [
            event | {"signature": _verdict(event, list(secrets))}
            for event in reversed(self._events)
            if name in ("", event["name"])
        ]

    def clear(self) -> None:
        self._events.clear()


def is_secret(text: str) -> bool:
    """`whsec_` and base64."""
    try:
        return text.startswith("whsec_") and bool(_key(text))
    except (binascii.Error, ValueError):
        return False


def _verdict(event: dict[str, Any], secrets: list[str]) -> str:
    if not secrets:
        return "unknown"
    signed = f"{event['id']}.{event['timestamp']}.{event['body']}".encode()
    given = event["signatures"].split()
    return "valid" if any(_sign(secret, signed) in given for secret in secrets) else "invalid"


def _sign(secret: str, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
