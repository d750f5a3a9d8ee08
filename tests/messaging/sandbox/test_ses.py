from email.message import EmailMessage

import pytest
import requests
from botocore.exceptions import ClientError

from .conftest import ses_client
from .test_twilio import send


def simple(to="maria@example.gov.sg"):
    return {
        "FromEmailAddress": "Postman <no-reply@postman.gov.sg>",
        "Destination": {"ToAddresses": [to]},
        "Content": {
            "Simple": {
                "Subject": {"Data": "Your code"},
                "Body": {"Text": {"Data": "It is 123456."}, "Html": {"Data": "<b>123456</b>"}},
            }
        },
        "EmailTags": [{"Name": "attempt", "Value": "a1"}],
    }


def error_of(call):
    with pytest.raises(ClientError) as refused:
        call()
    return refused.value.response["Error"]["Code"]


def test_a_simple_email_lands_in_the_outbox(ses, sandbox):
    message_id = ses.send_email(**simple())["MessageId"]

    (email,) = sandbox.outbox(channel="email")
    assert email["sid"] == message_id
    assert email["to"] == "maria@example.gov.sg"
    assert email["from"] == "Postman <no-reply@postman.gov.sg>"
    assert (email["subject"], email["text"], email["html"]) == (
        "Your code",
        "It is 123456.",
        "<b>123456</b>",
    )
    assert email["tags"] == {"attempt": "a1"}
    assert email["status"] == "sent"


def test_a_raw_email_is_read(ses, sandbox):
    mail = EmailMessage()
    mail["From"] = "no-reply@postman.gov.sg"
    mail["To"] = "Maria <maria@example.gov.sg>"
    mail["Subject"] = "您的验证码"
    mail.set_content("码 123456")
    mail.add_alternative("<p>码 123456</p>", subtype="html")

    ses.send_email(Content={"Raw": {"Data": mail.as_bytes()}})

    (email,) = sandbox.outbox(to="MARIA@example")
    assert (email["to"], email["subject"]) == ("maria@example.gov.sg", "您的验证码")
    assert email["text"].strip() == "码 123456"
    assert email["html"].strip() == "<p>码 123456</p>"


def test_requests_must_be_signed(sandbox, ses):
    answer = requests.post(f"{sandbox.url}/v2/email/outbound-emails", json=simple())

    assert answer.status_code == 403
    assert answer.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
    assert (
        error_of(lambda: ses_client(sandbox, secret="wrong").send_email(**simple()))
        == "SignatureDoesNotMatch"
    )
    assert sandbox.outbox() == []
    assert ses_client(sandbox, key="AKIAOTHER", secret="any").send_email(**simple())["MessageId"]


@pytest.mark.parametrize(
    ("to", "error"),
    [
        ("nobody", "BadRequestException"),
        ("rejected@example.gov.sg", "MessageRejected"),
        ("throttled@example.gov.sg", "TooManyRequestsException"),
    ],
)
def test_some_addresses_are_refused(ses, sandbox, to, error):
    assert error_of(lambda: ses.send_email(**simple(to))) == error
    assert sandbox.outbox() == []


@pytest.mark.parametrize(
    ("switches", "error"),
    [
        ({"rate_429": 1.0}, "TooManyRequestsException"),
        ({"rate_5xx": 1.0}, "InternalServiceErrorException"),
        ({"down": True}, "ServiceUnavailableException"),
    ],
)
def test_ses_has_bad_days_too(ses, sandbox, switches, error):
    sandbox.control(**switches)

    assert error_of(lambda: ses.send_email(**simple())) == error
    assert sandbox.outbox() == []


def test_email_and_sms_share_one_log(ses, client, sandbox):
    ses.send_email(**simple())
    send(client)

    assert [message["channel"] for message in sandbox.outbox()] == ["sms", "email"]
    by_channel = sandbox.summary()["by_channel"]
    assert {channel: n for channel, n in by_channel.items() if n} == {"sms": 1, "email": 1}
