"""The address in every email at which its recipient can say: no more.

It holds the campaign and the recipient, sealed, so that it says nothing to anybody else, cannot be
made up, and works for as long as our keys do, the message's data erased or not.
"""

import base64
import binascii
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from postman.crypto import CannotDecrypt, decrypt, encrypt

_CONTEXT = "messaging.unsubscribing"
# Stands in the emails that officers send to themselves: it shows the page and changes nothing.
TEST_TOKEN = "test"  # noqa: S105 - it opens nothing


class Subscriber(NamedTuple):
    campaign_id: UUID
    recipient: str


class InvalidToken(ValueError):
    """Not one of ours, or changed on its way."""


def url_of(campaign_id: UUID, recipient: str) -> str:
    return _url().replace("TOKEN", token_of(campaign_id, recipient))


def test_url() -> str:
    return _url().replace("TOKEN", TEST_TOKEN)


def token_of(campaign_id: UUID, recipient: str) -> str:
    sealed = encrypt(campaign_id.bytes + recipient.encode(), context=_CONTEXT)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def read(token: str) -> Subscriber:
    """Who may be unsubscribed by it; raises InvalidToken."""
    try:
        sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        plain = decrypt(sealed, context=_CONTEXT)
    except (binascii.Error, ValueError, CannotDecrypt) as error:
        raise InvalidToken from error
    return Subscriber(UUID(bytes=plain[:16]), plain[16:].decode())


@lru_cache(maxsize=1)
def _url() -> str:
    """With a gap for the token: URL resolving costs as much as half a send."""
    return settings.PUBLIC_URL + reverse("unsubscribe", args=["TOKEN"])
