"""What providers report."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class ProviderEvent(models.Model):
    """One report of a provider, kept as it came (without the person's number), counted once."""

    id = models.BigAutoField(primary_key=True)
    provider = models.CharField(max_length=20)
    event_id = models.CharField(max_length=120)
    attempt_id = models.UUIDField()
    kind = models.CharField(max_length=20)
    code = models.CharField(max_length=60, blank=True)
    reference = models.CharField(max_length=128, blank=True)
    raw = models.JSONField(default=dict)
    received_at = models.DateTimeField(default=timezone.now)
    applied_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"], condition=Q(applied_at=None), name="events_waiting_to_be_applied"
            ),
            models.Index(fields=["attempt_id"], name="events_of_an_attempt"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "event_id"], name="an_event_of_a_provider_counts_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.kind}"
