import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.models import AllowedAddress, ApiKey
from messaging import receipts
from messaging.delivery import claiming, leases
from messaging.models import Message
from tests.factories import CampaignFactory
from tests.messaging.builders import accepted_batch, report

pytestmark = pytest.mark.django_db

GOOD = {
    "recipient": "6581230001",
    "language": "english",
    "values": {"name": "Mei Ling", "clinic": "Clementi Clinic"},
}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+08:00").fullmatch


@pytest.fixture
def call(client, campaign, key):
    def call(method, path="", body=None, *, secret=key, **extra):
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        return getattr(client, method)(
            f"/api/v2/campaigns/{campaign.public_id}/messages{path}",
            body,
            content_type="application/json",
            headers=headers,
            **extra,
        )

    return call


def error_of(answer):
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "type", "id"}
    assert error["id"] == answer["X-Request-Id"]
    return answer.status_code, error["code"]


# v2-sms §13.1
def test_a_message_is_accepted_and_shown_as_the_contract_says(call, campaign):
    answer = call("post", body=GOOD)

    assert answer.status_code == 201
    shown = answer.json()
    message = Message.objects.get()
    assert TIMESTAMP(shown.pop("createdAt"))
    assert TIMESTAMP(shown.pop("updatedAt"))
    assert shown == {
        "id": message.public_id,
        "recipient": "6581230001",
        "values": GOOD["values"],
        "fullMessage": "Ministry of Health\n\n---\n\nDear Mei Ling, see you at Clementi Clinic."
        "\n\n---\n\nAutomated message from the Singapore Government. Do not reply.",
        "latestStatus": "created",
        "templateBodyId": str(campaign.bodies["english"].id),
        "campaignId": campaign.public_id,
        "language": "english",
        "creatorId": campaign.creator.public_id,
    }


def test_its_status_can_be_read_with_every_attempt(call, campaign):
    sent = call("post", body=GOOD).json()
    claiming.claim(None)
    report(Message.objects.get().attempts.get(), "undelivered", "30003")
    receipts.apply_events()

    answer = call("get", f"/{sent['id']}")

    assert answer.status_code == 200
    shown = answer.json()
    assert shown["latestStatus"] == "failure"
    assert shown["batches"] == []
    assert shown["creatorEmail"] == f"{campaign.public_id}@localhost"
    assert shown["templateBody"]["body"] == "Dear {{name}}, see you at {{clinic}}."
    [attempt] = shown["attempts"]
    assert TIMESTAMP(attempt.pop("createdAt"))
    assert attempt == {
        "status": "failure",
        "error": {"type": "delivery_error", "code": "recipient_unavailable"},
    }


def test_an_unheard_outcome_is_still_being_sent_for_v2(call, sandbox):
    sent = call("post", body=GOOD).json()
    claiming.claim(None)
    Message.objects.get().attempts.update(lease_until="2020-01-01T00:00Z")
    leases.sweep()

    assert call("get", f"/{sent['id']}").json()["latestStatus"] == "sending"


def test_a_batch_message_names_its_batch(call, campaign):
    batch = accepted_batch(campaign, 1)

    [shown] = call("get", f"/{Message.objects.get().public_id}").json()["batches"]

    assert shown["id"] == batch.public_id
    assert shown["status"] == "messages_enqueued"
    assert shown["totalMessages"] == 1
    assert shown["BatchMessage"]["batchId"] == batch.public_id


# v2-sms §13.5
def test_without_a_key_it_asks_for_one(call):
    assert error_of(call("post", body=GOOD, secret="")) == (401, "authentication_required")


@pytest.mark.parametrize("secret", ["key_live_wrong", "nonsense", "\x00"])
def test_a_wrong_key_is_refused(call, secret):
    assert error_of(call("post", body=GOOD, secret=secret)) == (401, "invalid_api_key_provided")


# v2-sms §13.5
def test_a_key_of_another_campaign_is_refused(call, campaign):
    other = CampaignFactory()
    AllowedAddress.objects.create(campaign=other, address="127.0.0.1")
    _, secret = ApiKey.issue(campaign=other, creator=other.creator)

    answer = call("post", body=GOOD, secret=secret)

    assert error_of(answer) == (401, "invalid_api_key_provided")
    assert not Message.objects.exists()


def test_a_deleted_key_stops_at_once(call):
    ApiKey.objects.all().delete()

    assert error_of(call("post", body=GOOD)) == (401, "invalid_api_key_provided")


