import re
import time
from datetime import UTC, datetime, timedelta

import phonenumbers
import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from messaging.sandbox import constants
from messaging.sandbox.numbers import NUMBERS

from .conftest import SandboxHttpClient

MARIA = "+6581230001"
TARIQ = "+6581230002"
SERVICE = constants.PLATFORM_MESSAGING_SERVICE_SID


def send(client, to=MARIA, body="Your appointment is on Monday.", **fields):
    return client.messages.create(to=to, body=body, **({"messaging_service_sid": SERVICE} | fields))


def refusal(call):
    with pytest.raises(TwilioRestException) as refused:
        call()
    return refused.value.status, refused.value.code


def test_an_accepted_message_looks_like_twilios(client):
    message = send(client)

    assert re.fullmatch("SM[0-9a-f]{32}", message.sid)
    assert message.status == "accepted"
    assert message.to == MARIA
    assert message.body == "Your appointment is on Monday."
    assert message.messaging_service_sid == SERVICE
    assert message.num_segments == "0"
    assert message.date_sent is None
    assert message.error_code is None
    assert datetime.now(UTC) - message.date_created < timedelta(seconds=5)


def test_without_a_messaging_service_a_message_is_queued_and_counted(client):
    message = send(client, body="é" * 161, messaging_service_sid=None, from_="gov.sg")

    assert (message.status, message.from_, message.num_segments) == ("queued", "gov.sg", "2")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "81230001"}, 21211),
        ({"To": "+0581230001"}, 21211),
        ({"Body": ""}, 21602),
        ({"Body": "a" * 1601}, 21617),
        ({"MessagingServiceSid": ""}, 21603),
        ({"MessagingServiceSid": "MG" + "9" * 32}, 21701),
        ({"StatusCallback": "ftp://example.com"}, 21609),
    ],
)
def test_a_wrong_request_is_refused_with_twilios_number(sandbox, fields, code):
    right = {"To": MARIA, "Body": "Hello", "MessagingServiceSid": SERVICE}

    answer = requests.post(
        f"{sandbox.url}/2010-04-01/Accounts/{constants.PLATFORM_ACCOUNT_SID}/Messages.json",
        data=right | fields,
        auth=(constants.PLATFORM_ACCOUNT_SID, constants.PLATFORM_AUTH_TOKEN),
    )

    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert answer.json()["status"] == 400
    assert answer.json()["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert sandbox.outbox() == []


def test_an_unknown_message_is_not_found(client):
    assert refusal(client.messages("SM" + "0" * 32).fetch) == (404, 20404)


@pytest.mark.parametrize(
    ("account", "username", "password", "passes"),
    [
        (constants.PLATFORM_ACCOUNT_SID, None, constants.PLATFORM_AUTH_TOKEN, True),
        (constants.PLATFORM_ACCOUNT_SID, None, "wrong", False),
        (constants.STAFF_ACCOUNT_SID, None, constants.STAFF_AUTH_TOKEN, True),
        (
            constants.STAFF_ACCOUNT_SID,
            constants.STAFF_API_KEY_SID,
            constants.STAFF_API_SECRET,
            True,
        ),
        ("AC" + "a" * 32, "SK" + "b" * 32, constants.STAFF_API_SECRET, True),
        ("AC" + "a" * 32, "SK" + "b" * 32, "wrong", False),
        ("AC" + "a" * 32, "SK" + "b" * 31, constants.STAFF_API_SECRET, False),
        (
            constants.PLATFORM_ACCOUNT_SID,
            constants.STAFF_API_KEY_SID,
            constants.STAFF_API_SECRET,
            False,
        ),
        ("AC" + "a" * 32, None, constants.STAFF_AUTH_TOKEN, False),
    ],
)
def test_only_known_credentials_open_an_account(sandbox, account, username, password, passes):
    client = Client(
        username or account, password, account, http_client=SandboxHttpClient(sandbox.url)
    )

    if passes:
        assert client.api.v2010.accounts(account).fetch().status == "active"
    else:
        assert refusal(client.api.v2010.accounts(account).fetch) == (401, 20003)
        assert refusal(lambda: send(client)) == (401, 20003)


def test_a_messaging_service_proves_credentials(client, sandbox):
    service = client.messaging.v1.services(SERVICE).fetch()
    staff = Client(
        constants.STAFF_API_KEY_SID,
        constants.STAFF_API_SECRET,
        constants.STAFF_ACCOUNT_SID,
        http_client=SandboxHttpClient(sandbox.url),
    )

    assert (service.sid, service.account_sid) == (SERVICE, constants.PLATFORM_ACCOUNT_SID)
    assert staff.messaging.v1.services(constants.STAFF_MESSAGING_SERVICE_SID).fetch().account_sid
    assert refusal(staff.messaging.v1.services(SERVICE).fetch) == (404, 20404)
    assert refusal(client.messaging.v1.services("MG" + "9" * 32).fetch) == (404, 20404)


def test_callbacks_tell_sent_then_delivered_under_a_valid_signature(client, sandbox, receiver):
    sid = send(client, status_callback=receiver.url).sid

    assert sandbox.flush() == 0
    assert receiver.reported == ["sent", "delivered"]
    validator = RequestValidator(constants.PLATFORM_AUTH_TOKEN)
    for url, form, signature in receiver.received:
        assert url == receiver.url
        assert validator.validate(url, form, signature)
        assert not validator.validate(url, form | {"MessageStatus": "failed"}, signature)
    assert receiver.received[0][1] == {
        "MessageSid": sid,
        "SmsSid": sid,
        "MessageStatus": "sent",
        "SmsStatus": "sent",
        "To": MARIA,
        "From": "gov.sg",
        "AccountSid": constants.PLATFORM_ACCOUNT_SID,
        "ApiVersion": "2010-04-01",
        "MessagingServiceSid": SERVICE,
    }
    assert client.messages(sid).fetch().status == "delivered"


def test_staff_callbacks_are_signed_with_the_staff_accounts_token(sandbox, receiver):
    staff = Client(
        constants.STAFF_API_KEY_SID,
        constants.STAFF_API_SECRET,
        constants.STAFF_ACCOUNT_SID,
        http_client=SandboxHttpClient(sandbox.url),
    )

    staff.messages.create(
        to=MARIA,
        body="Duty roster",
        messaging_service_sid=constants.STAFF_MESSAGING_SERVICE_SID,
        status_callback=receiver.url,
    )
    sandbox.flush()

    url, form, signature = receiver.received[0]
    assert RequestValidator(constants.STAFF_AUTH_TOKEN).validate(url, form, signature)
    assert not RequestValidator(constants.PLATFORM_AUTH_TOKEN).validate(url, form, signature)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.to)
