"""The channel against a server on this machine that answers as Amazon SES does."""

import asyncio
import base64
import email
import email.policy
import logging
import socket
from types import SimpleNamespace
from uuid import UUID

import orjson
import pytest
import time_machine
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from yarl import URL

from messaging import channels
from messaging.channels import ses
from messaging.channels.base import (
    ERRORS,
    Accepted,
    Attachment,
    Attempted,
    Mail,
    OutgoingMail,
    Rejected,
    Throttled,
    Unavailable,
    Unknown,
)
from messaging.channels.ses import Ses, Signer
from messaging.states import Status

ATTEMPT = UUID("0190c0de-0000-7000-8000-000000000001")
MEI_LING = "mei.ling@example.gov.sg"


class FakeSes:
    """Answers with what a test has set, and remembers what it was asked."""

    def __init__(self):
        self.requests = []
        self.headers = []
        self.answers = {}  # recipient → what to answer
        self.busy = self.busiest = 0

    def app(self):
        app = web.Application()
        app.router.add_post("/v2/email/outbound-emails", self.send)
        return app

    async def send(self, request):
        asked = orjson.loads(await request.read())
        self.requests.append(asked)
        self.headers.append(request.headers)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(0.001)
        self.busy -= 1
        [to] = asked["Destination"]["ToAddresses"]
        answer = self.answers.get(to, (200, {"MessageId": f"id of {to}"}))
        if answer == "drop":
            request.transport.abort()
        if answer == "hang":
            await asyncio.sleep(1.3)
        if isinstance(answer, str):
            return web.Response(text=answer)
        status, body, *headers = answer
        return web.json_response(body, status=status, headers=dict(headers))


@pytest.fixture
def runner():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def fake():
    return FakeSes()


