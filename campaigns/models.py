"""What may be sent, by whom, from where."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Mapping
from datetime import date
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.core.files.storage import Storage, storages
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from campaigns import passcodes, sms, templating
from campaigns.addresses import AddressField
from campaigns.telegram import texts
from postman.accounts.models import Agency, User
from postman.crypto import EncryptedTextField
from postman.ids import PublicIdModel, new_id, now_ms
from postman.rows import Columns, prepared

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager


MAX_API_KEYS = 3
MAX_ALLOWED_ADDRESSES = 20
DEFAULT_CALLS_PER_SECOND = 10
SHOWN_WIDTH = 680  # what the frame of an email leaves


class RecipientType(models.TextChoices):
    PUBLIC = "member_of_public", "Member of Public"
    STAFF = "internal_staff", "Internal Staff"


class Channel(models.TextChoices):
    """How a campaign's messages reach people: chosen when it is made, and never changed."""

    SMS = "sms", "SMS"
    EMAIL = "email", "Email"
    TELEGRAM = "telegram", "Telegram"
    WHATSAPP = "whatsapp", "WhatsApp"


class Language(models.TextChoices):
    ENGLISH = "english", "English"
    CHINESE = "chinese", "Chinese"
    MALAY = "malay", "Malay"
    TAMIL = "tamil", "Tamil"


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
        api_keys: RelatedManager[ApiKey]
        allowed_addresses: RelatedManager[AllowedAddress]

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
                fields=["creator", "channel", "name"],
                condition=models.Q(is_programmatic=True, deleted_at=None),
                name="one_place_for_the_calls_of_an_account_per_channel_and_name",
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


