"""How fast messages may leave."""

from django.db import models


class Pace(models.Model):
    """How far a provider's account has used up what it may be given (`pacing`)."""

    account = models.CharField(primary_key=True, max_length=36)
    full_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.account
