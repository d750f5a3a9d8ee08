"""What docs/webhooks.md and the OpenAPI document say of webhooks, held against what is posted."""

import json
import re
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone
from jsonschema import Draft202012Validator

from messaging import receipts, webhooks
from messaging.delivery.pipeline import send_chunk
from messaging.models import Webhook
from messaging.states import TOLD, Status
from postman.api.docs import document
from tests.messaging.builders import report, single

pytestmark = pytest.mark.django_db

GUIDE = (settings.BASE_DIR / "docs" / "webhooks.md").read_text()


@pytest.fixture
def added(campaign, sandbox):
    url = f"{sandbox.url}/webhooks/guide"
    return webhooks.add_webhook(campaign=campaign, url=url, by=campaign.creator)


def taken(webhook, sandbox):
    """The events that the receiver has after one round, oldest first: headers and body of each."""
    webhooks.serve(webhook.pk, seconds=5)
    return [
        (
            {
                "webhook-id": event["id"],
                "webhook-timestamp": event["timestamp"],
                "webhook-signature": event["signatures"],
            },
            event["body"].encode(),
        )
        for event in sandbox.get("/webhooks.json?name=guide")["events"][::-1]
    ]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def is_from_postman(*arguments):
    snippet = {}
    [code] = blocks("python")
    exec(code, snippet)
    return snippet["is_from_postman"](*arguments)


def test_the_snippet_takes_what_postman_posts_and_nothing_else(added, campaign, sandbox):
    webhook, secret = added
    webhooks.send_test(webhook, by=campaign.creator)
    [(headers, body)] = taken(webhook, sandbox)

    assert is_from_postman(secret, headers, body)
    assert not is_from_postman(secret, headers, body + b" ")
    assert not is_from_postman("whsec_" + "0" * 44, headers, body)
    assert not is_from_postman(secret, {**headers, "webhook-id": "evt_other"}, body)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert not is_from_postman(secret, headers, body)


def test_after_a_change_the_snippet_takes_events_with_either_secret(added, campaign, sandbox):
    webhook, earlier = added
    new = webhooks.rotate_secret(webhook, by=campaign.creator)
    webhooks.send_test(webhook, by=campaign.creator)
    [event] = taken(webhook, sandbox)

    assert is_from_postman(earlier, *event)
    assert is_from_postman(new, *event)


def test_the_examples_have_the_shape_of_what_is_posted(added, campaign, sandbox):
    webhook, _ = added
    message = single(campaign)
    send_chunk(None)
    report(message.attempts.get(), "undelivered", "30003")
    receipts.apply_events()
    webhooks.send_test(webhook, by=campaign.creator)
    for _ in range(2):
        bodies = [json.loads(body) for _, body in taken(webhook, sandbox)]
    failed = next(body for body in bodies if body["data"].get("status") == "failure")

    example = json.loads(blocks("json")[0])
    assert shape_of(example) == shape_of(failed)
    for body in [*bodies, example]:
        described(body["type"]).validate(body)


def shape_of(value):
    return {k: shape_of(v) for k, v in value.items()} if isinstance(value, dict) else type(value)


def described(kind):
    content = document()["webhooks"][kind]["post"]["requestBody"]["content"]
    return Draft202012Validator(content["application/json"]["schema"])


@pytest.mark.parametrize("kind", ["message.status", "webhook.test"])
def test_the_examples_of_the_openapi_document_are_what_it_describes(kind):
    content = document()["webhooks"][kind]["post"]["requestBody"]["content"]

    described(kind).validate(content["application/json"]["examples"]["event"]["value"])


def test_the_guide_names_the_states_that_are_told_and_the_limits_that_hold():
    told = [name for name in Status.values if f"| `{name}` |" in GUIDE]

    assert told == list(TOLD)
    assert webhooks.TIMEOUT.total == 10
    assert timedelta(hours=24) == webhooks.ROTATION
    assert timedelta(days=3) == Webhook.TRIED_FOR
    assert timedelta(days=30) == webhooks.KEPT_FOR
    assert (webhooks.PORTS, webhooks.MAX_WEBHOOKS) == ((443, 8443), 3)
    assert "within 10 seconds" in GUIDE
