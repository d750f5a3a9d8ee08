"""Whom emails may come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from postman.accounts.models import Agency, User
from postman.ids import new_id

from .campaigns import Campaign, Membership

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


class DomainState(models.TextChoices):
    """How far a domain is on its way to be one that emails may come from.

    pending ──→ verified ⇄ lost        lost: it was verified, and its records are gone
       ↑ └────→ failed                 failed: not set up in three days; asked again, it is pending
       └───────────┘
    """

    PENDING = "pending", "Waiting for DNS"
    VERIFIED = "verified", "Verified"
    FAILED = "failed", "Not set up in time"
    LOST = "lost", "No longer verified"


class SenderDomain(models.Model):
    """A domain that an agency sends emails from, once DNS and the provider say that it may."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agency = models.ForeignKey(Agency, models.PROTECT, related_name="sender_domains")
    domain = models.CharField(max_length=253, unique=True)
    state = models.CharField(
        max_length=10, choices=DomainState.choices, default=DomainState.PENDING
    )
    # What this agency must publish: all agencies share one account at the provider, where records
    # that a former holder left behind would prove anybody's right.
    proof = models.CharField(max_length=64)
    dkim_tokens = models.JSONField(default=list)
    provider_state = models.CharField(
        max_length=20, blank=True, help_text="In the provider's words."
    )
    records = models.JSONField(default=list, help_text="What the last look found in DNS.")
    asked_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    pending_since = models.DateTimeField(default=timezone.now)
    checked_at = models.DateTimeField(null=True)
    check_at = models.DateTimeField(null=True, default=timezone.now, help_text="The next look.")
    # Records that are gone once may be a slip of somebody's name server; gone twice, they are gone.
    doubted_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    # What became of it last, and whether those who rely on it were mailed.
    settled_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)

    if TYPE_CHECKING:
        senders: RelatedManager[Sender]

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=DomainState.values),
                name="sender_domains_have_a_known_state",
            ),
            models.CheckConstraint(
                condition=models.Q(domain=Lower("domain")), name="sender_domains_are_lower_case"
            ),
        ]
        indexes = [models.Index(fields=["check_at"], name="sender_domains_to_be_checked")]

    def __str__(self) -> str:
        return self.domain

    @property
    def is_verified(self) -> bool:
        return self.state == DomainState.VERIFIED


class SenderQuerySet(models.QuerySet["Sender"]):
    def usable(self) -> SenderQuerySet:
        return self.filter(domain__state=DomainState.VERIFIED).exclude(owner__is_active=False)

    def of(self, user: User, agency: Agency | None) -> SenderQuerySet:
        """The person's own address, and the mailboxes of the agency."""
        return self.filter(
            models.Q(owner=user) | models.Q(owner=None, agency=agency, agency__isnull=False)
        )

    def of_campaign(self, campaign: Campaign) -> SenderQuerySet:
        """The mailboxes of its agency, and the own addresses of those who are its members."""
        members = Membership.objects.filter(campaign=campaign).values("user")
        return self.filter(
            models.Q(owner=None, agency=campaign.agency_id) | models.Q(owner__in=members)
        )


class Sender(models.Model):
    """An address that emails may come from: an officer's own, or a mailbox of the agency."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agency = models.ForeignKey(Agency, models.PROTECT, related_name="senders")
    domain = models.ForeignKey(SenderDomain, models.CASCADE, related_name="senders")
    address = models.CharField(max_length=254, unique=True)
    name = models.CharField(max_length=100, blank=True, help_text="What recipients see.")
    owner = models.OneToOneField(
        User,
        models.CASCADE,
        null=True,
        related_name="sender",
        help_text="Whose own address it is; empty for a mailbox of the agency.",
    )
    creator = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    # When a mail was sent from it, to show that it works.
    mailed_at = models.DateTimeField(null=True)

    objects = SenderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(address=Lower("address")), name="senders_are_lower_case"
            )
        ]

    def __str__(self) -> str:
        return self.address
