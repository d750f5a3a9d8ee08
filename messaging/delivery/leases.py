"""How long a process may have an attempt, and what becomes of those whose process died."""

import logging
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from messaging.models import Attempt
from messaging.states import Status

from .changes import Change, apply

logger = logging.getLogger(__name__)

# Longer than the chunks of a process (`pipeline`) may take with a provider that never answers (200
# calls of 30 seconds at once), and then the wait for a database; past it nobody will report the
# outcome.
LEASE: timedelta = settings.SEND_LEASE
CHUNK = 1_000


def sweep() -> int:
    """Attempts whose process died: nobody heard the outcome, so nobody may send them again."""
    expired = list(
        Attempt.objects.filter(status=Status.SENDING, lease_until__lt=timezone.now())
        .order_by("lease_until")
        .values_list("id", "lease_until")[:CHUNK]
    )
    if expired:
        logger.warning("%d attempts with an unheard outcome", len(expired))
        apply([Change(id_, Status.UNKNOWN, lease_until=lease) for id_, lease in expired])
    return len(expired)
