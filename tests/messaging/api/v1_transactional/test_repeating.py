"""A call of v1 that carries an `Idempotency-Key` is carried out once (v1-web-app §21.4, B-API-3)."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from django.test import Client

from messaging.delivery.pipeline import send_chunk
from messaging.models import Message, Transactional
from tests.factories import UserFactory
from tests.messaging.api.v1_transactional.conftest import code_of, headers_of

pytestmark = pytest.mark.django_db

# What says something else to each channel.
OTHER = {
    "email": {"subject": "Another visit"},
    "sms": {"body": "Another visit."},
    "govsg": {"language_code": "zh_CN"},
}


@pytest.fixture
def once(headers):
    return {**headers, "Idempotency-Key": "visit-1"}


def test_a_repeated_call_is_answered_as_the_first_and_sends_nothing(post, kind, once):
    first, again = post(kind, headers=once), post(kind, headers=once)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert (Message.objects.count(), Transactional.objects.count()) == (1, 1)


def test_the_answer_stays_what_it_was_though_the_message_has_left(post, email, once, sandbox):
    first = post(email, headers=once)
    send_chunk(None)

    assert post(email, headers=once).json() == first.json()


def test_the_same_key_with_something_else_to_send_is_refused(post, kind, once):
    post(kind, headers=once)

    assert code_of(post(kind, headers=once, **OTHER[kind.name])) == (422, "idempotency_key_reused")
    assert Message.objects.count() == 1


def test_the_same_key_over_another_channel_is_refused(post, email, sms, once):
    post(email, headers=once)

    assert code_of(post(sms, headers=once)) == (422, "idempotency_key_reused")
    assert Message.objects.count() == 1


def test_without_a_key_the_same_call_sends_again(post, kind):
    assert post(kind).json()["id"] != post(kind).json()["id"]
    assert Message.objects.count() == 2


def test_each_account_has_keys_of_its_own(post, email, once):
    other = {**headers_of(UserFactory()), "Idempotency-Key": "visit-1"}

    first, second = post(email, headers=once), post(email, headers=other)

    assert first.json()["id"] != second.json()["id"]
    assert "Idempotency-Replayed" not in second


def test_all_keys_of_an_account_are_one_client(post, email, account, once):
    other = {**headers_of(account), "Idempotency-Key": "visit-1"}

    assert post(email, headers=once).json() == post(email, headers=other).json()


def test_a_refused_call_leaves_the_key_free(post, kind, once):
    refused = post(kind, headers=once, recipient="nobody")
    taken = post(kind, headers=once)

    assert (refused.status_code, taken.status_code) == (400, 201)
    assert "Idempotency-Replayed" not in taken


@pytest.mark.parametrize("bad", ["", "k" * 256, "schlüssel"])
def test_a_key_that_is_none_is_refused(post, kind, headers, bad):
    answer = post(kind, headers={**headers, "Idempotency-Key": bad})

    assert code_of(answer) == (400, "api_validation")
    assert not Message.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_calls_at_once_one_sends(kind, once):
    def call(_):
        answers = [
            Client().post(kind.send, kind.good, content_type="application/json", headers=once)
            for _ in range(5)
        ]
        connections.close_all()
        return answers

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for some in pool.map(call, range(8)) for answer in some]

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in answers) == 1
    assert (Message.objects.count(), Transactional.objects.count()) == (1, 1)
