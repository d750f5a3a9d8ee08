"""The templates that WhatsApp has approved, and who may send them in which campaigns."""

from django.db import models
from django.utils import timezone

from campaigns import passcodes
from postman.accounts.models import User

from .templates import TemplateBody


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
        "Campaign", models.CASCADE, primary_key=True, related_name="whatsapp_choice"
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