def test_a_deleted_campaign_answers_as_for_a_wrong_key(call, campaign):
    campaign.deleted_at = campaign.created_at
    campaign.save()

    assert error_of(call("post", body=GOOD)) == (401, "invalid_api_key_provided")


# v2-sms §13.5
def test_an_address_that_is_not_allowed_is_a_400(call):
    answer = call("post", body=GOOD, REMOTE_ADDR="203.0.113.9")

    assert error_of(answer) == (400, "invalid_ip_address_used")


def test_a_caller_cannot_choose_its_own_address(call):
    answer = call("post", body=GOOD, REMOTE_ADDR="203.0.113.9", HTTP_X_FORWARDED_FOR="127.0.0.1")

    assert error_of(answer) == (400, "invalid_ip_address_used")


def test_our_own_proxy_says_who_calls(call, settings, campaign):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    AllowedAddress.objects.create(campaign=campaign, address="203.0.113.9")

    answer = call(
        "post",
        body=GOOD,
        REMOTE_ADDR="10.1.2.3",
        HTTP_X_FORWARDED_FOR="127.0.0.1, 203.0.113.9, 10.9.9.9",
    )

    assert answer.status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        GOOD | {"recipient": "+6581230001"},
        GOOD | {"recipient": {"value": "x"}},
        GOOD | {"language": "tamil"},
        GOOD | {"values": {"name": "A"}},
        GOOD | {"values": {"name": "A\x00", "clinic": "B"}},
        "{",
        '"text"',
        b"\xff\xfe",
    ],
)
def test_bad_input_is_our_envelope_and_stores_nothing(call, body):
    assert error_of(call("post", body=body)) == (400, "parameter_invalid")
    assert not Message.objects.exists()


@pytest.mark.parametrize("path", ["/message_nonsense", "/message_" + "0" * 36, "/batch_1"])
def test_an_unknown_message_is_a_404(call, path):
    assert error_of(call("get", path)) == (404, "resource_not_found")


def test_a_message_of_another_campaign_does_not_exist(call, sandbox):
    other = CampaignFactory()
    AllowedAddress.objects.create(campaign=other, address="127.0.0.1")
    stranger = Message.objects.create(
        campaign=other,
        template_body=other.bodies["english"],
        creator=other.creator,
        recipient="6581230001",
        values={"name": "A", "clinic": "B"},
        segments=1,
    )

    assert error_of(call("get", f"/{stranger.public_id}")) == (404, "resource_not_found")


# v2-sms §13.5
def test_an_unknown_address_of_the_api_is_an_invalid_path(client):
    assert error_of(client.get("/api/v2/nothing")) == (404, "invalid_path")


def test_another_content_type_is_refused(call, client, campaign, key):
    answer = client.post(
        f"/api/v2/campaigns/{campaign.public_id}/messages",
        "recipient=1",
        content_type="text/plain",
        headers={"Authorization": f"Bearer {key}"},
    )

    assert error_of(answer) == (415, "unsupported_media_type")


def test_sending_one_asks_the_database_twice(call):
    """Who calls, and from where; then the message with its counters."""
    call("post", body=GOOD)

    with CaptureQueriesContext(connection) as queries:
        call("post", body=GOOD)

    assert len(queries) == 2


def test_reading_one_asks_the_database_twice(call):
    sent = call("post", body=GOOD).json()["id"]

    with CaptureQueriesContext(connection) as queries:
        call("get", f"/{sent}")

    assert len(queries) == 2


@pytest.mark.parametrize(
    "body",
    [
        "[" * 200_000 + "]" * 200_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"recipient": "6581230001", "language": "english", "values": {"\\ud800": "x"}}',
        '{"recipient": "\\ud83d", "language": "english", "values": {}}',
        b'{"recipient": "\xff"}',
    ],
    ids=["deep list", "deep object", "half a name", "half a value", "not UTF-8"],
)
def test_json_that_nobody_can_store_is_a_400(call, body):
    assert error_of(call("post", body=body)) == (400, "parameter_invalid")
    assert not Message.objects.exists()


def test_a_pair_of_surrogates_is_one_character(call):
    body = (
        '{"recipient": "6581230001", "language": "english",'
        ' "values": {"name": "Mei \\u5149", "clinic": "\\ud83d\\ude00"}}'
    )

    assert "half" not in call("post", body=body).content.decode()


def test_a_body_over_the_limit_is_refused_unread(call, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    body = {**GOOD, "values": {"name": "x" * 1_000, "clinic": "Bedok"}}

    assert error_of(call("post", body=body)) == (413, "payload_too_large")
