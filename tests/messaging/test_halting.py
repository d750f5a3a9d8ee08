"""A batch of emails is halted when too many of its addresses do not exist."""

import csv
import html
import io

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from messaging import counters, halting, owner_mails, receipts
from messaging.delivery import claiming, expanding
from messaging.delivery.changes import Change
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Batch, Counter, Message, Suppression
from messaging.sending import deciding
from postman.accounts.models import AuditEvent
from tests.factories import CampaignFactory, UserFactory
from tests.messaging.rows import make_batch, member, tally
from tests.messaging.test_email_delivery import staged
from tests.messaging.test_races import meanwhile

pytestmark = pytest.mark.django_db

ERRORS = {
    "bounced": "hard_bounce",
    "soft_bounced": "soft_bounce",
    "complained": "complaint",
    "failure": "mail_rejected",
}


def people(count, domain="example.org"):
    return [f"person{n}@{domain}" for n in range(count)]


def batch_to(campaign, addresses, *, sent=0):
    """A batch whose messages exist, the first of them sent."""
    batch = staged(campaign, *((address, {}) for address in addresses))
    expanding.expand(batch.id)
    if sent:
        claimed = claiming.claim(batch.id, limit=sent)
        receipts.believe(
            [Change(c.attempt_id, "sent", reference=str(c.attempt_id)) for c in claimed]
        )
    return again(batch)


def again(batch):
    return Batch.objects.get(id=batch.id)


def report(batch, **numbers):
    """So many of those that were sent become this: `report(batch, bounced=11, success=3)`."""
    waiting = Attempt.objects.filter(message__batch=batch, status="sent").order_by("message__row")
    ids = iter(list(waiting.values_list("id", flat=True)))
    receipts.believe(
        [
            Change(next(ids), status, ERRORS.get(status, ""))
            for status, number in numbers.items()
            for _ in range(number)
        ]
    )


def is_halted(batch):
    return again(batch).is_halted


@pytest.fixture
def batch(email_campaign):
    """200 emails, of which 150 were sent."""
    return batch_to(email_campaign, people(200), sent=150)


# --- When ---


@pytest.mark.parametrize(
    ("bounced", "others", "halts"),
    [
        (10, 0, False),
        (11, 0, True),
        (11, 98, True),
        (11, 99, False),
        (12, 99, True),
        (14, 126, False),
    ],
)
def test_more_than_ten_bounces_that_are_more_than_a_tenth_halt_a_batch(
    batch, bounced, others, halts
):
    report(batch, success=others, bounced=bounced)

    assert is_halted(batch) is halts


def test_every_last_word_of_the_provider_counts_and_nothing_else(batch):
    report(batch, success=30, opened=30, soft_bounced=20, complained=10, failure=9)
    assert halting.bounces_in(batch.counts()).finalised == 99

    report(batch, bounced=11)

    assert not is_halted(batch)
    report(batch, bounced=1)
    assert is_halted(batch)


def test_soft_bounces_and_complaints_never_halt(batch):
    report(batch, soft_bounced=80, complained=60)

    assert not is_halted(batch)


def test_bounces_add_up_over_chunks_of_reports(batch):
    for _ in range(11):
        report(batch, bounced=1)

    assert is_halted(batch)


@pytest.mark.django_db(transaction=True)
def test_two_chunks_of_bounces_at_once_are_added_up(email_campaign):
    batch = batch_to(email_campaign, people(40), sent=30)
    sent = Attempt.objects.filter(message__batch=batch).order_by("message__row")
    changes = [Change(attempt.id, "bounced", "hard_bounce") for attempt in sent]

    meanwhile(
        lambda: receipts.believe(changes[:6]),
        lambda: receipts.believe(changes[6:12]),
    )

    assert is_halted(batch)


def test_a_batch_of_sms_is_never_halted(campaign):
    batch = make_batch(campaign, "messages_enqueued")
    tally(campaign, batch, total=20, bounced=20)
    message = Message.objects.create(
        campaign=campaign,
        batch=batch,
        row=2,
        creator=campaign.creator,
        template_body=campaign.bodies["english"],
        recipient="6591234567",
        values={},
        segments=1,
        status="sent",
        attempts_made=1,
    )
    attempt = Attempt.objects.create(message=message, number=1, status="sent")

    receipts.believe([Change(attempt.id, "bounced", "hard_bounce")])

    assert not is_halted(batch)


