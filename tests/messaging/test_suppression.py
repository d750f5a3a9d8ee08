"""Who is not to be written to any more: by what providers report, and by what people ask for."""

from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.utils import timezone

from messaging import counters, receipts, suppression
from messaging.channels.base import Event
from messaging.delivery import claiming, expanding, handing_over, recording
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Message, Suppression
from tests.factories import AgencyFactory, EmailCampaignFactory
from tests.messaging.test_email_delivery import staged

pytestmark = pytest.mark.django_db

MEI, RAVI = "mei@example.org", "ravi@example.org"
BAD = {"bounced": "hard_bounce", "complained": "complaint"}
# What each is in the words of Amazon SES.
WORDS = {
    "bounced": ("Bounce", "Permanent/General"),
    "soft_bounced": ("Bounce", "Transient/MailboxFull"),
    "complained": ("Complaint", "abuse"),
    "not spam": ("Complaint", "not-spam"),
    "success": ("Delivery", ""),
    "opened": ("Open", ""),
}


def batch_to(campaign, *addresses):
    """A batch whose messages exist and wait to be sent."""
    batch = staged(campaign, *((address, {}) for address in addresses))
    expanding.expand(batch.id)
    return batch


def attempt_at(address, campaign):
    return Attempt.objects.get(message__recipient=address, message__campaign=campaign)


def report(attempt, status):
    kind, code = WORDS[status]
    event = Event(uuid4().hex, attempt.reference, attempt.id, kind, code, {}, timezone.now())
    receipts.keep_events([("ses", attempt.id, event)])
    receipts.apply_events()


def listed():
    rows = Suppression.objects.standing().order_by("id")
    return list(rows.values_list("recipient", "reason", "agency_id"))


def statuses(batch):
    return dict(Message.objects.filter(batch=batch).values_list("recipient", "status"))


@pytest.fixture
def sent(email_campaign, sandbox):
    """An email that was sent to Mei."""
    batch = batch_to(email_campaign, MEI)
    send_chunk(batch.id)
    return attempt_at(MEI, email_campaign)


# --- What providers report ---


@pytest.mark.parametrize("status", ["bounced", "complained"])
def test_nobody_writes_again_to_an_address_that_bounced_or_complained(sent, email_campaign, status):
    report(sent, status)

    only = Suppression.objects.get()
    assert (only.recipient, only.reason, only.agency) == (MEI, BAD[status], None)
    assert only.campaign == email_campaign


@pytest.mark.parametrize("status", ["success", "opened", "soft_bounced", "not spam"])
def test_what_may_reach_them_another_time_lists_nobody(sent, status):
    report(sent, status)

    assert listed() == []


def test_an_address_is_listed_once_however_often_it_bounces(sent):
    report(sent, "bounced")
    report(sent, "bounced")

    assert listed() == [(MEI, "hard_bounce", None)]


def test_a_bounce_that_comes_after_a_complaint_changes_nothing(sent):
    report(sent, "complained")
    report(sent, "bounced")

    assert listed() == [(MEI, "complaint", None)]


def test_a_recipient_that_retention_erased_cannot_be_listed(sent):
    Message.objects.update(recipient="", values={})

    report(sent, "bounced")

    assert listed() == []
    assert Message.objects.get().status == "bounced"


def test_a_phone_number_is_never_listed(campaign):
    body = campaign.bodies["english"]
    message = Message.objects.create(
        campaign=campaign,
        creator=campaign.creator,
        template_body=body,
        recipient="6591234567",
        values={},
        segments=1,
        status="sent",
        attempts_made=1,
    )
    attempt = Attempt.objects.create(message=message, number=1, status="sent")

    report(attempt, "bounced")

    assert listed() == []


# --- In mid-campaign ---


@pytest.fixture
def waiting(email_campaign, officer, sandbox):
    """Mei got one email; others to her and to Ravi wait in its batch, in another and elsewhere."""
    first = batch_to(email_campaign, MEI, MEI, RAVI)
    recording.record_whatever_happens(
        handing_over.hand_over(claiming.claim(first.id, limit=1)).results()
    )
    another = EmailCampaignFactory(creator=officer)
    return [first, batch_to(email_campaign, MEI, RAVI), batch_to(another, MEI, RAVI)]


def send_all(batches):
    for batch in batches:
        while send_chunk(batch.id):
            pass


@pytest.mark.parametrize("event", ["unsubscribed", "bounced", "complained"])
def test_what_arrives_in_mid_campaign_stops_that_persons_unsent_messages(
    waiting, email_campaign, sandbox, event
):
    if event == "unsubscribed":
        suppression.unsubscribe(email_campaign, MEI)
    else:
        report(attempt_at(MEI, email_campaign), event)

    send_all(waiting)

    mails = [mail["to"] for mail in sandbox.outbox(channel="email")]
    assert sorted(mails) == [MEI, RAVI, RAVI, RAVI]
    assert Message.objects.filter(recipient=MEI, status="suppressed").count() == 3
    for batch in waiting:
        assert counters.mend(batch.campaign_id, batch.id) == {}


def test_a_later_campaign_of_the_agency_leaves_out_who_unsubscribed(email_campaign, officer):
    suppression.unsubscribe(email_campaign, MEI)

    batch = batch_to(EmailCampaignFactory(creator=officer), MEI, RAVI)

    assert statuses(batch) == {MEI: "suppressed", RAVI: "created"}


def test_another_agency_may_still_write_to_who_unsubscribed_but_not_to_what_bounced(
    sent, email_campaign
):
    suppression.unsubscribe(email_campaign, RAVI)
    report(sent, "bounced")

    batch = batch_to(EmailCampaignFactory(creator__agency=AgencyFactory()), MEI, RAVI)

    assert statuses(batch) == {MEI: "suppressed", RAVI: "created"}


# --- What recipients ask for ---


def test_asking_twice_is_asking_once(email_campaign):
    suppression.unsubscribe(email_campaign, MEI)
    suppression.unsubscribe(email_campaign, MEI)

    assert listed() == [(MEI, "unsubscribed", email_campaign.agency_id)]


def test_whoever_takes_it_back_is_written_to_again(email_campaign):
    suppression.unsubscribe(email_campaign, MEI)

    assert suppression.undo(email_campaign, MEI)

    assert listed() == []
    assert statuses(batch_to(email_campaign, MEI)) == {MEI: "created"}


def test_it_can_be_taken_back_for_thirty_days(email_campaign):
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        suppression.unsubscribe(email_campaign, MEI)

    with time_machine.travel(now + timedelta(days=30, seconds=1), tick=False):
        assert not suppression.undo(email_campaign, MEI)
    with time_machine.travel(now + timedelta(days=30), tick=False):
        assert suppression.undo(email_campaign, MEI)


def test_nobody_takes_back_what_others_listed_them_for(sent, email_campaign):
    report(sent, "bounced")
    Suppression.objects.create(agency=email_campaign.agency, recipient=MEI, reason="added")

    assert not suppression.undo(email_campaign, MEI)

    assert [reason for _, reason, _ in listed()] == ["hard_bounce", "added"]


def test_unsubscribing_again_after_taking_it_back_counts_anew(email_campaign):
    suppression.unsubscribe(email_campaign, MEI)
    suppression.undo(email_campaign, MEI)

    suppression.unsubscribe(email_campaign, MEI)

    assert len(listed()) == 1
    assert Suppression.objects.count() == 2
