"""What only SMS campaigns have."""

from django.db import models

from postman.crypto import EncryptedTextField


class SmsDraft(models.Model):
    """What makes an SMS campaign one that is written after it was made (`plain_sms`).

    Each text is a body of its own, of which the newest counts.
    """

    campaign = models.OneToOneField(
        "Campaign", models.CASCADE, primary_key=True, related_name="sms_draft"
    )
    # Under a label of its owner's. Chosen by trying them out; settled once the campaign is sent.
    credentials = models.ForeignKey(
        "TwilioCredentials", models.PROTECT, null=True, related_name="+"
    )

    def __str__(self) -> str:
        return f"draft of {self.campaign_id}"


class TwilioCredentials(models.Model):
    """An agency's own Twilio account, for Internal Staff campaigns (v2-sms §10.3)."""

    campaign = models.OneToOneField("Campaign", models.CASCADE, related_name="twilio_credentials")
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
