"""Sending, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce, Collate
from django.utils import timezone

from campaigns.models import Campaign, Channel, Membership, TemplateBody
from messaging.channels.base import ERRORS, DeliveryError
from messaging.states import FAULTY, PAGE_GROUPS, RETRIED, WAITING, Status
from postman.accounts.models import Agency, User
from postman.crypto import EncryptedTextField
from postman.ids import PublicIdModel, new_id, now_ms
from postman.rows import Columns, prepared

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

MAX_RETRIES = 3


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
            # With the number, so that a search inside a campaign reads this and no row.
            models.Index(
                fields=["campaign", "-created_at", "-id"],
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


class SuppressionQuerySet(models.QuerySet["Suppression"]):
    def standing(self) -> SuppressionQuerySet:
        return self.filter(lifted_at=None)

    def of(self, agency: Agency) -> SuppressionQuerySet:
        """Those that keep this agency from writing: its own, and everybody's."""
        return self.standing().filter(Q(agency=None) | Q(agency=agency))


class Suppression(models.Model):
    """An address that is not to be written to, by one agency or (without one) by anybody.

    Looked up when a batch becomes messages, and again when they are claimed (`delivery`).
    """

    class Reason(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed", "Unsubscribed"
        BOUNCED = "hard_bounce", "Hard bounce"
        COMPLAINED = "complaint", "Reported as spam"
        ADDED = "added", "Added by an officer"

    id = models.BigAutoField(primary_key=True)
    agency = models.ForeignKey(Agency, models.CASCADE, null=True, related_name="suppressions")
    recipient = models.CharField(max_length=254)
    reason = models.CharField(max_length=15, choices=Reason.choices)
    # In the words of who unsubscribed, or of the officer who added it.
    note = models.CharField(max_length=255, blank=True)
    # What led to it, if a message did.
    campaign = models.ForeignKey(Campaign, models.SET_NULL, null=True, related_name="suppressions")
    # In whose list it stands: the agency's own, or that of the campaign that led to it.
    listed_by = models.ForeignKey(
        Agency, models.CASCADE, null=True, db_index=False, related_name="listed_suppressions"
    )
    creator = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    # When the campaign's owners were told in their weekly mail.
    told_at = models.DateTimeField(null=True)

    objects = SuppressionQuerySet.as_manager()

    class Meta:
        constraints = [
            # Begins with the address, so that looking one up needs no index of its own.
            models.UniqueConstraint(
                fields=["recipient", "agency", "reason"],
                condition=Q(lifted_at=None),
                nulls_distinct=False,
                name="an_address_is_suppressed_once_for_each_reason",
            ),
            models.CheckConstraint(
                condition=Q(reason__in=["unsubscribed", "hard_bounce", "complaint", "added"]),
                name="suppressions_have_a_known_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["agency", "-id"], name="suppressions_of_an_agency"),
            models.Index(
                fields=["listed_by", "-id"],
                condition=Q(lifted_at=None),
                name="suppressions_in_a_list",
            ),
            # Byte by byte, so that it finds what an address begins with.
            models.Index(
                "listed_by",
                Collate("recipient", "C"),
                condition=Q(lifted_at=None),
                name="suppressions_by_address",
            ),
            models.Index(
                fields=["campaign", "id"],
                condition=Q(reason="unsubscribed", told_at=None),
                name="unsubscriptions_untold",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.listed_by_id is None:
            led_to_it = self.campaign.agency_id if self.campaign else None
            self.listed_by_id = self.agency_id or led_to_it
        super().save(*args, **kwargs)


class ProtectedUploadQuerySet(models.QuerySet["ProtectedUpload"]):
    def to_be_told(self, since: datetime) -> models.QuerySet[ProtectedUpload, UUID]:
        """Batches with locked pages that their sender does not know of, and was not told of others
        since then."""
        locked = ProtectedMessage.objects.locked_untold().values("upload")
        # Of those that were not sent, the sender is trying a page out.
        sent = self.filter(
            Q(told_at=None) | Q(told_at__lte=since), batch__accepted_at__isnull=False
        )
        return sent.filter(pk__in=locked).values_list("batch_id", flat=True)


class ProtectedUpload(models.Model):
    """What the sender decided on the secure pages of a batch, one for each of its rows.

    The pages were encrypted in the sender's browser: neither their text nor their passwords ever
    came here (docs/security.md).
    """

    batch = models.OneToOneField(
        Batch, models.CASCADE, primary_key=True, related_name="protected_upload"
    )
    # How the browsers make keys of passwords; pages that exist keep what they were made with.
    version = models.PositiveSmallIntegerField()
    iterations = models.PositiveIntegerField()
    rows_announced = models.PositiveIntegerField()
    # Shown to whoever has the link.
    hint = models.CharField(max_length=200, blank=True)
    ignores_case_and_spaces = models.BooleanField(default=False)
    # How long pages can be opened, from when their batch was sent.
    lifetime = models.DurationField()
    # When the sender was last told that pages of it are locked.
    told_at = models.DateTimeField(null=True)
    # Nothing of any page is left.
    erased_at = models.DateTimeField(null=True)

    objects = ProtectedUploadQuerySet.as_manager()

    def __str__(self) -> str:
        return f"secure pages of {self.batch_id}"


class PageState(models.TextChoices):
    """What the sender sees of a secure page; the first that is true."""

    WITHDRAWN = "withdrawn", "Withdrawn"
    EXPIRED = "expired", "Expired"
    LOCKED = "locked", "Locked"
    OPENED = "opened", "Opened"
    UNOPENED = "unopened", "Not opened"


class ProtectedMessageQuerySet(models.QuerySet["ProtectedMessage"]):
    def as_of(self, now: datetime) -> ProtectedMessageQuerySet:
        """With `ends_at` (None until it is sent) and its `state`.

        What somebody guessed or opened before it was sent, trying it out, does not count.
        """
        sent_at = models.F("upload__batch__accepted_at")
        return self.annotate(
            sent_at=sent_at,
            ends_at=Coalesce(
                "expires_at",
                models.ExpressionWrapper(
                    sent_at + models.F("upload__lifetime"), models.DateTimeField()
                ),
            ),
            state=models.Case(
                models.When(withdrawn_at__isnull=False, then=models.Value(PageState.WITHDRAWN)),
                models.When(
                    Q(ends_at__lte=now) | Q(sealed=None), then=models.Value(PageState.EXPIRED)
                ),
                models.When(
                    Q(sent_at=None) | Q(locked_at__gte=sent_at),
                    locked_at__isnull=False,
                    then=models.Value(PageState.LOCKED),
                ),
                models.When(opened_at__isnull=False, then=models.Value(PageState.OPENED)),
                default=models.Value(PageState.UNOPENED),
                output_field=models.CharField(),
            ),
        )

    def locked_untold(self) -> ProtectedMessageQuerySet:
        return self.filter(locked_at__isnull=False, told_at=None)


class ProtectedMessage(models.Model):
    """A secure page: what only its recipient's password opens, and who tried to.

    Its id is the browser's, and random: it is all that a link to the page holds.
    """

    # Wrong guesses until it locks; from the third on, each has to wait twice as long.
    MAX_GUESSES = 10

    id = models.UUIDField(primary_key=True, editable=False)
    upload = models.ForeignKey(
        ProtectedUpload, models.CASCADE, db_index=False, related_name="pages"
    )
    row = models.IntegerField()
    # Of the email that leads here, which exists once the batch is sent.
    message_id = models.UUIDField(unique=True)
    salt = models.BinaryField()
    iv = models.BinaryField()
    # What the browser encrypted, encrypted again with our key; None once it is erased.
    sealed = models.BinaryField(null=True)
    # Of what proves that somebody knows the password, the hash, encrypted with our key.
    verifier = models.BinaryField()
    wrong_guesses = models.PositiveSmallIntegerField(default=0)
    guessed_at = models.DateTimeField(null=True)
    guess_again_at = models.DateTimeField(null=True)
    locked_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True)
    last_opened_at = models.DateTimeField(null=True)
    times_opened = models.PositiveIntegerField(default=0)
    # Set where it was sent again, which renews it.
    expires_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    objects = ProtectedMessageQuerySet.as_manager()

    if TYPE_CHECKING:
        sent_at: datetime | None  # on those that were asked for `as_of` a moment
        ends_at: datetime | None
        state: str

    class Meta:
        indexes = [
            models.Index(
                fields=["upload"],
                condition=Q(locked_at__isnull=False, told_at=None),
                name="locked_pages_to_be_told_of",
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["upload", "row"], name="one_secure_page_per_row"),
            models.CheckConstraint(
                condition=Q(withdrawn_at=None) | Q(sealed=None),
                name="nothing_is_left_of_withdrawn_pages",
            ),
            models.CheckConstraint(
                condition=Q(wrong_guesses__lte=10), name="secure_pages_lock_in_time"
            ),
        ]

    def __str__(self) -> str:
        return f"secure page {self.id}"

    @property
    def tries_left(self) -> int:
        return self.MAX_GUESSES - self.wrong_guesses


class WrongGuesses(models.Model):
    """Passwords of secure pages that one address got wrong in one hour."""

    MAX_AN_HOUR = 100

    id = models.BigAutoField(primary_key=True)
    address = models.CharField(max_length=64, help_text="Of the internet address, a keyed hash.")
    hour = models.DateTimeField()
    n = models.PositiveIntegerField()

    class Meta:
        verbose_name_plural = "wrong guesses"
        constraints = [
            models.UniqueConstraint(fields=["address", "hour"], name="one_tally_per_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.n} at {self.hour}"


class Pace(models.Model):
    """How far a provider's account has used up what it may be given (`pacing`)."""

    account = models.CharField(primary_key=True, max_length=36)
    full_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.account


class RetentionMark(models.Model):
    """Up to which message, in the order of acceptance, a campaign's personal data is erased."""

    campaign = models.OneToOneField(
        Campaign, models.CASCADE, primary_key=True, related_name="retention_mark"
    )
    created_at = models.DateTimeField(default=datetime.fromtimestamp(0, UTC))
    message_id = models.UUIDField(default=UUID(int=0))

    def __str__(self) -> str:
        return f"{self.campaign_id} up to {self.created_at}"


class CounterQuerySet(models.QuerySet["Counter"]):
    def lanes_since(self, moment: datetime) -> models.QuerySet[Counter, tuple[UUID, UUID | None]]:
        """(campaign, batch or None for single messages) in which something moved since then."""
        moved = self.filter(hour__gte=moment).order_by("campaign_id", "batch_id")
        return moved.values_list("campaign_id", "batch_id").distinct()

    def by_status(self) -> dict[str, int]:
        """Status → number; every status stands there, and "total" as well."""
        found = dict(self.values_list("status").annotate(Sum("n")).order_by())
        return {"total": found.get(Counter.TOTAL, 0)} | {
            status: found.get(status, 0) for status in Status.values
        }

    def grouped(self) -> dict[str, int]:
        """What a page shows: total, pending, sent, delivered, failed, unknown; they add up."""
        counts = self.by_status()
        groups = {name: sum(counts[s] for s in statuses) for name, statuses in PAGE_GROUPS.items()}
        return {"total": counts["total"], **groups}


class Counter(models.Model):
    """How many messages stand where: changes are added as rows, in the transaction that moves them.

    Rows are only added (nothing to wait for, nothing to deadlock on) and now and then folded
    together by `delivery.fold_counters`, which changes no sum.
    """

    TOTAL = "total"

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey(Campaign, models.CASCADE, db_index=False, related_name="counters")
    batch = models.ForeignKey(
        Batch, models.CASCADE, null=True, db_index=False, related_name="counters"
    )
    hour = models.DateTimeField()
    status = models.CharField(max_length=13)
    n = models.IntegerField()

    objects = CounterQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["campaign", "hour"], name="counters_of_a_campaign"),
            models.Index(fields=["batch"], name="counters_of_a_batch"),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.n:+}"


class ProviderEvent(models.Model):
    """One report of a provider, kept as it came (without the person's number), counted once."""

    id = models.BigAutoField(primary_key=True)
    provider = models.CharField(max_length=20)
    event_id = models.CharField(max_length=120)
    attempt_id = models.UUIDField()
    kind = models.CharField(max_length=20)
    code = models.CharField(max_length=60, blank=True)
    reference = models.CharField(max_length=128, blank=True)
    raw = models.JSONField(default=dict)
    received_at = models.DateTimeField(default=timezone.now)
    applied_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"], condition=Q(applied_at=None), name="events_waiting_to_be_applied"
            ),
            models.Index(fields=["attempt_id"], name="events_of_an_attempt"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "event_id"], name="an_event_of_a_provider_counts_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.kind}"


class IdempotencyKeyQuerySet(models.QuerySet["IdempotencyKey"]):
    def expired(self, now: datetime) -> IdempotencyKeyQuerySet:
        return self.filter(created_at__lt=now - IdempotencyKey.KEPT_FOR)


class IdempotencyKey(models.Model):
    """What we answered a call that carried this `Idempotency-Key`, so that it counts once.

    Written in the transaction that carries the call out: either both stand or neither does.
    """

    KEPT_FOR = timedelta(days=3)

    id = models.BigAutoField(primary_key=True)
    # Whose key it is: the campaign's id, as each of its API keys speaks for the same client.
    client = models.UUIDField()
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of what was asked for.")
    status = models.PositiveSmallIntegerField(null=True)
    # Text, as jsonb would bring its fields into another order.
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = IdempotencyKeyQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="idempotency_keys_by_age")]
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="a_client_uses_a_key_once")
        ]

    def __str__(self) -> str:
        return f"a key of {self.client}"


