import pytest

from campaigns.email import pinning
from messaging import counters
from messaging.delivery import expanding
from messaging.delivery.pipeline import send_chunk
from messaging.models import Batch, Message, StagedRow, Suppression
from postman.errors import Refused
from postman.ids import new_id
from tests.factories import AgencyFactory

pytestmark = pytest.mark.django_db


def staged(campaign, *people: tuple[str, dict[str, str]]) -> Batch:
    """A checked file of these recipients."""
    body = pinning.pin(campaign)
    batch = Batch.objects.create(
        campaign=campaign,
        creator=campaign.creator,
        status="messages_enqueuing",
        accepted_at="2026-11-21T00:00:00Z",
        original_file_name="people.csv",
        total_messages=len(people),
    )
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


def test_an_email_leaves_with_each_persons_values_and_their_own_way_out(email_campaign, sandbox):
    batch = staged(
        email_campaign,
        ("mei@example.org", {"name": "Mei", "clinic": "Bedok"}),
        ("ravi@example.org", {"name": "Ravi", "clinic": "Yishun"}),
    )
    expanding.expand(batch.id)

    send_chunk(batch.id)

    mails = {mail["to"]: mail for mail in sandbox.outbox(channel="email")}
    assert mails["mei@example.org"]["subject"] == "Your visit to Bedok"
    assert "Dear Ravi, see you at Yishun." in mails["ravi@example.org"]["html"]
    assert "Dear Ravi, see you at Yishun." in mails["ravi@example.org"]["text"]
    assert set(Message.objects.values_list("status", flat=True)) == {"sent"}


@pytest.mark.parametrize("agency", ["own", None])
def test_nobody_who_is_suppressed_gets_a_message(email_campaign, sandbox, agency):
    Suppression.objects.create(
        agency=email_campaign.agency if agency else None,
        recipient="mei@example.org",
        reason="unsubscribed",
    )
    batch = staged(email_campaign, ("mei@example.org", {}), ("ravi@example.org", {}))

    expanding.expand(batch.id)

    assert Message.objects.get(recipient="mei@example.org").suppressed_for == "unsubscribed"
    assert batch.progress() == {
        "pending": 1, "sent": 0, "delivered": 0, "failed": 0, "unknown": 0, "cancelled": 0,
        "suppressed": 1,
    }  # fmt: skip


def test_another_agencys_suppression_keeps_nobody_from_being_written_to(email_campaign, officer):
    Suppression.objects.create(
        agency=AgencyFactory(), recipient="mei@example.org", reason="unsubscribed"
    )
    batch = staged(email_campaign, ("mei@example.org", {}))

    expanding.expand(batch.id)

    assert Message.objects.get().status == "created"


def test_whoever_unsubscribes_while_a_batch_is_sent_gets_nothing_more(email_campaign, sandbox):
    batch = staged(email_campaign, ("mei@example.org", {}), ("ravi@example.org", {}))
    expanding.expand(batch.id)
    Suppression.objects.create(
        agency=email_campaign.agency, recipient="mei@example.org", reason="unsubscribed"
    )

    send_chunk(batch.id)

    assert [mail["to"] for mail in sandbox.outbox(channel="email")] == ["ravi@example.org"]
    assert batch.progress()["suppressed"] == 1
    assert counters.mend(email_campaign.id, batch.id) == {}


def test_a_draft_is_pinned_once_for_each_text(email_campaign):
    first = pinning.pin(email_campaign)

    assert pinning.pin(email_campaign) == first
    email_campaign.email_draft.subject = "Another subject"
    email_campaign.email_draft.save()
    assert pinning.pin(email_campaign).version == first.version + 1


def test_a_draft_that_cannot_be_sent_is_not_pinned(email_campaign):
    email_campaign.email_draft.html = "<p>Dear {{na me}}</p>"
    email_campaign.email_draft.save()

    with pytest.raises(Refused, match="In the message"):
        pinning.pin(email_campaign)