@pytest.fixture
def endpoint_url(runner, fake):
    server = web.AppRunner(fake.app(), shutdown_timeout=0)

    async def start():
        await server.setup()
        await web.TCPSite(server, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{server.addresses[0][1]}"

    yield runner.run(start())
    runner.run(server.cleanup())


@pytest.fixture
def channel(runner, endpoint_url):
    channel = make_channel(endpoint_url=endpoint_url)
    yield channel
    runner.run(channel.close())


def make_channel(**options):
    return Ses(
        **{
            "region": "ap-southeast-1",
            "access_key_id": "AKIAEXAMPLE",
            "secret_access_key": "secret",
            "configuration_set": "tracked",
            "untracked_configuration_set": "untracked",
            "timeout": 1,
            **options,
        }
    )


def outgoing(to=MEI_LING, **parts):
    mail = {
        "sender": "Ministry of Health <moh@postman.gov.sg>",
        "subject": "Your appointment",
        "html": "<p>See you.</p>",
        "text": "See you.",
    }
    return OutgoingMail(ATTEMPT, to, Mail(**{**mail, **parts}))


def raw_of(request):
    data = base64.b64decode(request["Content"]["Raw"]["Data"])
    return email.message_from_bytes(data, policy=email.policy.default)


# Sending -------------------------------------------------------------------------------------


def test_an_email_goes_out_whole_and_comes_back_with_its_reference(runner, channel, fake):
    message = outgoing(
        subject="您的预约 & 50%",
        html="<p>您好 {{name}}</p>",
        text="您好 {{name}}\n",
        reply_to="clinic@example.gov.sg",
        headers={"List-Unsubscribe": "<https://postman.example/u/1>"},
    )

    [outcome] = runner.run(channel.send([message]))

    assert outcome == Accepted(f"id of {MEI_LING}")
    assert fake.requests == [
        {
            "FromEmailAddress": "Ministry of Health <moh@postman.gov.sg>",
            "Destination": {"ToAddresses": [MEI_LING]},
            "ReplyToAddresses": ["clinic@example.gov.sg"],
            "Content": {
                "Simple": {
                    "Subject": {"Data": "您的预约 & 50%", "Charset": "UTF-8"},
                    "Body": {
                        "Html": {"Data": "<p>您好 {{name}}</p>", "Charset": "UTF-8"},
                        "Text": {"Data": "您好 {{name}}\n", "Charset": "UTF-8"},
                    },
                    "Headers": [
                        {"Name": "List-Unsubscribe", "Value": "<https://postman.example/u/1>"}
                    ],
                }
            },
            "EmailTags": [{"Name": "attempt", "Value": str(ATTEMPT)}],
            "ConfigurationSetName": "tracked",
        }
    ]


def test_where_opening_is_not_tracked_another_configuration_set_is_named(runner, channel, fake):
    runner.run(channel.send([outgoing(tracks_opens=False)]))

    assert fake.requests[0]["ConfigurationSetName"] == "untracked"


@pytest.mark.parametrize(
    ("sender", "written"),
    [
        ("moh@postman.gov.sg", "moh@postman.gov.sg"),
        ("MOH <MOH@Postman.gov.sg>", "MOH <moh@postman.gov.sg>"),
        ("MOH, Singapore <moh@postman.gov.sg>", '"MOH, Singapore" <moh@postman.gov.sg>'),
        ('"MOH, Singapore" <moh@postman.gov.sg>', '"MOH, Singapore" <moh@postman.gov.sg>'),
        (r'"the \"MOH\"" <moh@postman.gov.sg>', r'"the \"MOH\"" <moh@postman.gov.sg>'),
        ("卫生部 <moh@postman.gov.sg>", "=?utf-8?b?5Y2r55Sf6YOo?= <moh@postman.gov.sg>"),
    ],
)
def test_a_sender_is_written_as_a_header_must_be(runner, channel, fake, sender, written):
    runner.run(channel.send([outgoing(sender=sender)]))

    assert fake.requests[0]["FromEmailAddress"] == written


def test_files_go_along_with_images_where_the_text_shows_them(runner, channel, fake):
    message = outgoing(
        html='<p>See <img src="cid:map" alt="the map"></p>',
        cc=("anne@example.gov.sg",),
        bcc=("archive@example.gov.sg",),
        reply_to="clinic@example.gov.sg",
        attachments=(
            Attachment("预约.pdf", "application/pdf", b"%PDF"),
            Attachment("map.png", "image/png", b"\x89PNG", content_id="map"),
        ),
    )

    runner.run(channel.send([message]))

    [request] = fake.requests
    assert request["Destination"] == {
        "ToAddresses": [MEI_LING],
        "CcAddresses": ["anne@example.gov.sg"],
        "BccAddresses": ["archive@example.gov.sg"],
    }
    mail = raw_of(request)
    assert (mail["To"], mail["Cc"], mail["Bcc"]) == (MEI_LING, "anne@example.gov.sg", None)
    assert (mail["Subject"], mail["Reply-To"]) == ("Your appointment", "clinic@example.gov.sg")
    assert mail.get_body(("plain",)).get_content().strip() == "See you."
    assert "cid:map" in mail.get_body(("html",)).get_content()
    [pdf] = mail.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content()) == ("预约.pdf", b"%PDF")
    [image] = [part for part in mail.walk() if part["Content-ID"] == "<map>"]
    assert image.get_content() == b"\x89PNG"
    assert request["EmailTags"] == [{"Name": "attempt", "Value": str(ATTEMPT)}]


def test_a_header_beyond_the_api_goes_out_in_a_raw_email(runner, channel, fake):
    runner.run(channel.send([outgoing(headers={"X-Clinic": "诊所", "X-Long": "a b " * 400})]))

    mail = raw_of(fake.requests[0])
    assert mail["X-Clinic"] == "诊所"
    assert mail["X-Long"].split() == ["a", "b"] * 400


