"""Subscribers and batches of Telegram, for tests of what comes after them."""

from collections.abc import Iterable

from campaigns.models import Campaign
from campaigns.telegram import drafts, subscribers
from messaging.delivery import expanding
from messaging.models import Batch, StagedRow
from postman.ids import new_id

VALUES = {"name": "Mei", "clinic": "Bedok"}


def subscribe(campaign: Campaign, *phones: str) -> None:
    """The holders of these numbers let the campaign's bot write to them."""
    for phone in phones:
        subscribers.subscribe(campaign.telegram_draft.bot, telegram_id=int(phone), phone=phone)


def accepted(campaign: Campaign, phones: Iterable[str]) -> Batch:
    """A batch whose messages exist and wait to be sent."""
    phones = list(phones)
    batch = Batch.objects.create(
        campaign=campaign,
        creator=campaign.creator,
        status="messages_enqueuing",
        accepted_at="2026-11-21T00:00:00Z",
        original_file_name="people.csv",
        total_messages=len(phones),
    )
    body = drafts.pin(campaign)
    StagedRow.objects.bulk_create(
        StagedRow(
            batch=batch,
            row=row,
            message_id=new_id(),
            template_body=body,
            recipient=phone,
            values=VALUES,
            segments=1,
        )
        for row, phone in enumerate(phones, 2)
    )
    expanding.expand(batch.id)
    batch.refresh_from_db()
    return batch
