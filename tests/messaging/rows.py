"""Rows as the engine leaves them, for tests of pages that only show them."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from campaigns.models import Campaign, Membership
from messaging.models import Attempt, Batch, BatchStatus, Counter, Message, StagedRow
from postman.accounts.models import User
from postman.ids import new_id, now_ms
from tests.factories import UserFactory

SUMMARY = {
    "languages": {"english": 2, "malay": 1},
    "segments": {"local": {"1": 1, "2": 1}, "foreign": {"1": 1}},
    "segments_min": 1,
    "segments_max": 2,
    "segments_total": 4,
    "cost_micros": 3 * 46_000 + 230_000,
    "duplicates": 0,
    "file_has_unicode": False,
    "file_has_avoidable_expensive_character": False,
}


# The same of a list of emails.
EMAIL_SUMMARY = {
    "columns": ["recipient", "name", "clinic"],
    "columns_ignored": ["full name"],
    "duplicates": 1,
    "blank": {"clinic": 2},
    "role_addresses": {"count": 1, "examples": [{"row": 4, "found": "postmaster@"}]},
    "typos": {
        "count": 1,
        "examples": [{"row": 3, "found": "gmial.com", "meant": "gmail.com"}],
    },
    "suppressed": {"unsubscribed": 1, "hard_bounce": 0, "complaint": 0, "added": 0},
}


def member(campaign: Campaign, role: str = "member") -> User:
    user = UserFactory()
    Membership.objects.create(campaign=campaign, user=user, role=role)
    return user


def make_message(campaign: Campaign, *, language: str = "english", **facts: Any) -> Message:
    """A message; `status` beyond created comes with its one attempt."""
    facts = {
        "recipient": "6591234567",
        "values": {"name": "Mei Ling", "clinic": "Bedok"},
        "segments": 1,
        "creator": campaign.creator,
        **facts,
    }
    message = Message.objects.create(
        campaign=campaign, template_body=campaign.bodies[language], **facts
    )
    if message.status != "created":
        make_attempt(message, number=1, status=message.status)
    return message


def make_attempt(message: Message, *, number: int, status: str, **facts: Any) -> Attempt:
    if status == "failure":
        facts = {"error_code": "recipient_unavailable", "provider_code": "30003", **facts}
    Message.objects.filter(pk=message.pk).update(attempts_made=number, status=status)
    message.refresh_from_db()
    return Attempt.objects.create(message=message, number=number, status=status, **facts)


def make_batch(campaign: Campaign, status: str = "ready", **facts: Any) -> Batch:
    defaults: dict[str, Any] = {
        "creator": campaign.creator,
        "original_file_name": "patients.csv",
        "file_bytes": 1000,
        "file_sha256": "",
    }
    if status in ("ready", "scheduled", "messages_enqueuing", "messages_enqueued"):
        defaults |= {"summary": SUMMARY, "total_messages": 3, "rows_checked": 3}
    if status == "scheduled":
        defaults["scheduled_at"] = timezone.now() + timedelta(days=2)
    if status.startswith("messages_"):
        defaults["accepted_at"] = now_ms()
    return Batch.objects.create(campaign=campaign, status=BatchStatus(status), **defaults | facts)


def stage(batch: Batch, count: int) -> None:
    body = batch.campaign.bodies["english"]
    for row in range(2, count + 2):
        StagedRow.objects.create(
            batch=batch,
            row=row,
            message_id=new_id(),
            template_body=body,
            recipient=f"659123{row:04}",
            values={"name": f"Person {row}", "clinic": "Bedok"},
            segments=1,
        )


def tally(
    campaign: Campaign, batch: Batch | None = None, *, hour: datetime | None = None, **counts: int
) -> None:
    """Counters as the engine adds them: `tally(campaign, batch, total=3, success=3)`."""
    hour = (hour or timezone.now()).replace(minute=0, second=0, microsecond=0)
    for status, n in counts.items():
        Counter.objects.create(campaign=campaign, batch=batch, hour=hour, status=status, n=n)
