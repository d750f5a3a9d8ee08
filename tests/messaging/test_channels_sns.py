"""What SNS brings is believed only where Amazon signed it, for a topic of ours."""

import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1

from messaging.channels.base import Callback, InvalidSignature, NotNow
from messaging.channels.ses import Ses
from messaging.channels.sns import Topics, _Key, _signed_text
from messaging.sandbox.constants import SNS_TOPIC_ARN
from tests.messaging.sns import RECIPIENT, FakeSns, ses_event

ATTEMPT = UUID("0190c0de-0000-7000-8000-000000000001")
AMAZONS = "https://sns.ap-southeast-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"


@pytest.fixture(scope="module")
def sns():
    fake = FakeSns()
    yield fake
    fake.close()


@pytest.fixture(autouse=True)
def _nothing_asked_yet(sns):
    sns.asked.clear()
    sns.answers.clear()


@pytest.fixture
def channel(sns):
    return Ses("ap-southeast-1", topic_arns=[SNS_TOPIC_ARN], sns_sandbox_url=sns.url)


def read(channel, body):
    return channel.read_events(Callback("/callbacks/ses", body=body))


# Whom to believe -----------------------------------------------------------------------------


def test_a_signed_event_is_read(channel, sns):
    [event] = read(channel, sns.event("Send", ATTEMPT))

    assert (event.attempt_id, event.reference, event.kind) == (ATTEMPT, "ses-1", "Send")
    assert event.at - datetime.now(UTC) < timedelta(minutes=1)


def test_a_certificate_is_fetched_once(channel, sns):
    for kind in ("Send", "Delivery", "Open"):
        read(channel, sns.event(kind, ATTEMPT))

    assert len(sns.asked) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"Message": json.dumps(ses_event("Bounce", ATTEMPT))},
        {"MessageId": "another"},
        {"Subject": "one that was not signed"},
        {"Timestamp": datetime.now(UTC).isoformat()},
        {"Signature": "AAAA"},
        {"Signature": "not base64!"},
        {"Signature": ""},
        {"SignatureVersion": "1"},
        {"SignatureVersion": "3"},
    ],
)
def test_what_was_changed_after_it_was_signed_is_not_believed(channel, sns, changes):
    with pytest.raises(InvalidSignature):
        read(channel, sns.message("text", **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"TopicArn": "arn:aws:sns:ap-southeast-1:999999999999:postman-emails"},
        {"TopicArn": SNS_TOPIC_ARN + "x"},
        {"TopicArn": None},
        {"SigningCertURL": "https://evil.example/cert.pem"},
        {"SigningCertURL": "http://sns.ap-southeast-1.amazonaws.com/cert.pem"},
        {"SigningCertURL": "https://sns.us-east-1.amazonaws.com/cert.pem"},
        {"SigningCertURL": "https://sns.ap-southeast-1.amazonaws.com.evil.example/cert.pem"},
        {"SigningCertURL": "https://sns.ap-southeast-1.amazonaws.com@evil.example/cert.pem"},
        {"SigningCertURL": "https://sns.ap-southeast-1.amazonaws.com:444/cert.pem"},
        {"SigningCertURL": "https://sns.ap-southeast-1.amazonaws.com/a/cert.pem"},
        {"SigningCertURL": "https://sns.ap-southeast-1.amazonaws.com/cert.pem?x=.pem"},
        {"SigningCertURL": "https://sns.ap-southeast-1.amazonaws.com/cert.txt"},
        {"SigningCertURL": "https://s3.amazonaws.com/cert.pem"},
        {"SigningCertURL": "https://snsXap-southeast-1.amazonaws.com/cert.pem"},
        {"SigningCertURL": f"{AMAZONS}\n"},
        {"SigningCertURL": "file:///etc/passwd"},
        {"SigningCertURL": ["a"]},
        {"Timestamp": "2020-01-01T00:00:00.000Z"},
        {"Timestamp": (datetime.now(UTC) - timedelta(days=16)).isoformat()},
        {"Timestamp": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
        {"Timestamp": "2026-01-10T09:15:00"},
        {"Timestamp": "soon"},
        {"Type": "Gossip"},
        {"Type": ["Notification"]},
        {"Type": None},
        {"Signature": None},
        {"Message": None},
        {"Message": {"eventType": "Send"}},
    ],
)
def test_a_message_that_cannot_be_ours_makes_us_fetch_nothing(channel, sns, changes):
    with pytest.raises(InvalidSignature):
        read(channel, sns.message("text", **changes))

    assert sns.asked == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_message_of_sns_is_not_believed(channel, body):
    with pytest.raises(InvalidSignature):
        read(channel, body)


