"""An officer stops a batch, goes on with it, or cancels what has not left."""

import pytest
from django.urls import reverse

from messaging import receipts
from messaging.delivery import claiming, handing_over, recording
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Batch, Counter, Message
from messaging.sending import deciding, retrying
from postman.errors import Refused
from tests.messaging.builders import accepted_batch, report
from tests.messaging.test_races import meanwhile

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(campaign):
    return accepted_batch(campaign, 6)


def again(batch):
    return Batch.objects.get(id=batch.id)


def send_some(batch, count):
    recording.record_whatever_happens(
        handing_over.hand_over(claiming.claim(batch.id, limit=count)).results()
    )


def send_the_rest(batch):
    while send_chunk(batch.id):
        pass


def statuses():
    return dict(sorted(Message.objects.values_list("row", "status")))


def counts_are_true(batch):
    by_hand = {"total": 0}
    for status in Message.objects.filter(batch=batch).values_list("status", flat=True):
        by_hand[status] = by_hand.get(status, 0) + 1
        by_hand["total"] += 1
    return {k: v for k, v in again(batch).counts().items() if v} == by_hand


def test_after_stop_nothing_more_leaves(batch, sandbox):
    send_some(batch, 2)

    deciding.stop_batch(batch, by=batch.creator)
    send_the_rest(batch)

    assert len(sandbox.outbox(channel="sms")) == 2
    assert Message.objects.filter(batch=batch, status="created").count() == 4
    assert again(batch).dispatched_at is None


def test_what_was_claimed_before_the_stop_goes_out_and_is_written_down(batch, sandbox):
    claimed = claiming.claim(batch.id, limit=2)

    deciding.stop_batch(batch, by=batch.creator)
    assert again(batch).counts()["sending"] == 2
    recording.record(handing_over.hand_over(claimed).results())

    assert again(batch).counts()["sent"] == 2
    assert counts_are_true(batch)


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_waits_for_a_stop_takes_nothing(campaign):
    batch = accepted_batch(campaign, 6)

    claimed = meanwhile(
        lambda: deciding.stop_batch(again(batch), by=batch.creator),
        lambda: claiming.claim(batch.id),
    )

    assert claimed == []


def test_resume_sends_the_rest_once(batch, sandbox):
    send_some(batch, 2)
    deciding.stop_batch(batch, by=batch.creator)

    deciding.resume_batch(batch, by=batch.creator)
    send_the_rest(batch)

    sent_to = [message["to"] for message in sandbox.outbox(channel="sms")]
    assert len(sent_to) == len(set(sent_to)) == 6
    assert counts_are_true(batch)


def test_cancel_ends_what_has_not_left(batch, sandbox):
    send_some(batch, 2)
    deciding.stop_batch(batch, by=batch.creator)

    deciding.cancel_batch(batch, by=batch.creator)
    send_the_rest(batch)

    assert list(statuses().values()) == ["sent"] * 2 + ["cancelled"] * 4
    assert again(batch).dispatched_at is not None
    assert len(sandbox.outbox(channel="sms")) == 2
    assert counts_are_true(batch)


def test_cancel_ends_what_the_provider_had_not_taken_yet(batch, sandbox):
    sandbox.control(rate_429=1)
    send_some(batch, 2)
    deciding.stop_batch(batch, by=batch.creator)
    deciding.cancel_batch(batch, by=batch.creator)
    send_the_rest(batch)

    assert set(statuses().values()) == {"cancelled"}
    assert set(Attempt.objects.values_list("status", flat=True)) == {"cancelled"}
    assert counts_are_true(batch)


def test_a_retry_that_is_cancelled_is_the_failure_it_was(batch, sandbox):
    send_the_rest(batch)
    for attempt in Attempt.objects.select_related("message"):
        report(attempt, "undelivered", "30003")
    receipts.apply_events()
    retrying.retry_batch(batch.campaign, batch.id, by=batch.creator)
    deciding.stop_batch(batch, by=batch.creator)
    deciding.cancel_batch(batch, by=batch.creator)
    send_the_rest(batch)

    assert set(statuses().values()) == {"failure"}
    assert Attempt.objects.count() == 6
    assert counts_are_true(batch)


