"""A call that carries an `Idempotency-Key` is carried out once, however often it comes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections, transaction
from django.test import Client

from campaigns.models import AllowedAddress, ApiKey
from messaging import receipts, tasks
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Batch, BatchStatus, IdempotencyKey, Message
from tests.factories import CampaignFactory
from tests.messaging.builders import accepted_batch, csv_of, report, single

pytestmark = pytest.mark.django_db

GOOD = {
    "recipient": "6581230001",
    "language": "english",
    "values": {"name": "Mei Ling", "clinic": "Clementi Clinic"},
}


@pytest.fixture
def post(campaign, key):
    def post(path="messages", body=None, *, once="order-7", on=campaign, secret=key):
        form = {} if isinstance(body, dict) and "file" in body else {"content_type": JSON}
        return Client().post(
            f"/api/v2/campaigns/{on.public_id}/{path}",
            body,
            headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": once},
            **form,
        )

    return post


JSON = "application/json"


def file(content):
    return {"file": SimpleUploadedFile("people.csv", content, content_type="text/csv")}


def code_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


def fail_all(batch=None):
    while send_chunk(batch.id if batch else None):
        pass
    for attempt in Attempt.objects.filter(status="sent").select_related("message"):
        report(attempt, "undelivered", "30003")
    receipts.apply_events()


def test_a_repeated_send_answers_as_the_first_and_makes_no_second_message(post):
    first = post(body=GOOD)
    again = post(body=GOOD)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "Idempotency-Replayed" not in first.headers
    assert again["Idempotency-Replayed"] == "true"
    assert Message.objects.count() == 1


def test_the_answer_stays_what_it_was_though_the_message_has_moved_on(post, sandbox):
    first = post(body=GOOD)
    send_chunk(None)

    assert post(body=GOOD).json() == first.json()


def test_the_same_json_in_another_order_is_the_same_call(post):
    first = post(body=GOOD)
    again = post(body=dict(reversed(GOOD.items())))

    assert again.json() == first.json()


def test_the_same_key_with_another_body_is_refused(post):
    post(body=GOOD)

    other = post(body={**GOOD, "recipient": "6581230002"})

    assert code_of(other) == (422, "idempotency_key_reused")
    assert list(Message.objects.values_list("recipient", flat=True)) == ["6581230001"]


def test_the_same_key_on_another_address_is_refused(post, campaign):
    batch = accepted_batch(campaign, 1)
    post(body=GOOD)

    assert code_of(post(f"batch/{batch.public_id}/retry")) == (422, "idempotency_key_reused")


def test_another_key_sends_again(post):
    post(body=GOOD, once="order-7")
    post(body=GOOD, once="order-8")

    assert Message.objects.count() == 2


def test_each_campaign_has_keys_of_its_own(post, officer):
    other = CampaignFactory(creator=officer, bodies={"english": "Dear {{name}}, {{clinic}}."})
    AllowedAddress.objects.create(campaign=other, address="127.0.0.1")
    secret = ApiKey.issue(campaign=other, creator=officer)[1]

    post(body=GOOD)
    second = post(body=GOOD, on=other, secret=secret)

    assert second.status_code == 201
    assert "Idempotency-Replayed" not in second.headers


def test_all_api_keys_of_a_campaign_are_one_client(post, campaign, officer):
    rotated = ApiKey.issue(campaign=campaign, creator=officer)[1]
    first = post(body=GOOD)

    assert post(body=GOOD, secret=rotated).json() == first.json()


def test_a_refused_call_leaves_the_key_free(post):
    refused = post(body={**GOOD, "recipient": "81230001"})
    accepted = post(body=GOOD)

    assert refused.status_code == 400
    assert accepted.status_code == 201
    assert "Idempotency-Replayed" not in accepted.headers


@pytest.mark.parametrize("bad", ["", "k" * 256, "schlüssel"])
def test_a_key_that_is_none_is_refused(post, bad):
    assert code_of(post(body=GOOD, once=bad)) == (400, "parameter_invalid")
    assert not Message.objects.exists()


def test_a_repeated_file_is_one_batch(post):
    first = post("batch/messages", file(csv_of(3)))
    again = post("batch/messages", file(csv_of(3)))

    assert (
        again.json() == first.json() == {"isValid": True, "batchId": Batch.objects.get().public_id}
    )


def test_another_file_under_the_same_key_is_refused(post):
    post("batch/messages", file(csv_of(3)))

    assert code_of(post("batch/messages", file(csv_of(4)))) == (422, "idempotency_key_reused")


def test_a_bad_file_is_reported_the_same_way_again(post):
    bad = csv_of(2) + b"81230001,french,,Clinic\n"
    first = post("batch/messages", file(bad))

    assert first.json()["isValid"] is False
    assert post("batch/messages", file(bad)).json() == first.json()


def test_a_repeated_retry_of_a_message_is_one_retry(post, campaign, sandbox):
    message = single(campaign)
    fail_all()

    first = post(f"messages/{message.public_id}/retry")
    fail_all()
    again = post(f"messages/{message.public_id}/retry")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert message.attempts.count() == 2


def test_a_repeated_retry_of_a_batch_is_one_retry(post, campaign, sandbox):
    batch = accepted_batch(campaign, 2)
    fail_all(batch)

    first = post(f"batch/{batch.public_id}/retry")
    fail_all(batch)
    again = post(f"batch/{batch.public_id}/retry")

    assert (first.status_code, first.content) == (again.status_code, again.content) == (201, b"")
    assert set(Message.objects.values_list("attempts_made", flat=True)) == {2}


def test_what_a_refusal_changes_stands_with_a_key_too(post, campaign):
    batch = accepted_batch(campaign, 1)

    refused = post(f"batch/{batch.public_id}/retry")

    batch.refresh_from_db()
    assert code_of(refused) == (400, "unresolved_batch_messages")
    assert batch.status == BatchStatus.ENQUEUING_FAILED


def test_a_key_is_remembered_for_three_days(post):
    post(body=GOOD)
    kept = IdempotencyKey.objects.get()

    with time_machine.travel(kept.created_at + timedelta(days=3, seconds=-1)):
        tasks.forget()
        assert IdempotencyKey.objects.exists()
    with time_machine.travel(kept.created_at + timedelta(days=3, seconds=1)):
        tasks.forget()
        assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("unlimited")
def test_of_a_thousand_calls_at_once_one_makes_the_message(post):
    def call(_):
        answers = [post(body=GOOD) for _ in range(40)]
        connections.close_all()
        return answers

    with ThreadPoolExecutor(25) as pool:
        answers = [answer for some in pool.map(call, range(25)) for answer in some]

    assert len(answers) == 1000

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert Message.objects.count() == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1


@pytest.mark.django_db(transaction=True)
def test_a_call_whose_first_takes_too_long_is_told_to_ask_later(post, campaign, settings):
    settings.IDEMPOTENCY_PATIENCE = timedelta(milliseconds=50)
    holds, done = threading.Event(), threading.Event()

    def first():
        with transaction.atomic():
            IdempotencyKey.objects.create(client=campaign.id, key="order-7", fingerprint="…")
            holds.set()
            done.wait(10)
            transaction.set_rollback(True)
        connections.close_all()

    thread = threading.Thread(target=first)
    thread.start()
    holds.wait(10)
    try:
        answer = post(body=GOOD)
    finally:
        done.set()
        thread.join()

    assert code_of(answer) == (409, "idempotency_key_in_use")
    assert not Message.objects.exists()
