"""Clients' systems are told what became of their messages: signed, in order, for three days."""

import json
from collections import defaultdict
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest
import time_machine
from django.utils import timezone

from campaigns.membership import NotAnOwner
from campaigns.models import Role
from messaging import receipts, tasks, webhooks
from messaging.delivery.pipeline import send_chunk
from messaging.models import (
    Attempt,
    Message,
    Webhook,
    WebhookDelivery,
    WebhookTry,
)
from messaging.sending import retrying
from postman.errors import Refused
from tests.factories import CampaignFactory
from tests.messaging.builders import accepted_batch, report, single
from tests.server import serving

pytestmark = pytest.mark.django_db


class Receiver:
    """A client's server that answers as a test has it, and remembers what it took."""

    def __init__(self):
        self.status, self.location, self.refuses = 200, None, ()
        self.heard, self.taken = [], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.answer(dict(self.headers), body)
                self.send_response(status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"told")

            def log_message(self, *args):
                pass

        self.server = serving(Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/events"

    def answer(self, headers, body):
        headers = {name.lower(): value for name, value in headers.items()}
        event = json.loads(body)
        self.heard.append((headers, body))
        if event["data"].get("messageId") in self.refuses:
            return 500
        if self.status < 300:
            self.taken.append((headers, body))
        return self.status

    def statuses(self):
        """Message → what was said of it, in the order in which it was taken."""
        said = defaultdict(list)
        for _, body in self.taken:
            data = json.loads(body)["data"]
            said[data["messageId"]].append(data["status"])
        return dict(said)


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def added(campaign, receiver):
    return webhooks.add_webhook(campaign=campaign, url=receiver.url, by=campaign.creator)


@pytest.fixture
def webhook(added):
    return added[0]


def serve(at=None):
    """What each second's tick rings for."""
    for webhook_id in webhooks.to_be_served(timezone.now()):
        webhooks.serve(webhook_id, seconds=30)


def sent_message(campaign):
    message = single(campaign)
    send_chunk(None)
    return message


def deliver(message, *kinds):
    attempt = message.attempts.select_related("message").latest("number")
    for kind in kinds:
        report(attempt, kind, "30003" if kind == "undelivered" else "")
        receipts.apply_events()


# What is told ------------------------------------------------------------------------------


def test_each_change_of_a_message_is_told_once_and_in_order(campaign, webhook, receiver, sandbox):
    message = sent_message(campaign)
    serve()
    deliver(message, "sent", "delivered")
    serve()
    serve()

    assert receiver.statuses() == {message.public_id: ["sent", "sent_to_telco", "success"]}
    assert WebhookDelivery.objects.filter(state="delivered", tries=1).count() == 3


def test_an_event_says_what_happened_and_nothing_of_the_person(
    campaign, webhook, receiver, sandbox
):
    message = sent_message(campaign)
    deliver(message, "undelivered")
    serve()

    body = receiver.taken[-1][1]
    event = json.loads(body)
    assert datetime.fromisoformat(event.pop("timestamp")).utcoffset() == timedelta(hours=8)
    assert event == {
        "type": "message.status",
        "data": {
            "messageId": message.public_id,
            "campaignId": campaign.public_id,
            "batchId": None,
            "attempt": 1,
            "status": "failure",
            "error": {"type": "delivery_error", "code": "recipient_unavailable"},
        },
    }
    for _, told in receiver.taken:
        assert message.recipient.encode() not in told
        assert b"Mei Ling" not in told


def test_messages_of_a_batch_name_their_batch(campaign, webhook, receiver, sandbox):
    batch = accepted_batch(campaign, 2)
    send_chunk(batch.id)
    serve()

    assert {json.loads(body)["data"]["batchId"] for _, body in receiver.taken} == {batch.public_id}


def test_other_campaigns_are_not_told_of(campaign, webhook, receiver, officer, sandbox):
    other = CampaignFactory(creator=officer, bodies={"english": "{{name}} at {{clinic}}"})
    sent_message(other)
    serve()

    assert receiver.heard == []
    assert not WebhookDelivery.objects.exists()


def test_a_retry_is_told_as_the_next_attempt(campaign, webhook, receiver, sandbox):
    message = sent_message(campaign)
    deliver(message, "undelivered")
    retrying.retry_message(campaign, message.id, by=campaign.creator)
    send_chunk(None)
    serve()

    told = [json.loads(body)["data"] for _, body in receiver.taken]
    assert [(event["attempt"], event["status"]) for event in told] == [
        (1, "sent"),
        (1, "failure"),
        (2, "sent"),
    ]


# Signed ------------------------------------------------------------------------------------


def is_signed_with(secret, headers, body):
    signature = webhooks.signature(
        secret, headers["webhook-id"], headers["webhook-timestamp"], body
    )
    return signature in headers["webhook-signature"].split()


def test_the_signature_is_that_of_the_specification():
    """The example that the Standard Webhooks specification gives."""
    signature = webhooks.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        b'{"test": 2432232314}',
    )

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_every_event_is_signed(added, campaign, receiver, sandbox):
    _, secret = added
    sent_message(campaign)
    serve()

    [(headers, body)] = receiver.taken
    assert is_signed_with(secret, headers, body)
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60


