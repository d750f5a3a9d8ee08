"""Messages of Telegram bots: into which chat each goes, and when.

Recipients are phone numbers; a bot reaches people by their chats. Who is reached is looked up when
messages are claimed, for the whole chunk at once, so that a retry sees who subscribed meanwhile.
Messages of other channels pass through here as they are.
"""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from django.db import connection

from campaigns.models import Channel, TelegramBot
from campaigns.telegram import subscribers
from messaging.channels.base import ChatMessage, Mail, Outcome, Rejected, TemplateMessage
from messaging.channels.telegram import BLOCKED, BOT_REMOVED, NEVER_SUBSCRIBED, NOT_THIS_BOT
from messaging.models import Batch, Message
from messaging.providers import bot_of, kind_of

Written = str | Mail | TemplateMessage | None


class _Due(Protocol):
    """What is looked at of a message that may be sent now."""

    @property
    def id(self) -> UUID: ...
    @property
    def campaign_id(self) -> UUID: ...
    @property
    def recipient(self) -> str: ...


Due = TypeVar("Due", bound=_Due)


# One a second to each person ---------------------------------------------------------------------


def one_a_second(found: Sequence[Due], chosen: list[UUID], now: datetime) -> list[UUID]:
    """Those of the chosen that do not come on the heels of another to the same person.

    The others wait, each a second longer than the one before it. Call it in the transaction that
    claims; `pacing` has locked the bot's account by then, so nobody else books its people.
    """
    by_bot = defaultdict(list)
    taken = set(chosen)
    for message in found:
        if message.id in taken and kind_of(message.campaign_id) == Channel.TELEGRAM:
            by_bot[bot_of(message.campaign_id)].append(message)
    waiting: dict[datetime, list[UUID]] = defaultdict(list)
    for bot_id, messages in by_bot.items():
        free_at = subscribers.book(bot_id, {message.recipient for message in messages}, now)
        earlier: Tally[str] = Tally()
        for message in messages:
            if message.recipient not in free_at:
                continue  # it will be refused without asking Telegram
            at = free_at[message.recipient] + earlier[message.recipient] * subscribers.PAUSE
            earlier[message.recipient] += 1
            if at > now:
                waiting[at].append(message.id)
    for at, ids in sorted(waiting.items()):
        Message.objects.filter(id__in=ids).update(due_at=at)
    put_off = {id_ for ids in waiting.values() for id_ in ids}
    return [id_ for id_ in chosen if id_ not in put_off]


# Numbers become chats ----------------------------------------------------------------------------


class _Bot(NamedTuple):
    token: str  # empty where it was removed
    people: Mapping[str, subscribers.Reach]


class Reached:
    """Where the recipients of some messages are reached."""

    def __init__(self, bots: Mapping[UUID, _Bot]) -> None:
        self._bots = bots

    def into(
        self, campaign_id: UUID, recipient: str, written: Written
    ) -> Written | ChatMessage | Rejected:
        """What was written, on its way into the recipient's chat; or why there is no way."""
        if (
            not self._bots
            or kind_of(campaign_id) != Channel.TELEGRAM
            or not isinstance(written, str)
        ):
            return written
        bot = self._bots[bot_of(campaign_id)]
        if not bot.token:
            return Rejected("routing_error", provider_code=BOT_REMOVED)
        reach = bot.people.get(recipient, subscribers.UNKNOWN)
        if reach.chat_id is not None:
            return ChatMessage(reach.chat_id, written, bot.token)
        if reach.is_known:
            return Rejected("recipient_unavailable", provider_code=NOT_THIS_BOT)
        return Rejected("recipient_invalid", provider_code=NEVER_SUBSCRIBED)


def reached(messages: Iterable[tuple[UUID, str]]) -> Reached:
    """Look up (campaign, recipient) of all these at once: two queries for each bot among them."""
    by_bot = defaultdict(set)
    for campaign_id, recipient in messages:
        if kind_of(campaign_id) == Channel.TELEGRAM:
            by_bot[bot_of(campaign_id)].add(recipient)
    rows = TelegramBot.objects.filter(pk__in=by_bot, removed_at=None) if by_bot else ()
    tokens = {bot.pk: str(bot.token) for bot in rows}
    return Reached(
        {
            bot_id: _Bot(tokens.get(bot_id, ""), subscribers.reached(bot_id, phones))
            for bot_id, phones in by_bot.items()
        }
    )


# Those who left ----------------------------------------------------------------------------------


def end_with_those_who_left(results: Iterable[tuple[UUID, int, Outcome]]) -> None:
    """Whoever Telegram says has blocked the bot is no subscriber of it any more."""
    left = defaultdict(set)
    for campaign_id, chat_id, outcome in results:
        if isinstance(outcome, Rejected) and outcome.provider_code == BLOCKED:
            left[bot_of(campaign_id)].add(chat_id)
    for bot_id, people in left.items():
        subscribers.unsubscribe(bot_id, people)


# Before they are sent ----------------------------------------------------------------------------


class Reachable(NamedTuple):
    """Of the rows of a file: how many can be reached as things stand."""

    total: int
    subscribed: int
    # The number is linked to other bots of Postman's only.
    elsewhere: int


def reach_of(batch: Batch) -> Reachable:
    """Who of a checked file has subscribed to the bot now. It may be others when it is sent."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*), count(subscription.id),
                count(subscriber.id) - count(subscription.id)
            FROM messaging_stagedrow staged
            LEFT JOIN campaigns_telegramsubscriber subscriber ON subscriber.phone = recipient
            LEFT JOIN campaigns_botsubscription subscription
                ON subscription.subscriber_id = subscriber.id AND subscription.bot_id = %s
            WHERE staged.batch_id = %s
            """,
            [bot_of(batch.campaign_id), batch.id],
        )
        return Reachable(*cursor.fetchone())
