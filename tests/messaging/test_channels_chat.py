"""Telegram and WhatsApp against a server on this machine that answers as they do, and as they should not."""

import asyncio
import json
import logging
import socket
from uuid import UUID

import pytest
from aiohttp import web

from messaging.channels.base import (
    Accepted,
    ChatMessage,
    OutgoingChat,
    OutgoingTemplate,
    Rejected,
    TemplateMessage,
    Throttled,
    Unavailable,
    Unknown,
)
from messaging.channels.telegram import Telegram
from messaging.channels.whatsapp import Whatsapp

ATTEMPT = UUID("0190c0de-0000-7000-8000-000000000001")
MEI = "6581230001"
TOKEN = f"7000000001:{'a' * 35}"
ACCESS = "EAAG-access-token"


class Provider:
    """Answers each call with the next of `answers`, and remembers what it was asked."""

    def __init__(self):
        self.answers, self.requests = [], []

    async def take(self, request):
        self.requests.append((request.path, await request.json(), dict(request.headers)))
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if answer == "hang":
            await asyncio.sleep(1)
        if answer in ("hang", "drop"):
            request.transport.abort()
            return web.Response()
        status, body, *headers = answer
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        if "cut" in headers or "stall" in headers:
            return await self._begin(request, status, content, stall="stall" in headers)
        return web.Response(status=status, body=content, headers=dict(headers))

    async def _begin(self, request, status, content, *, stall):
        """Half of the answer; then nothing for a while, and then the end of the connection."""
        length = {"Content-Length": str(len(content))}
        response = web.StreamResponse(status=status, headers=length)
        await response.prepare(request)
        await response.write(content[: len(content) // 2])
        await asyncio.sleep(1 if stall else 0.05)
        request.transport.abort()
        return response


@pytest.fixture
def runner():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def base_url(runner, provider):
    async def start():
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", provider.take)
        server = web.AppRunner(app, shutdown_timeout=0, access_log=None)
        await server.setup()
        await web.TCPSite(server, "127.0.0.1", 0).start()
        return server

    server = runner.run(start())
    yield f"http://127.0.0.1:{server.addresses[0][1]}"
    runner.run(server.cleanup())


def telegram(base_url):
    channel = Telegram(base_url=base_url, timeout=0.6)
    return channel, OutgoingChat(ATTEMPT, MEI, ChatMessage(int(MEI), "<b>Hi</b>", TOKEN))


def whatsapp(base_url):
    channel = Whatsapp("200001", ACCESS, "app-secret", base_url=base_url, timeout=0.6)
    template = TemplateMessage("appointment", "en_GB", ("Mei",))
    return channel, OutgoingTemplate(ATTEMPT, MEI, template)


CHANNELS = pytest.mark.parametrize("made", [telegram, whatsapp])


def send(runner, made, base_url, times=1):
    channel, message = made(base_url)
    outcomes = runner.run(channel.send([message] * times))
    runner.run(channel.close())
    return outcomes


@pytest.fixture
def outcome_of(runner, provider, base_url):
    """What a channel makes of an answer; it asks once, whatever the answer is."""

    def outcome_of(made, answer):
        provider.answers = [answer]
        [outcome] = send(runner, made, base_url)
        assert len(provider.requests) == 1
        return outcome

    return outcome_of


def refused(code, description, **parameters):
    """Telegram's own form of a refusal."""
    body = {"ok": False, "error_code": code, "description": description}
    return body | ({"parameters": parameters} if parameters else {})


def error(code, message="words"):
    """WhatsApp's own form of a refusal."""
    return {"error": {"code": code, "message": message, "type": "OAuthException"}}


TAKEN_BY = {
    telegram: {"ok": True, "result": {"message_id": 42, "chat": {"id": int(MEI)}}},
    whatsapp: {"messages": [{"id": "wamid.1", "message_status": "accepted"}]},
}
HTML = b"<html><title>502 Bad Gateway</title></html>"


# Of both -------------------------------------------------------------------------------------


@CHANNELS
@pytest.mark.parametrize("ending", ["cut", "stall"])
def test_an_answer_that_breaks_off_leaves_it_open_whether_it_was_taken(outcome_of, made, ending):
    assert isinstance(outcome_of(made, (200, TAKEN_BY[made], ending)), Unknown)


@CHANNELS
@pytest.mark.parametrize("answer", ["hang", "drop"])
def test_no_answer_at_all_leaves_it_open_too(outcome_of, made, answer):
    assert isinstance(outcome_of(made, answer), Unknown)


@CHANNELS
@pytest.mark.parametrize(
    "content",
    [
        *(b"", b'{"ok": tr', b"[]", b"null", b"{}", b"\xff\xfe\x00", HTML, b"[" * 100_000),
        *(b'{"ok": true}', b'{"ok": true, "result": true}', b'{"ok": true, "result": {}}'),
        *(b'{"ok": "true", "result": {"message_id": 1}}', b'{"result": {"message_id": 1}}'),
        *(b'{"ok": true, "result": {"message_id": "1"}}', b'{"ok": false}'),
        *(b'{"messages": []}', b'{"messages": {"id": "wamid.1"}}', b'{"messages": [{"id": null}]}'),
    ],
)
def test_what_is_no_answer_of_theirs_says_nothing(outcome_of, made, content):
    assert isinstance(outcome_of(made, (200, content)), Unknown)


@CHANNELS
@pytest.mark.parametrize("status", [202, 204, 302, 408, 500, 502, 503, 504])
def test_an_answer_of_somebody_between_never_lets_it_be_sent_again(outcome_of, made, status):
    answer = (status, HTML, ("Location", "/elsewhere"))

    assert isinstance(outcome_of(made, answer), Unknown)


@CHANNELS
@pytest.mark.parametrize("status", [400, 403, 413])
def test_what_a_firewall_forbids_is_no_word_of_theirs(outcome_of, made, status):
    assert outcome_of(made, (status, HTML)) == Unknown(f"HTTP {status}")


@CHANNELS
def test_one_broken_answer_spoils_no_other(runner, provider, base_url, made):
    provider.answers = [(200, TAKEN_BY[made]), "drop", (200, b"{"), (200, TAKEN_BY[made])]

    kinds = [type(each).__name__ for each in send(runner, made, base_url, times=4)]

    assert sorted(kinds) == ["Accepted", "Accepted", "Unknown", "Unknown"]


@CHANNELS
def test_who_refuses_connections_has_taken_nothing(runner, made):
    with socket.socket() as listening_to_nobody:
        listening_to_nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening_to_nobody.getsockname()[1]}"

        assert send(runner, made, address) == [Unavailable("ClientConnectorError")]


@CHANNELS
def test_neither_recipients_nor_texts_nor_secrets_are_logged(
    runner, provider, base_url, made, caplog
):
    unauthorized = (401, refused(401, f"Unauthorized {MEI}") | error(190, f"Expired for {MEI}"))
    provider.answers = ["drop", unauthorized, (200, b"{")]

    with caplog.at_level(logging.DEBUG):
        send(runner, made, base_url, times=3)

    assert caplog.text
    for word in (MEI, TOKEN, ACCESS, "Hi", "Mei"):
        assert word not in caplog.text


# Telegram ------------------------------------------------------------------------------------


def test_telegram_is_asked_in_the_bots_name_and_its_id_is_kept(outcome_of, provider):
    assert outcome_of(telegram, (200, TAKEN_BY[telegram])) == Accepted("42", is_final=True)

    [(path, asked, _)] = provider.requests
    assert path == f"/bot{TOKEN}/sendMessage"
    assert asked == {"chat_id": int(MEI), "text": "<b>Hi</b>", "parse_mode": "HTML"}


def gone(description, code="400"):
    return Rejected("recipient_invalid", description, provider_code=code)


BLOCKED, DEACTIVATED, STRANGER = (
    "Forbidden: bot was blocked by the user",
    "Forbidden: user is deactivated",
    "Forbidden: bot can't initiate conversation with a user",
)
NOT_FOUND, BAD_PEER, LEFT = (
    "Bad Request: chat not found",
    "Bad Request: PEER_ID_INVALID",
    "Bad Request: INPUT_USER_DEACTIVATED",
)
MIGRATED = "Bad Request: group chat was upgraded to a supergroup chat"
BAD_TAG = 'Bad Request: can\'t parse entities: Unsupported start tag "h1"'
TOO_LONG = "Bad Request: message is too long"
BUSY = "Too Many Requests: retry after 35"


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        *(
            (refused(403, words), Rejected("recipient_unavailable", words, provider_code="403"))
            for words in (BLOCKED, DEACTIVATED, STRANGER)
        ),
        *((refused(400, words), gone(words)) for words in (NOT_FOUND, BAD_PEER, LEFT)),
        (refused(400, MIGRATED, migrate_to_chat_id=-100123), gone(MIGRATED)),
        *(
            (refused(400, words), Rejected("content_invalid", words, provider_code="400"))
            for words in (BAD_TAG, TOO_LONG)
        ),
        (refused(429, BUSY, retry_after=35), Throttled(35)),
        (refused(429, BUSY, retry_after=43_200), Throttled(43_200)),
        (refused(429, BUSY), Throttled()),
        (refused(429, BUSY, retry_after="soon"), Throttled()),
        (refused(429, BUSY, retry_after=-1), Throttled()),
        (refused(401, "Unauthorized"), Unavailable("Telegram does not know the token")),
        (refused(404, "Not Found"), Unavailable("Telegram does not know the token")),
        (refused(500, "Internal Server Error"), Unknown("HTTP 500")),
        (refused(502, "Bad Gateway"), Unknown("HTTP 502")),
    ],
)
@pytest.mark.parametrize("as_http_says", [True, False])
def test_telegrams_refusal_counts_by_its_own_code_whatever_it_comes_as(
    outcome_of, body, outcome, as_http_says
):
    assert outcome_of(telegram, (body["error_code"] if as_http_says else 200, body)) == outcome


