"""Bots that an officer's campaigns are sent by, each under a label (v1-backend §2.9)."""

import secrets
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet
from django.urls import reverse
from django.utils import timezone

from campaigns import creation
from campaigns.models import Campaign, Channel, TelegramBot
from campaigns.telegram import bot_api
from postman.accounts import audit
from postman.accounts.models import User
from postman.errors import Refused

MAX_BOTS = 20


def of(user: User) -> QuerySet[TelegramBot]:
    """Those that can be used, by label."""
    return TelegramBot.objects.filter(owner=user, removed_at=None).order_by("label")


def why_not(user: User) -> str:
    """What keeps this person from adding a bot; empty if nothing does."""
    return creation.why_not_by(user, Channel.TELEGRAM)


def with_subscribers(user: User) -> QuerySet[TelegramBot]:
    return of(user).annotate(subscribers=Count("subscriptions"))


def add(user: User, *, label: str, token: str) -> TelegramBot:
    """Ask Telegram whose token it is, have its updates come to us, and keep it; raises Refused.

    A bot that this officer had before, or has, gets the new token and keeps its subscribers.
    """
    if reason := why_not(user):
        raise Refused(reason, "channel_not_switched_on")
    identity = bot_api.identify(token)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        bot = _kept(user, identity, label=label, token=token)
        audit.record("telegram_bot.added", by=user, on=bot, label=label, username=identity.username)
        # Within, so that a bot that Telegram does not connect is not kept.
        bot_api.connect(token, url=webhook_url(bot.pk), secret=str(bot.webhook_secret))
    return bot


def _kept(user: User, identity: bot_api.Identity, *, label: str, token: str) -> TelegramBot:
    earlier = TelegramBot.objects.filter(owner=user, bot_id=identity.bot_id)
    bot = earlier.order_by("-created_at").first() or TelegramBot(owner=user, bot_id=identity.bot_id)
    others = of(user).exclude(pk=bot.pk)
    if others.filter(label=label).exists():
        raise Refused(f"You have a bot labelled “{label}” already.", "invalid_credential_label")
    if others.count() >= MAX_BOTS:
        raise Refused(
            f"An account can have {MAX_BOTS} bots. Remove one first.", "too_many_credentials"
        )
    bot.label, bot.username, bot.token = label, identity.username, token
    bot.webhook_secret = secrets.token_urlsafe(32)
    bot.verified_at, bot.removed_at = timezone.now(), None
    try:
        with transaction.atomic():
            bot.save()
    except IntegrityError:
        raise Refused(
            f"@{identity.username} belongs to another account of Postman already. Its owner has "
            "to remove it there first.",
            "bot_taken",
        ) from None
    return bot


def check(bot: TelegramBot) -> None:
    """Ask Telegram anew, and connect it again: another program may have taken its updates.

    Raises BotRefused.
    """
    identity = bot_api.identify(str(bot.token))
    bot_api.connect(str(bot.token), url=webhook_url(bot.pk), secret=str(bot.webhook_secret))
    TelegramBot.objects.filter(pk=bot.pk).update(
        verified_at=timezone.now(), username=identity.username
    )


def campaigns_of(bot: TelegramBot) -> QuerySet[Campaign]:
    """Those that cannot be sent any more without it."""
    return Campaign.objects.alive().filter(telegram_draft__bot=bot).order_by("name", "id")


def remove(bot: TelegramBot, *, by: User) -> None:
    """Nothing leaves through it any more: what waits fails, and says why."""
    with transaction.atomic():
        # Who adds it again gives its token again, so none is kept.
        gone = {"removed_at": timezone.now(), "token": "", "webhook_secret": ""}
        if not of(by).filter(pk=bot.pk).update(**gone):
            return
        audit.record("telegram_bot.removed", by=by, on=bot, label=bot.label)
    try:
        bot_api.disconnect(str(bot.token))
    except bot_api.BotRefused:
        # Its updates are refused from now on all the same.
        return


def webhook_url(bot_id: UUID) -> str:
    return settings.CALLBACK_URL + reverse("telegram-callback", args=[bot_id])