class ChargedDay(models.Model):
    """A day in Singapore whose sends were counted into `Charge` rows. Final ones never change."""

    day = models.DateField(primary_key=True)
    as_of = models.DateTimeField()
    is_final = models.BooleanField(default=False)
    took = models.DurationField()

    def __str__(self) -> str:
        return f"{self.day}"


class Charge(models.Model):
    """What the sends of a campaign on one day come to, by country and outcome (v2-sms §10.6).

    `billing` writes them, a day at a time; pages add them up and never read messages.
    """

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey(Campaign, models.PROTECT, db_index=False, related_name="charges")
    day = models.DateField()
    is_local = models.BooleanField()
    outcome = models.CharField(
        max_length=30, help_text="The last status, the code of the delivery error, or pending."
    )
    sends = models.IntegerField(help_text="Every attempt counts: a retry is sent again.")
    segments = models.IntegerField()
    micros = models.BigIntegerField(help_text="Millionths of a Singapore dollar, before GST.")

    class Meta:
        indexes = [models.Index(fields=["day"], name="charges_of_a_day")]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "day", "is_local", "outcome"],
                name="one_charge_per_campaign_day_country_and_outcome",
            )
        ]

    def __str__(self) -> str:
        return f"{self.outcome} on {self.day}"


class Webhook(models.Model):
    """Where a campaign's owners want to be told what becomes of its messages (`webhooks`)."""

    class Pause(models.TextChoices):
        OFFICER = "officer", "Paused by an owner"
        GONE = "gone", "Paused: its server answered that it is gone (410)"
        FAILING = "failing", "Paused: its server has not taken an event for three days"

    # How long an event is tried.
    TRIED_FOR = timedelta(days=3)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="webhooks")
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

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "url"], name="one_webhook_per_campaign_and_address"
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
    def campaign_public_id(self) -> str:
        return f"{Campaign.id_prefix}_{self.campaign_id}"


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