def test_a_429_of_whoever_stands_before_telegram_has_taken_nothing(outcome_of):
    assert outcome_of(telegram, (429, HTML)) == Throttled()


# WhatsApp ------------------------------------------------------------------------------------


def test_whatsapp_is_asked_in_our_name_and_its_id_is_kept(outcome_of, provider):
    assert outcome_of(whatsapp, (200, TAKEN_BY[whatsapp])) == Accepted("wamid.1")

    [(path, asked, headers)] = provider.requests
    assert path == "/v23.0/200001/messages"
    assert headers["Authorization"] == f"Bearer {ACCESS}"
    assert (asked["to"], asked["biz_opaque_callback_data"]) == (f"+{MEI}", str(ATTEMPT))
    assert asked["template"] == {
        "name": "appointment",
        "language": {"policy": "deterministic", "code": "en_GB"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Mei"}]}],
    }


def test_a_message_that_whatsapp_looks_at_first_was_taken(outcome_of):
    held = {"messages": [{"id": "wamid.1", "message_status": "held_for_quality_assessment"}]}

    assert outcome_of(whatsapp, (200, held)) == Accepted("wamid.1")


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (400, 1013, Rejected("recipient_invalid", "words", "1013")),
        (400, 131026, Rejected("recipient_invalid", "words", "131026")),
        (400, 131047, Rejected("routing_error", "words", "131047")),
        (400, 131049, Rejected("recipient_unavailable", "words", "131049")),
        (400, 132000, Rejected("content_invalid", "words", "132000")),
        (404, 132001, Rejected("content_invalid", "words", "132001")),
        (400, 132015, Rejected("content_invalid", "words", "132015")),
        (400, 100, Rejected("content_invalid", "words", "100")),
        (400, 999999, Rejected("delivery_unknown_error", "words", "999999")),
        (400, "9" * 99, Rejected("delivery_unknown_error", "words", "9" * 20)),
        # Of the whole number, and of one person.
        *((status, 130429, Throttled()) for status in (400, 429)),
        *((400, code, Throttled()) for code in (4, 80007, 131048)),
        *((status, 131056, Throttled(is_personal=True)) for status in (400, 429)),
        # What we have to mend: everything waits for it.
        *((401, code, Unavailable(f"error {code}")) for code in (0, 190)),
        *((403, code, Unavailable(f"error {code}")) for code in (10, 200, 299, 368, 131031)),
        *((400, code, Unavailable(f"error {code}")) for code in (0, 33, 131042, 133010)),
        (500, 3, Unavailable("error 3")),
        # It says that it is down, and where it does not, it may have taken the message before.
        (503, 131016, Unavailable("error 131016")),
        (503, 133004, Unavailable("error 133004")),
        (500, 131057, Unavailable("error 131057")),
        (503, 2, Unknown("HTTP 503")),
        (500, 131000, Unknown("HTTP 500")),
        (500, 1, Unknown("HTTP 500")),
    ],
)
def test_each_error_of_whatsapps_means_one_thing(outcome_of, status, code, outcome):
    assert outcome_of(whatsapp, (status, error(code))) == outcome


@pytest.mark.parametrize("status", [401, 429])
def test_a_status_without_an_error_is_enough_where_it_says_all(outcome_of, status):
    outcome = {401: Unavailable("error 401"), 429: Throttled()}[status]

    assert outcome_of(whatsapp, (status, HTML)) == outcome


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("300", 300.0), ("-1", 0.0), ("Fri, 31 Dec 2027 23:59:59 GMT", None)],
)
def test_whatsapp_may_say_how_long_to_wait(outcome_of, header, seconds):
    answer = (429, error(130429), ("Retry-After", header))

    assert outcome_of(whatsapp, answer) == Throttled(seconds)