def test_the_sandboxs_certificate_counts_only_where_it_is_configured(sns):
    channel = Ses("ap-southeast-1", topic_arns=[SNS_TOPIC_ARN])

    with pytest.raises(InvalidSignature):
        read(channel, sns.event("Send", ATTEMPT))
    assert sns.asked == []


def test_no_topic_at_all_believes_nobody(sns):
    channel = Ses("ap-southeast-1", sns_sandbox_url=sns.url)

    with pytest.raises(InvalidSignature):
        read(channel, sns.event("Send", ATTEMPT))


def test_a_topic_must_be_named_whole():
    with pytest.raises(ValueError, match="postman-emails"):
        Topics(["postman-emails"])


def test_amazons_own_certificate_counts_and_its_older_signature(sns):
    key = rsa.generate_private_key(65537, 2048)
    topics = Topics([SNS_TOPIC_ARN])
    topics._keys[AMAZONS] = _Key(key.public_key(), datetime.now(UTC) + timedelta(days=1))
    message = json.loads(sns.message("text", Subject="Hello", SigningCertURL=AMAZONS))
    message |= {"SignatureVersion": "1"}
    signature = key.sign(_signed_text(message), padding.PKCS1v15(), SHA1())
    message["Signature"] = base64.b64encode(signature).decode()

    assert topics.verified(json.dumps(message).encode())["Message"] == "text"


def certificate_path(sns):
    return json.loads(sns.message("text"))["SigningCertURL"].removeprefix(sns.url)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ((302, b"", {"Location": "/elsewhere.pem"}), InvalidSignature),
        ((404, b"", {}), InvalidSignature),
        ((200, b"no certificate", {}), InvalidSignature),
        (
            (200, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", {}),
            InvalidSignature,
        ),
        ((500, b"", {}), NotNow),
    ],
)
def test_a_certificate_that_is_not_there_vouches_for_nothing(channel, sns, answer, fault):
    path = certificate_path(sns)
    sns.answers[path] = answer

    with pytest.raises(fault):
        read(channel, sns.message("text"))
    assert sns.asked == [path]


def test_where_the_certificate_cannot_be_fetched_sns_has_to_come_again():
    fake = FakeSns()
    channel = Ses("ap-southeast-1", topic_arns=[SNS_TOPIC_ARN], sns_sandbox_url=fake.url)
    fake.close()

    with pytest.raises(NotNow):
        read(channel, fake.event("Send", ATTEMPT))


def test_a_certificate_that_has_run_out_vouches_for_nothing(channel, sns):
    body = sns.message("text")
    later = datetime.now(UTC) + timedelta(days=366)

    with time_machine.travel(later, tick=False), pytest.raises(InvalidSignature):
        read(channel, sns._changed(body, {"Timestamp": later.isoformat()}))
    assert len(sns.asked) == 1


def test_another_certificate_at_the_same_address_is_not_needed_within_the_day(channel, sns):
    read(channel, sns.event("Send", ATTEMPT))
    sns.answers[certificate_path(sns)] = (500, b"", {})

    assert read(channel, sns.event("Delivery", ATTEMPT))


# Subscriptions -------------------------------------------------------------------------------


def test_a_subscription_to_our_topic_is_confirmed(channel, sns):
    assert read(channel, sns.question()) == []

    assert sns.topic.is_confirmed
    assert "Action=ConfirmSubscription" in sns.asked[-1]


def test_a_forged_subscription_is_visited_by_nobody(channel, sns):
    with pytest.raises(InvalidSignature):
        read(channel, sns.question(SubscribeURL=f"{sns.url}/other?Action=ConfirmSubscription"))

    assert all("Action" not in path for path in sns.asked)


def test_a_subscription_elsewhere_is_visited_by_nobody(sns):
    """Signed by Amazon, and still not at Amazon's address."""
    topics = Topics([SNS_TOPIC_ARN])

    with pytest.raises(InvalidSignature):
        topics.confirm({"SubscribeURL": f"{sns.url}/?Action=x", "TopicArn": SNS_TOPIC_ARN})
    assert sns.asked == []


def test_a_subscription_that_cannot_be_confirmed_now_has_to_come_again(channel, sns):
    sns.answers["/sns/"] = (503, b"", {})

    with pytest.raises(NotNow):
        read(channel, sns.question())


def test_an_old_question_is_not_answered(channel, sns):
    two_hours_ago = (datetime.now(UTC) - timedelta(hours=2)).isoformat()

    with pytest.raises(InvalidSignature):
        read(channel, sns.question(Timestamp=two_hours_ago))