def test_after_a_rotation_both_secrets_sign_for_a_day(added, campaign, receiver, sandbox):
    webhook, old = added
    new = webhooks.rotate_secret(webhook, by=campaign.creator)
    webhooks.send_test(webhook, by=campaign.creator)
    serve()
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        webhooks.send_test(webhook, by=campaign.creator)
        serve()

    first, second = receiver.taken
    assert is_signed_with(old, *first)
    assert is_signed_with(new, *first)
    assert not is_signed_with(old, *second)
    assert is_signed_with(new, *second)


def test_a_secret_is_not_stored_as_it_is(added):
    webhook, secret = added

    assert webhook.secret == secret
    raw = Webhook.objects.extra(select={"raw": "secret"}).values_list("raw", flat=True).get()
    assert secret.encode() not in bytes(raw)


# Again and again ---------------------------------------------------------------------------


def test_a_receiver_that_was_down_for_a_day_gets_everything_once_and_in_order(
    added, campaign, receiver, sandbox
):
    """The whole day passes in ticks; messages go on being sent and reported on all the while."""
    _, secret = added
    receiver.status = 503
    began = timezone.now()
    messages = []
    for minute in range(0, 24 * 60, 10):
        with time_machine.travel(began + timedelta(minutes=minute)):
            if minute % 60 == 0:
                batch = accepted_batch(campaign, 4)
                send_chunk(batch.id)
                messages += Message.objects.filter(batch=batch).order_by("id")
            elif minute % 60 == 30:
                for message in messages[-4:]:
                    deliver(message, "sent", "delivered")
            serve()
    assert receiver.taken == []
    assert len(receiver.heard) < 250

    receiver.status = 200
    with time_machine.travel(began + timedelta(hours=24, minutes=15)):
        for _ in range(5):
            serve()

    story = ["sent", "sent_to_telco", "success"]
    assert receiver.statuses() == {message.public_id: story for message in messages}
    assert len(receiver.taken) == len(messages) * 3 == 288
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 288
    assert all(is_signed_with(secret, *event) for event in receiver.taken)


def test_a_repeated_event_has_the_same_id_and_the_same_bytes(campaign, webhook, receiver, sandbox):
    receiver.status = 500
    sent_message(campaign)
    serve()
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        serve()

    (first, body), (again, same) = receiver.heard
    assert first["webhook-id"] == again["webhook-id"]
    assert body == same


def test_one_event_that_is_not_taken_does_not_hold_up_other_messages(
    campaign, webhook, receiver, sandbox
):
    poison, *others = [sent_message(campaign) for _ in range(4)]
    receiver.refuses = (poison.public_id,)
    deliver(poison, "delivered")
    serve()

    assert receiver.statuses() == {message.public_id: ["sent"] for message in others}
    assert Webhook.objects.get().failures == 0

    receiver.refuses = ()
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        serve()
    assert receiver.statuses()[poison.public_id] == ["sent", "success"]


def test_an_event_that_fails_alone_does_not_hold_up_those_that_come_after_it(
    campaign, webhook, receiver, sandbox
):
    poison = sent_message(campaign)
    receiver.refuses = (poison.public_id,)
    began = timezone.now()
    for minute in range(0, 60, 5):
        with time_machine.travel(began + timedelta(minutes=minute)):
            serve()
    assert len(receiver.heard) < 12

    with time_machine.travel(began + timedelta(hours=1)):
        message = sent_message(campaign)
        serve()

    assert receiver.statuses() == {message.public_id: ["sent"]}


