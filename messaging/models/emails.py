"""What officers have of emails besides: tests of them, and reports on them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.utils import timezone

from campaigns.models import Campaign, TemplateBody
from messaging.channels.base import ERRORS, DeliveryError
from postman.accounts.models import User
from postman.ids import new_id

from .batches import Batch


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
