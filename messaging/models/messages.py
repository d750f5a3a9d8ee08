"""Messages, and each try at them."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q

from campaigns.models import Campaign, Membership, TemplateBody
from messaging.channels.base import ERRORS, DeliveryError
from messaging.states import FAULTY, RETRIED, WAITING, Status
from postman.accounts.models import User
from postman.ids import PublicIdModel, new_id, now_ms
from postman.rows import Columns, prepared

from .batches import Batch

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


MAX_RETRIES = 3


class MessageQuerySet(models.QuerySet["Message"]):
    def visible_to(self, membership: Membership) -> MessageQuerySet:
        """All of the campaign; for a restricted member only what they sent by hand (v2-sms Q35)."""
        rows = self.filter(campaign_id=membership.campaign_id)
        if membership.sees_only_own:
            rows = rows.filter(creator_id=membership.user_id, via_api=False)
        return rows

    def due_singles(self, now: datetime) -> MessageQuerySet:
        """Single messages that wait to be handed over."""
        return self.filter(Q(due_at=None) | Q(due_at__lte=now), batch=None, status__in=WAITING)

    def with_all_for_api(self) -> MessageQuerySet:
        """What the lists of the API show of a message, in as many queries for one as for a thousand.

        Fetched apart, not joined: a page has few bodies, creators and batches among its messages.
        """
        newest = Attempt.objects.order_by("-number")
        return self.prefetch_related(
            "template_body",
            "creator",
            "batch",
            models.Prefetch("attempts", newest, to_attr="newest_attempts"),
        )

    def one_for_api(self, campaign: Campaign, message_id: UUID) -> Message | None:
        """A message of the campaign with all that the API shows of it, as of one moment.

        In one statement, as clients ask this again and again until their message has arrived.
        """
        message, batch, creator, attempt = _api_columns()
        with prepared() as cursor:
            cursor.execute(
                f"""
                SELECT {message}, {batch}, {creator}, {attempt}
                FROM messaging_message message
                LEFT JOIN messaging_batch batch ON batch.id = message.batch_id
                JOIN accounts_user creator ON creator.id = message.creator_id
                LEFT JOIN messaging_attempt attempt ON attempt.message_id = message.id
                WHERE message.id = %s AND message.campaign_id = %s
                ORDER BY attempt.number DESC
                """,  # noqa: S608 - column names
                [message_id, campaign.id],
            )
            found = cursor.fetchall()
        if not found:
            return None
        row = iter(found[0])
        shown = message.take(row)
        shown.batch, shown.creator = batch.take_if_any(row), creator.take(row)
        bodies = {body.id: body for body in campaign.bodies.values()}
        if shown.template_body_id:
            shown.template_body = bodies[shown.template_body_id]
        tries = [attempt.take_if_any(iter(each[-len(attempt.names) :])) for each in found]
        shown.newest_attempts = [each for each in tries if each]
        return shown

    def newest_first(self) -> MessageQuerySet:
        return self.order_by("-created_at", "-id")


@lru_cache
def _api_columns() -> tuple[Columns[Message], Columns[Batch], Columns[User], Columns[Attempt]]:
    shown = ("id", "campaign_id", "creator_id", "status", "original_file_name", "total_messages")
    return (
        Columns(Message, "message"),
        Columns(Batch, "batch", *shown, "created_at", "updated_at"),
        Columns(User, "creator", "id", "email"),
        Columns(Attempt, "attempt"),
    )


class Message(PublicIdModel):
    """What one person receives. Mirrors the status of its latest attempt."""

    id_prefix = "message"

    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="messages", db_index=False)
    batch = models.ForeignKey(
        Batch, models.PROTECT, null=True, related_name="messages", db_index=False
    )
    row = models.IntegerField(null=True)
    # None where the text is its own: a `Transactional`.
    template_body = models.ForeignKey(
        TemplateBody, models.PROTECT, null=True, db_index=False, related_name="+"
    )
    creator = models.ForeignKey(User, models.PROTECT, db_index=False, related_name="+")
    via_api = models.BooleanField(default=False)
    recipient = models.CharField(max_length=254)
    values = models.JSONField()
    segments = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=13, choices=Status.choices, default=Status.CREATED)
    # Why nobody may write to this recipient, where that kept it from being sent.
    suppressed_for = models.CharField(max_length=15, null=True)  # noqa: DJ001 - costs no row a byte
    attempts_made = models.PositiveSmallIntegerField(default=0)
    # Not to be sent before: set when the provider was away.
    due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=now_ms)
    updated_at = models.DateTimeField(default=now_ms)

    objects = MessageQuerySet.as_manager()

    if TYPE_CHECKING:
        attempts: RelatedManager[Attempt]
        newest_attempts: list[Attempt]  # on those that were fetched for the API

    class Meta:
        indexes = [
            # With the number, so that a search inside a campaign reads this and no row. In the order
            # in which messages come, for then its pages are full; it is read from its end as well.
            models.Index(
                fields=["campaign", "created_at", "id"],
                include=["recipient"],
                name="messages_of_a_campaign",
            ),
            # Singles have no batch: nulls are one lane of this index, each batch another.
            models.Index(
                fields=["batch", "id"],
                condition=Q(status__in=[str(status) for status in WAITING]),
                name="messages_waiting_to_be_sent",
            ),
            # Few, and looked up among many: the bad addresses of a batch.
            models.Index(
                fields=["batch", "id"],
                condition=Q(status="bounced"),
                name="messages_that_bounced",
            ),
            # As few, and added up by reason on the batch's page.
            models.Index(
                fields=["batch", "id"],
                condition=Q(status="failure"),
                name="messages_that_failed",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["batch", "row"], name="one_message_per_row_of_a_batch"),
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="messages_have_a_known_status"
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def full_message(self) -> str:
        """Exactly what was or will be sent; bodies never change, so neither does this.

        Empty once the values are erased, and where the text is its own.
        """
        if self.is_erased or self.template_body is None:
            return ""
        return self.template_body.full_message(self.values)

    @property
    def is_erased(self) -> bool:
        return not self.recipient

    @property
    def can_retry(self) -> bool:
        return not self.is_erased and self.status in RETRIED and self.attempts_made <= MAX_RETRIES


class Attempt(models.Model):
    """One try at a message: the first send, and up to three retries. State moves here."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    message = models.ForeignKey(Message, models.CASCADE, related_name="attempts", db_index=False)
    number = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=13, choices=Status.choices)
    # One of our delivery errors (v2-sms §8.3); the provider's own code stands beside it.
    error_code = models.CharField(max_length=30, blank=True)
    provider_code = models.CharField(max_length=60, blank=True)
    reference = models.CharField(max_length=128, blank=True, help_text="The provider's own id.")
    lease_until = models.DateTimeField(null=True)
    # When the provider is next asked what became of it, while nobody reports.
    ask_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=now_ms)
    updated_at = models.DateTimeField(default=now_ms)
    sent_at = models.DateTimeField(null=True)
    # When the provider had passed it on to the operator or to the recipient's mail server.
    passed_on_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["lease_until"],
                condition=Q(status="sending"),
                name="attempts_being_handed_over",
            ),
            models.Index(
                fields=["ask_at"],
                condition=Q(status__in=["unknown", "sent"], ask_at__isnull=False),
                name="attempts_to_ask_about",
            ),
            # Rows come in the order of time, so this knows where to look and costs nothing.
            BrinIndex(fields=["sent_at"], name="attempts_by_time_sent"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["message", "number"], name="one_attempt_per_number"),
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="attempts_have_a_known_status"
            ),
            models.CheckConstraint(
                condition=Q(status__in=[str(status) for status in FAULTY], error_code__gt="")
                | ~Q(status__in=[str(status) for status in FAULTY]) & Q(error_code=""),
                name="failures_and_only_they_have_an_error",
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.message_id}"

    @property
    def is_overdue(self) -> bool:
        """Sent, and nobody ever said what became of it, the provider when asked included."""
        return self.status == Status.SENT and self.ask_at is None

    @property
    def error(self) -> DeliveryError | None:
        """The plain sentence and the type of what went wrong, or None."""
        return ERRORS.get(self.error_code)
