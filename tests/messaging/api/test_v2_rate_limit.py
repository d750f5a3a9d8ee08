"""Ten calls a second for each campaign, shared by its seven addresses (v2-sms §10.1, §13.6)."""

import pytest
from django.conf import settings as configured

from campaigns.models import AllowedAddress
from campaigns.throttling import window
from messaging.models import Message

pytestmark = pytest.mark.django_db

GOOD = '{"recipient": "6581230001", "values": {"name": "Mei Ling", "clinic": "Clementi"}}'
NOBODY = "00000000-0000-7000-8000-000000000000"
ENDPOINTS = [
    ("post", "messages"),
    ("post", f"messages/message_{NOBODY}/retry"),
    ("get", f"messages/message_{NOBODY}"),
    ("get", "messages"),
    ("post", "batch/messages"),
    ("post", f"batch/batch_{NOBODY}/retry"),
    ("get", f"batch/batch_{NOBODY}/messages"),
]


@pytest.fixture
def call(client, campaign, key):
    def call(method, path, *, body=GOOD, secret=key):
        return client.generic(
            method.upper(),
            f"/api/v2/campaigns/{campaign.public_id}/{path}",
            body if method == "post" else "",
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )

    return call


def use_up(campaign):
    for _ in range(10):
        window(configured.REDIS_URL).take(campaign.id, 10)


def limits_on(answer):
    return {name: value for name, value in answer.headers.items() if "RateLimit" in name}


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_every_address_counts_and_says_what_is_left(call, method, path):
    answer = call(method, path)

    assert answer.status_code < 500
    assert limits_on(answer) == {
        "RateLimit-Limit": "10",
        "RateLimit-Remaining": "9",
        "RateLimit-Reset": "1",
        "RateLimit-Policy": "10;w=1",
    }
    assert "Retry-After" not in answer


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_the_eleventh_call_within_a_second_is_refused_wherever_it_goes(
    call, campaign, method, path
):
    use_up(campaign)

    answer = call(method, path)

    assert answer.status_code == 429
    assert answer.json()["error"] == {
        "code": "too_many_requests",
        "message": "This campaign may make 10 calls a second. "
        "This one was not carried out: send it again later.",
        "type": "domain_error",
        "id": answer["X-Request-Id"],
    }
    assert answer["Retry-After"] == "1"
    assert limits_on(answer) == {
        "RateLimit-Limit": "10",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "1",
        "RateLimit-Policy": "10;w=1",
    }
    assert not Message.objects.exists()


def test_a_refused_call_is_not_even_read(call, campaign):
    use_up(campaign)

    assert call("post", "messages", body="{").status_code == 429


def test_calls_without_the_right_key_or_address_use_nothing_up(call, campaign):
    call("get", "messages", secret="key_live_of-somebody-else")
    AllowedAddress.objects.update(address="203.0.113.7")
    call("get", "messages")
    AllowedAddress.objects.update(address="127.0.0.1")

    assert call("get", "messages")["RateLimit-Remaining"] == "9"


def test_a_campaign_without_a_limit_is_told_of_none(call, campaign):
    type(campaign).objects.update(calls_per_second=None)
    use_up(campaign)

    answer = call("get", "messages")

    assert (answer.status_code, limits_on(answer)) == (200, {})


def test_while_the_broker_is_away_calls_are_carried_out_unlimited(call, campaign, settings, caplog):
    use_up(campaign)
    settings.REDIS_URL = "redis://127.0.0.1:1"

    answer = call("get", "messages")

    assert (answer.status_code, limits_on(answer)) == (200, {})
    assert "calls are not limited: ConnectionError" in caplog.messages