def test_cancel_waits_for_rows_that_are_no_messages_yet(campaign, sandbox):
    batch = accepted_batch(campaign, 6)
    Message.objects.all().delete()
    Counter.objects.all().delete()
    Batch.objects.filter(id=batch.id).update(status="messages_enqueuing")
    batch.refresh_from_db()

    deciding.stop_batch(batch, by=batch.creator)
    deciding.cancel_batch(batch, by=batch.creator)
    send_the_rest(batch)

    assert again(batch).dispatched_at is None


def test_a_stopped_batch_cannot_be_retried_before_somebody_decides(batch, sandbox):
    send_some(batch, 6)
    attempt = Attempt.objects.select_related("message").first()
    report(attempt, "undelivered", "30003")
    receipts.apply_events()
    deciding.stop_batch(batch, by=batch.creator)

    with pytest.raises(Refused) as refused:
        retrying.retry_batch(batch.campaign, batch.id, by=batch.creator)
    assert refused.value.code == "batch_not_found_or_is_not_retryable"


def test_after_a_cancel_the_failed_can_be_retried_and_the_cancelled_stay(batch, sandbox):
    send_some(batch, 2)
    attempt = Attempt.objects.select_related("message").order_by("message__row").first()
    report(attempt, "undelivered", "30003")
    receipts.apply_events()
    deciding.stop_batch(batch, by=batch.creator)
    deciding.cancel_batch(batch, by=batch.creator)
    send_the_rest(batch)

    assert retrying.retry_batch(batch.campaign, batch.id, by=batch.creator) == 1
    send_the_rest(batch)

    assert list(statuses().values()) == ["sent"] * 2 + ["cancelled"] * 4


def test_a_batch_that_has_left_cannot_be_stopped(batch, sandbox):
    send_the_rest(batch)

    with pytest.raises(Refused):
        deciding.stop_batch(batch, by=batch.creator)


def test_only_a_stopped_batch_is_cancelled(batch):
    with pytest.raises(Refused):
        deciding.cancel_batch(batch, by=batch.creator)


def test_a_stopped_batch_does_not_keep_the_workers_busy(batch):
    deciding.stop_batch(batch, by=batch.creator)
    assert not Batch.objects.being_sent(batch.created_at).exists()

    deciding.cancel_batch(batch, by=batch.creator)
    assert Batch.objects.being_sent(batch.created_at).exists()


# The page ----------------------------------------------------------------------------------


def post(client, batch, action):
    return client.post(reverse(f"batch-{action}", args=[batch.campaign_id, batch.id]), follow=True)


def test_the_page_stops_resumes_and_cancels(batch, sandbox, client_of):
    client = client_of(batch.creator)
    page = client.get(reverse("batch", args=[batch.campaign_id, batch.id]))
    assert "Stop sending" in page.content.decode()

    page = post(client, batch, "stop")
    assert "Nothing more of this batch leaves" in page.content.decode()
    page = post(client, batch, "resume")
    assert "Sending goes on" in page.content.decode()
    post(client, batch, "stop")
    asked = client.get(reverse("batch-cancel", args=[batch.campaign_id, batch.id]))
    assert "6 of 6 messages" in asked.content.decode().replace("<strong>", "")
    post(client, batch, "cancel")
    send_the_rest(batch)

    assert set(statuses().values()) == {"cancelled"}


def test_the_page_says_how_many_had_been_claimed(batch, client_of):
    claiming.claim(batch.id, limit=2)

    page = post(client_of(batch.creator), batch, "stop")

    assert "2 messages were already leaving when you stopped it" in page.content.decode()


def test_retry_the_failed_pressed_twice_retries_once(batch, sandbox, client_of):
    send_the_rest(batch)
    for attempt in Attempt.objects.select_related("message"):
        report(attempt, "undelivered", "30003")
    receipts.apply_events()
    client = client_of(batch.creator)

    first, second = post(client, batch, "retry"), post(client, batch, "retry")
    send_the_rest(batch)

    assert "6 failed messages will be sent again" in first.content.decode()
    assert "will be sent again" not in second.content.decode()
    assert set(Message.objects.values_list("attempts_made", flat=True)) == {2}
    assert len(sandbox.outbox(channel="sms")) == 12


@pytest.mark.parametrize("action", ["stop", "resume", "cancel", "retry"])
def test_nobody_else_may_decide_on_a_batch(batch, client_of, action):
    stranger = batch.creator.__class__.objects.create(email="raj@health.gov.sg")

    assert post(client_of(stranger), batch, action).status_code == 404