class Template(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    campaign = models.OneToOneField(Campaign, models.CASCADE, related_name="template")
    created_at = models.DateTimeField(default=now_ms)

    def __str__(self) -> str:
        return f"template of {self.campaign_id}"


class TemplateBody(models.Model):
    """The text in one language. Never changed once made: a trigger says so (v2-sms §10A.4)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    template = models.ForeignKey(Template, models.CASCADE, related_name="bodies")
    language = models.CharField(max_length=10, choices=Language.choices)
    # An email is pinned anew each time it is sent with another text.
    version = models.PositiveIntegerField(default=1, db_default=1)
    body = models.TextField()
    # Pinned with the text, so that what was sent can always be shown, byte for byte.
    header = models.CharField(max_length=60, blank=True)
    footer = models.CharField(max_length=200, blank=True)
    creator = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=now_ms)
    updated_at = models.DateTimeField(default=now_ms)

    class Meta:
        verbose_name_plural = "template bodies"
        constraints = [
            models.UniqueConstraint(
                fields=["template", "language", "version"],
                name="one_body_per_language_and_version_of_a_template",
            ),
            models.CheckConstraint(
                condition=models.Q(language__in=Language.values),
                name="bodies_have_a_known_language",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.language} of {self.template_id}"

    def render(self, values: Mapping[str, str]) -> str:
        """The text with one person's values; raises templating.MissingValue."""
        return templating.render(self.body, values)

    def full_message(self, values: Mapping[str, str]) -> str:
        """Exactly what is sent in an SMS: header, text and footer (v2-sms §6.3).

        WhatsApp knows a template word for word, so there is neither around it.
        """
        if not self.header:
            return self.render(passcodes.opened(values))
        return sms.wrap(self.header, self.render(values), self.footer, settings.TRAINING_NOTICE)


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


class SmsDraft(models.Model):
    """What makes an SMS campaign one that is written after it was made (`plain_sms`).

    Each text is a body of its own, of which the newest counts.
    """

    campaign = models.OneToOneField(
        Campaign, models.CASCADE, primary_key=True, related_name="sms_draft"
    )
    # Under a label of its owner's. Chosen by trying them out; settled once the campaign is sent.
    credentials = models.ForeignKey(
        "TwilioCredentials", models.PROTECT, null=True, related_name="+"
    )

    def __str__(self) -> str:
        return f"draft of {self.campaign_id}"


class EmailDraft(models.Model):
    """The email of a campaign as it is being written. Each save counts the version up, so that of
    two people who write at once the second is told (`email.drafts`)."""

    campaign = models.OneToOneField(
        Campaign, models.CASCADE, primary_key=True, related_name="email_draft"
    )
    version = models.PositiveIntegerField(default=1)
    from_name = models.CharField(max_length=100, blank=True)
    from_address = models.CharField(max_length=254, blank=True)
    reply_to = models.CharField(max_length=254, blank=True)
    subject = models.CharField(max_length=500, blank=True)
    preheader = models.CharField(max_length=200, blank=True)
    html = models.TextField(blank=True, help_text="As `email.sanitising` left it.")
    variables = models.JSONField(default=list, help_text="Its keywords; `recipient` is none.")
    shows_logo = models.BooleanField(default=True)
    tracks_opens = models.BooleanField(default=True)
    updated_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    updated_at = models.DateTimeField(default=timezone.now)
    # The version that somebody last sent to themselves, and looked at.
    tested_version = models.PositiveIntegerField(null=True)
    tested_at = models.DateTimeField(null=True)
    tested_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    def __str__(self) -> str:
        return f"draft {self.version} of {self.campaign_id}"


class EmailBody(models.Model):
    """What makes a template body an email. Never changed once made, as the body itself."""

    body = models.OneToOneField(
        TemplateBody, models.CASCADE, primary_key=True, related_name="email"
    )
    from_name = models.CharField(max_length=100)
    from_address = models.CharField(max_length=254)
    reply_to = models.CharField(max_length=254, blank=True)
    subject = models.CharField(max_length=500)
    preheader = models.CharField(max_length=200, blank=True)
    theme_version = models.PositiveSmallIntegerField()
    agency_name = models.CharField(max_length=60)
    logo_url = models.CharField(max_length=500, blank=True)
    has_masthead = models.BooleanField(default=True)
    tracks_opens = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "email bodies"

    def __str__(self) -> str:
        return f"email of {self.body_id}"


class WhatsappTemplate(models.Model):
    """A message that WhatsApp has approved, and that officers may send once it is granted to them.

    Administrators keep the catalogue (`whatsapp.check` says what may stand in it).
    """

    # v1's ids are whole numbers.
    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=100, help_text="What officers choose it by.")
    label = models.CharField(
        max_length=512, help_text="Its name at WhatsApp: lowercase letters, digits, underscores."
    )
    body = models.TextField(help_text="In English (en_GB), with {{params}} where values go.")
    params = models.JSONField(
        default=list,
        blank=True,
        help_text='In the order in which WhatsApp numbers them: ["recipient_name", "slot"].',
    )
    param_metadata = models.JSONField(
        default=dict,
        blank=True,
        help_text='Of a param, what officers read: {"slot": {"displayName": "Time slot"}}; or '
        'where it is taken from: {"agency": {"defaultFromMetaField": "agency"}}.',
    )
    languages = models.JSONField(
        default=list,
        blank=True,
        help_text='Besides English: [{"code": "zh_CN", "language": "Chinese", "body": "…"}].',
    )
    is_approved = models.BooleanField(
        "approved by WhatsApp", default=True, help_text="Only then can it be chosen and sent."
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "WhatsApp template"
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def has_passcode(self) -> bool:
        return passcodes.PARAM in self.params

    @property
    def body_in(self) -> dict[str, str]:
        """WhatsApp's code of a language → its text, English first."""
        return {"en_GB": self.body} | {each["code"]: each["body"] for each in self.languages}


class WhatsappGrant(models.Model):
    """An officer may send a template, from pages and through the API."""

    template = models.ForeignKey(WhatsappTemplate, models.CASCADE, related_name="grants")
    user = models.ForeignKey(User, models.CASCADE, related_name="whatsapp_grants")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "WhatsApp grant"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "template"], name="a_template_is_granted_once_to_an_officer"
            )
        ]

    def __str__(self) -> str:
        return f"template {self.template_id} for {self.user_id}"


