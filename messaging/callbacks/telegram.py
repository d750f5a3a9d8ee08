"""What people tell our bots: they subscribe, share their number, or block the bot."""

import logging
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from campaigns.models import TelegramBot
from campaigns.phone_numbers import InvalidRecipient, normalise
from campaigns.telegram import subscribers
from messaging import providers
from messaging.channels.base import Callback, ChatMessage, InvalidSignature
from messaging.channels.telegram import Telegram, read_update

logger = logging.getLogger(__name__)

SHARE = "Share my phone number"
# Told by Telegram when somebody blocks the bot, or takes that back.
GONE = ("kicked", "left")

_ask_for_contact = {
    "keyboard": [[{"text": SHARE, "request_contact": True}]],
    "resize_keyboard": True,
    "one_time_keyboard": True,
}
_no_keyboard = {"remove_keyboard": True}


@csrf_exempt  # the caller is Telegram: the bot's secret stands in for the token
@require_POST
def telegram_callback(request: HttpRequest, bot_id: uuid.UUID) -> HttpResponse:
    """Act on an update of this bot; 403 for whoever does not show its secret.

    Always 200 to Telegram, or it would tell the same again and again.
    """
    bot = (
        TelegramBot.objects.filter(pk=bot_id, removed_at=None)
        .select_related("owner__agency")
        .first()
    )
    secret = str(bot.webhook_secret) if bot else ""
    signature = request.META.get("HTTP_X_TELEGRAM_BOT_API_SECRET_TOKEN", "")
    try:
        update = read_update(Callback(request.path, signature=signature, body=request.body), secret)
    except InvalidSignature:
        logger.warning("a call to the door of a bot was refused")
        return HttpResponseForbidden()
    assert bot  # or there had been no secret
    _take(bot, update)
    return HttpResponse(status=200)


def _take(bot: TelegramBot, update: Mapping[str, Any]) -> None:
    if message := _object(update, "message"):
        _hear(bot, message)
    elif change := _object(update, "my_chat_member"):
        person = _person(change)
        if person and _object(change, "new_chat_member").get("status") in GONE:
            subscribers.unsubscribe(bot.pk, [person], said_at=_said_at(change))


def _hear(bot: TelegramBot, message: Mapping[str, Any]) -> None:
    person = _person(message)
    if person is None:
        return
    contact = _object(message, "contact")
    if contact:
        _hear_contact(bot, person, message, contact)
        return
    command = str(message.get("text") or "").split(maxsplit=1)[:1]
    name = command[0].partition("@")[0].lower() if command else ""
    if name == "/start" and subscribers.is_subscribed(bot, person):
        _answer(bot, person, f"{_HELLO_AGAIN} {_UPDATE}")
    elif name == "/start":
        _answer(bot, person, _WELCOME, keyboard=_ask_for_contact)
    elif name == "/updatenumber":
        _answer(bot, person, _NEW_NUMBER, keyboard=_ask_for_contact)
    else:
        _answer(bot, person, _HELP)


def _hear_contact(
    bot: TelegramBot, person: int, message: Mapping[str, Any], contact: Mapping[str, Any]
) -> None:
    """A contact counts only where Telegram says that it is its sender's own, shared here and now:
    anybody can pass on somebody else's."""
    if contact.get("user_id") != person or _is_forwarded(message):
        _answer(bot, person, _NOT_YOURS, keyboard=_ask_for_contact)
        return
    try:
        # Telegram writes it with or without the plus sign, always with the country code.
        phone = normalise(f"+{str(contact.get('phone_number') or '').lstrip('+')}")
    except InvalidRecipient:
        _answer(bot, person, _NO_NUMBER, keyboard=_no_keyboard)
        return
    said_at = _said_at(message)
    is_new = subscribers.subscribe(bot, telegram_id=person, phone=phone, said_at=said_at)
    _answer(bot, person, _SUBSCRIBED if is_new else _ALREADY, keyboard=_no_keyboard)


def _is_forwarded(message: Mapping[str, Any]) -> bool:
    marks = ("forward_origin", "forward_from", "forward_sender_name", "forward_date", "via_bot")
    return any(mark in message for mark in marks)


def _person(event: Mapping[str, Any]) -> int | None:
    """Who speaks, if it is a person in a chat of their own with the bot."""
    sender, chat = _object(event, "from"), _object(event, "chat")
    known = sender.get("id")
    if not isinstance(known, int) or not 1 < known < 2**63 or sender.get("is_bot"):
        return None
    return known if chat.get("type") == "private" and chat.get("id") == known else None


def _said_at(event: Mapping[str, Any]) -> datetime | None:
    """When it happened, to the second. It may be told later, and again."""
    date = event.get("date")
    if not isinstance(date, int) or not 0 < date <= time.time() + 60:
        return None
    return datetime.fromtimestamp(date, UTC)


def _object(of: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


# What they are answered ------------------------------------------------------------------------

_WELCOME = (
    "Hello. This bot sends messages of {agency}. To receive them, press the button below to share "
    "the phone number of your Telegram account. Typing it does not count."
)
_HELLO_AGAIN = "You have subscribed to messages of {agency} already."
_UPDATE = "If you have a new phone number, send /updatenumber."
_NEW_NUMBER = "Press the button below to share the phone number that your account has now."
_NOT_YOURS = (
    "That is not your own contact. Nobody can be subscribed by somebody else: press the button "
    "below to share your own number."
)
_NO_NUMBER = "We cannot send messages to that phone number."
_SUBSCRIBED = "Thank you. You have subscribed, and your phone number is up to date."
_ALREADY = "You have subscribed already, and your phone number is up to date."
_HELP = (
    "This bot sends messages of {agency} and cannot read replies. Send /start to subscribe and "
    "/updatenumber if your phone number has changed. To receive no more, block the bot. For "
    "questions about a message, contact the agency."
)


def _answer(
    bot: TelegramBot,
    person: int,
    words: str,
    *,
    keyboard: Mapping[str, Any] | None = None,
) -> None:
    """Best effort: nobody waits for it, and where it is lost they ask again."""
    agency = bot.owner.agency
    words = words.format(agency=escape(agency.name, quote=False) if agency else "an agency")
    channel = providers.channel_of(providers.telegram_account(bot.pk))
    if not isinstance(channel, Telegram):
        return  # on the load test site nothing leaves
    providers.start(channel.reply(ChatMessage(person, words, str(bot.token)), keyboard=keyboard))
