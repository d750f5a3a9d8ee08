"""Messages of bots through Telegram's Bot API, over one pool of connections.

https://core.telegram.org/bots/api#sendmessage

Spoken to directly: a send is one POST, at most 30 a second, and a bot framework (aiogram) would
bring every worker a hundred megabytes of models and dispatchers that nothing here would use.
"""

import asyncio
import hmac
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import orjson

from campaigns import phone_numbers
from messaging.channels.base import (
    DELIVERY_ERRORS,
    Accepted,
    Attempted,
    Callback,
    ChatMessage,
    Event,
    Found,
    InvalidSignature,
    Outcome,
    OutgoingChat,
    Rejected,
    Throttled,
    Unavailable,
    Unknown,
)
from messaging.channels.pool import Pool

logger = logging.getLogger(__name__)

API = "https://api.telegram.org"
# v1's codes for what is known before Telegram is asked, and Telegram's for who is gone.
NEVER_SUBSCRIBED, NOT_THIS_BOT, BOT_REMOVED = "1", "2", "bot_removed"
BLOCKED = "403"


class Telegram:
    """The way to one bot's people. Whose bot it is comes with each message: a token may change."""

    can_be_asked = False  # a bot cannot ask what it has sent

    def __init__(
        self,
        base_url: str | None = None,
        timeout: float = 30,
        connections: int = 30,
        test_numbers: bool = False,
    ) -> None:
        self._base = (base_url or API).rstrip("/")
        self._test_numbers = test_numbers
        self._pool = Pool(connections, timeout)

    def clean_recipient(self, value: str) -> str:
        return phone_numbers.clean_recipient(value, test_numbers=self._test_numbers)

    async def close(self) -> None:
        await self._pool.close()

    # Sending -------------------------------------------------------------------------------

    async def send(self, messages: Sequence[OutgoingChat]) -> list[Outcome]:
        outcomes: list[Outcome] = [Unknown()] * len(messages)
        waiting = iter(enumerate(messages))

        async def send_in_turn() -> None:
            for place, outgoing in waiting:
                outcomes[place] = await self._send_one(outgoing.message)

        senders = min(len(messages), self._pool.connections)
        await asyncio.gather(*(send_in_turn() for _ in range(senders)))
        return outcomes

    async def reply(
        self, message: ChatMessage, *, keyboard: Mapping[str, Any] | None = None
    ) -> Outcome:
        """Answer somebody who wrote to the bot, with buttons in place of their keyboard."""
        return await self._send_one(message, {"reply_markup": keyboard} if keyboard else {})

    async def _send_one(
        self, message: ChatMessage, more: Mapping[str, Any] | None = None
    ) -> Outcome:
        body = {
            "chat_id": message.chat_id,
            "text": message.html,
            "parse_mode": "HTML",
            **(more or {}),
        }
        try:
            answer = await self._post(message.token, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Unavailable(type(error).__name__)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Unknown(type(error).__name__)
        except Exception as error:
            # One message's surprise must not lose the outcomes of its whole chunk. Its text may
            # hold the address, and so the token.
            logger.error("a send ended in an unforeseen way: %s", type(error).__name__)
            return Unknown("unforeseen")
        return _outcome(answer)

    async def _post(self, token: str, body: Mapping[str, Any]) -> "_Answer":
        opened = self._pool.in_this_loop()
        async with (
            opened.free,
            opened.session.post(
                f"{self._base}/bot{token}/sendMessage",
                data=orjson.dumps(body),
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
            ) as response,
        ):
            return _Answer(response.status, await response.read())

    async def find(self, attempts: Sequence[Attempted]) -> list[Found]:
        """Nothing: a bot cannot ask what it has sent."""
        return []

    # Hearing -------------------------------------------------------------------------------

    def read_events(self, callback: Callback) -> list[Event]:
        """Nothing: Telegram does not tell what becomes of a message."""
        return []


def read_update(callback: Callback, secret: str) -> dict[str, Any]:
    """What a bot is told; InvalidSignature where it does not come with the bot's secret."""
    if not secret or not hmac.compare_digest(secret.encode(), callback.signature.encode()):
        raise InvalidSignature
    return _object(callback.body)


class _Answer(NamedTuple):
    status: int
    content: bytes


# Answers -----------------------------------------------------------------------------------


def _outcome(answer: _Answer) -> Outcome:
    fields = _object(answer.content)
    if answer.status == 200 and fields.get("ok") is True:
        return _accepted(fields.get("result"))
    status, detail = _status(answer.status, fields), str(fields.get("description") or "")
    if status == 429:
        return Throttled(_retry_after(fields))
    if status in (401, 404):
        # Its owner has taken the token back; once they give us the new one, the messages leave.
        logger.error("Telegram does not know the token of a bot: HTTP %d", status)
        return Unavailable("Telegram does not know the token")
    if fields.get("ok") is not False:
        # No word of Telegram's. Whoever stands between us may keep back its answer to a message
        # that it took, and what a firewall forbids is not what a person has blocked.
        return Unknown(f"HTTP {status}")
    if status == 403:
        return Rejected("recipient_unavailable", detail, provider_code=BLOCKED)
    if 400 <= status < 500 and status != 408:
        is_gone = any(words in detail.lower() for words in _NO_SUCH_CHAT)
        error = "recipient_invalid" if is_gone else "content_invalid"
        return Rejected(error, detail, provider_code=str(status))
    # It broke, and may have taken the message before.
    return Unknown(f"HTTP {status}")


def _accepted(result: object) -> Accepted | Unknown:
    message_id = result.get("message_id") if isinstance(result, dict) else None
    if not isinstance(message_id, int):
        return Unknown("no id in the answer")
    return Accepted(str(message_id), is_final=True)


def _status(http_status: int, fields: Mapping[str, Any]) -> int:
    """Of a refusal its own code, which counts whatever the answer came as."""
    code = fields.get("error_code")
    return code if fields.get("ok") is False and isinstance(code, int) else http_status


# A chat that became a group's is not where its person is reached any more: nobody follows them.
_NO_SUCH_CHAT = (
    *("chat not found", "user not found", "peer_id_invalid", "user_id_invalid"),
    *("user_deactivated", "upgraded to a supergroup"),
)


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _retry_after(fields: Mapping[str, Any]) -> float | None:
    parameters = fields.get("parameters")
    seconds = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else None


# What each code means for an officer -------------------------------------------------------

_EXPLAINED = {
    NEVER_SUBSCRIBED: "This number is not linked to a bot. Invite its holder to subscribe.",
    NOT_THIS_BOT: "This person has not subscribed to this bot, or left it. Invite them.",
    BLOCKED: "This person has blocked the bot, or has no Telegram account any more. "
    "Reach them another way.",
    BOT_REMOVED: "The bot was removed before the message left. Its owner can add it again.",
}


def meaning_of(kind: str, code: str) -> tuple[str, str] | None:
    """Telegram reports on no message."""
    return None


def explain(code: str, error_code: str = "") -> str:
    """One plain sentence for the officer; empty where our own error says it all."""
    if code in _EXPLAINED:
        return _EXPLAINED[code]
    if code == "400" and error_code == "recipient_invalid":
        return "Telegram does not know this person’s chat any more. Ask them to subscribe again."
    if code == "400":
        return "Telegram refused this message for what it says: look at its links and tags."
    known = DELIVERY_ERRORS.get(error_code)
    return known.sentence if known else ""
