"""What only email campaigns have."""

from django.db import models
from django.utils import timezone

from postman.accounts.models import User

from .templates import TemplateBody


class EmailDraft(models.Model):
    """The email of a campaign as it is being written. Each save counts the version up, so that of
    two people who write at once the second is told (`email.drafts`)."""

    campaign = models.OneToOneField(
        "Campaign", models.CASCADE, primary_key=True, related_name="email_draft"
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