class OfficerProfile(models.Model):
    """What templates say of the officer who sends them."""

    user = models.OneToOneField(
        User, models.CASCADE, primary_key=True, related_name="officer_profile"
    )
    officer_name = models.CharField(max_length=100, blank=True)
    designation = models.CharField(max_length=100, blank=True)

    def __str__(self) -> str:
        return f"profile of {self.user_id}"


class WhatsappChoice(models.Model):
    """Which template a campaign sends; it may be changed until something was filled in for it."""

    campaign = models.OneToOneField(
        Campaign, models.CASCADE, primary_key=True, related_name="whatsapp_choice"
    )
    template = models.ForeignKey(WhatsappTemplate, models.PROTECT, related_name="+")
    chosen_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    chosen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "WhatsApp choice"

    def __str__(self) -> str:
        return f"template {self.template_id} of {self.campaign_id}"


class WhatsappBody(models.Model):
    """What makes a template body a message of WhatsApp's. Never changed once made, as the body."""

    body = models.OneToOneField(
        TemplateBody, models.CASCADE, primary_key=True, related_name="whatsapp"
    )
    source = models.ForeignKey(WhatsappTemplate, models.PROTECT, related_name="+")
    label = models.CharField(max_length=512)
    language_code = models.CharField(max_length=10)
    params = models.JSONField()

    class Meta:
        verbose_name_plural = "WhatsApp bodies"

    def __str__(self) -> str:
        return f"WhatsApp body {self.body_id}"


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
        Campaign, models.CASCADE, primary_key=True, related_name="telegram_draft"
    )
    bot = models.ForeignKey(TelegramBot, models.PROTECT, related_name="drafts")
    version = models.PositiveIntegerField(default=1)
    body = models.TextField(blank=True, help_text="As `telegram.texts.clean` left it.")
    updated_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    updated_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"draft {self.version} of {self.campaign_id}"


def image_storage() -> Storage:
    return storages["images"]