class Transactional(models.Model):
    """A message that a system sent with a key of an account (/v1/transactional), as v1 tells of it.

    Its text is its own, so it has no template body; unless it was made of a WhatsApp template.
    """

    # v1's ids are whole numbers.
    id = models.BigAutoField(primary_key=True)
    message = models.OneToOneField(Message, models.CASCADE, related_name="transactional")
    user = models.ForeignKey(User, models.PROTECT, db_index=False, related_name="+")
    channel = models.CharField(max_length=10, choices=Channel.choices)
    tag = models.CharField(max_length=255, blank=True)
    classification = models.CharField(max_length=10, blank=True)
    # What the caller sent, as it was sent: an answer repeats it. Empty once it is erased.
    content = models.JSONField()
    # Of its files, what an answer tells: [{"fileName", "fileSize", "hash"}]; None without any.
    attachments = models.JSONField(null=True)
    attachment_bytes = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=now_ms)

    class Meta:
        verbose_name_plural = "transactional messages"
        indexes = [
            models.Index(
                fields=["user", "channel", "-created_at", "-id"], name="calls_of_an_account"
            ),
            models.Index(
                fields=["user", "tag", "-created_at", "-id"],
                condition=Q(tag__gt=""),
                name="calls_of_an_account_by_tag",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.id}"


class TransactionalFile(models.Model):
    """A file that goes along with one email; gone once the email has left for good."""

    transactional = models.ForeignKey(Transactional, models.CASCADE, related_name="files")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=100)
    content_id = models.CharField(max_length=10, blank=True)
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["transactional", "position"], name="one_file_per_position_of_an_email"
            )
        ]

    def __str__(self) -> str:
        return f"file {self.position} of {self.transactional_id}"


