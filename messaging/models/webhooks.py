"""Whom we tell what becomes of messages, and what they were told."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.urls import reverse

from campaigns.models import Campaign
from postman.accounts.models import User
from postman.crypto import EncryptedTextField
from postman.ids import new_id, now_ms


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def of(self, owner: Campaign | User) -> WebhookQuerySet:
        return (
            self.filter(campaign=owner)
            if isinstance(owner, Campaign)
            else self.filter(account=owner)
        )


class Webhook(models.Model):
    """Where somebody wants to be told what becomes of messages (`webhooks`).

    Of a campaign, its owners; of what its systems send with its keys, an account.
    """

    class Pause(models.TextChoices):
        OFFICER = "officer", "Paused by an owner"
        GONE = "gone", "Paused: its server answered that it is gone (410)"
        FAILING = "failing", "Paused: its server has not taken an event for three days"

    # How long an event is tried.
    TRIED_FOR = timedelta(days=3)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    campaign = models.ForeignKey(Campaign, models.CASCADE, null=True, related_name="webhooks")
    account = models.ForeignKey(
        User, models.CASCADE, null=True, db_index=False, related_name="webhooks"
    )
    url = models.CharField(max_length=500)
    secret = EncryptedTextField()
    earlier_secret = EncryptedTextField(null=True)
    rotated_at = models.DateTimeField(null=True)
    creator = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=now_ms)
    paused_at = models.DateTimeField(null=True)
    pause = models.CharField(max_length=10, choices=Pause.choices, blank=True)
    # Chunks in a row of which nothing was taken (one event that fails alone is not counted);
    # until `held_until` nothing is sent.
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    held_until = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    # The process that serves it has it until then.
    lease_until = models.DateTimeField(null=True)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "url"], name="one_webhook_per_campaign_and_address"
            ),
            models.UniqueConstraint(
                fields=["account", "url"], name="one_webhook_per_account_and_address"
            ),
            models.CheckConstraint(
                condition=Q(campaign=None, account__isnull=False)
                | Q(campaign__isnull=False, account=None),
                name="webhooks_belong_to_a_campaign_or_an_account",
            ),
            models.CheckConstraint(
                condition=Q(paused_at=None, pause="") | Q(paused_at__isnull=False, pause__gt=""),
                name="paused_webhooks_and_only_they_say_why",
            ),
        ]

    def __str__(self) -> str:
        return self.host

    @property
    def host(self) -> str:
        """What a log may hold: the rest of the address may be a secret of its owner's."""
        return urlsplit(self.url).hostname or ""

    @property
    def owner(self) -> Campaign | User:
        owner = self.campaign or self.account
        assert owner
        return owner

    @property
    def campaign_public_id(self) -> str:
        return f"{Campaign.id_prefix}_{self.campaign_id}"

    @property
    def list_url(self) -> str:
        if self.campaign_id:
            return reverse("campaign-webhooks", args=[self.campaign_id])
        return reverse("account-webhooks")

    def url_of(self, page: str, *more: object) -> str:
        """A page of this webhook: those of a campaign's lie under it, under the same names."""
        place = [self.campaign_id] if self.campaign_id else []
        return reverse(page, args=[*place, self.pk, *more])


class WebhookDelivery(models.Model):
    """One event for one webhook, from the change of a message's state to its receiver's 2xx."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        GAVE_UP = "gave_up", "Given up"

    # Ids grow in the order in which a message moved on.
    id = models.BigAutoField(primary_key=True)
    # Unchecked: what became of a message must not wait for, nor fail with, its webhook's deletion.
    webhook = models.ForeignKey(
        Webhook, models.CASCADE, db_index=False, db_constraint=False, related_name="deliveries"
    )
    message_id = models.UUIDField(null=True)
    batch_id = models.UUIDField(null=True)
    number = models.PositiveSmallIntegerField(default=0, help_text="Of the attempt.")
    status = models.CharField(max_length=13)
    error_code = models.CharField(max_length=30, blank=True)
    provider_code = models.CharField(max_length=60, blank=True, default="", db_default="")
    at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    tries = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField()
    retry_until = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(fields=["webhook", "-id"], name="events_of_a_webhook"),
            models.Index(
                fields=["webhook", "message_id", "id"],
                condition=Q(state="waiting"),
                name="events_waiting_for_a_message",
            ),
            models.Index(
                fields=["webhook", "id"], condition=Q(state="waiting"), name="events_to_be_sent"
            ),
            models.Index(
                fields=["retry_until"], condition=Q(state="waiting"), name="events_to_be_given_up"
            ),
            models.Index(
                fields=["webhook", "id"], condition=Q(state="gave_up"), name="events_given_up"
            ),
            BrinIndex(fields=["at"], name="events_by_time"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "delivered", "gave_up"]),
                name="events_have_a_known_state",
            )
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        """The same at every try, so that a receiver can tell a repetition."""
        return f"evt_{self.webhook_id}_{self.id}"


class WebhookTry(models.Model):
    """One call to the receiver, and what it said."""

    id = models.BigAutoField(primary_key=True)
    delivery = models.ForeignKey(WebhookDelivery, models.CASCADE, related_name="log")
    at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    fault = models.CharField(max_length=100, blank=True)
    milliseconds = models.PositiveIntegerField()
    excerpt = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "webhook tries"

    def __str__(self) -> str:
        return str(self.status or self.fault)
