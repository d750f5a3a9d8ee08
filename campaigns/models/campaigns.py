"""Campaigns, and who is a member of them."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from campaigns import templating
from campaigns.telegram import texts
from postman.accounts.models import Agency, User
from postman.crypto import EncryptedTextField
from postman.ids import PublicIdModel, new_id, now_ms

from .emails import EmailDraft
from .sms import SmsDraft
from .telegram import TelegramDraft
from .templates import Language, TemplateBody
from .whatsapp import WhatsappChoice

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


DEFAULT_CALLS_PER_SECOND = 10


class RecipientType(models.TextChoices):
    PUBLIC = "member_of_public", "Member of Public"
    STAFF = "internal_staff", "Internal Staff"


class Channel(models.TextChoices):
    """How a campaign's messages reach people: chosen when it is made, and never changed."""

    SMS = "sms", "SMS"
    EMAIL = "email", "Email"
    TELEGRAM = "telegram", "Telegram"
    WHATSAPP = "whatsapp", "WhatsApp"


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def alive(self) -> CampaignQuerySet:
        return self.filter(deleted_at=None)

    def visible_to(self, user: User) -> CampaignQuerySet:
        """Campaigns this person is a member of; every page starts here, so the rest is a 404."""
        return self.alive().filter(memberships__user=user)


class Campaign(PublicIdModel):
    id_prefix = "campaign"

    # v1's ids are whole numbers.
    number = models.BigIntegerField(
        unique=True,
        editable=False,
        db_default=models.Func(models.Value("campaigns_campaign_number_seq"), function="nextval"),
    )
    agency = models.ForeignKey(Agency, models.PROTECT, related_name="campaigns")
    creator = models.ForeignKey(User, models.PROTECT, related_name="+")
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.SMS)
    is_protected = models.BooleanField(
        "password-protected",
        default=False,
        help_text="The email only leads to a page that opens with the recipient's password.",
    )
    is_programmatic = models.BooleanField(
        default=False,
        help_text="Holds the messages of an account's own API calls: nobody is a member of it.",
    )
    name = models.CharField(max_length=255)
    recipient_type = models.CharField(
        max_length=20, choices=RecipientType.choices, default=RecipientType.PUBLIC
    )
    sender_id = models.CharField(
        max_length=40,
        blank=True,
        help_text="What the handset shows as the sender: of an SMS, or the name of a bot.",
    )
    may_allow_ranges = models.BooleanField(
        default=False,
        help_text="Owners may add ranges of IP addresses, not single ones only. "
        "Ranges that were added stay when this is switched off.",
    )
    calls_per_second = models.PositiveSmallIntegerField(
        default=DEFAULT_CALLS_PER_SECOND,
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="API calls of the campaign in any one second. Empty: no limit.",
    )
    is_urgent = models.BooleanField(
        "time-critical",
        default=False,
        help_text="Its single messages, such as one-time passwords, leave before all others.",
    )
    created_at = models.DateTimeField(default=now_ms)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = CampaignQuerySet.as_manager()

    if TYPE_CHECKING:
        email_draft: EmailDraft
        sms_draft: SmsDraft
        telegram_draft: TelegramDraft
        whatsapp_choice: WhatsappChoice
        memberships: RelatedManager[Membership]

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(recipient_type__in=RecipientType.values),
                name="campaigns_have_a_known_recipient_type",
            ),
            models.CheckConstraint(
                condition=models.Q(calls_per_second__gte=1), name="campaigns_may_call_at_all"
            ),
            models.CheckConstraint(
                condition=models.Q(channel__in=Channel.values),
                name="campaigns_have_a_known_channel",
            ),
            models.CheckConstraint(
                condition=models.Q(is_protected=False) | models.Q(channel="email"),
                name="only_emails_are_password_protected",
            ),
            models.UniqueConstraint(
                fields=["creator", "agency", "channel", "name"],
                condition=models.Q(is_programmatic=True, deleted_at=None),
                name="one_place_for_an_accounts_calls_per_agency_channel_and_name",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def bodies(self) -> dict[str, TemplateBody]:
        """Language → its text, in the order of `Language`; empty while none is written."""
        try:
            return _bodies_of(self.id)
        except _NotForGood as found:
            return found.bodies

    @cached_property
    def variables(self) -> list[str]:
        """The names to fill in, in order of appearance: the same in every language (v2-sms §6.6)."""
        if self.channel == Channel.EMAIL:
            return list(self.email_draft.variables)
        if self.channel == Channel.WHATSAPP:
            choice = WhatsappChoice.objects.select_related("template").filter(campaign=self).first()
            return list(choice.template.params) if choice else []
        if self.channel == Channel.TELEGRAM:
            return texts.variables(self.telegram_draft.body)
        written = next(iter(self.bodies.values()), None)
        return templating.variables(written.body) if written else []

    @property
    def is_email(self) -> bool:
        return self.channel == Channel.EMAIL

    @property
    def is_whatsapp(self) -> bool:
        return self.channel == Channel.WHATSAPP

    @property
    def is_telegram(self) -> bool:
        return self.channel == Channel.TELEGRAM

    @property
    def is_for_staff(self) -> bool:
        return self.recipient_type == RecipientType.STAFF


class _NotForGood(Exception):
    """What a cache must not keep: the bodies of a campaign that may get others."""

    def __init__(self, bodies: dict[str, TemplateBody]) -> None:
        self.bodies = bodies


@lru_cache(maxsize=4096)
def _bodies_of(campaign_id: UUID) -> dict[str, TemplateBody]:
    """Kept by the process where bodies are made with their campaign, as those never change."""
    found = TemplateBody.objects.filter(template__campaign=campaign_id).order_by("version")
    rows = {row.language: row for row in found}
    bodies = {language: rows[language] for language in Language.values if language in rows}
    if not bodies or SmsDraft.objects.filter(campaign=campaign_id).exists():
        raise _NotForGood(bodies)
    return bodies


class Role(models.TextChoices):
    OWNER = "owner", "Campaign Owner"
    MEMBER = "member", "Member"
    RESTRICTED = "member_restricted", "Member Restricted"


class Membership(models.Model):
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)
    created_at = models.DateTimeField(default=timezone.now)
    last_opened_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "user"], name="one_membership_per_person_and_campaign"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="members_have_a_known_role"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.campaign_id}"

    @property
    def is_owner(self) -> bool:
        return self.role == Role.OWNER

    @property
    def sees_only_own(self) -> bool:
        return self.role == Role.RESTRICTED


class CampaignDraft(models.Model):
    """What an officer has typed in the three steps so far; gone once the campaign is made."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    creator = models.ForeignKey(User, models.CASCADE, related_name="drafts")
    name = models.CharField(max_length=25)
    recipient_type = models.CharField(max_length=20, choices=RecipientType.choices, blank=True)
    # JSON of the verified Twilio form, sealed as a whole.
    twilio = EncryptedTextField(null=True)
    bodies = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name
