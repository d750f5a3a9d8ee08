"""The door that SNS brings events of emails to, and what they do to messages."""

import json
from itertools import permutations
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from messaging import providers, receipts
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, ProviderEvent, Suppression
from messaging.sandbox.constants import SNS_TOPIC_ARN
from tests.messaging.emails import expanded, ready_batch
from tests.messaging.sns import RECIPIENT, FakeSns, ses_event

pytestmark = pytest.mark.django_db

PERSON = (RECIPIENT, {"name": "Mei Ling", "clinic": "Bedok"})


@pytest.fixture(scope="module")
def sns():
    fake = FakeSns()
    yield fake
    fake.close()


@pytest.fixture(autouse=True)
def _our_topic(sns, settings):
    email = settings.CHANNELS["email"]
    options = email["OPTIONS"] | {"topic_arns": [SNS_TOPIC_ARN], "sns_sandbox_url": sns.url}
    settings.CHANNELS = settings.CHANNELS | {"email": email | {"OPTIONS": options}}
    providers.channel_of.cache_clear()
    yield
    providers.channel_of.cache_clear()


@pytest.fixture
def attempt(email_campaign, sandbox):
    """At an email that SES has taken."""
    batch = ready_batch(
        email_campaign, PERSON, status="messages_enqueuing", accepted_at=timezone.now()
    )
    send_chunk(expanded(batch).id)
    return Attempt.objects.get()


def call(body, **headers):
    return Client(enforce_csrf_checks=True).post(
        reverse("ses-callback"), body, content_type="text/plain; charset=UTF-8", headers=headers
    )


def tell(sns, kind, attempt_id, **about):
    status = call(sns.event(kind, attempt_id, **about)).status_code
    receipts.apply_events()
    return status


def state(attempt):
    attempt.refresh_from_db()
    return attempt.status, attempt.error_code, attempt.provider_code


def test_an_email_goes_through_its_states_as_ses_tells_them(sns, attempt):
    states = []
    for kind in ("Send", "Delivery", "Open"):
        assert tell(sns, kind, attempt.id) == 204
        states.append(state(attempt))

    assert states == [("sent_to_telco", "", ""), ("success", "", ""), ("opened", "", "")]
    attempt.message.refresh_from_db()
    assert attempt.message.status == "opened"


def test_a_hard_bounce_fails_the_message_and_says_why(sns, attempt):
    tell(sns, "Bounce", attempt.id)

    assert state(attempt) == ("bounced", "hard_bounce", "Permanent/General")
    assert Suppression.objects.filter(recipient=RECIPIENT, reason="hard_bounce").exists()


@pytest.mark.parametrize("order", list(permutations(("Send", "Delivery", "Open", "Complaint"))))
def test_events_may_come_in_any_order(sns, attempt, order):
    for kind in order:
        call(sns.event(kind, attempt.id))
    receipts.apply_events()

    assert state(attempt) == ("complained", "complaint", "abuse")


def test_an_event_that_comes_again_counts_once(sns, attempt):
    event = json.dumps(ses_event("Bounce", attempt.id))

    codes = [call(sns.message(event, message_id)).status_code for message_id in ("1", "1", "2")]

    assert codes == [204, 204, 204]
    assert ProviderEvent.objects.count() == 1


def test_a_message_that_is_played_back_later_changes_nothing(sns, attempt):
    sent = sns.event("Send", attempt.id)
    call(sent)
    tell(sns, "Bounce", attempt.id)

    call(sent)
    receipts.apply_events()

    assert state(attempt)[0] == "bounced"
    assert ProviderEvent.objects.count() == 2


def test_not_spam_takes_nothing_back_and_does_no_harm(sns, attempt):
    tell(sns, "Delivery", attempt.id)
    tell(sns, "Complaint", attempt.id, complaintFeedbackType="not-spam")

    assert state(attempt) == ("success", "", "")
    assert not Suppression.objects.exists()


def test_an_attempt_whose_answer_was_lost_is_settled_by_its_events(sns, attempt):
    Attempt.objects.update(status="unknown", reference="")
    attempt.message.status = "unknown"
    attempt.message.save()

    tell(sns, "Send", attempt.id)

    assert state(attempt)[0] == "sent_to_telco"
    assert attempt.reference == "ses-1"


