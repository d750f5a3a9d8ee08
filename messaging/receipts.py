"""Providers' reports: keep each as it comes, then apply them in chunks, each once, in any order."""

import logging
from collections.abc import Sequence
from uuid import UUID

import orjson
from django.db import transaction
from django.utils import timezone

from messaging import halting, suppression
from messaging.channels import meaning_of
from messaging.channels.base import Event
from messaging.delivery.changes import Change, apply
from messaging.models import ProviderEvent
from postman.rows import prepared

logger = logging.getLogger(__name__)

CHUNK = 1_000


def keep_events(events: Sequence[tuple[str, UUID, Event]]) -> None:
    """Store providers' reports (provider, attempt, event) for `apply_events`.

    One that came before changes nothing.
    """
    rows = [
        {
            "provider": provider,
            "event_id": event.provider_event_id,
            "attempt_id": attempt_id,
            "kind": event.kind,
            "code": event.code,
            "reference": event.reference,
            "raw": dict(event.raw),
            "received_at": event.at,
        }
        for provider, attempt_id, event in events
    ]
    with prepared() as cursor:
        cursor.execute(
            """
            INSERT INTO messaging_providerevent
                (provider, event_id, attempt_id, kind, code, reference, raw, received_at)
            SELECT * FROM jsonb_to_recordset(%s) AS (
                provider text, event_id text, attempt_id uuid, kind text, code text,
                reference text, raw jsonb, received_at timestamptz
            )
            ON CONFLICT DO NOTHING
            """,
            [orjson.dumps(rows).decode()],
        )


@transaction.atomic
def apply_events() -> int:
    """Apply a chunk of stored provider events; returns how many. Each counts once, in any order."""
    events = list(
        ProviderEvent.objects.select_for_update(skip_locked=True)
        .filter(applied_at=None)
        .order_by("id")[:CHUNK]
    )
    if events:
        changes = [reported(e.provider, e.attempt_id, e.kind, e.code, e.reference) for e in events]
        believe([change for change in changes if change])
        ProviderEvent.objects.filter(id__in=[event.id for event in events]).update(
            applied_at=timezone.now()
        )
    return len(events)


@transaction.atomic
def believe(changes: Sequence[Change]) -> None:
    """Move attempts on by what a provider says of them, and do what follows from it."""
    batches = halting.lock(changes)
    apply(changes)
    suppression.add_reported(changes)
    if batches:
        halting.halt(batches)


def reported(
    provider: str, attempt_id: UUID, kind: str, code: str, reference: str
) -> Change | None:
    """What the provider's own words for a message's state say of the attempt; None if nothing."""
    meaning = meaning_of(provider, kind, code)
    if meaning is None:
        return None
    status, error = meaning
    return Change(attempt_id, status, error, code if error else "", reference)
