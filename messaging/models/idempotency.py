"""Calls that count once however often they are made."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone


class IdempotencyKeyQuerySet(models.QuerySet["IdempotencyKey"]):
    def expired(self, now: datetime) -> IdempotencyKeyQuerySet:
        return self.filter(created_at__lt=now - IdempotencyKey.KEPT_FOR)


class IdempotencyKey(models.Model):
    """What we answered a call that carried this `Idempotency-Key`, so that it counts once.

    Written in the transaction that carries the call out: either both stand or neither does.
    """

    KEPT_FOR = timedelta(days=3)

    id = models.BigAutoField(primary_key=True)
    # Whose key it is: the campaign's id, as each of its API keys speaks for the same client.
    client = models.UUIDField()
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of what was asked for.")
    status = models.PositiveSmallIntegerField(null=True)
    # Text, as jsonb would bring its fields into another order.
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = IdempotencyKeyQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="idempotency_keys_by_age")]
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="a_client_uses_a_key_once")
        ]

    def __str__(self) -> str:
        return f"a key of {self.client}"
