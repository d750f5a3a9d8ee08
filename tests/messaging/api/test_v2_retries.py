import threading

import pytest
from django.db import connection

from messaging.channels.base import Rejected
from messaging.delivery import claiming, recording
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Batch, BatchStatus, Message
from messaging.sending import deciding, retrying
from postman.errors import Refused
from tests.factories import CampaignFactory
from tests.messaging.builders import accepted_batch, csv_of, single, upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def post(client, campaign, key):
    def post(path):
        return client.post(
            f"/api/v2/campaigns/{campaign.public_id}/{path}/retry",
            headers={"Authorization": f"Bearer {key}"},
        )

    return post


def fail(batch_id=None):
    """Every waiting message of this lane is handed over and fails."""
    claimed = claiming.claim(batch_id)
    recording.record(
        [(c, Rejected("recipient_unavailable", provider_code="30003")) for c in claimed]
    )


def error_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


NOT_FAILED = (400, "message_not_found_or_retry_message_not_in_failure_status")


# v2-sms §13.9
def test_a_failed_message_is_sent_once_more_under_the_same_id(post, campaign, sandbox):
    message = single(campaign)
    fail()

    answer = post(f"messages/{message.public_id}")

    shown = answer.json()
    assert (answer.status_code, shown["id"]) == (201, message.public_id)
    assert shown["latestStatus"] == "created"
    assert "language" not in shown
    send_chunk(None)
    message.refresh_from_db()
    assert message.status == "sent"
    assert [a.status for a in message.attempts.order_by("number")] == ["failure", "sent"]


# v2-sms §13.9
def test_three_retries_and_no_more(post, campaign):
    message = single(campaign)
    fail()

    for _ in range(3):
        assert post(f"messages/{message.public_id}").status_code == 201
        fail()

    answer = post(f"messages/{message.public_id}")
    assert error_of(answer) == (400, "too_many_message_attempts_error")
    assert Attempt.objects.count() == 4


# v2-sms §13.9
@pytest.mark.parametrize("status", ["created", "sending", "unknown", "sent", "success"])
def test_only_a_failed_message_may_be_retried(post, campaign, status):
    message = single(campaign)
    Message.objects.update(status=status)

    assert error_of(post(f"messages/{message.public_id}")) == NOT_FAILED


@pytest.mark.parametrize("message_id", ["nonsense", "message_" + "0" * 36])
def test_an_unknown_message_is_a_400_here(post, message_id):
    assert error_of(post(f"messages/{message_id}")) == NOT_FAILED


def test_a_failed_message_of_another_campaign_is_not_ours(post):
    stranger = single(CampaignFactory())
    fail()

    assert error_of(post(f"messages/{stranger.public_id}")) == NOT_FAILED


@pytest.mark.django_db(transaction=True)
def test_a_retry_asked_for_twice_at_once_happens_once(campaign):
    message = single(campaign)
    fail()
    outcomes, barrier = [], threading.Barrier(4)

    def retry():
        barrier.wait()
        try:
            retrying.retry_message(campaign, message.id, by=campaign.creator)
            outcomes.append("retried")
        except Refused:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=retry) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["refused"] * 3 + ["retried"]


# Batches -----------------------------------------------------------------------------------


# v2-sms §13.14
def test_the_failed_messages_of_a_batch_are_sent_once_more(post, campaign, sandbox):
    batch = accepted_batch(campaign, 3)
    fail(batch.id)
    Message.objects.filter(row=2).update(status="success")

    answer = post(f"batch/{batch.public_id}")

    assert (answer.status_code, answer.content) == (201, b"")
    assert send_chunk(batch.id) == 2
    assert sorted(Message.objects.values_list("status", flat=True)) == ["sent", "sent", "success"]


# v2-sms §13.14
def test_a_batch_that_is_still_being_made_cannot_be_retried(post, campaign):
    batch = deciding.send_batch(upload(campaign, csv_of(2)), by=campaign.creator)

    answer = post(f"batch/{batch.public_id}")

    assert error_of(answer) == (400, "batch_not_found_or_is_not_retryable")


# v2-sms §13.14
def test_a_batch_with_messages_that_wait_fails_and_says_so_and_is_sent_on(post, campaign, sandbox):
    batch = accepted_batch(campaign, 2)

    answer = post(f"batch/{batch.public_id}")

    assert error_of(answer) == (400, "unresolved_batch_messages")
    assert Batch.objects.get().status == BatchStatus.ENQUEUING_FAILED
    assert send_chunk(batch.id) == 2
    assert send_chunk(batch.id) == 0
    assert Batch.objects.get().dispatched_at is not None


# v2-sms §13.14
def test_a_batch_without_failures_has_nothing_to_retry(post, campaign, sandbox):
    batch = accepted_batch(campaign, 2)
    send_chunk(batch.id)

    answer = post(f"batch/{batch.public_id}")

    assert error_of(answer) == (400, "no_failed_batch_messages_to_retry")


def test_those_out_of_retries_stay_as_they_are(post, campaign):
    batch = accepted_batch(campaign, 2)
    fail(batch.id)
    Message.objects.filter(row=2).update(attempts_made=4)

    assert post(f"batch/{batch.public_id}").status_code == 201

    assert {m.row: m.status for m in Message.objects.all()} == {2: "failure", 3: "created"}
    Message.objects.update(status="failure", attempts_made=4)
    answer = post(f"batch/{batch.public_id}")
    assert error_of(answer) == (400, "no_failed_batch_messages_to_retry")


def test_counts_add_up_after_a_retry(post, campaign, sandbox):
    batch = accepted_batch(campaign, 3)
    fail(batch.id)
    post(f"batch/{batch.public_id}")
    send_chunk(batch.id)

    counts = batch.counts()

    assert counts["total"] == 3
    assert {status: n for status, n in counts.items() if n} == {"total": 3, "sent": 3}


def test_a_batch_of_another_campaign_is_not_ours(post):
    other = accepted_batch(CampaignFactory(bodies={"english": "{{name}} {{clinic}}"}), 1)
    fail(other.id)

    answer = post(f"batch/{other.public_id}")

    assert error_of(answer) == (400, "batch_not_found_or_is_not_retryable")