# Events --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "code", "event_id", "raw"),
    [
        ("Send", "", "Send:ses-1", {}),
        (
            *("Delivery", "", "Delivery:ses-1"),
            {"timestamp": "2026-01-10T09:15:02.000Z", "processingTimeMillis": 546},
        ),
        ("Open", "", "Open:ses-1", {"timestamp": "2026-01-10T10:00:00.000Z"}),
        (
            *("Bounce", "Permanent/General", "Bounce:feedback-1"),
            {
                "timestamp": "2026-01-10T09:15:03.000Z",
                "bounceType": "Permanent",
                "bounceSubType": "General",
                "feedbackId": "feedback-1",
                "action": "failed",
                "status": "5.1.1",
            },
        ),
        (
            *("Complaint", "abuse", "Complaint:feedback-2"),
            {
                "timestamp": "2026-01-10T11:00:00.000Z",
                "feedbackId": "feedback-2",
                "complaintFeedbackType": "abuse",
            },
        ),
        ("Reject", "", "Reject:ses-1", {"reason": "Bad content"}),
        ("Rendering Failure", "", "Rendering Failure:ses-1", {"templateName": "t"}),
        (
            *("DeliveryDelay", "MailboxFull"),
            "ses-1:DeliveryDelay:2026-01-10T09:20:00.000Z",
            {"timestamp": "2026-01-10T09:20:00.000Z", "delayType": "MailboxFull"},
        ),
    ],
)
def test_every_kind_of_event_is_read_without_anything_that_names_a_person(
    channel, sns, kind, code, event_id, raw
):
    [event] = read(channel, sns.event(kind, ATTEMPT))

    assert (event.kind, event.code, event.provider_event_id) == (kind, code, event_id)
    assert event.raw == raw
    assert RECIPIENT not in json.dumps(event.raw)


def test_the_same_event_has_the_same_id_whoever_tells_it_again(channel, sns):
    event = json.dumps(ses_event("Bounce", ATTEMPT))

    told = [read(channel, sns.message(event, message_id))[0] for message_id in ("m1", "m2")]

    assert told[0].provider_event_id == told[1].provider_event_id


def test_a_complaint_keeps_its_subtype(channel, sns):
    body = sns.event("Complaint", ATTEMPT, complaintSubType="OnAccountSuppressionList")

    [event] = read(channel, body)

    assert event.code == "abuse/OnAccountSuppressionList"


def test_clicks_are_no_news(channel, sns):
    assert read(channel, sns.event("Click", ATTEMPT)) == []


COPY = "copy@example.gov.sg"


@pytest.mark.parametrize(
    ("kind", "about", "counts"),
    [
        ("Delivery", {"recipients": [RECIPIENT, COPY]}, True),
        ("Delivery", {"recipients": [RECIPIENT.upper()]}, True),
        ("Delivery", {"recipients": [COPY]}, False),
        ("Delivery", {"recipients": []}, False),
        ("Bounce", {"bouncedRecipients": [{"emailAddress": COPY}]}, False),
        ("Bounce", {"bouncedRecipients": [{"emailAddress": f"Mei <{RECIPIENT}>"}]}, True),
        ("Complaint", {"complainedRecipients": [{"emailAddress": COPY}]}, False),
        ("Send", {}, True),
        ("Open", {}, True),
    ],
)
def test_what_became_of_a_copy_is_not_what_became_of_the_message(channel, sns, kind, about, counts):
    body = sns.event(kind, ATTEMPT, mail={"destination": [RECIPIENT, COPY]}, **about)

    assert bool(read(channel, body)) == counts


@pytest.mark.parametrize("tags", [None, {}, {"attempt": []}, {"attempt": ["x"]}, {"attempt": [5]}])
def test_an_email_that_is_no_message_of_ours_has_no_attempt(channel, sns, tags):
    [event] = read(channel, sns.event("Bounce", ATTEMPT, mail={"tags": tags}))

    assert event.attempt_id is None


@pytest.mark.parametrize(
    "text",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        "[]",
        "{}",
        '{"eventType": "Send"}',
        '{"eventType": ["Send"], "mail": {}}',
        '{"eventType": "Send", "mail": []}',
        '{"eventType": "Delivery", "mail": {"messageId": "x", "destination": []}, "delivery": {}}',
        json.dumps(ses_event("Send", ATTEMPT, mail={"messageId": "x" * 65})),
        json.dumps(ses_event("Send", ATTEMPT, mail={"messageId": 5})),
        json.dumps(ses_event("Bounce", ATTEMPT, bouncedRecipients="nobody")),
        json.dumps(ses_event("Bounce", ATTEMPT, bounceType=None) | {"bounce": []}),
    ],
)
def test_what_is_signed_and_still_no_event_is_let_go(channel, sns, text):
    assert read(channel, sns.message(text)) == []


def test_an_event_longer_than_we_store_is_cut(channel, sns):
    body = sns.event("Bounce", ATTEMPT, bounceSubType="x" * 300, feedbackId="f" * 300)

    [event] = read(channel, body)

    assert len(event.code) == 60
    assert len(event.provider_event_id) == 120
