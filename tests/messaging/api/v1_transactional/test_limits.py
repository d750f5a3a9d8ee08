"""How often an account may call (v1-backend §1.5; v1-web-app §20.7, §21.4)."""

import time

import pytest
from django.conf import settings as configured

from campaigns.throttling import window
from messaging.models import Message
from postman.accounts.models import User
from tests.factories import UserFactory
from tests.messaging.api.v1_transactional.conftest import headers_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def limited(account):
    account.calls_per_second = 10
    account.save()
    return account


def use_up(account):
    for _ in range(10):
        window(configured.REDIS_URL).take(account.id, 10)


def limits_on(answer):
    return {name: value for name, value in answer.headers.items() if "RateLimit" in name}


def told(remaining):
    """What both families of headers say of ten calls a second."""
    return {
        "RateLimit-Limit": "10",
        "RateLimit-Remaining": remaining,
        "RateLimit-Reset": "1",
        "RateLimit-Policy": "10;w=1",
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": remaining,
    }


def test_an_account_has_ten_calls_a_second_unless_another_number_was_agreed():
    assert UserFactory().calls_per_second == 10


def test_every_send_counts_and_says_what_is_left(post, kind, limited):
    before = time.time()
    first, second = post(kind), post(kind)

    headers = limits_on(first)
    reset = int(headers.pop("X-RateLimit-Reset"))
    assert (first.status_code, headers) == (201, told("9"))
    assert before < reset <= time.time() + 2
    assert second["RateLimit-Remaining"] in ("8", "9")
    assert "Retry-After" not in first


def test_one_call_more_is_refused_and_nothing_of_it_carried_out(post, kind, limited):
    use_up(limited)

    answer = post(kind)

    assert answer.status_code == 429
    assert answer.json() == {
        "code": "rate_limit",
        "message": "This account may make 10 calls a second. "
        "This one was not carried out: send it again later.",
        "request_id": answer["X-Request-Id"],
    }
    headers = limits_on(answer)
    assert int(headers.pop("X-RateLimit-Reset")) >= time.time() - 2
    assert headers == told("0")
    assert answer["Retry-After"] == "1"
    assert not Message.objects.exists()


def test_after_the_second_the_next_call_is_taken(post, email, limited):
    use_up(limited)
    assert post(email).status_code == 429

    time.sleep(1.05)

    assert post(email).status_code == 201


def test_a_refused_call_counts_as_well(post, email, limited):
    answer = post(email, recipient="pat")

    assert (answer.status_code, answer["RateLimit-Remaining"]) == (400, "9")


def test_a_call_over_the_limit_is_not_even_read(client, headers, email, limited):
    use_up(limited)

    answer = client.post(email.send, "{", content_type="application/json", headers=headers)

    assert answer.status_code == 429


def test_all_keys_and_the_pages_of_an_account_share_its_calls(client_of, post, email, limited):
    use_up(limited)
    by_another_key = post(email, headers=headers_of(limited))
    use_up(limited)
    by_page = client_of(limited).post(email.send, email.good, content_type="application/json")

    assert [by_another_key.status_code, by_page.status_code] == [429, 429]


def test_another_account_has_calls_of_its_own(client, post, email, limited):
    use_up(limited)
    stranger = UserFactory()

    answer = post(email, headers=headers_of(stranger))

    assert (answer.status_code, answer["RateLimit-Remaining"]) == (201, "9")


def test_another_number_may_be_agreed(post, email, account):
    User.objects.filter(pk=account.pk).update(calls_per_second=25)

    assert post(email)["X-RateLimit-Limit"] == "25"


def test_reading_is_not_limited_as_it_was_not_in_v1(client, headers, post, kind, limited):
    number = post(kind).json()["id"]
    use_up(limited)

    for path in (kind.path, f"{kind.path}/{number}"):
        answer = client.get(path, headers=headers)
        assert (answer.status_code, limits_on(answer)) == (200, {})


def test_a_call_without_a_key_uses_nothing_up(client, post, email, limited):
    answer = client.post(email.send, email.good, content_type="application/json")

    assert (answer.status_code, limits_on(answer)) == (401, {})
    assert post(email)["RateLimit-Remaining"] == "9"


def test_while_nobody_can_count_calls_are_taken(post, email, limited, settings):
    use_up(limited)
    settings.REDIS_URL = "redis://127.0.0.1:1"

    answer = post(email)

    assert (answer.status_code, limits_on(answer)) == (201, {})