class Image(models.Model):
    """A picture for emails, made anew from what was uploaded (`email.images`). It is kept: mails
    that were sent show it from here."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Who knows it may see the picture, as every recipient must.
    key = models.CharField(max_length=40, unique=True)
    agency = models.ForeignKey(Agency, models.PROTECT, related_name="images")
    uploader = models.ForeignKey(User, models.PROTECT, related_name="+")
    file = models.FileField(upload_to="images/%Y/%m/", storage=image_storage, max_length=200)
    content_type = models.CharField(max_length=20)
    alt = models.CharField("description", max_length=300)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    bytes = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["agency", "-id"], name="images_of_an_agency")]

    def __str__(self) -> str:
        return self.file_name

    @property
    def file_name(self) -> str:
        return f"{self.key}.{self.content_type.removeprefix('image/')}"

    @property
    def url(self) -> str:
        return image_url(self.key)

    @property
    def html(self) -> str:
        """What shows it in an email."""
        return format_html(
            '<img src="{}" alt="{}" width="{}">', self.url, self.alt, self.shown_width
        )

    @property
    def shown_width(self) -> int:
        """Pixels across in an email; on fine screens that many and twice as many dots."""
        return min(self.width, SHOWN_WIDTH)


def image_url(key: str) -> str:
    """In full, as it stands in mails."""
    return settings.PUBLIC_URL + reverse("image", args=[key])


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


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def find(self, secret: str, *, address: str | None = None) -> ApiKey | None:
        """The key whose secret this is, with its campaign and creator; may `address` use it?

        Looked up by hash, so no comparison leaks its time. All in one statement, as every call of
        the API begins with it.
        """
        key, campaign, creator = _key_columns()
        with prepared() as cursor:
            cursor.execute(
                f"""
                SELECT {key}, {campaign}, {creator}, EXISTS (
                    SELECT FROM campaigns_allowedaddress
                    WHERE campaign_id = campaign.id AND address >>= %s::inet
                )
                FROM campaigns_apikey key
                JOIN campaigns_campaign campaign ON campaign.id = key.campaign_id
                JOIN accounts_user creator ON creator.id = key.creator_id
                WHERE key.secret_hash = %s AND campaign.deleted_at IS NULL
                """,  # noqa: S608 - column names
                [address, hash_key(secret)],
            )
            found = cursor.fetchone()
        if found is None:
            return None
        row = iter(found)
        api_key = key.take(row)
        api_key.campaign, api_key.creator = campaign.take(row), creator.take(row)
        (api_key.is_called_from_allowed_address,) = row
        return api_key


@lru_cache
def _key_columns() -> tuple[Columns[ApiKey], Columns[Campaign], Columns[User]]:
    return Columns(ApiKey, "key"), Columns(Campaign, "campaign"), Columns(User, "creator")


class ApiKey(models.Model):
    """One of at most three keys of a campaign (v2-sms §3). The secret itself is not stored."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="api_keys")
    label = models.CharField(max_length=50, blank=True)
    shown = models.CharField(max_length=20, help_text="Prefix and first five characters.")
    secret_hash = models.CharField(max_length=64, unique=True)
    creator = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True)
    expires_on = models.DateField(null=True, help_text="The last day it works, in Singapore.")

    objects = ApiKeyQuerySet.as_manager()

    is_called_from_allowed_address = False  # `find` tells

    def __str__(self) -> str:
        return f"{self.shown}…"

    @property
    def is_expired(self) -> bool:
        return self.expires_on is not None and self.expires_on < timezone.localdate()

    @property
    def fault(self) -> str:
        """Why it opens nothing though it exists; empty while it works.

        It is the campaign's key and outlives its creator's part in the campaign. But an account
        is closed for a cause, which must not leave a door open that its owner knows.
        """
        if self.is_expired:
            return "This API key has expired."
        if not self.creator.is_active:
            return "This API key was created by someone whose account is closed."
        return ""

    @classmethod
    def issue(
        cls,
        *,
        campaign: Campaign,
        creator: User,
        label: str = "",
        expires_on: date | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which nobody can read again after this call."""
        secret = settings.API_KEY_PREFIX + secrets.token_urlsafe(32)
        key = cls.objects.create(
            campaign=campaign,
            creator=creator,
            label=label,
            expires_on=expires_on,
            shown=secret[: len(settings.API_KEY_PREFIX) + 5],
            secret_hash=hash_key(secret),
        )
        return key, secret


def hash_key(secret: str) -> str:
    """SHA-256: the secret has 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


class AllowedAddress(models.Model):
    """Where the campaign's keys may be used from: an address, IPv4 or IPv6 (v2-sms §3).

    Or a range, where an admin opened the campaign to them (`may_allow_ranges`), as v2 did not.
    """

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="allowed_addresses")
    address = AddressField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "address"], name="an_address_is_allowed_once_per_campaign"
            )
        ]

    def __str__(self) -> str:
        return self.address

    @property
    def extent(self) -> str:
        """The first and the last address of a range; empty for a single one."""
        network = ipaddress.ip_network(self.address)
        return f"{network[0]} to {network[-1]}" if network.num_addresses > 1 else ""

    def covers(self, address: str) -> bool:
        return ipaddress.ip_address(address) in ipaddress.ip_network(self.address)


class TwilioCredentials(models.Model):
    """An agency's own Twilio account, for Internal Staff campaigns (v2-sms §10.3)."""

    campaign = models.OneToOneField(Campaign, models.CASCADE, related_name="twilio_credentials")
    account_sid = models.CharField(max_length=34)
    api_key_sid = models.CharField(max_length=34)
    api_secret = EncryptedTextField()
    messaging_service_sid = models.CharField(max_length=34)
    # Twilio signs its receipts with this one, and only with this one.
    auth_token = EncryptedTextField(null=True)
    verified_at = models.DateTimeField()
    segments_per_second = models.PositiveIntegerField(
        default=10, help_text="What Twilio lets the account's sender send."
    )

    class Meta:
        verbose_name_plural = "Twilio credentials"

    def __str__(self) -> str:
        return f"{self.account_sid[:6]}…"


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
