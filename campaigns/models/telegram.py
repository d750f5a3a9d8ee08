"""Bots, who lets them write, and what they are to write."""

from django.db import models
from django.utils import timezone

from postman.accounts.models import User
from postman.crypto import EncryptedTextField
from postman.ids import new_id


class TelegramBot(models.Model):
    """A bot of an officer's, under a label. People allow it to write to them; its token lets us."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner = models.ForeignKey(User, models.PROTECT, related_name="telegram_bots")
    label = models.CharField(max_length=50)
    bot_id = models.BigIntegerField(help_text="Telegram's own id of it.")
    username = models.CharField(max_length=32)
    token = EncryptedTextField()
    # What Telegram shows with each update, so that nobody else can tell us of any.
    webhook_secret = EncryptedTextField()
    verified_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "label"],
                condition=models.Q(removed_at=None),
                name="an_officer_gives_each_bot_its_own_label",
            ),
            # It has one webhook, and so one place that hears who subscribes.
            models.UniqueConstraint(
                fields=["bot_id"],
                condition=models.Q(removed_at=None),
                name="a_bot_belongs_to_one_officer",
            ),
        ]

    def __str__(self) -> str:
        return f"@{self.username}"

    @property
    def invite_url(self) -> str:
        """Where people open it, to subscribe."""
        return f"https://t.me/{self.username}"

    @property
    def subscribe_url(self) -> str:
        """The same, with Start to press even for those who have spoken with it before."""
        return f"{self.invite_url}?start=subscribe"


class TelegramSubscriber(models.Model):
    """Which Telegram account a phone number has, as its holder told one of our bots."""

    phone = models.CharField(max_length=15, unique=True)
    telegram_id = models.BigIntegerField(unique=True)
    updated_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"subscriber {self.pk}"


class BotSubscription(models.Model):
    """Somebody lets a bot write to them."""

    bot = models.ForeignKey(TelegramBot, models.CASCADE, related_name="subscriptions")
    subscriber = models.ForeignKey(TelegramSubscriber, models.CASCADE, related_name="subscriptions")
    created_at = models.DateTimeField(default=timezone.now)
    # Telegram lets a bot write to one person once a second.
    free_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["bot", "subscriber"], name="one_subscription_per_person_and_bot"
            )
        ]

    def __str__(self) -> str:
        return f"subscription {self.pk}"


class TelegramDraft(models.Model):
    """The message of a Telegram campaign as it is being written, and the bot that it comes from.

    The bot is chosen with the campaign and never changed. Each save counts the version up.
    """

    campaign = models.OneToOneField(
        "Campaign", models.CASCADE, primary_key=True, related_name="telegram_draft"
    )
    bot = models.ForeignKey(TelegramBot, models.PROTECT, related_name="drafts")
    version = models.PositiveIntegerField(default=1)
    body = models.TextField(blank=True, help_text="As `telegram.texts.clean` left it.")
    updated_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    updated_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"draft {self.version} of {self.campaign_id}"