# Injection -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        {"subject": "Hello\r\nBcc: thief@example.com"},
        {"subject": "Hello\nBcc: thief@example.com"},
        {"subject": "Hello\x00"},
        {"subject": "Hello\u2028Bcc: thief@example.com"},
        {"sender": "MOH\r\nBcc: thief@example.com <moh@postman.gov.sg>"},
        {"sender": "moh@postman.gov.sg\nBcc: thief@example.com"},
        {"sender": "MOH <moh@postman.gov.sg>, <thief@example.com>"},
        {"sender": "MOH <moh@postman.gov.sg> <thief@example.com>"},
        {"sender": ""},
        {"reply_to": "a@example.com\r\nBcc: thief@example.com"},
        {"reply_to": "a@example.com, thief@example.com"},
        {"headers": {"X-Note": "a\r\nBcc: thief@example.com"}},
        {"headers": {"X-Note\r\nBcc": "thief@example.com"}},
        {"headers": {"Bcc": "thief@example.com"}},
        {"headers": {"bCC": "thief@example.com"}},
        {"headers": {"From": "president@example.com"}},
        {"headers": {"X-SES-CONFIGURATION-SET": "another"}},
        {"headers": {"X-Ses-Message-Tags": "attempt=another"}},
        {"headers": {"": "empty"}},
        {"attachments": (Attachment("a\r\nBcc: thief@example.com", "text/plain", b""),)},
        {"cc": ("thief@example.com\r\nBcc: x@example.com",)},
    ],
)
def test_nothing_leaves_whose_envelope_somebody_could_have_written_into(
    runner, channel, fake, parts
):
    [outcome] = runner.run(channel.send([outgoing(**parts)]))

    assert isinstance(outcome, Rejected)
    assert outcome.code in ("mail_rejected", "mail_address_invalid")
    assert fake.requests == []


@pytest.mark.parametrize(
    "recipient",
    [
        "mei.ling@example.com\r\nBcc: thief@example.com",
        "mei.ling@example.com, thief@example.com",
        "Mei Ling <mei.ling@example.com>",
        "",
    ],
)
def test_a_recipient_is_one_address_and_nothing_else(runner, channel, fake, recipient):
    [outcome] = runner.run(channel.send([outgoing(recipient)]))

    assert isinstance(outcome, Rejected)
    assert outcome.code == "mail_address_invalid"
    assert fake.requests == []


# Outcomes ------------------------------------------------------------------------------------


def error(status, kind, message="", *headers):
    return (status, {"message": message}, ("x-amzn-ErrorType", kind), *headers)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (error(429, "TooManyRequestsException"), Throttled(None)),
        (error(429, "TooManyRequestsException", "", ("Retry-After", "2.5")), Throttled(2.5)),
        (error(400, "LimitExceededException"), Throttled(None)),
        (error(429, "TooManyRequestsException", "Daily message quota exceeded."), Throttled(60)),
        ((429, {}), Throttled(None)),
        (error(503, "ServiceUnavailable"), Unavailable("SES says it is unavailable")),
        (error(400, "SendingPausedException"), Unavailable("SendingPausedException")),
        (error(400, "AccountSuspendedException"), Unavailable("AccountSuspendedException")),
        (error(404, "NotFoundException"), Unavailable("NotFoundException")),
        (error(403, "UnrecognizedClientException"), Unavailable("UnrecognizedClientException")),
        (error(403, "ExpiredTokenException:http://x/"), Unavailable("ExpiredTokenException")),
        (error(403, "SignatureDoesNotMatch"), Unavailable("SignatureDoesNotMatch")),
        ((403, {}), Unavailable("HTTP 403")),
        (
            error(400, "MessageRejected", "Email address is not verified."),
            Rejected("mail_rejected", "Email address is not verified.", "MessageRejected"),
        ),
        (
            error(400, "MailFromDomainNotVerifiedException"),
            Rejected("mail_rejected", "", "MailFromDomainNotVerifiedException"),
        ),
        (
            error(400, "BadRequestException", "Missing final '@domain'"),
            Rejected("mail_address_invalid", "Missing final '@domain'", "BadRequestException"),
        ),
        (
            error(400, "BadRequestException", "Message length is too long"),
            Rejected("mail_rejected", "Message length is too long", "BadRequestException"),
        ),
        (
            (400, {"__type": "com.amazonaws.sesv2#MessageRejected", "message": "No"}),
            Rejected("mail_rejected", "No", "MessageRejected"),
        ),
        ((413, {}), Rejected("mail_rejected", "", "HTTP 413")),
        (error(500, "InternalServiceErrorException"), Unknown("HTTP 500")),
        ((502, {}), Unknown("HTTP 502")),
        ((504, {}), Unknown("HTTP 504")),
        ((408, {}), Unknown("HTTP 408")),
        ((302, {}, ("Location", "/elsewhere")), Unknown("HTTP 302")),
        ((200, {}), Unknown("HTTP 200")),
        ((200, {"MessageId": 5}), Unknown("HTTP 200")),
        ((200, {"MessageId": "x" * 65}), Unknown("HTTP 200")),
        ((200, ["no object"]), Unknown("HTTP 200")),
        ("no json", Unknown("HTTP 200")),
        ("hang", Unknown("TimeoutError")),
        ("drop", Unknown("ServerDisconnectedError")),
    ],
)
def test_what_ses_answers_decides_whether_an_email_may_be_sent_again(
    runner, channel, fake, answer, outcome
):
    fake.answers = {MEI_LING: answer}

    assert runner.run(channel.send([outgoing()])) == [outcome]
    assert len(fake.requests) == 1


