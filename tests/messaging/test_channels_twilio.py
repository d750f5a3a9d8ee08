"""The channel against a server on this machine that answers as Twilio does."""

import asyncio
import base64
import logging
import socket
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from aiohttp import web
from django.core.exceptions import ImproperlyConfigured
from twilio.request_validator import RequestValidator

from campaigns import phone_numbers
from messaging import channels
from messaging.channels import twilio
from messaging.channels.base import (
    DELIVERY_ERRORS,
    Accepted,
    Attempted,
    Callback,
    InvalidSignature,
    Outgoing,
    Rejected,
    Throttled,
    Unavailable,
    Unknown,
)
from messaging.channels.twilio import Twilio

ACCOUNT = "AC" + "1" * 32
SERVICE = "MG" + "2" * 32
KEY, SECRET = "SK" + "3" * 32, "secret"
TOKEN = "4" * 32
ATTEMPT = UUID("0190c0de-0000-7000-8000-000000000001")
CALLBACK = f"https://postman.example/callbacks/twilio/{ATTEMPT}/token"
NOW = datetime(2026, 1, 10, 9, 15, tzinfo=UTC)


class FakeTwilio:
    """Answers with what a test has set, and remembers what it was asked."""

    def __init__(self):
        self.requests = []
        self.answers = {}  # recipient → what to answer
        self.messages = []  # what the list shows, newest first
        self.busy = self.busiest = 0
        self.latency = 0

    def app(self):
        app = web.Application()
        app.router.add_post(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", self.create)
        app.router.add_get(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", self.list)
        app.router.add_get(f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{{sid}}.json", self.fetch)
        return app

    async def create(self, request):
        form = dict(await request.post())
        self.requests.append((form, request.headers["Authorization"]))
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(self.latency)
        self.busy -= 1
        answer = self.answers.get(form["To"], (201, {"sid": "SM" + form["To"][1:]}))
        if answer == "drop":
            request.transport.abort()
        if answer == "hang":
            await asyncio.sleep(1.3)
        if isinstance(answer, str):
            return web.Response(status=201, text=answer)
        status, body, *headers = answer
        return web.json_response(body, status=status, headers=dict(headers))

    async def list(self, request):
        shown = [m for m in self.messages if m["to"] == request.query["To"]]
        return web.json_response({"messages": shown, "next_page_uri": None})

    async def fetch(self, request):
        return web.json_response(
            next(m for m in self.messages if m["sid"] == request.match_info["sid"])
        )


@pytest.fixture
def runner():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def fake():
    return FakeTwilio()


@pytest.fixture
def base_url(runner, fake):
    server = web.AppRunner(fake.app(), shutdown_timeout=0)

    async def start():
        await server.setup()
        site = web.TCPSite(server, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{server.addresses[0][1]}"

    yield runner.run(start())
    runner.run(server.cleanup())


@pytest.fixture
def channel(runner, base_url):
    channel = make_channel(base_url=base_url)
    yield channel
    runner.run(channel.close())


def make_channel(**options):
    return Twilio(
        **{
            "account_sid": ACCOUNT,
            "username": KEY,
            "password": SECRET,
            "messaging_service_sid": SERVICE,
            "auth_token": TOKEN,
            "timeout": 1,
            **options,
        }
    )


def basic(username, password):
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def outgoing(recipient="6581230001", text="Hello"):
    return Outgoing(ATTEMPT, recipient, text, CALLBACK)


# Sending -------------------------------------------------------------------------------------


def test_a_message_goes_out_whole_and_comes_back_with_its_reference(runner, channel, fake):
    text = "您好, 50%25 & 100 = “x” + a;b#c?\n—"

    [outcome] = runner.run(channel.send([outgoing(text=text)]))

    assert outcome == Accepted("SM6581230001")
    assert fake.requests == [
        (
            {
                "To": "+6581230001",
                "Body": text,
                "StatusCallback": CALLBACK,
                "MessagingServiceSid": SERVICE,
            },
            basic(KEY, SECRET),
        )
    ]


def test_without_a_messaging_service_the_sender_is_named(runner, base_url, fake):
    channel = make_channel(base_url=base_url, messaging_service_sid=None, sender="gov.sg")

    runner.run(channel.send([outgoing()]))
    runner.run(channel.close())

    [(form, _)] = fake.requests
    assert form["From"] == "gov.sg"
    assert "MessagingServiceSid" not in form


def test_every_message_gets_its_own_outcome_in_order(runner, channel, fake):
    fake.answers = {
        "+6581230002": (400, {"code": 21610, "message": "Unsubscribed"}),
        "+6581230003": "drop",
    }

    outcomes = runner.run(channel.send([outgoing(f"658123000{n}") for n in range(1, 5)]))

    assert outcomes == [
        Accepted("SM6581230001"),
        Rejected("recipient_invalid", "Unsubscribed", "21610"),
        Unknown("ServerDisconnectedError"),
        Accepted("SM6581230004"),
    ]


REFUSED_CREDENTIALS = Rejected(
    "server_unknown_error", "Twilio does not accept the credentials", "20003"
)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            (400, {"code": 21211, "message": "Invalid"}),
            Rejected("recipient_invalid", "Invalid", "21211"),
        ),
        ((404, {}), Rejected("delivery_unknown_error", "", "404")),
        ((401, {"code": 20003}), REFUSED_CREDENTIALS),
        ((403, {}), REFUSED_CREDENTIALS),
        ((429, {"code": 20429}), Throttled(None)),
        ((429, {"code": 20429}, ("Retry-After", "2.5")), Throttled(2.5)),
        ((429, {}, ("Retry-After", "Fri, 31 Dec 2027 23:59:59 GMT")), Throttled(None)),
        ((400, {"code": 21611, "message": "Queue is full"}), Throttled(None)),
        ((503, {"code": 20503}), Unavailable("Twilio says it is unavailable")),
        ((500, {"code": 20500}), Unknown("HTTP 500")),
        ((502, {}), Unknown("HTTP 502")),
        ((504, {}), Unknown("HTTP 504")),
        ((408, {}), Unknown("HTTP 408")),
        ((302, {}, ("Location", "/elsewhere")), Unknown("HTTP 302")),
        ((201, {}), Unknown("HTTP 201")),
        ((201, ["no object"]), Unknown("HTTP 201")),
        ("no json", Unknown("HTTP 201")),
        ("hang", Unknown("TimeoutError")),
        ("drop", Unknown("ServerDisconnectedError")),
    ],
)
def test_what_twilio_answers_decides_whether_a_message_may_be_sent_again(
    runner, channel, fake, answer, outcome
):
    fake.answers = {"+6581230001": answer}

    assert runner.run(channel.send([outgoing()])) == [outcome]
    assert len(fake.requests) == 1


def test_a_provider_that_refuses_connections_has_not_taken_the_message(runner):
    with socket.socket() as listening_to_nobody:
        listening_to_nobody.bind(("127.0.0.1", 0))
        port = listening_to_nobody.getsockname()[1]
        channel = make_channel(base_url=f"http://127.0.0.1:{port}")

        outcomes = runner.run(channel.send([outgoing()]))
        runner.run(channel.close())

    assert outcomes == [Unavailable("ClientConnectorError")]


def test_a_name_that_does_not_resolve_has_not_taken_the_message(runner):
    channel = make_channel(base_url="http://nowhere.invalid")

    outcomes = runner.run(channel.send([outgoing()]))
    runner.run(channel.close())

    assert outcomes == [Unavailable("ClientConnectorDNSError")]


def test_a_connection_that_never_opens_has_not_taken_the_message(runner):
    # A full backlog: the system leaves further connections waiting.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        crowd = [socket.socket() for _ in range(3)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(address)
        channel = make_channel(base_url=f"http://127.0.0.1:{address[1]}", timeout=0.4)

        outcomes = runner.run(channel.send([outgoing()]))
        runner.run(channel.close())
        for one in crowd:
            one.close()

    assert outcomes == [Unavailable("ConnectionTimeoutError")]


def test_a_chunk_goes_out_at_once_but_never_over_more_connections_than_allowed(
    runner, base_url, fake
):
    fake.latency = 0.02
    channel = make_channel(base_url=base_url, connections=10)

    outcomes = runner.run(channel.send([outgoing(f"6581{n:06}") for n in range(60)]))
    runner.run(channel.close())

    assert outcomes == [Accepted(f"SM6581{n:06}") for n in range(60)]
    assert fake.busiest == 10


def test_waiting_for_a_free_connection_does_not_count_as_twilios_silence(runner, base_url, fake):
    fake.latency = 0.1
    channel = make_channel(base_url=base_url, connections=1, timeout=0.3)

    outcomes = runner.run(channel.send([outgoing(f"6581{n:06}") for n in range(6)]))
    runner.run(channel.close())

    assert [type(outcome) for outcome in outcomes] == [Accepted] * 6


def test_a_channel_outlives_the_event_loop_it_was_used_in():
    fake = FakeTwilio()
    address = socket.create_server(("127.0.0.1", 0))
    channel = make_channel(base_url=f"http://127.0.0.1:{address.getsockname()[1]}")

    async def send_to_a_new_server():
        server = web.AppRunner(fake.app(), shutdown_timeout=0)
        await server.setup()
        await web.SockSite(server, address.dup()).start()
        outcomes = await channel.send([outgoing()])
        await server.cleanup()
        return outcomes

    with address:
        assert asyncio.run(send_to_a_new_server()) == [Accepted("SM6581230001")]
        assert asyncio.run(send_to_a_new_server()) == [Accepted("SM6581230001")]


def test_neither_recipients_nor_texts_nor_secrets_are_logged(runner, channel, fake, caplog):
    fake.answers = {"+6581230002": "drop"}
    with caplog.at_level(logging.DEBUG):
        runner.run(channel.send([outgoing(text="private"), outgoing("6581230002", "private")]))

    for word in ("658123000", "private", SECRET, TOKEN):
        assert word not in caplog.text


# Asking --------------------------------------------------------------------------------------


def listed(sid, text="Hello", to="+6581230001", at=NOW, status="delivered", code=None):
    return {
        "sid": sid,
        "body": text,
        "to": to,
        "status": status,
        "error_code": code,
        "date_created": at.strftime("%a, %d %b %Y %H:%M:%S +0000"),
    }


def attempted(text="Hello", reference=""):
    return Attempted(ATTEMPT, "6581230001", text, NOW, reference)


def found(runner, channel, attempt):
    [found] = runner.run(channel.find([attempt]))
    assert found.attempt_id == ATTEMPT
    return [(m.reference, m.status, m.error_code, m.provider_code) for m in found.matches]


def test_a_lost_attempt_is_found_by_number_text_and_time(runner, channel, fake):
    fake.messages = [
        listed("SM4", "Another text", at=NOW + timedelta(seconds=3)),
        listed("SM3", at=NOW + timedelta(seconds=2), status="undelivered", code=30005),
        listed("SM2", to="+6581239999"),
        listed("SM1", at=NOW - timedelta(hours=1)),
    ]

    assert found(runner, channel, attempted()) == [("SM3", "failure", "recipient_invalid", "30005")]


def test_all_messages_that_look_the_same_are_told_oldest_first(runner, channel, fake):
    fake.messages = [listed("SM2", at=NOW + timedelta(seconds=9)), listed("SM1", at=NOW)]

    assert found(runner, channel, attempted()) == [
        ("SM1", "success", "", ""),
        ("SM2", "success", "", ""),
    ]


def test_twilios_smart_encoding_does_not_hide_a_message(runner, channel, fake):
    fake.messages = [listed("SM1", "'Hello' - 你好...")]

    assert found(runner, channel, attempted("‘Hello’ – 你好…")) == [("SM1", "success", "", "")]


def test_an_attempt_that_never_arrived_is_found_nowhere(runner, channel):
    assert found(runner, channel, attempted()) == []


def test_an_attempt_with_a_reference_is_looked_up_by_it(runner, channel, fake):
    fake.messages = [listed("SM1", status="sent", at=NOW - timedelta(days=3))]

    assert found(runner, channel, attempted(reference="SM1")) == [("SM1", "sent_to_telco", "", "")]


def test_a_state_that_says_nothing_of_an_attempt_is_no_status_of_one(runner, channel, fake):
    fake.messages = [listed("SM1", status="receiving", code=30005)]

    assert found(runner, channel, attempted()) == [("SM1", "", "", "")]


def test_when_twilio_cannot_be_asked_nothing_is_said(runner):
    channel = make_channel(base_url="http://nowhere.invalid")

    answers = runner.run(channel.find([attempted()]))
    runner.run(channel.close())

    assert answers == []


# Hearing -------------------------------------------------------------------------------------


def report(**changes):
    return {
        "AccountSid": ACCOUNT,
        "MessageSid": "SM1",
        "MessageStatus": "undelivered",
        "ErrorCode": "30005",
        "To": "+6581230001",
        **changes,
    }


def sign(params, url=CALLBACK, token=TOKEN):
    return RequestValidator(token).compute_signature(url, params)


def test_a_signed_report_becomes_an_event():
    params = report()

    [event] = make_channel().read_events(Callback(CALLBACK, params, sign(params)))

    assert (event.provider_event_id, event.reference, event.attempt_id) == (
        "SM1:undelivered:30005",
        "SM1",
        ATTEMPT,
    )
    assert (event.kind, event.code) == ("undelivered", "30005")
    assert event.raw == {
        "MessageSid": "SM1",
        "MessageStatus": "undelivered",
        "ErrorCode": "30005",
    }


def test_the_same_report_twice_is_the_same_event_and_another_state_is_another():
    channel = make_channel()
    ids = []
    for status in ("sent", "sent", "delivered"):
        params = report(MessageStatus=status, ErrorCode="")
        [event] = channel.read_events(Callback(CALLBACK, params, sign(params)))
        ids.append(event.provider_event_id)

    assert ids == ["SM1:sent", "SM1:sent", "SM1:delivered"]


@pytest.mark.parametrize(
    ("params", "url", "signature"),
    [
        (report(), CALLBACK, ""),
        (report(), CALLBACK, "x" * 28),
        (report(), CALLBACK, "é"),
        (report(), CALLBACK, sign(report(), token="another token")),
        (report(), CALLBACK, sign(report(MessageStatus="delivered"))),
        (report(), CALLBACK.replace("token", "other"), sign(report())),
        (
            report(AccountSid="AC" + "9" * 32),
            CALLBACK,
            sign(report(AccountSid="AC" + "9" * 32)),
        ),
    ],
)
def test_a_report_that_twilio_did_not_sign_is_not_believed(params, url, signature):
    with pytest.raises(InvalidSignature):
        make_channel().read_events(Callback(url, params, signature))


def test_without_an_auth_token_the_address_must_be_the_secret():
    channel = make_channel(auth_token="")

    assert len(channel.read_events(Callback(CALLBACK, report(), ""))) == 1
    with pytest.raises(InvalidSignature):
        channel.read_events(Callback(CALLBACK, report(AccountSid="AC" + "9" * 32), ""))


def test_a_report_on_nothing_is_no_event():
    params = {"AccountSid": ACCOUNT}

    assert make_channel().read_events(Callback(CALLBACK, params, sign(params))) == []


# What codes mean -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("20003", ("server_error", "server_unknown_error")),
        ("21211", ("delivery_error", "recipient_invalid")),
        ("21408", ("delivery_error", "routing_error")),
        ("21614", ("delivery_error", "recipient_invalid")),
        ("21617", ("delivery_error", "content_invalid")),
        ("30003", ("delivery_error", "recipient_unavailable")),
        ("30005", ("delivery_error", "recipient_invalid")),
        ("30006", ("delivery_error", "routing_error")),
        ("30007", ("delivery_error", "content_invalid")),
        ("30008", ("delivery_error", "delivery_unknown_error")),
        ("30036", ("delivery_error", "message_expired")),
        ("99999", ("delivery_error", "delivery_unknown_error")),
        ("", ("delivery_error", "delivery_unknown_error")),
    ],
)
def test_twilios_codes_become_delivery_errors(code, error):
    told = twilio.delivery_error(code)

    assert (told.type, told.code) == error
    assert twilio.explain(code).endswith(".")


