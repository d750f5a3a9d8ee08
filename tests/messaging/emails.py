"""The steps of an email batch, for tests of its pages."""

from typing import Any

from django.utils import timezone

from campaigns.email import pinning
from campaigns.models import Campaign, EmailDraft
from messaging.delivery import expanding
from messaging.models import Batch, StagedRow
from postman.ids import new_id

PEOPLE = (
    ("mei@example.org", {"name": "Mei", "clinic": "Bedok"}),
    ("ravi@example.org", {"name": "Ravi", "clinic": "Yishun"}),
)


def ready_batch(campaign: Campaign, *people: tuple[str, dict[str, str]], **facts: Any) -> Batch:
    """A checked file, as `ingest` leaves it: rows staged, nothing pinned yet."""
    people = people or PEOPLE
    summary = {"columns": ["recipient", "name", "clinic"], "duplicates": 0, "suppressed": {}}
    summary |= facts.pop("summary", {})
    batch = Batch.objects.create(
        campaign=campaign,
        **{
            "creator": campaign.creator,
            "status": "ready",
            "original_file_name": "people.csv",
            "file_bytes": 100,
            "total_messages": len(people),
            "rows_checked": len(people),
            "summary": summary,
            **facts,
        },
    )
    body = pinning.pin(campaign)
    StagedRow.objects.bulk_create(
        StagedRow(
            batch=batch,
            row=row,
            message_id=new_id(),
            template_body=body,
            recipient=recipient,
            values=values,
            segments=1,
        )
        for row, (recipient, values) in enumerate(people, 2)
    )
    return batch


def mark_tested(campaign: Campaign) -> None:
    """Somebody looked at the message as it is now."""
    draft = EmailDraft.objects.get(campaign=campaign)
    EmailDraft.objects.filter(campaign=campaign).update(
        tested_version=draft.version, tested_at=timezone.now(), tested_by=campaign.creator
    )


def edit(campaign: Campaign, **fields: Any) -> int:
    """Somebody saves another text; returns its version."""
    draft = EmailDraft.objects.get(campaign=campaign)
    EmailDraft.objects.filter(campaign=campaign).update(version=draft.version + 1, **fields)
    return draft.version + 1


def expanded(batch: Batch) -> Batch:
    expanding.expand(batch.id)
    batch.refresh_from_db()
    return batch