def test_every_email_gets_its_own_outcome_in_order(runner, channel, fake):
    fake.answers = {"b@example.com": error(400, "MessageRejected", "No"), "c@example.com": "drop"}

    outcomes = runner.run(
        channel.send([outgoing(to) for to in ("a@example.com", "b@example.com", "no address")])
    )
    outcomes += runner.run(channel.send([outgoing("c@example.com"), outgoing("d@example.com")]))

    assert [type(outcome) for outcome in outcomes] == [
        Accepted,
        Rejected,
        Rejected,
        Unknown,
        Accepted,
    ]


def test_as_many_are_under_way_as_may_be(runner, endpoint_url, fake):
    channel = make_channel(endpoint_url=endpoint_url, concurrency=3)

    outcomes = runner.run(channel.send([outgoing(f"p{n}@example.com") for n in range(20)]))
    runner.run(channel.close())

    assert outcomes == [Accepted(f"id of p{n}@example.com") for n in range(20)]
    assert fake.busiest == 3


def test_a_provider_that_refuses_connections_has_not_taken_the_email(runner):
    with socket.socket() as listening_to_nobody:
        listening_to_nobody.bind(("127.0.0.1", 0))
        port = listening_to_nobody.getsockname()[1]
        channel = make_channel(endpoint_url=f"http://127.0.0.1:{port}")

        outcomes = runner.run(channel.send([outgoing()]))
        runner.run(channel.close())

    assert outcomes == [Unavailable("ClientConnectorError")]


def test_without_credentials_emails_wait(runner, monkeypatch, tmp_path, fake, endpoint_url):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    channel = make_channel(access_key_id=None, secret_access_key=None, endpoint_url=endpoint_url)

    assert runner.run(channel.send([outgoing()])) == [Unavailable("no AWS credentials")]
    assert fake.requests == []


def test_credentials_are_found_where_aws_keeps_them(runner, monkeypatch, fake, endpoint_url):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the token of a role")
    channel = make_channel(access_key_id=None, secret_access_key=None, endpoint_url=endpoint_url)

    [outcome] = runner.run(channel.send([outgoing()]))
    runner.run(channel.close())

    assert isinstance(outcome, Accepted)
    assert "Credential=AKIAFROMENVIRONMENT/" in fake.headers[0]["Authorization"]
    assert fake.headers[0]["X-Amz-Security-Token"] == "the token of a role"


@pytest.mark.parametrize("token", [None, "the token of a role"])
@pytest.mark.parametrize(
    "url",
    [
        "https://email.ap-southeast-1.amazonaws.com/v2/email/outbound-emails",
        "http://127.0.0.1:8001/v2/email/outbound-emails",
    ],
)
def test_a_request_is_signed_as_botocore_signs_it(url, token):
    credentials = ReadOnlyCredentials("AKIAEXAMPLE", "secret", token)
    signer = Signer(credentials, "ap-southeast-1", URL(url))
    for moment in ("2026-01-10T09:15:00Z", "2026-01-11T00:00:01Z"):
        with time_machine.travel(moment, tick=False):
            request = AWSRequest(
                "POST", url, headers={"Content-Type": "application/json"}, data=b'{"a": 1}'
            )
            SigV4Auth(credentials, "ses", "ap-southeast-1").add_auth(request)

            assert dict(signer.headers(b'{"a": 1}')) == dict(request.headers)


def test_no_address_reaches_the_log(runner, channel, fake, caplog):
    caplog.set_level(logging.DEBUG)
    fake.answers = {MEI_LING: error(403, "AccessDeniedException", f"not to {MEI_LING}")}

    runner.run(channel.send([outgoing(), outgoing("bad address"), outgoing(html="\ud800")]))

    assert "AccessDeniedException" in caplog.text
    assert "mei.ling" not in caplog.text
    assert "bad address" not in caplog.text