def test_a_bounce_of_an_email_we_never_sent_hurts_nobody(sns, attempt):
    assert tell(sns, "Bounce", uuid4()) == 204
    assert tell(sns, "Bounce", attempt.id, mail={"tags": {}}) == 204

    assert state(attempt)[0] == "sent"
    assert not Suppression.objects.exists()


def test_a_bounce_of_a_copy_is_not_kept(sns, attempt):
    copy = "copy@example.gov.sg"
    about = {"bouncedRecipients": [{"emailAddress": copy}]}

    assert tell(sns, "Bounce", attempt.id, mail={"destination": [RECIPIENT, copy]}, **about) == 204
    assert not ProviderEvent.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"Signature": "AAAA"},
        {"TopicArn": "arn:aws:sns:ap-southeast-1:999999999999:postman-emails"},
        {"SigningCertURL": "https://evil.example/cert.pem"},
        {"Timestamp": "2020-01-01T00:00:00.000Z"},
    ],
)
def test_a_forged_event_is_refused_and_kept_nowhere(sns, attempt, changes):
    event = json.dumps(ses_event("Bounce", attempt.id))

    assert call(sns.message(event, **changes)).status_code == 403
    assert not ProviderEvent.objects.exists()


def test_garbage_is_refused(sns):
    assert call(b"\x00garbage").status_code == 403
    assert call(b"").status_code == 403
    assert Client().get(reverse("ses-callback")).status_code == 405


def test_an_event_of_the_greatest_size_is_taken(sns, attempt):
    """v1 refused more than 100 kB, and SNS brings 256."""
    mail = {"headers": [{"name": "X-Long", "value": '"' * 125_000}]}

    assert tell(sns, "Delivery", attempt.id, mail=mail) == 204
    assert state(attempt)[0] == "success"


def test_a_subscription_is_confirmed(sns):
    assert call(sns.question()).status_code == 204
    assert sns.topic.is_confirmed


def test_sns_is_asked_to_come_again_where_nothing_can_be_verified(settings, attempt):
    gone = FakeSns()
    settings.CHANNELS["email"]["OPTIONS"]["sns_sandbox_url"] = gone.url
    providers.channel_of.cache_clear()
    gone.close()

    assert call(gone.event("Send", attempt.id)).status_code == 503
    assert not ProviderEvent.objects.exists()


def test_no_address_is_stored_or_logged(sns, attempt, caplog):
    for kind in ("Send", "Delivery", "Open", "Bounce", "Complaint", "DeliveryDelay", "Reject"):
        tell(sns, kind, attempt.id)
    call(sns.message("no event of SES"))

    stored = json.dumps(list(ProviderEvent.objects.values_list("raw", flat=True)))
    assert ProviderEvent.objects.count() == 7
    assert RECIPIENT not in stored + caplog.text
    assert "203.0.113.7" not in stored


@pytest.mark.django_db(transaction=True)
def test_the_whole_way_from_the_sandbox_and_back(sandbox, email_campaign, live_server, settings):
    settings.CHANNELS["email"]["OPTIONS"]["sns_sandbox_url"] = settings.SANDBOX_URL
    providers.channel_of.cache_clear()
    sandbox.control(
        sns={"endpoint": f"{live_server.url}{reverse('ses-callback')}"},
        callbacks={"delay_ms": 5, "spread_ms": 5, "opened": 0, "double": 1.0},
    )
    people = ("mei", "opens", "bounce+1", "softbounce", "complaint", "virus", "delayed", "rejected")
    values = PERSON[1]
    batch = ready_batch(
        email_campaign,
        *((f"{name}@example.gov.sg", values) for name in people),
        status="messages_enqueuing",
        accepted_at=timezone.now(),
    )

    send_chunk(expanded(batch).id)

    assert sandbox.flush() == 0
    while receipts.apply_events():
        pass
    found = dict(
        Attempt.objects.values_list("message__recipient", "status").order_by("message__row")
    )
    assert {address.partition("@")[0]: status for address, status in found.items()} == {
        "mei": "success",
        "opens": "opened",
        "bounce+1": "bounced",
        "softbounce": "soft_bounced",
        "complaint": "complained",
        "virus": "failure",
        "delayed": "success",
        "rejected": "failure",
    }
