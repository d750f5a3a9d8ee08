"""An attempt whose outcome nobody heard is settled by the provider's own list, never by a guess."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from messaging import receipts, reconciling, tasks
from messaging.delivery import claiming, expanding, handing_over, leases, recording
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Batch, Counter, Message
from messaging.reconciling import SURE_AFTER
from messaging.sending import deciding, singles
from tests.messaging.builders import accepted_batch, report, upload
from tests.messaging.test_email_delivery import staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(campaign, sandbox):
    sandbox.control(callbacks={"enabled": False})
    return accepted_batch(campaign, 3)


@pytest.fixture
def twins(campaign, sandbox):
    """Two rows with the same text to the same number, which look alike to the provider."""
    sandbox.control(callbacks={"enabled": False})
    row = b"6581230001,english,Mei Ling,Clementi Clinic\n"
    batch = upload(campaign, b"recipient,language,name,clinic\n" + row + row)
    deciding.send_batch(batch, by=batch.creator)
    expanding.expand(batch.id)
    return batch


def hand_over(batch, sandbox, limit=500, **fate):
    """A chunk that meets this fate at the provider."""
    sandbox.control(**fate)
    recording.record(handing_over.hand_over(claiming.claim(batch.id, limit=limit)).results())
    sandbox.control(**dict.fromkeys(fate, 0))


def ask(after):
    with time_machine.travel(timezone.now() + after):
        while reconciling.ask_about_unknown():
            pass


def statuses():
    return list(Message.objects.order_by("row").values_list("status", flat=True))


def counts(batch):
    return {status: n for status, n in batch.counts().items() if n}


def test_what_the_provider_has_is_sent(batch, sandbox):
    hand_over(batch, sandbox, rate_lost=1)
    assert statuses() == ["unknown"] * 3

    ask(after=timedelta(minutes=2))

    assert set(statuses()) <= {"sent", "sent_to_telco", "success"}
    held = set(Attempt.objects.values_list("reference", flat=True))
    assert held == {message["sid"] for message in sandbox.outbox(channel="sms")}
    assert counts(batch)["total"] == 3
    assert "unknown" not in counts(batch)


def test_it_is_not_asked_before_its_answer_may_still_come(batch, sandbox):
    hand_over(batch, sandbox, rate_lost=1)

    ask(after=timedelta(seconds=30))

    assert statuses() == ["unknown"] * 3


def test_what_the_provider_does_not_show_yet_stays_unknown(batch):
    claiming.claim(batch.id)
    with time_machine.travel(timezone.now() + leases.LEASE + timedelta(seconds=1)):
        leases.sweep()
        ask(after=timedelta(minutes=2))

    assert statuses() == ["unknown"] * 3


def test_what_the_provider_never_took_is_sent_then_and_once(batch, sandbox):
    claiming.claim(batch.id)
    with time_machine.travel(timezone.now() + leases.LEASE + timedelta(seconds=1)):
        leases.sweep()
        Batch.objects.filter(id=batch.id).update(dispatched_at=timezone.now())
        ask(after=timedelta(minutes=2))
        ask(after=SURE_AFTER + timedelta(minutes=1))
    assert statuses() == ["enqueued"] * 3

    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        assert Batch.objects.being_sent(timezone.now()).get() == batch
        while send_chunk(batch.id):
            pass

    assert statuses() == ["sent"] * 3
    assert len(sandbox.outbox(channel="sms")) == 3
    assert set(Attempt.objects.values_list("number", flat=True)) == {1}
    assert counts(batch) == {"total": 3, "sent": 3}


def test_the_message_of_a_twin_is_not_taken_for_ones_own(twins, sandbox):
    hand_over(twins, sandbox, limit=1)
    claiming.claim(twins.id)
    with time_machine.travel(timezone.now() + leases.LEASE + timedelta(seconds=1)):
        leases.sweep()
    sent, unheard = Attempt.objects.order_by("message__row")
    assert (sent.status, unheard.status) == ("sent", "unknown")

    ask(after=leases.LEASE + SURE_AFTER + timedelta(minutes=2))

    unheard.refresh_from_db()
    assert (unheard.status, unheard.reference) == ("enqueued", "")


def test_of_two_twins_each_takes_a_message_of_its_own(twins, sandbox):
    hand_over(twins, sandbox, rate_lost=1)

    ask(after=timedelta(minutes=2))

    first, second = Attempt.objects.values_list("reference", flat=True)
    assert first != second
    assert "" not in (first, second)


def test_a_provider_that_cannot_be_asked_settles_nothing(batch, sandbox):
    hand_over(batch, sandbox, rate_lost=1)
    sandbox.control(down=True)

    ask(after=SURE_AFTER + timedelta(hours=1))

    assert statuses() == ["unknown"] * 3
    sandbox.control(down=False)
    ask(after=SURE_AFTER + timedelta(hours=3))
    assert "unknown" not in statuses()


def test_asking_ends_after_a_day_and_the_page_goes_on_showing_it(batch, sandbox):
    hand_over(batch, sandbox, rate_lost=1)
    sandbox.control(down=True)

    ask(after=timedelta(hours=25))

    assert statuses() == ["unknown"] * 3
    assert not Attempt.objects.filter(ask_at__isnull=False).exists()


def test_a_receipt_settles_it_before_anybody_asks(batch, sandbox):
    hand_over(batch, sandbox, rate_lost=1)
    for attempt in Attempt.objects.select_related("message"):
        report(attempt, "delivered")
    receipts.apply_events()

    assert statuses() == ["success"] * 3
    assert not Attempt.objects.filter(ask_at__isnull=False).exists()


def test_a_single_message_is_settled_too(campaign, sandbox):
    sandbox.control(callbacks={"enabled": False}, rate_lost=1)
    message = singles.send_message(
        campaign=campaign,
        creator=campaign.creator,
        recipient="6581230001",
        language="english",
        values={"name": "Mei Ling", "clinic": "Clementi Clinic"},
    )
    send_chunk(None)
    sandbox.control(rate_lost=0)

    ask(after=timedelta(minutes=2))

    message.refresh_from_db()
    assert message.status == "sent"
    assert Counter.objects.filter(batch=None).by_status()["unknown"] == 0


def test_one_that_was_sent_and_never_reported_on_is_asked_about_once(batch, sandbox):
    hand_over(batch, sandbox)
    assert statuses() == ["sent"] * 3
    sandbox.flush()

    ask(after=timedelta(hours=71))
    assert statuses() == ["sent"] * 3
    ask(after=timedelta(hours=73))

    assert statuses() == ["success"] * 3


def test_one_of_which_the_provider_knows_no_more_stays_sent(batch, sandbox):
    sandbox.control(callbacks={"stages": ["accepted"]})
    hand_over(batch, sandbox)

    ask(after=timedelta(hours=73))

    assert statuses() == ["sent"] * 3
    assert all(attempt.is_overdue for attempt in Attempt.objects.all())


def test_a_provider_that_is_away_is_asked_about_it_later(batch, sandbox):
    hand_over(batch, sandbox)
    sandbox.control(down=True)
    ask(after=timedelta(hours=73))

    assert not any(attempt.is_overdue for attempt in Attempt.objects.all())


def test_the_task_settles_all_that_is_due(batch, sandbox):
    hand_over(batch, sandbox, rate_lost=1)

    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        tasks.ask_about_unknown()

    assert "unknown" not in statuses()


def test_nobody_asks_about_emails_again_and_again_as_amazon_ses_has_no_list(
    email_campaign, sandbox
):
    batch = staged(email_campaign, ("mei@example.org", {"name": "Mei", "clinic": "Bedok"}))
    expanding.expand(batch.id)
    send_chunk(batch.id)
    Attempt.objects.update(ask_at=timezone.now() - timedelta(minutes=1))

    assert reconciling.ask_about_unknown() == 1

    attempt = Attempt.objects.get()
    assert (attempt.status, attempt.ask_at) == ("sent", None)
    assert attempt.is_overdue