def test_a_batch_that_has_left_altogether_is_not_halted(email_campaign):
    batch = batch_to(email_campaign, people(12), sent=12)
    send_chunk(batch.id)
    assert again(batch).dispatched_at

    report(batch, bounced=12)

    assert again(batch).halted_at is None
    assert Suppression.objects.count() == 12


def test_what_an_officer_stopped_is_left_as_it_is(batch):
    deciding.stop_batch(batch, by=batch.creator)

    report(batch, bounced=20)

    assert again(batch).halted_at is None


# --- What follows ---


def test_a_halted_batch_sends_nothing_more_and_says_so_once(batch, sandbox):
    report(batch, bounced=11)
    report(batch, bounced=5)

    while send_chunk(batch.id):
        pass

    assert sandbox.outbox(channel="email") == []
    assert again(batch).progress()["pending"] == 50
    event = AuditEvent.objects.get(action="batch.halted")
    assert (event.object_id, event.details) == (batch.public_id, {"bounced": 11, "finalised": 11})


def test_resume_is_not_undone_by_the_same_bounces(batch, sandbox):
    report(batch, bounced=11)
    report(batch, bounced=40)  # were on their way when it was halted

    deciding.resume_batch(again(batch), by=batch.creator)
    report(batch, bounced=10)

    assert not is_halted(batch)
    while send_chunk(batch.id):
        pass
    assert len(sandbox.outbox(channel="email")) == 50


def test_as_many_new_bounces_halt_it_again(batch):
    report(batch, success=20, bounced=11)
    deciding.resume_batch(again(batch), by=batch.creator)

    report(batch, success=20, bounced=11)

    assert is_halted(batch)
    assert AuditEvent.objects.filter(action="batch.halted").count() == 2


def test_a_stop_and_resume_by_hand_forgives_nothing(batch):
    report(batch, bounced=8)
    deciding.stop_batch(batch, by=batch.creator)
    deciding.resume_batch(again(batch), by=batch.creator)

    report(batch, bounced=3)

    assert is_halted(batch)


def test_the_rest_of_a_halted_batch_can_be_cancelled(batch):
    report(batch, bounced=11)

    deciding.cancel_batch(again(batch), by=batch.creator)
    while send_chunk(batch.id):
        pass

    assert again(batch).progress()["cancelled"] == 50
    assert not is_halted(batch)


# --- Who is told ---


def test_the_owners_are_told_once_with_the_numbers_and_a_link(batch, email_campaign, settings):
    second = member(email_campaign, "owner")
    member(email_campaign)
    owner_with_no_account = member(email_campaign, "owner")
    owner_with_no_account.is_active = False
    owner_with_no_account.save()
    report(batch, success=10, bounced=15)

    owner_mails.tell_of_halts()
    owner_mails.tell_of_halts()

    told = sorted(message.to[0] for message in mail.outbox)
    assert told == sorted([email_campaign.creator.email, second.email])
    page = reverse("batch", args=[email_campaign.id, batch.id])
    for part in (mail.outbox[0].body, mail.outbox[0].alternatives[0][0]):
        assert "15 of 25" in part
        assert "60.0 %" in part
        assert settings.PUBLIC_URL + page in part
        assert "person0@" not in part
    assert mail.outbox[0].subject == "Sending halted: Newsletter"


def test_when_it_is_halted_again_they_are_told_again(batch):
    report(batch, bounced=11)
    owner_mails.tell_of_halts()
    deciding.resume_batch(again(batch), by=batch.creator)
    report(batch, bounced=11)

    owner_mails.tell_of_halts()

    assert len(mail.outbox) == 2


def test_nobody_is_told_of_a_batch_that_went_on_before(batch):
    report(batch, bounced=11)
    deciding.resume_batch(again(batch), by=batch.creator)

    owner_mails.tell_of_halts()

    assert mail.outbox == []


# --- Earlier ---


