"""What is asked of Telegram about a bot itself. Messages go through `messaging.channels.telegram`.

https://core.telegram.org/bots/api
"""

import re
from dataclasses import dataclass
from typing import Any

import requests
from django.conf import settings

from postman.errors import Refused

API = "https://api.telegram.org"
TIMEOUT_SECONDS = 10
# What people can ask of every bot of ours, besides /start (v1-backend §2.16).
COMMANDS = (
    ("updatenumber", "Tell us your new phone number"),
    ("help", "What this bot is, and whom to ask"),
)
# Messages, and whether somebody has blocked the bot.
ALLOWED_UPDATES = ("message", "my_chat_member")

is_token = re.compile(r"\d{3,15}:[A-Za-z0-9_-]{30,60}", re.ASCII).fullmatch


class BotRefused(Refused):
    """Telegram does not know the bot, or cannot be asked; in words for its owner."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "telegram_bot_refused")


@dataclass(frozen=True, slots=True)
class Identity:
    bot_id: int
    username: str


def identify(token: str) -> Identity:
    """Whose token it is; raises BotRefused."""
    found = _ask(token, "getMe")
    try:
        return Identity(int(found["id"]), str(found["username"]))
    except (KeyError, TypeError, ValueError):
        raise _unclear() from None


def connect(token: str, *, url: str, secret: str) -> None:
    """Have the bot's updates come to `url` with this secret, and show its commands."""
    commands = [{"command": name, "description": words} for name, words in COMMANDS]
    _ask(token, "setMyCommands", {"commands": commands})
    # Last, as the secret is kept only if nothing after it fails.
    webhook = {"url": url, "secret_token": secret, "allowed_updates": list(ALLOWED_UPDATES)}
    _ask(token, "setWebhook", webhook)


def disconnect(token: str) -> None:
    """Let no more updates come; raises BotRefused where Telegram could not be told."""
    _ask(token, "deleteWebhook", {})


def _ask(token: str, method: str, parameters: dict[str, Any] | None = None) -> Any:
    # Before it becomes part of an address.
    if not is_token(token):
        raise _unknown()
    base = (settings.TELEGRAM_BASE_URL or API).rstrip("/")
    try:
        answer = requests.post(
            f"{base}/bot{token}/{method}",
            json=parameters or {},
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        fields = answer.json()
    except ValueError:
        raise _unclear() from None
    except requests.RequestException:
        # Its text holds the address, and so the token.
        raise BotRefused(
            "Telegram could not be reached, so nothing is changed yet. Try again in a few minutes."
        ) from None
    if not isinstance(fields, dict):
        raise _unclear()
    if answer.status_code in (401, 404):
        raise _unknown()
    if answer.status_code == 400 and "webhook" in str(fields.get("description")).lower():
        raise _not_reachable()
    if answer.status_code != 200 or not fields.get("ok"):
        raise _unclear()
    return fields.get("result")


def _unknown() -> BotRefused:
    return BotRefused(
        "Telegram does not know a bot with this token. Copy it again from BotFather, or ask "
        "BotFather for a new one."
    )


def _not_reachable() -> BotRefused:
    return BotRefused(
        "Telegram knows this bot but cannot reach Postman, so nobody could subscribe to it. Nothing "
        "is wrong with your token. Tell Postman's support."
    )


def _unclear() -> BotRefused:
    return BotRefused("Telegram did not answer as it should. Try again in a few minutes.")
