"""What becomes of an email in the sandbox, told by SNS to whoever subscribed."""

import base64
import json
from collections import Counter
from http.server import BaseHTTPRequestHandler

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from messaging.sandbox.constants import SNS_TOPIC_ARN
from tests.server import serving

from .conftest import ses_client
from .process import SandboxProcess
from .test_ses import error_of, simple


class Subscriber:
    """Confirms what it is asked, and keeps the rest; answers what `statuses` say."""

    def __init__(self, *, confirms=True):
        self.questions, self.messages, self.statuses = [], [], []
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                status = 204
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.headers["x-amz-sns-message-type"] == message["Type"]
                if message["Type"] == "SubscriptionConfirmation":
                    subscriber.questions.append(message)
                    if confirms:
                        assert requests.get(message["SubscribeURL"]).ok
                else:
                    subscriber.messages.append(message)
                    status = subscriber.statuses.pop(0) if subscriber.statuses else status
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self._server = serving(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/callbacks/ses"

    @property
    def events(self):
        return [json.loads(message["Message"]) for message in self.messages]

    @property
    def kinds(self):
        return [event["eventType"] for event in self.events]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def subscriber(sandbox):
    subscriber = Subscriber()
    sandbox.control(sns={"endpoint": subscriber.url}, callbacks={"opened": 0})
    yield subscriber
    subscriber.close()


def send(ses, to="maria@example.gov.sg", configuration_set="postman", **changes):
    mail = simple(to) | {"ConfigurationSetName": configuration_set} | changes
    return ses.send_email(**mail)["MessageId"]


def told(ses, sandbox, subscriber, to, **changes):
    send(ses, to, **changes)
    assert sandbox.flush() == 0
    return subscriber.kinds


@pytest.mark.parametrize(
    ("to", "kinds", "status"),
    [
        ("maria@example.gov.sg", ["Send", "Delivery"], "delivered"),
        ("opens@example.gov.sg", ["Send", "Delivery", "Open"], "opened"),
        ("bounce@example.gov.sg", ["Send", "Bounce"], "bounced"),
        ("bounce+17@example.gov.sg", ["Send", "Bounce"], "bounced"),
        ("softbounce@example.gov.sg", ["Send", "Bounce"], "bounced"),
        ("suppressionlist@example.gov.sg", ["Send", "Bounce"], "bounced"),
        ("complaint@example.gov.sg", ["Send", "Delivery", "Complaint"], "complained"),
        ("notspam@example.gov.sg", ["Send", "Delivery", "Complaint"], "complained"),
        ("virus@example.gov.sg", ["Send", "Reject"], "rejected"),
        ("delayed@example.gov.sg", ["Send", "DeliveryDelay", "Delivery"], "delivered"),
        ("silent@example.gov.sg", [], "sent"),
    ],
)
def test_a_mailbox_decides_what_is_told(ses, sandbox, subscriber, to, kinds, status):
    # SNS keeps no order, and neither does the sandbox on a busy machine.
    assert sorted(told(ses, sandbox, subscriber, to)) == sorted(kinds)
    assert sandbox.outbox()[0]["status"] == status


def test_an_event_says_which_email_it_is_about(ses, sandbox, subscriber):
    message_id = send(ses, "bounce@example.gov.sg")
    sandbox.flush()

    [bounce] = [event for event in subscriber.events if event["eventType"] == "Bounce"]
    assert bounce["mail"]["messageId"] == message_id
    assert bounce["mail"]["destination"] == ["bounce@example.gov.sg"]
    assert bounce["mail"]["tags"]["attempt"] == ["a1"]
    assert bounce["mail"]["tags"]["ses:configuration-set"] == ["postman"]
    assert (bounce["bounce"]["bounceType"], bounce["bounce"]["bounceSubType"]) == (
        "Permanent",
        "General",
    )
    assert bounce["bounce"]["bouncedRecipients"][0]["emailAddress"] == "bounce@example.gov.sg"


def test_nothing_is_told_without_a_configuration_set(ses, sandbox, subscriber):
    ses.send_email(**simple())

    assert sandbox.flush() == 0
    assert subscriber.kinds == []
    assert sandbox.outbox()[0]["status"] == "sent"


def test_nobody_is_seen_opening_what_is_not_tracked(ses, sandbox, subscriber):
    sandbox.control(callbacks={"opened": 1})

    untracked = "postman-untracked"
    kinds = told(ses, sandbox, subscriber, "opens@example.gov.sg", configuration_set=untracked)
    assert sorted(kinds) == ["Delivery", "Send"]
    assert "Open" in told(ses, sandbox, subscriber, "maria@example.gov.sg")


def test_each_recipient_has_a_fate_of_its_own(ses, sandbox, subscriber):
    destination = {"ToAddresses": ["maria@example.gov.sg"], "CcAddresses": ["bounce@example.sg"]}
    send(ses, Destination=destination)
    sandbox.flush()

    assert sorted(subscriber.kinds) == sorted(["Send", "Delivery", "Bounce"])
    told = {event["eventType"]: event for event in subscriber.events}
    assert told["Delivery"]["delivery"]["recipients"] == ["maria@example.gov.sg"]
    assert told["Bounce"]["mail"]["destination"] == ["maria@example.gov.sg", "bounce@example.sg"]


def test_messages_are_signed_with_the_certificate_they_name(ses, sandbox, subscriber):
    send(ses)
    sandbox.flush()

    message = subscriber.messages[0]
    assert message["SigningCertURL"].startswith(f"{sandbox.url}/sns/")
    certificate = x509.load_pem_x509_certificate(requests.get(message["SigningCertURL"]).content)
    names = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")
    signed = "".join(f"{name}\n{message[name]}\n" for name in names).encode()
    certificate.public_key().verify(  # raises unless it is
        base64.b64decode(message["Signature"]), signed, padding.PKCS1v15(), SHA256()
    )
    assert message["TopicArn"] == SNS_TOPIC_ARN


def test_a_subscriber_is_asked_first_and_waited_for(ses, sandbox):
    deaf = Subscriber(confirms=False)
    sandbox.control(sns={"endpoint": deaf.url}, callbacks={"tries": 2})
    send(ses)

    sandbox.flush()

    assert deaf.questions
    assert deaf.messages == []
    deaf.close()


def test_only_the_token_confirms(sandbox):
    url = f"{sandbox.url}/sns/?Action=ConfirmSubscription&TopicArn={SNS_TOPIC_ARN}&Token=guessed"

    assert requests.get(url).status_code == 400
    assert requests.get(f"{sandbox.url}/sns/other.pem").status_code == 404


def test_what_meets_a_fault_comes_again_as_the_same_message(ses, sandbox, subscriber):
    subscriber.statuses = [503]
    send(ses)

    sandbox.flush()

    ids = Counter(message["MessageId"] for message in subscriber.messages)
    assert sorted(ids.values()) == [1, 2]


@pytest.mark.parametrize(
    ("switch", "kinds"),
    [
        ({"double": 1.0}, ["Send", "Send", "Delivery", "Delivery"]),
        ({"reorder": 1.0}, ["Delivery", "Send"]),
        ({"drop": 1.0}, []),
        ({"enabled": False}, []),
    ],
)
def test_events_come_as_callbacks_do_when_things_go_wrong(ses, sandbox, subscriber, switch, kinds):
    sandbox.control(callbacks=switch)

    assert told(ses, sandbox, subscriber, "maria@example.gov.sg") == kinds


def test_what_was_under_way_is_told_after_a_restart(tmp_path):

    subscriber = Subscriber()
    args = ("--sns-endpoint", subscriber.url)
    with SandboxProcess(data=tmp_path, args=args) as sandbox:
        sandbox.control(callbacks={"delay_ms": 60_000})
        send(ses_client(sandbox), "bounce@example.gov.sg")
        sandbox.kill()
        sandbox.start()

        assert sandbox.flush() == 0
    assert sorted(subscriber.kinds) == sorted(["Send", "Bounce"])
    subscriber.close()


def test_an_email_to_a_lost_mailbox_is_taken_without_an_answer(ses, sandbox, subscriber):
    with pytest.raises(Exception, match="Connection"):
        send(ses, "lost@example.gov.sg")

    assert sandbox.flush() == 0
    assert len(sandbox.outbox()) == 1
    assert sorted(subscriber.kinds) == sorted(["Send", "Delivery"])


def test_a_broken_mailbox_is_a_fault_of_ses(ses, sandbox):
    assert error_of(lambda: send(ses, "broken@example.sg")) == "InternalServiceErrorException"
    assert sandbox.outbox() == []


def test_the_same_attempt_sent_twice_is_found(ses, sandbox):
    send(ses)
    send(ses, "other@example.gov.sg")

    assert sandbox.summary()["same_callback"] == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"ConfigurationSetName": "unknown"}, "NotFoundException"),
        ({"EmailTags": [{"Name": "a b", "Value": "c"}]}, "BadRequestException"),
        ({"EmailTags": [{"Name": "a", "Value": "c\nd"}]}, "BadRequestException"),
        ({"FromEmailAddress": "a\nBcc: x <a@b.sg>"}, "BadRequestException"),
        ({"Destination": {"ToAddresses": ["美玲@example.com"]}}, "BadRequestException"),
    ],
)
def test_the_sandbox_is_as_particular_as_ses(ses, sandbox, changes, error):
    assert error_of(lambda: ses.send_email(**simple() | changes)) == error
    assert sandbox.outbox() == []
