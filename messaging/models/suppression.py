"""Who is not to be written to."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Collate
from django.utils import timezone

from campaigns.models import Campaign
from postman.accounts.models import Agency, User


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
