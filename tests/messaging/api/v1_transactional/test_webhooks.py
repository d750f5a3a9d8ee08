"""An account is told, in v1's words, what becomes of what its systems send (v1-web-app §21)."""

import json
import re

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from campaigns.membership import NotAnOwner
from messaging import receipts, v1_words, webhooks
from messaging.channels.base import Event
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Suppression, Webhook, WebhookDelivery
from postman.errors import Refused
from tests.factories import CampaignFactory, UserFactory
from tests.messaging.builders import single

pytestmark = pytest.mark.django_db

GUIDE = (settings.BASE_DIR / "docs" / "webhooks.md").read_text()


@pytest.fixture
def added(account, sandbox):
    return webhooks.add_webhook(url=f"{sandbox.url}/webhooks/account", by=account)


@pytest.fixture
def webhook(added):
    return added[0]


@pytest.fixture
def taken(sandbox):
    """What a server took in the rounds that are due, oldest first."""

    def taken(name="account"):
        while due := webhooks.to_be_served(timezone.now()):
            for webhook_id in due:
                webhooks.serve(webhook_id, seconds=5)
        return sandbox.get(f"/webhooks.json?name={name}")["events"][::-1]

    return taken


@pytest.fixture
def send(post):
    """Have a message taken by its provider; answers its number."""

    def send(kind, **fields):
        number = post(kind, **fields).json()["id"]
        send_chunk(None)
        return number

    return send


def tell(provider, number, status, code=""):
    attempt = Attempt.objects.get(message__transactional=number)
    event = Event(
        f"{attempt.id}{status}{code}", attempt.reference, attempt.id, status, code, {},
        timezone.now(),
    )  # fmt: skip
    receipts.keep_events([(provider, attempt.id, event)])
    receipts.apply_events()


def data_of(events):
    return [json.loads(event["body"])["data"] for event in events]


def statuses(events):
    return [data["status"] for data in data_of(events)]


# What is told ------------------------------------------------------------------------------


def test_each_change_of_an_email_is_told_as_it_can_be_read(added, send, get, taken, email):
    number = send(email, tag="feb-visits")
    told, read = [], []
    for status, code in (
        ("Send", ""),
        ("Delivery", ""),
        ("Open", ""),
        ("Bounce", "Transient/MailboxFull"),
        ("Bounce", "Permanent/NoEmail"),
        ("Complaint", "abuse/OnAccountSuppressionList"),
    ):
        tell("ses", number, status, code)
        told = data_of(taken())
        shown = get(f"{email.path}/{number}")
        read.append({name: shown[name] for name in told[-1] if name != "channel"})

    assert [each | {"channel": "email"} for each in read] == told
    assert [(each["status"], each["error_code"], each["error_sub_type"]) for each in told] == [
        ("SENT", None, None),
        ("DELIVERED", None, None),
        ("OPENED", None, None),
        ("BOUNCED", "Soft bounce", "MailboxFull"),
        ("BOUNCED", "Hard bounce", "NoEmail"),
        ("COMPLAINT", "abuse", "OnAccountSuppressionList"),
    ]
    assert {(each["id"], each["tag"]) for each in told} == {(number, "feb-visits")}


def test_an_sms_that_failed_is_told_with_the_code_that_can_be_read(webhook, send, get, taken, sms):
    number = send(sms)
    tell("twilio", number, "undelivered", "30003")

    assert data_of(taken()) == [
        {
            "id": number,
            "channel": "sms",
            "status": "ERROR",
            "error_code": get(f"{sms.path}/{number}")["error_code"],
            "error_sub_type": None,
            "tag": None,
        }
    ]


@pytest.mark.parametrize(
    ("reports", "told"),
    [
        ([("sent", ""), ("delivered", ""), ("read", "")], ["SENT", "DELIVERED", "READ"]),
        ([("failed", "131026")], ["INVALID_RECIPIENT"]),
        ([("failed", "131000")], ["ERROR"]),
    ],
)
def test_a_whatsapp_message_is_told_as_it_can_be_read(
    webhook, send, get, taken, govsg, reports, told
):
    number = send(govsg)
    for status, code in reports:
        tell("whatsapp", number, status, code)

    events = data_of(taken())

    shown = get(f"{govsg.path}/{number}")
    assert [each["status"] for each in events] == told
    assert events[-1] == {
        "id": number,
        "channel": "govsg",
        "status": shown["status"],
        "error_code": shown["error_code"],
        "error_sub_type": None,
        "tag": None,
    }


def test_an_email_whose_recipient_bounced_since_the_call_is_told_as_unsent(
    webhook, post, get, taken, email
):
    number = post(email).json()["id"]
    Suppression.objects.create(recipient="pat@example.org", reason="hard_bounce")
    send_chunk(None)

    [data] = data_of(taken())

    shown = get(f"{email.path}/{number}")
    assert (data["status"], data["error_code"]) == ("UNSENT", "Error 400: Blacklisted recipient")
    assert (data["status"], data["error_code"]) == (shown["status"], shown["error_code"])


def test_a_report_that_comes_late_or_twice_is_not_told(webhook, send, taken, email):
    number = send(email)
    for status in ("Open", "Delivery", "Send", "Open"):
        tell("ses", number, status)

    assert statuses(taken()) == ["OPENED"]