def test_nobody_can_be_asked_what_became_of_an_email(runner, channel):
    attempt = Attempted(ATTEMPT, MEI_LING, "", None)

    assert runner.run(channel.find([attempt])) == []


# Addresses -----------------------------------------------------------------------------------


def test_an_address_is_stored_in_one_form():
    assert make_channel().clean_recipient("Mei.Ling@Example.GOV.sg") == "mei.ling@example.gov.sg"
    with pytest.raises(ValueError, match=r"^[A-Z].+"):
        make_channel().clean_recipient("mei.ling")


# SES' words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "code", "meaning"),
    [
        ("Send", "", ("sent_to_telco", "")),
        ("Delivery", "", ("success", "")),
        ("Open", "", ("opened", "")),
        ("Bounce", "Permanent/General", ("bounced", "hard_bounce")),
        ("Bounce", "Permanent/OnAccountSuppressionList", ("bounced", "hard_bounce")),
        ("Bounce", "Transient/MailboxFull", ("soft_bounced", "soft_bounce")),
        ("Bounce", "Undetermined/Undetermined", ("soft_bounced", "soft_bounce")),
        ("Complaint", "abuse", ("complained", "complaint")),
        ("Complaint", "", ("complained", "complaint")),
        ("Complaint", "OnAccountSuppressionList", ("complained", "complaint")),
        ("Complaint", "not-spam", None),
        ("Reject", "", ("failure", "mail_rejected")),
        ("Rendering Failure", "", ("failure", "mail_rejected")),
        ("DeliveryDelay", "MailboxFull", None),
        ("Whatever comes next", "", None),
    ],
)
def test_what_ses_reports_has_a_meaning(kind, code, meaning):
    assert channels.meaning_of("ses", kind, code) == meaning
    if meaning:
        assert meaning[0] in Status.values
        assert not meaning[1] or meaning[1] in ERRORS


def test_every_meaning_fits_where_it_is_stored():
    assert all(len(kind) <= 20 for kind in ses._MEANINGS)


# Somebody else's SES -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moto():
    """moto's SESv2, which nobody of us wrote, with our sender verified there."""
    import boto3
    from moto.moto_api._internal import moto_api_backend
    from moto.server import ThreadedMotoServer
    from moto.ses.models import ses_backends

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _host, port = server.get_host_and_port()
    url = f"http://127.0.0.1:{port}"
    client = boto3.client(
        "sesv2",
        endpoint_url=url,
        region_name="ap-southeast-1",
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="secret",
    )
    client.create_email_identity(EmailIdentity="moh@postman.gov.sg")
    yield SimpleNamespace(
        url=url,
        sent=lambda: ses_backends["123456789012"]["ap-southeast-1"].sent_messages,
    )
    moto_api_backend.reset()
    server.stop()


def test_somebody_elses_ses_takes_what_we_send(runner, moto):
    channel = make_channel(endpoint_url=moto.url, timeout=10)
    attachment = Attachment("预约.pdf", "application/pdf", b"%PDF")
    headers = {"List-Unsubscribe": "<https://postman.example/u/1>"}

    outcomes = runner.run(
        channel.send(
            [
                outgoing("a@example.com", html="<p>您好</p>", headers=headers),
                outgoing("b@example.com", attachments=(attachment,), cc=("c@example.com",)),
                outgoing("d@example.com", sender="Nobody <nobody@example.com>"),
            ]
        )
    )
    runner.run(channel.close())

    first, second, third = outcomes
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert isinstance(third, Rejected)
    assert (third.code, third.provider_code) == ("mail_rejected", "MessageRejected")
    by_id = {message.id: message for message in moto.sent()}
    simple, raw = by_id[first.reference], by_id[second.reference]
    assert (simple.subject, simple.body) == ("Your appointment", "<p>您好</p>")
    assert simple.destinations["ToAddresses"] == ["a@example.com"]
    assert set(raw.destinations) == {"b@example.com", "c@example.com"}
    mail = email.message_from_string(raw.raw_data, policy=email.policy.default)
    assert [file.get_filename() for file in mail.iter_attachments()] == ["预约.pdf"]