def test_events_that_are_never_taken_do_not_stand_for_the_others_for_ever(
    campaign, webhook, receiver, sandbox
):
    receiver.refuses = [sent_message(campaign).public_id for _ in range(3)]
    serve()
    message = sent_message(campaign)

    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        serve()

    assert receiver.statuses() == {message.public_id: ["sent"]}


def test_trying_again_now_sends_what_was_to_wait(campaign, webhook, receiver, sandbox):
    receiver.status = 500
    message = sent_message(campaign)
    serve()
    receiver.status = 200
    serve()
    assert receiver.taken == []

    webhooks.resume_webhook(webhook, by=campaign.creator)
    serve()

    assert receiver.statuses() == {message.public_id: ["sent"]}


def test_a_receiver_that_is_down_is_tried_with_one_event(campaign, webhook, receiver, sandbox):
    for _ in range(5):
        sent_message(campaign)
    receiver.status = 500
    serve()
    assert len(receiver.heard) == 5

    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        serve()

    assert len(receiver.heard) == 6


def test_one_process_serves_a_webhook_at_a_time(campaign, webhook, receiver, sandbox):
    sent_message(campaign)
    Webhook.objects.update(lease_until=timezone.now() + timedelta(seconds=30))

    webhooks.serve(webhook.id, seconds=30)
    assert receiver.heard == []

    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        serve()
    assert len(receiver.taken) == 1


def test_after_three_days_an_event_is_given_up_and_can_be_replayed(
    campaign, webhook, receiver, sandbox
):
    message = sent_message(campaign)
    receiver.status = 500
    with time_machine.travel(timezone.now() + timedelta(days=3, minutes=1)):
        assert webhooks.give_up_old_ones(timezone.now()) == 1
        serve()
        assert receiver.heard == []
        receiver.status = 200

        assert webhooks.replay(webhook, by=campaign.creator) == 1
        serve()

    assert receiver.statuses() == {message.public_id: ["sent"]}


def test_one_delivered_event_can_be_replayed(campaign, webhook, receiver, sandbox):
    sent_message(campaign)
    serve()

    webhooks.replay(webhook, by=campaign.creator, delivery_id=WebhookDelivery.objects.get().id)
    serve()

    assert [h["webhook-id"] for h, _ in receiver.taken] == [
        WebhookDelivery.objects.get().public_id
    ] * 2


def test_a_receiver_that_is_gone_is_not_called_again(campaign, webhook, receiver, sandbox):
    receiver.status = 410
    sent_message(campaign)
    serve()
    serve()

    webhook.refresh_from_db()
    assert (len(receiver.heard), webhook.pause) == (1, "gone")


def test_a_receiver_that_fails_for_three_days_is_paused(campaign, webhook, receiver, sandbox):
    receiver.status = 500
    began = timezone.now()
    for hours in (0, 24, 48, 73):
        with time_machine.travel(began + timedelta(hours=hours)):
            webhooks.send_test(webhook, by=campaign.creator)
            serve()

    webhook.refresh_from_db()
    assert webhook.pause == "failing"

    webhooks.resume_webhook(webhook, by=campaign.creator)
    receiver.status = 200
    with time_machine.travel(began + timedelta(hours=74)):
        serve()
    assert receiver.taken


def test_a_paused_webhook_waits_and_loses_nothing(campaign, webhook, receiver, sandbox):
    webhooks.pause_webhook(webhook, by=campaign.creator)
    message = sent_message(campaign)
    serve()
    assert receiver.heard == []

    webhooks.resume_webhook(webhook, by=campaign.creator)
    serve()

    assert receiver.statuses() == {message.public_id: ["sent"]}


def test_every_try_is_kept_with_what_the_receiver_said(campaign, webhook, receiver, sandbox):
    receiver.status = 500
    sent_message(campaign)
    serve()

    row = WebhookTry.objects.get()
    assert (row.status, row.excerpt, row.fault) == (500, "told", "")


def test_a_server_that_is_not_there_is_told_in_plain_words(campaign, webhook, receiver, sandbox):
    Webhook.objects.update(url="http://127.0.0.1:9/events")
    sent_message(campaign)
    serve()

    assert WebhookTry.objects.get().fault == "The server could not be reached."


