"""Who lets a bot write to them, and where they are reached.

A number is believed only where Telegram itself says that it is its sender's: see
`messaging.callbacks.telegram`.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from campaigns.models import BotSubscription, TelegramBot, TelegramSubscriber

# One message to a person in so long.
PAUSE = timedelta(seconds=1)
KEPT_WITHOUT_BOT = timedelta(days=30)


class Reach(NamedTuple):
    """What is known of a number. `chat_id` is None where it has not subscribed to the bot."""

    is_known: bool
    chat_id: int | None


UNKNOWN = Reach(is_known=False, chat_id=None)


@transaction.atomic
def subscribe(
    bot: TelegramBot, *, telegram_id: int, phone: str, said_at: datetime | None = None
) -> bool:
    """This person has this number, and lets the bot write to them; False where both was known.

    Whoever had the number before has another one by now, so nobody writes to them on the strength
    of it any more. What they, or the number's next holder, said after `said_at` stands: Telegram
    tells things again, late, and in any order.
    """
    with connection.cursor() as cursor:
        # Of two that name the same number or person, one waits for the other.
        for key in sorted((f"telegram id {telegram_id}", f"telegram phone {phone}")):
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
    said_at = said_at or timezone.now()
    of_both = TelegramSubscriber.objects.filter(Q(telegram_id=telegram_id) | Q(phone=phone))
    is_new = False
    if not of_both.filter(updated_at__gt=said_at).exists():
        of_both.exclude(telegram_id=telegram_id).delete()
        _, is_new = TelegramSubscriber.objects.update_or_create(
            telegram_id=telegram_id, defaults={"phone": phone, "updated_at": said_at}
        )
    known = TelegramSubscriber.objects.select_for_update().filter(telegram_id=telegram_id)
    subscriber = known.first()
    if subscriber is None:
        return False
    _, is_subscribed_now = BotSubscription.objects.get_or_create(bot=bot, subscriber=subscriber)
    return is_new or is_subscribed_now


def is_subscribed(bot: TelegramBot, telegram_id: int) -> bool:
    return BotSubscription.objects.filter(bot=bot, subscriber__telegram_id=telegram_id).exists()


@transaction.atomic
def unsubscribe(
    bot_id: UUID, telegram_ids: Collection[int], *, said_at: datetime | None = None
) -> None:
    """They have blocked the bot, or left Telegram. What they said after `said_at` stands.

    Nothing is kept of people whom no bot may write to.
    """
    people = TelegramSubscriber.objects.filter(telegram_id__in=telegram_ids)
    if said_at:
        people = people.filter(updated_at__lte=said_at)
    # Locked, so that nobody subscribes who is being erased.
    ids = list(people.select_for_update().order_by("id").values_list("id", flat=True))
    BotSubscription.objects.filter(bot=bot_id, subscriber__in=ids).delete()
    TelegramSubscriber.objects.filter(id__in=ids, subscriptions=None).delete()


def forget(now: datetime) -> int:
    """Erase whom no bot may write to; returns how many people.

    A bot that was removed may be added again for some time, and keeps its subscribers as long.
    """
    BotSubscription.objects.filter(bot__removed_at__lt=now - KEPT_WITHOUT_BOT).delete()
    forgotten, _ = TelegramSubscriber.objects.filter(subscriptions=None).delete()
    return forgotten


def reached(bot_id: UUID, phones: Collection[str]) -> dict[str, Reach]:
    """Number → where it is reached by this bot; those that nobody gave us are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT phone, CASE WHEN subscription.id IS NOT NULL THEN telegram_id END
            FROM campaigns_telegramsubscriber subscriber
            LEFT JOIN campaigns_botsubscription subscription
                ON subscription.subscriber_id = subscriber.id AND subscription.bot_id = %s
            WHERE phone = ANY(%s)
            """,
            [bot_id, list(phones)],
        )
        return {phone: Reach(True, chat_id) for phone, chat_id in cursor.fetchall()}


def book(bot_id: UUID, phones: Collection[str], now: datetime) -> dict[str, datetime]:
    """Number → from when its holder may be written to. Those that may be now are booked: whoever
    asks next has to wait. Numbers that have not subscribed are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH asked AS (
                SELECT subscription.id, phone, free_at
                FROM campaigns_botsubscription subscription
                JOIN campaigns_telegramsubscriber subscriber
                    ON subscriber.id = subscription.subscriber_id
                WHERE subscription.bot_id = %(bot)s AND phone = ANY(%(phones)s)
                ORDER BY subscription.id FOR UPDATE OF subscription
            ), booked AS (
                UPDATE campaigns_botsubscription SET free_at = %(next)s
                FROM asked
                WHERE campaigns_botsubscription.id = asked.id
                    AND (asked.free_at IS NULL OR asked.free_at <= %(now)s)
            )
            SELECT phone, GREATEST(free_at, %(now)s) FROM asked
            """,
            {"bot": bot_id, "phones": list(phones), "now": now, "next": now + PAUSE},
        )
        return dict(cursor.fetchall())