def test_every_delivery_error_has_a_code_of_twilios():
    assert {code for _, code in twilio.ERRORS.values()} == set(DELIVERY_ERRORS)


def test_delivery_errors_are_those_of_the_contract():
    assert [
        (error.type, error.code, error.retry, error.is_charged, error.test_number)
        for error in DELIVERY_ERRORS.values()
    ] == [
        ("delivery_error", "recipient_invalid", "no", True, "6511111111"),
        ("delivery_error", "recipient_unavailable", "yes", True, "6511112222"),
        ("delivery_error", "content_invalid", "no", True, "6511113333"),
        ("delivery_error", "routing_error", "maybe", True, "6511114444"),
        ("delivery_error", "message_expired", "maybe", True, "6511115555"),
        ("delivery_error", "delivery_unknown_error", "maybe", False, "6511119999"),
        ("server_error", "server_unknown_error", "maybe", False, "6522222222"),
    ]


def test_the_numbers_that_fail_on_the_test_site_are_taken_there_and_only_there():
    numbers = {error.test_number for error in DELIVERY_ERRORS.values()}

    assert numbers == phone_numbers.TEST_NUMBERS
    for number in numbers:
        assert make_channel(test_numbers=True).clean_recipient(number) == number
        with pytest.raises(phone_numbers.InvalidRecipient):
            make_channel().clean_recipient(number)


# Settings ------------------------------------------------------------------------------------


def test_a_channel_is_named_in_settings_and_an_agencys_credentials_win(settings):
    settings.CHANNELS = {
        "sms": {
            "BACKEND": "messaging.channels.twilio.Twilio",
            "OPTIONS": {"account_sid": "AC", "username": "SK", "password": "old"},
        }
    }

    channel = channels.get_channel("sms", password="new")

    assert isinstance(channel, Twilio)
    assert channel._client.auth == ("SK", "new")


def test_a_channel_that_settings_do_not_name_is_a_mistake_of_ours(settings):
    settings.CHANNELS = {}

    with pytest.raises(ImproperlyConfigured, match="no channel named 'fax'"):
        channels.get_channel("fax")
