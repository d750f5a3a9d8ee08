"""Batches whose time has come."""

import logging
from datetime import datetime
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction

from messaging import mails, readiness
from messaging.models import Batch, BatchStatus
from postman.accounts import audit
from postman.ids import now_ms

logger = logging.getLogger(__name__)


def start_due_batches() -> list[UUID]:
    """Scheduled batches whose time has come are accepted now; each by one caller only."""
    now = now_ms()
    due = Batch.objects.due(now).select_related("campaign", "creator")
    return [batch.id for batch in due if _starts(batch, now)]


def _starts(batch: Batch, now: datetime) -> bool:
    """A fault of one batch is told and must not keep those behind it waiting."""
    try:
        return not _is_held(batch, now) and bool(
            Batch.objects.due(now)
            .filter(id=batch.id)
            .update(status=BatchStatus.ENQUEUING, accepted_at=now, updated_at=now)
        )
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        # Its text may hold personal data.
        logger.error("batch %s was not started: %s", batch.id, type(error).__name__)
        return False


def _is_held(batch: Batch, now: datetime) -> bool:
    """Whether it may not leave any more: it waits for an officer again, and its owners are told."""
    reason = readiness.why_not_start(batch)
    if not reason:
        return False
    with transaction.atomic():
        held = (
            Batch.objects.due(now)
            .filter(id=batch.id)
            .update(status=BatchStatus.READY, scheduled_at=None, template_body=None, updated_at=now)
        )
        if held:
            audit.record("batch.held", by=None, on=batch, reason=reason)
    if held:
        mails.mail_held(batch, reason)
    return True