def test_listed_numbers_are_real_mobiles(number):
    assert phonenumbers.is_valid_number(phonenumbers.parse(number.to))


@pytest.mark.parametrize("number", [n for n in NUMBERS if n.behaviour == "refused"], ids=str)
def test_listed_numbers_are_refused(client, sandbox, number):
    assert refusal(lambda: send(client, to=number.to)) == (400, number.code)
    assert sandbox.outbox() == []


@pytest.mark.parametrize(
    "number", [n for n in NUMBERS if n.behaviour in ("undelivered", "failed")], ids=str
)
def test_listed_numbers_fail_after_acceptance(client, sandbox, receiver, number):
    sid = send(client, to=number.to, status_callback=receiver.url).sid
    sandbox.flush()

    assert receiver.reported == ["sent", number.behaviour]
    assert receiver.received[1][1]["ErrorCode"] == str(number.code)
    message = client.messages(sid).fetch()
    assert (message.status, message.error_code) == (number.behaviour, number.code)


@pytest.mark.parametrize(
    ("to", "reported", "status"),
    [
        ("+6581110021", ["sent"], "sent"),
        ("+6581110022", [], "delivered"),
        ("+6581110023", [], "accepted"),
    ],
)
def test_listed_numbers_fall_silent(client, sandbox, receiver, to, reported, status):
    sid = send(client, to=to, status_callback=receiver.url).sid
    sandbox.flush()

    assert receiver.reported == reported
    assert client.messages(sid).fetch().status == status


def test_listed_numbers_always_meet_the_providers_bad_days(client, sandbox):
    assert refusal(lambda: send(client, to="+6581110031")) == (429, 20429)
    assert refusal(lambda: send(client, to="+6581110032")) == (500, 20500)
    assert sandbox.outbox() == []
    with pytest.raises(requests.ConnectionError):
        send(client, to="+6581110033")
    assert len(sandbox.outbox(to="+6581110033")) == 1


def test_messages_are_listed_by_recipient_and_date_newest_first(client):
    first, second = send(client, body="one").sid, send(client, body="two").sid
    send(client, to=TARIQ)
    now = datetime.now(UTC)
    hour = timedelta(hours=1)

    def listed(**bounds):
        return [message.sid for message in client.messages.list(to=MARIA, **bounds)]

    assert listed() == [second, first]
    assert listed(date_sent_after=now - hour) == [second, first]
    assert listed(date_sent_after=now + hour) == []
    assert listed(date_sent_before=now - hour) == []
    assert listed(date_sent_after=now - hour, date_sent_before=now + hour) == [second, first]
    assert listed(date_sent=now.date()) == [second, first]
    assert listed(date_sent=now.date() - timedelta(days=1)) == []


def test_the_list_is_paged_and_new_messages_do_not_shift_it(client):
    sids = [send(client, to=(MARIA, TARIQ)[n % 2]).sid for n in range(7)]

    pages = client.messages.stream(page_size=3)
    seen = [next(pages).sid for _ in range(3)]
    send(client)
    seen += [message.sid for message in pages]

    assert seen == sids[::-1]
    assert [m.sid for m in client.messages.list(to=MARIA, page_size=2)][1:] == sids[::-2]


def test_an_account_does_not_see_anothers_messages(client, sandbox):
    sid = send(client).sid
    staff = Client(
        constants.STAFF_ACCOUNT_SID,
        constants.STAFF_AUTH_TOKEN,
        http_client=SandboxHttpClient(sandbox.url),
    )

    assert staff.messages.list() == []
    assert refusal(staff.messages(sid).fetch) == (404, 20404)


def test_callbacks_meet_a_server_that_comes_back(client, sandbox, receiver):
    receiver.statuses = [503, 503]
    sandbox.control(callbacks={"stages": ["delivered"]})

    send(client, status_callback=receiver.url)
    sandbox.flush()

    assert receiver.reported == ["delivered"] * 3
    assert sandbox.summary()["callbacks"] == {
        "pending": 0,
        "posted": 1,
        "failed_tries": 2,
        "given_up": 0,
    }


def test_callbacks_stop_after_the_tries_given(client, sandbox, receiver):
    receiver.statuses = [500] * 9
    sandbox.control(callbacks={"stages": ["delivered"], "tries": 2})

    send(client, status_callback=receiver.url)
    sandbox.flush()

    assert receiver.reported == ["delivered"] * 2
    assert sandbox.summary()["callbacks"]["given_up"] == 1


def test_a_callback_that_is_refused_is_not_repeated(client, sandbox, receiver):
    receiver.statuses = [403]
    sandbox.control(callbacks={"stages": ["delivered"]})

    send(client, status_callback=receiver.url)
    sandbox.flush()
    time.sleep(0.3)

    assert receiver.reported == ["delivered"]