class EmailTestQuerySet(models.QuerySet["EmailTest"]):
    def due(self, now: datetime) -> EmailTestQuerySet:
        """Those that wait to be sent."""
        return self.filter(Q(due_at=None) | Q(due_at__lte=now), outcome=EmailTest.Outcome.WAITING)


class EmailTest(models.Model):
    """An email as an officer sent it to one colleague, to look at it before anybody else gets it.

    No message and no attempt: it is in no count and no report.
    """

    class Outcome(models.TextChoices):
        WAITING = "waiting", "On its way"
        SENDING = "sending", "On its way"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Outcome unknown"

    # Goes along where the id of an attempt would, so that no report on it finds one.
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    campaign = models.ForeignKey(
        Campaign, models.CASCADE, db_index=False, related_name="email_tests"
    )
    batch = models.ForeignKey(Batch, models.CASCADE, db_index=False, related_name="+")
    row = models.IntegerField(help_text="Whose values it was filled with.")
    template_body = models.ForeignKey(
        TemplateBody, models.PROTECT, db_index=False, related_name="+"
    )
    version = models.PositiveIntegerField(help_text="Of the draft.")
    creator = models.ForeignKey(User, models.PROTECT, related_name="+")
    recipient = models.CharField(max_length=254)
    is_marked = models.BooleanField(default=True, help_text="[TEST] stands before its subject.")
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.WAITING)
    error_code = models.CharField(max_length=30, blank=True)
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = EmailTestQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["campaign", "-id"], name="tests_of_a_campaign"),
            models.Index(
                fields=["id"],
                condition=Q(outcome__in=["waiting", "sending"]),
                name="tests_on_their_way",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=["waiting", "sending", "sent", "failed", "unknown"]),
                name="tests_have_a_known_outcome",
            )
        ]

    def __str__(self) -> str:
        return f"test {self.id}"

    @property
    def error(self) -> DeliveryError | None:
        return ERRORS.get(self.error_code)


class EmailReportQuerySet(models.QuerySet["EmailReport"]):
    def to_be_made(self, now: datetime) -> EmailReportQuerySet:
        """Those that nobody makes: new ones, and those whose process died."""
        return self.filter(Q(lease_until=None) | Q(lease_until__lt=now), made_at=None)


class EmailReport(models.Model):
    """A report too large to wait for: made in the background, and kept for its officer for a time."""

    KEPT_FOR = timedelta(days=7)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="email_reports")
    # None: of the whole campaign.
    batch = models.ForeignKey(Batch, models.CASCADE, null=True, db_index=False, related_name="+")
    creator = models.ForeignKey(User, models.CASCADE, related_name="+")
    with_values = models.BooleanField(default=False, help_text="With the columns of the file.")
    file = models.FileField(upload_to="email-reports/%Y/%m/", max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    made_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    objects = EmailReportQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["id"], condition=Q(made_at=None), name="reports_to_be_made"),
        ]

    def __str__(self) -> str:
        return f"report {self.id}"

    @property
    def is_ready(self) -> bool:
        return bool(self.file) and self.expires_at is not None and self.expires_at > timezone.now()