@pytest.mark.parametrize(
    ("counts", "warns"),
    [
        ({"bounced": 5, "success": 5}, False),
        ({"bounced": 6, "success": 114}, False),
        ({"bounced": 6, "success": 113}, True),
        ({}, False),
    ],
)
def test_an_officer_is_warned_at_half_of_what_halts(counts, warns):
    warning = halting.warning_of(counts)

    assert (warning is not None) is warns
    if warning:
        assert (warning.bounced, warning.finalised, warning.percent) == (6, 119, 5.1)


# --- Where they bounced ---


def test_the_facts_name_the_domains_with_the_most_bad_addresses(email_campaign):
    addresses = [*people(9, "old.example"), *people(4, "gone.example"), *people(20)]
    batch = batch_to(email_campaign, addresses, sent=20)
    report(batch, bounced=15)

    facts = halting.facts(again(batch))

    assert facts["domains"] == [("old.example", 9), ("gone.example", 4), ("example.org", 2)]
    assert (facts["bounces"].bounced, facts["bounces"].finalised) == (15, 15)
    assert facts["pending"] == 13
    assert (facts["most_bounces"], facts["most_percent"]) == (10, 10)


def test_the_bad_addresses_can_be_downloaded(email_campaign, client_of, officer):
    batch = batch_to(email_campaign, ["=cmd@old.example", *people(3)], sent=3)
    report(batch, bounced=2, success=1)
    url = reverse("batch-bad-addresses", args=[email_campaign.id, batch.id])

    response = client_of(officer).get(url)

    text = b"".join(response.streaming_content).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["recipient", "row", "bouncedAt", "providerCode"]
    assert [row[:2] for row in rows[1:]] == [
        ["'=cmd@old.example", "2"],
        ["person0@example.org", "3"],
    ]
    assert AuditEvent.objects.filter(action="bounces.downloaded", actor=officer).exists()


def test_only_who_may_see_the_batch_gets_its_bad_addresses(email_campaign, batch, client_of):
    url = reverse("batch-bad-addresses", args=[email_campaign.id, batch.id])
    restricted = member(email_campaign, "member_restricted")
    stranger = UserFactory(agency=email_campaign.agency)

    assert client_of(restricted).get(url).status_code == 404
    assert client_of(stranger).get(url).status_code == 404
    assert client_of(member(email_campaign)).get(url).status_code == 200


def test_a_batch_of_sms_has_no_bad_addresses_to_download(client_of, officer):
    campaign = CampaignFactory(creator=officer)
    batch = make_batch(campaign, "messages_enqueued", accepted_at=timezone.now())
    url = reverse("batch-bad-addresses", args=[campaign.id, batch.id])

    assert client_of(officer).get(url).status_code == 404


def test_counters_are_as_true_as_before(batch):
    report(batch, bounced=11, success=3)

    assert counters.mend(batch.campaign_id, batch.id) == {}
    assert Counter.objects.filter(batch=batch, status="bounced").exists()


# --- What the batch's page shows ---


def page_of(client, batch):
    response = client.get(reverse("batch", args=[batch.campaign_id, batch.id]))
    return html.unescape(response.content.decode())


def test_the_page_of_a_halted_batch_says_why_and_lets_the_rest_go_on(batch, client_of, officer):
    report(batch, success=10, bounced=15)
    client = client_of(officer)

    page = page_of(client, batch)

    assert "Too many of its addresses do not exist" in page
    assert "<strong>15 of 25</strong>" in page
    assert "60.0\N{NO-BREAK SPACE}%" in page
    assert "example.org" in page
    assert reverse("batch-bad-addresses", args=[batch.campaign_id, batch.id]) in page
    assert "Remove bad addresses and resume" in page
    assert "Resume sending" not in page
    client.post(reverse("batch-resume", args=[batch.campaign_id, batch.id]))
    assert not again(batch).stopped_at
    assert "Too many of its addresses" not in page_of(client, batch)


def test_the_page_warns_before_it_comes_to_that(batch, client_of, officer):
    report(batch, success=100, bounced=6)

    page = page_of(client_of(officer), batch)

    assert "6 of 106 emails (5.7\N{NO-BREAK SPACE}%) went to addresses that do not exist" in page
    assert "sending is halted by itself" in page


def test_what_an_officer_stopped_is_called_stopped_and_not_halted(batch, client_of, officer):
    deciding.stop_batch(batch, by=officer)

    page = page_of(client_of(officer), batch)

    assert "Resume sending" in page
    assert "Halted" not in page
