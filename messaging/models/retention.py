"""How far personal data is erased."""

from datetime import UTC, datetime
from uuid import UUID

from django.db import models

from campaigns.models import Campaign


class RetentionMark(models.Model):
    """Up to which message, in the order of acceptance, a campaign's personal data is erased."""

    campaign = models.OneToOneField(
        Campaign, models.CASCADE, primary_key=True, related_name="retention_mark"
    )
    created_at = models.DateTimeField(default=datetime.fromtimestamp(0, UTC))
    message_id = models.UUIDField(default=UUID(int=0))

    def __str__(self) -> str:
        return f"{self.campaign_id} up to {self.created_at}"
