"""Through which account of which provider a campaign sends, and where its reports come in."""

import asyncio
import atexit
import hashlib
import hmac
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import cache, lru_cache
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils.crypto import constant_time_compare

from campaigns.models import Campaign, SmsDraft, TelegramDraft, TwilioCredentials
from campaigns.models import Channel as Kind
from messaging.channels import get_channel
from messaging.channels.base import Channel

T = TypeVar("T")

# The account of SMS to the public; an agency's own has the id of its credentials.
PUBLIC_ACCOUNT = "gov"
# All emails of one platform go through one account of Amazon's.
EMAIL_ACCOUNT = "email"
# And all WhatsApp messages through one number.
WHATSAPP_ACCOUNT = "whatsapp"

# What the accounts of Telegram's bots begin with.
TELEGRAM = "tg:"


@lru_cache(maxsize=4096)
def kind_of(campaign_id: UUID) -> Kind:
    """What its messages are: chosen when it was made, and never changed."""
    return Kind(Campaign.objects.values_list("channel", flat=True).get(id=campaign_id))


def account_of(campaign_id: UUID) -> str:
    """The account that a campaign sends through."""
    return _account_of(campaign_id) or _chosen_account_of(campaign_id)


@lru_cache(maxsize=4096)
def _account_of(campaign_id: UUID) -> str:
    """Made with the campaign, and never changed; empty where it is chosen afterwards."""
    kind = kind_of(campaign_id)
    if kind == Kind.EMAIL:
        return EMAIL_ACCOUNT
    if kind == Kind.WHATSAPP:
        return WHATSAPP_ACCOUNT
    if kind == Kind.TELEGRAM:
        return telegram_account(bot_of(campaign_id))
    own = TwilioCredentials.objects.filter(campaign_id=campaign_id).values_list("id", flat=True)
    if account := own.first():
        return str(account)
    return "" if SmsDraft.objects.filter(campaign=campaign_id).exists() else PUBLIC_ACCOUNT


def _chosen_account_of(campaign_id: UUID) -> str:
    chosen = SmsDraft.objects.filter(campaign=campaign_id, credentials__isnull=False)
    return str(chosen.values_list("credentials_id", flat=True).get())


@lru_cache(maxsize=4096)
def bot_of(campaign_id: UUID) -> UUID:
    """The bot that a Telegram campaign is sent by: chosen with it, and never changed."""
    return TelegramDraft.objects.values_list("bot_id", flat=True).get(campaign=campaign_id)


def telegram_account(bot_id: UUID) -> str:
    """Each bot has a pace, and connections, of its own."""
    return f"{TELEGRAM}{bot_id.hex}"


def rate_of(account: str) -> float | None:
    """Segments (emails are one each) per second; None where nobody limits them."""
    if account == EMAIL_ACCOUNT:
        return settings.EMAILS_PER_SECOND
    if account == WHATSAPP_ACCOUNT:
        return settings.WHATSAPP_MESSAGES_PER_SECOND
    if account.startswith(TELEGRAM):
        return settings.TELEGRAM_MESSAGES_PER_SECOND
    if account == PUBLIC_ACCOUNT:
        return settings.SMS_SEGMENTS_PER_SECOND
    found = TwilioCredentials.objects.filter(id=account).values_list("segments_per_second")
    return found.get()[0]


@lru_cache(maxsize=64)
def channel_of(account: str) -> Channel:
    """One channel, and so one pool of connections, an account and process.

    Credentials are made with their campaign and never changed, so a process may remember them.
    """
    channel = _new_channel(account)
    atexit.register(lambda: wait_for(channel.close()))
    return channel


def _new_channel(account: str) -> Channel:
    if account == EMAIL_ACCOUNT:
        return get_channel("email")
    if account == WHATSAPP_ACCOUNT:
        return get_channel("whatsapp")
    if account.startswith(TELEGRAM):
        return get_channel("telegram")
    if account == PUBLIC_ACCOUNT:
        return get_channel("sms")
    credentials = TwilioCredentials.objects.get(id=account)
    return get_channel(
        "sms",
        account_sid=credentials.account_sid,
        username=credentials.api_key_sid,
        password=credentials.api_secret,
        messaging_service_sid=credentials.messaging_service_sid,
        auth_token=credentials.auth_token,
    )


# The loop in which channels speak --------------------------------------------------------------


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run it in the event loop where the channels keep their connections."""
    return start(work).result()


def start(work: Coroutine[Any, Any, T]) -> Future[T]:
    return asyncio.run_coroutine_threadsafe(work, _loop())


_one_at_a_time = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    """One event loop for the life of the process, so that connections stay open; in a thread of
    its own, so that messages leave while the database is asked."""
    with _one_at_a_time:
        return _running_loop()


@cache
def _running_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="channels", daemon=True).start()
    return loop


# Where reports come in -------------------------------------------------------------------------


def callback_url(account: str, attempt_id: UUID) -> str:
    """Where the provider reports on this attempt. Nobody can make one up: it is signed by us."""
    path = _callback_path(account).format(attempt=attempt_id, token=_token_of(account, attempt_id))
    return f"{settings.CALLBACK_URL}{path}"


@lru_cache(maxsize=64)
def _callback_path(account: str) -> str:
    """The path with gaps for what differs: URL resolving costs as much as half a send."""
    anybody = UUID(int=0)
    path = reverse("twilio-callback", args=[account, anybody, "token"])
    return path.replace(str(anybody), "{attempt}").replace("/token", "/{token}")


def is_callback_token(account: str, attempt_id: UUID, token: str) -> bool:
    return constant_time_compare(token, _token_of(account, attempt_id))


def _token_of(account: str, attempt_id: UUID) -> str:
    value = f"{account}/{attempt_id}".encode()
    return hmac.digest(_token_key(settings.SECRET_KEY), value, "sha256").hex()[:32]


@lru_cache(maxsize=2)
def _token_key(secret: str) -> bytes:
    """As `django.utils.crypto.salted_hmac` makes it, which makes it anew for each token."""
    return hashlib.sha256(f"messaging.callbacks{secret}".encode()).digest()
