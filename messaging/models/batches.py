"""Files of recipients, from their upload to their last message."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import models
from django.db.models import Q

from campaigns.models import Campaign, Membership, TemplateBody
from messaging.states import PAGE_GROUPS
from postman.accounts.models import User
from postman.ids import PublicIdModel, now_ms


class BatchStatus(models.TextChoices):
    """An upload becomes a batch in place: one row, from the file to the last message.

    uploaded → checking → invalid                    the whole file is refused
                  └→ ready → scheduled ─┐            rows staged, an officer decides
                       └────────────────┴→ messages_enqueuing → messages_enqueued
                                                  └→ messages_enqueuing_failed
    uploaded, ready, scheduled → discarded
    """

    UPLOADED = "uploaded", "Waiting to be checked"
    CHECKING = "checking", "Being checked"
    INVALID = "invalid", "Has errors"
    READY = "ready", "Ready to send"
    SCHEDULED = "scheduled", "Scheduled"
    ENQUEUING = "messages_enqueuing", "Delivery in progress"
    ENQUEUED = "messages_enqueued", "Delivery in progress"
    ENQUEUING_FAILED = "messages_enqueuing_failed", "Could not be queued"
    DISCARDED = "discarded", "Discarded"


# Accepted for sending, so it belongs in lists and logs.
SENT_STATUSES = (BatchStatus.ENQUEUING, BatchStatus.ENQUEUED, BatchStatus.ENQUEUING_FAILED)
# All its rows are messages, so that the failed ones can be told (v2-sms §4.6).
RETRYABLE_STATUSES = (BatchStatus.ENQUEUED, BatchStatus.ENQUEUING_FAILED)


class BatchQuerySet(models.QuerySet["Batch"]):
    def visible_to(self, membership: Membership) -> BatchQuerySet:
        rows = self.filter(campaign_id=membership.campaign_id)
        return rows.filter(creator_id=membership.user_id) if membership.sees_only_own else rows

    def due(self, now: datetime) -> BatchQuerySet:
        """Scheduled for now or earlier: open-ended, so that a missed tick misses nobody."""
        return self.of_living_campaigns().filter(
            status=BatchStatus.SCHEDULED, scheduled_at__lte=now
        )

    def of_living_campaigns(self) -> BatchQuerySet:
        """Without a join, as an UPDATE with one looks for its rows in a subquery, and PostgreSQL
        does not look there again after waiting for somebody who just changed the row."""
        return self.filter(campaign__in=Campaign.objects.alive())

    def lanes(self, now: datetime) -> models.QuerySet[Batch, tuple[UUID, UUID]]:
        """(agency, batch) of every batch that is being sent."""
        return self.being_sent(now).values_list("campaign__agency_id", "id")

    def being_sent(self, now: datetime) -> BatchQuerySet:
        """Batches with messages that wait to be handed over, the longest-waiting first.

        Of those that were stopped, the ones whose rest was cancelled: it waits for that.
        """
        return self.filter(
            Q(hold_until=None) | Q(hold_until__lte=now),
            Q(stopped_at=None) | Q(cancelled_at__isnull=False),
            status__in=SENT_STATUSES,
            dispatched_at=None,
            campaign__deleted_at=None,
        ).order_by("accepted_at", "id")


class Batch(PublicIdModel):
    """One CSV file and the messages made of it."""

    id_prefix = "batch"

    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="batches")
    creator = models.ForeignKey(User, models.PROTECT, related_name="+")
    status = models.CharField(
        max_length=30, choices=BatchStatus.choices, default=BatchStatus.UPLOADED
    )
    via_api = models.BooleanField(default=False)
    original_file_name = models.CharField(max_length=255)
    file = models.FileField(upload_to="uploads/%Y/%m/", max_length=200, blank=True)
    file_bytes = models.BigIntegerField(default=0)
    file_sha256 = models.CharField(max_length=64, blank=True)
    # The uploaded rows that are wrong, with a column that says why (v2-sms §9).
    report = models.FileField(upload_to="reports/%Y/%m/", max_length=200, blank=True)

    # Progress and outcome of the check.
    bytes_checked = models.BigIntegerField(default=0)
    rows_checked = models.IntegerField(default=0)
    rows_bad = models.IntegerField(default=0)
    errors_total = models.IntegerField(default=0)
    # {"code", "message"} where the file as a whole is refused.
    file_fault = models.JSONField(null=True)
    # The first bad rows, for the page: [{"row": 4, "recipient": …, "reasons": [{"column", "message"}]}]
    first_faults = models.JSONField(default=list)
    # messaging.recipients.Summary as a dict: languages, segments, cost, duplicates…
    summary = models.JSONField(default=dict)
    checked_at = models.DateTimeField(null=True)

    # The text that was pinned when somebody said send, where it could still be edited until then.
    template_body = models.ForeignKey(
        TemplateBody, models.PROTECT, null=True, db_index=False, related_name="+"
    )
    scheduled_at = models.DateTimeField(null=True)
    # When an officer (or the API) said send.
    accepted_at = models.DateTimeField(null=True)
    total_messages = models.IntegerField(default=0)
    # Work that a process holds until then; past it, anyone may take it over.
    lease_until = models.DateTimeField(null=True)
    # Every message has been handed over at least once; None while some still wait.
    dispatched_at = models.DateTimeField(null=True)
    # An officer said stop: no message of it is claimed. The rest may then be cancelled.
    stopped_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    # Stopped by us, as too many of its addresses do not exist; `stopped_at` says it is still so.
    halted_at = models.DateTimeField(null=True)
    # When the campaign's owners were told of that.
    halt_told_at = models.DateTimeField(null=True)
    # What had bounced, and what was final, when it last stood halted: only more can halt it again.
    forgiven_bounces = models.IntegerField(default=0, db_default=0)
    forgiven_finalised = models.IntegerField(default=0, db_default=0)
    # The provider was away or asked for patience: no message of this batch leaves before then.
    hold_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=now_ms)
    updated_at = models.DateTimeField(default=now_ms)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        indexes = [
            models.Index(fields=["campaign", "-created_at", "-id"], name="batches_of_a_campaign"),
            models.Index(
                fields=["status", "scheduled_at"],
                condition=Q(status__in=["uploaded", "checking", "scheduled", "messages_enqueuing"]),
                name="batches_with_work_to_do",
            ),
            models.Index(
                fields=["id"],
                condition=Q(
                    status__in=[
                        "messages_enqueuing",
                        "messages_enqueued",
                        "messages_enqueuing_failed",
                    ]
                )
                & Q(dispatched_at=None),
                name="batches_being_sent",
            ),
            models.Index(
                fields=["id"],
                condition=Q(halted_at__isnull=False, halt_told_at=None),
                name="batches_halted_untold",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=BatchStatus.values), name="batches_have_a_known_status"
            ),
            models.CheckConstraint(
                condition=~Q(status="scheduled") | Q(scheduled_at__isnull=False),
                name="scheduled_batches_have_a_time",
            ),
            models.CheckConstraint(
                condition=Q(cancelled_at=None) | Q(stopped_at__isnull=False),
                name="only_stopped_batches_are_cancelled",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_accepted(self) -> bool:
        return self.status in SENT_STATUSES

    @property
    def is_stopped(self) -> bool:
        """An officer has yet to say whether the rest is to go on."""
        return bool(self.stopped_at and not self.cancelled_at and not self.dispatched_at)

    @property
    def is_halted(self) -> bool:
        """Stopped by us, and nobody has said yet whether the rest is to go on."""
        return bool(self.halted_at and self.is_stopped)

    @property
    def is_retryable(self) -> bool:
        """All its messages exist, and what waits of a stopped one is settled."""
        is_settled = not self.stopped_at or bool(self.dispatched_at)
        return self.status in RETRYABLE_STATUSES and is_settled

    def counts(self) -> dict[str, int]:
        """Status → number of its messages now. One query over counters, never over messages."""
        return self.counters.by_status()

    def progress(self, counts: Mapping[str, int] | None = None) -> dict[str, int]:
        """Messages pending, sent, delivered, failed, unknown and cancelled.

        Rows that are not yet made into messages have no counter: they are pending all the same.
        """
        counts = self.counts() if counts is None else counts
        groups = {
            name: sum(counts.get(status, 0) for status in statuses)
            for name, statuses in PAGE_GROUPS.items()
        }
        groups["pending"] += max(0, self.total_messages - sum(groups.values()))
        return groups


class StagedRow(models.Model):
    """A checked row that waits for the word to send. Moved, not copied, into `Message`."""

    pk = models.CompositePrimaryKey("batch_id", "row")
    # No constraints on these two: looking each of a million rows up took two thirds of storing them.
    # Rows are written in the transaction that finds the batch still being checked (`ingest._stage`),
    # and a message made of one is looked up again.
    batch = models.ForeignKey(
        Batch, models.CASCADE, related_name="staged_rows", db_index=False, db_constraint=False
    )
    row = models.IntegerField(help_text="As a spreadsheet numbers it: the first one is 2.")
    message_id = models.UUIDField()
    template_body = models.ForeignKey(
        TemplateBody, models.PROTECT, db_index=False, db_constraint=False, related_name="+"
    )
    recipient = models.CharField(max_length=254)
    values = models.JSONField()
    segments = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"row {self.row} of {self.batch_id}"
