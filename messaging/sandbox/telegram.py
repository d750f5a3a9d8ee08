"""Telegram's Bot API: what a bot asks and sends, and people who do something with the bot.

https://core.telegram.org/bots/api
A person's id, and so their chat with every bot, is their phone number's digits.
"""

from __future__ import annotations

import itertools
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import orjson

from .numbers import TELEGRAM_BY_NUMBER
from .sns import Post
from .wire import JSON, Scope

PATH = re.compile(r"/bot([^/]+)/(\w+)")
# Any of this form is a bot's; one whose secret begins with "revoked" is known no more, and of one
# with "unreachable" the address for its updates is refused.
_TOKEN = re.compile(r"(\d{3,15}):[A-Za-z0-9_-]{30,60}", re.ASCII)
_MOST_CHARACTERS = 4096
_TAGS = frozenset(
    (
        *("b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "a", "code", "pre"),
        *("span", "tg-spoiler", "tg-emoji", "blockquote"),
    )
)


class Refused(Exception):
    """An answer that is one of Telegram's errors."""

    headers = JSON

    def __init__(self, status: int, description: str, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.status = status
        fields: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
        if retry_after is not None:
            fields["parameters"] = {"retry_after": retry_after}
        self.body = orjson.dumps(fields)


FATES = {
    "429": Refused(429, "Too Many Requests: retry after 1", retry_after=1),
    "5xx": Refused(500, "Internal Server Error"),
    "down": Refused(503, "Service Unavailable"),
    "refused_auth": Refused(401, "Unauthorized"),
}
_REFUSED = {
    403: Refused(403, "Forbidden: bot was blocked by the user"),
    400: Refused(400, "Bad Request: chat not found"),
}


class Bots:
    """Where each bot's updates go, kept over a restart."""

    def __init__(self, directory: Path | None = None) -> None:
        self._file = directory / "telegram.json" if directory else None
        self._made: dict[str, dict[str, Any]] = {}
        self._updates = itertools.count(int(time.time()))
        if self._file and self._file.exists():
            self._made = orjson.loads(self._file.read_bytes())

    def clear(self) -> None:
        self._made.clear()
        self._keep()

    def all(self) -> list[dict[str, Any]]:
        return [{"id": int(bot), **facts} for bot, facts in self._made.items()]

    def connect(self, bot: str, url: str, secret: str) -> None:
        self._made[bot] = {"username": username(bot), "url": url, "secret_token": secret}
        self._keep()

    def disconnect(self, bot: str) -> None:
        self._made.pop(bot, None)
        self._keep()

    def update_of(self, bot: str, phone: str, does: str) -> Post | None:
        """The update that tells what somebody did; None for a bot that nobody connected.

        `does`: share, forward (of somebody else's contact), block, unblock, or what they write.
        """
        facts = self._made.get(bot)
        if facts is None:
            return None
        person, now = int(phone), int(time.time())
        event: dict[str, Any] = {
            "from": {"id": person, "is_bot": False, "first_name": "Sandbox"},
            "chat": {"id": person, "type": "private", "first_name": "Sandbox"},
            "date": now,
        }
        name = "message"
        if does in ("block", "unblock"):
            name, status = "my_chat_member", "kicked" if does == "block" else "member"
            me = {"id": int(bot), "is_bot": True, "first_name": facts["username"]}
            event["new_chat_member"] = {"user": me, "status": status, "until_date": 0}
            event["old_chat_member"] = {"user": me, "status": "member"}
        elif does in ("share", "forward"):
            owner = person if does == "share" else person + 1
            event |= {
                "message_id": next(self._updates),
                "contact": {"phone_number": str(owner), "first_name": "Sandbox", "user_id": owner},
            }
        else:
            event |= {"message_id": next(self._updates), "text": does}
        body = orjson.dumps({"update_id": next(self._updates), name: event})
        headers = {
            "Content-Type": "application/json",
            "X-Telegram-Bot-Api-Secret-Token": facts["secret_token"],
        }
        return Post(facts["url"], body, headers)

    def _keep(self) -> None:
        if self._file:
            self._file.write_bytes(orjson.dumps(self._made))


def username(bot: str) -> str:
    return f"sandbox_{bot}_bot"


def read_call(scope: Scope, body: bytes) -> tuple[str, str, dict[str, Any]]:
    """(bot, method, parameters) of a call; `Refused` for a token that nobody was given."""
    match = PATH.fullmatch(scope["path"])
    token = _TOKEN.fullmatch(match[1]) if match else None
    if not match or not token or ":revoked" in match[1]:
        raise Refused(401, "Unauthorized")
    try:
        parameters = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        parameters = None
    if not isinstance(parameters, dict):
        raise Refused(400, "Bad Request: can't parse JSON object")
    return token[1], match[2], parameters


def check_webhook(scope: Scope) -> None:
    """`Refused` for a bot whose updates cannot be brought to us."""
    if ":unreachable" in scope["path"]:
        raise Refused(400, "Bad Request: bad webhook: Failed to resolve host")


def result(value: Any) -> bytes:
    return orjson.dumps({"ok": True, "result": value})


def check_message(bot: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The log entry of an acceptable message; `Refused` with what is wrong with it."""
    chat, text = asked.get("chat_id"), asked.get("text")
    if not isinstance(chat, int) or not isinstance(text, str) or chat <= 0:
        raise Refused(400, "Bad Request: chat not found")
    number = TELEGRAM_BY_NUMBER.get(f"+{chat}")
    if number and number.behaviour == "refused":
        raise _REFUSED[number.code]
    shown = _shown(text) if asked.get("parse_mode") == "HTML" else text
    if not shown.strip():
        raise Refused(400, "Bad Request: message text is empty")
    if len(shown.encode("utf-16-le")) // 2 > _MOST_CHARACTERS:
        raise Refused(400, "Bad Request: message is too long")
    return {
        "channel": "telegram",
        "to": f"+{chat}",
        "from": f"@{username(bot)}",
        "text": shown,
        "html": text,
        "keyboard": bool(asked.get("reply_markup")),
        # Telegram never tells more of it.
        "first_status": "delivered",
    }


def message(bot: str, entry: dict[str, Any]) -> bytes:
    chat = int(entry["to"].removeprefix("+"))
    return result(
        {
            "message_id": int(entry["sid"]),
            "from": {"id": int(bot), "is_bot": True, "username": username(bot)},
            "chat": {"id": chat, "type": "private"},
            "date": int(entry["at"]),
            "text": entry["text"],
        }
    )


class _Reader(HTMLParser):
    """Telegram's own reading: few tags, each closed, and nothing else."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            raise Refused(400, f'Bad Request: can\'t parse entities: Unsupported start tag "{tag}"')
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            raise Refused(400, "Bad Request: can't parse entities: Unmatched end tag")

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def finish(self) -> str:
        self.close()
        if self._open:
            raise Refused(400, "Bad Request: can't parse entities: Can't find end tag")
        return "".join(self.text)


def _shown(html: str) -> str:
    reader = _Reader()
    reader.feed(html)
    return reader.finish()
