"""What a campaign says, in each of its languages."""

from collections.abc import Mapping

from django.conf import settings
from django.db import models

from campaigns import passcodes, sms, templating
from postman.accounts.models import User
from postman.ids import new_id, now_ms


class Language(models.TextChoices):
    ENGLISH = "english", "English"
    CHINESE = "chinese", "Chinese"
    MALAY = "malay", "Malay"
    TAMIL = "tamil", "Tamil"


class Template(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    campaign = models.OneToOneField("Campaign", models.CASCADE, related_name="template")
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