def test_an_event_is_signed_and_says_nothing_of_the_person(added, send, taken, email):
    _, secret = added
    number = send(email)
    tell("ses", number, "Delivery")

    [event] = taken()

    body = event["body"].encode()
    assert webhooks.signature(secret, event["id"], event["timestamp"], body) == event["signatures"]
    assert json.loads(body).keys() == {"type", "timestamp", "data"}
    assert json.loads(body)["type"] == "message.status"
    for personal in (b"pat@example.org", b"Visit", b"Hi"):
        assert personal not in body


def test_a_replayed_event_has_the_same_id_and_the_same_bytes(webhook, account, send, taken, email):
    number = send(email, tag="feb-visits")
    tell("ses", number, "Bounce", "Transient/MailboxFull")
    taken()
    tell("ses", number, "Complaint", "abuse")
    taken()

    first = WebhookDelivery.objects.order_by("id").first()
    webhooks.replay(webhook, by=account, delivery_id=first.id)

    bounced, complained, again = taken()
    assert (again["id"], again["body"]) == (bounced["id"], bounced["body"])
    assert complained["id"] != bounced["id"]


def test_a_test_event_speaks_of_no_message(webhook, account, taken):
    webhooks.send_test(webhook, by=account)

    [event] = taken()

    assert json.loads(event["body"])["type"] == "webhook.test"
    assert data_of([event]) == [{}]


# Whom ---------------------------------------------------------------------------------------


def test_only_the_account_that_sent_it_is_told(webhook, send, taken, email, sandbox, account):
    other, _ = webhooks.add_webhook(url=f"{sandbox.url}/webhooks/other", by=UserFactory())
    campaign = CampaignFactory(creator=account)
    of_campaign, _ = webhooks.add_webhook(
        campaign=campaign, url=f"{sandbox.url}/webhooks/campaign", by=account
    )

    tell("ses", send(email), "Delivery")

    assert statuses(taken()) == ["DELIVERED"]
    assert taken("other") == taken("campaign") == []
    assert not other.deliveries.exists()
    assert not of_campaign.deliveries.exists()


def test_what_an_officers_campaigns_send_is_not_told_to_their_account(
    webhook, account, taken, sandbox
):
    campaign = CampaignFactory(creator=account, bodies={"english": "{{name}} at {{clinic}}"})
    message = single(campaign)
    send_chunk(None)

    assert message.attempts.get().status == "sent"
    assert taken() == []


def test_an_account_that_was_switched_off_is_told_nothing(webhook, account, send, taken, email):
    tell("ses", send(email), "Delivery")
    type(account).objects.update(is_active=False)
    assert taken() == []

    type(account).objects.update(is_active=True)
    assert statuses(taken()) == ["DELIVERED"]


def test_no_webhook_means_no_event(send, email):
    tell("ses", send(email), "Delivery")

    assert not WebhookDelivery.objects.exists()


# What may be decided ------------------------------------------------------------------------


def test_an_account_has_three_webhooks_and_each_address_once(account, sandbox):
    for number in range(3):
        webhooks.add_webhook(url=f"{sandbox.url}/{number}", by=account)

    with pytest.raises(Refused) as refused:
        webhooks.add_webhook(url=f"{sandbox.url}/3", by=account)
    assert refused.value.message == "An account can have 3 webhooks. Delete one first."
    Webhook.objects.filter(url__endswith="2").delete()
    with pytest.raises(Refused) as refused:
        webhooks.add_webhook(url=f"{sandbox.url}/0", by=account)
    assert refused.value.code == "webhook_exists"
    # Another account has its own three.
    assert webhooks.add_webhook(url=f"{sandbox.url}/0", by=UserFactory())


@pytest.mark.parametrize(
    "decide",
    [
        webhooks.pause_webhook,
        webhooks.resume_webhook,
        webhooks.rotate_secret,
        webhooks.delete_webhook,
    ],
)
def test_nobody_else_decides_on_an_accounts_webhook(webhook, decide):
    with pytest.raises(NotAnOwner):
        decide(webhook, by=UserFactory())

    assert Webhook.objects.get().paused_at is None


def test_a_webhook_belongs_to_a_campaign_or_to_an_account(webhook, account):
    campaign = CampaignFactory(creator=account)
    for owners in ({"account": None}, {"campaign": campaign}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Webhook.objects.update(**owners)


# The guide ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "words", "untold"),
    [
        ("email", v1_words.EMAIL, {"ACCEPTED"}),
        ("sms", v1_words.SMS, {"ACCEPTED", "UNSENT"}),
        ("govsg", v1_words.GOVSG, {"ACCEPTED", "UNSENT", "DELETED"}),
    ],
)
def test_the_guide_names_the_statuses_that_are_told_of_each_channel(channel, words, untold):
    [row] = re.findall(rf"^\| `{channel}` \|(.*)\|$", GUIDE, re.MULTILINE)

    assert set(re.findall(r"`([A-Z_]+)`", row)) == words.keys() - untold


def test_the_example_of_the_guide_has_the_shape_of_what_is_posted(webhook, send, taken, email):
    tell("ses", send(email, tag="feb-visits"), "Bounce", "Permanent/NoEmail")

    [event] = taken()

    example = json.loads(re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)[1])
    posted = json.loads(event["body"])
    assert example["data"] | {"id": posted["data"]["id"]} == posted["data"]
    assert example.keys() == posted.keys()