def test_the_log_is_kept_for_a_month(campaign, webhook, receiver, sandbox):
    sent_message(campaign)
    serve()
    with time_machine.travel(timezone.now() + timedelta(days=29)):
        tasks.forget()
        assert WebhookTry.objects.exists()
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        tasks.forget()

    assert not WebhookTry.objects.exists()
    assert not WebhookDelivery.objects.exists()


def test_deleting_a_webhook_takes_its_log_along(campaign, webhook, receiver, sandbox):
    sent_message(campaign)
    serve()

    webhooks.delete_webhook(webhook, by=campaign.creator)
    tasks.forget_webhook(str(webhook.id))

    assert not Webhook.objects.exists()
    assert not WebhookDelivery.objects.exists()
    assert not WebhookTry.objects.exists()
    assert Attempt.objects.exists()


# Where events may go -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[::ffff:127.0.0.1]:{port}/"],
)
def test_an_address_inside_a_network_is_refused_at_the_moment_of_connecting(
    campaign, webhook, receiver, sandbox, settings, url
):
    """The name is looked up anew each time, so it does not help that it once led elsewhere."""
    Webhook.objects.update(url=url.format(port=receiver.server.server_port))
    settings.WEBHOOKS_MAY_GO_INSIDE = False
    sent_message(campaign)
    serve()

    assert receiver.heard == []
    assert WebhookTry.objects.get().fault == "The address leads inside a network. Nothing was sent."


def test_a_redirect_is_not_followed(campaign, webhook, receiver, sandbox):
    other = Receiver()
    receiver.status, receiver.location = 307, other.url
    sent_message(campaign)
    serve()

    other.server.shutdown()
    other.server.server_close()
    assert (len(receiver.heard), other.heard) == (1, [])
    assert WebhookDelivery.objects.get().state == "waiting"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("203.0.113.7", False),  # documentation
        ("8.8.8.8", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("2404:6800:4003:c00::65", True),
    ],
)
def test_only_hosts_on_the_internet_are_public(address, public):
    assert webhooks.is_public(address) is public


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.gov.sg/", "url_is_not_https"),
        ("ftp://example.gov.sg/", "url_is_not_https"),
        ("https:///events", "url_is_not_https"),
        ("https://example.gov.sg:22/", "url_has_another_port"),
        ("https://example.gov.sg:99999/", "url_is_malformed"),
        ("https://user:pass@example.gov.sg/", "url_holds_credentials"),
        ("https://127.0.0.1/", "url_is_not_public"),
        ("https://[::1]/", "url_is_not_public"),
        ("https://intranet/", "url_is_not_public"),
        ("https://example.gov.sg/" + "x" * 500, "url_is_not_https"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_when_it_is_typed(campaign, settings, url, code):
    settings.WEBHOOKS_MAY_GO_INSIDE = False

    with pytest.raises(Refused) as refused:
        webhooks.add_webhook(campaign=campaign, url=url, by=campaign.creator)

    assert refused.value.code == code
    assert not Webhook.objects.exists()


def test_a_campaign_has_three_webhooks_and_each_address_once(campaign, settings):
    add = lambda n: webhooks.add_webhook(  # noqa: E731
        campaign=campaign, url=f"https://example.gov.sg/{n}", by=campaign.creator
    )
    for n in range(3):
        add(n)

    with pytest.raises(Refused) as refused:
        add(3)
    assert refused.value.code == "too_many_webhooks"
    Webhook.objects.filter(url__endswith="2").delete()
    with pytest.raises(Refused) as refused:
        add(0)
    assert refused.value.code == "webhook_exists"


@pytest.mark.parametrize(
    "decide",
    [
        webhooks.pause_webhook,
        webhooks.resume_webhook,
        webhooks.rotate_secret,
        webhooks.delete_webhook,
    ],
)
def test_who_stopped_being_an_owner_decides_nothing_more(campaign, webhook, decide):
    campaign.memberships.filter(user=campaign.creator).update(role=Role.MEMBER)

    with pytest.raises(NotAnOwner):
        decide(webhook, by=campaign.creator)

    assert Webhook.objects.get().paused_at is None
