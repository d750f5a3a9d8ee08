"""What no client of good faith sends: always our envelope, never a 500, and nothing is stored.

Calls go to the WSGI application itself, as a server would hand them over.
"""

import base64
import json
from io import BytesIO

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from messaging.models import Batch, IdempotencyKey, Message, StagedRow
from postman.wsgi import application
from tests.messaging.builders import accepted_batch, csv_of, single

pytestmark = pytest.mark.django_db

GOOD = {
    "recipient": "6581230001",
    "language": "english",
    "values": {"name": "Mei Ling", "clinic": "Clementi Clinic"},
}
NOBODY = "0" * 8 + "-0000-0000-0000-" + "0" * 12
# method and path below a campaign of each operation
SEND = ("POST", "messages")
LIST = ("GET", "messages")
READ = ("GET", f"messages/message_{NOBODY}")
RETRY = ("POST", f"messages/message_{NOBODY}/retry")
SEND_BATCH = ("POST", "batch/messages")
RETRY_BATCH = ("POST", f"batch/batch_{NOBODY}/retry")
LIST_BATCH = ("GET", f"batch/batch_{NOBODY}/messages")
OPERATIONS = [SEND, LIST, READ, RETRY, SEND_BATCH, RETRY_BATCH, LIST_BATCH]
POSTS = [operation for operation in OPERATIONS if operation[0] == "POST"]


@pytest.fixture
def stored(campaign):
    """Counts all that a call could leave behind. Of a file that is refused its record stays."""
    single(campaign)
    accepted_batch(campaign, 1)
    rows = (Message.objects, StagedRow.objects, IdempotencyKey.objects)
    rows += (Batch.objects.exclude(status="invalid"),)
    return lambda: [found.all().count() for found in rows]


@pytest.fixture
def send(campaign, key, stored):
    """`send(SEND, b"{}")` → status and code; asserts what every refusal must be."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)

    def send(
        operation, body=b"", content_type="application/json", *, path=None, query="", **environ
    ):
        before = stored()
        method, below = operation
        answered = {}

        def start_response(status, headers, exc_info=None):
            answered.update(status=int(status[:3]), headers=dict(headers))

        asked = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path or f"/api/v2/campaigns/{campaign.public_id}/{below}",
            "QUERY_STRING": query,
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_AUTHORIZATION": f"Bearer {key}",
            "HTTP_HOST": "localhost",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.input": BytesIO(body),
            "wsgi.url_scheme": "http",
        } | environ
        asked = {name: value for name, value in asked.items() if value is not None}
        answer = application(asked, start_response)
        content = b"".join(answer)
        answer.close()

        error = json.loads(content)["error"]
        assert set(error) == {"code", "message", "type", "id"}
        assert error["id"] == answered["headers"]["X-Request-Id"]
        assert error["type"] == "domain_error"
        assert error["message"]
        assert len(content) < 1_000
        assert stored() == before
        send.headers, send.message = answered["headers"], error["message"]
        return answered["status"], error["code"]

    yield send
    for signal in signals:
        signal.connect(close_old_connections)


INVALID = (400, "parameter_invalid")
NOT_OURS = (401, "invalid_api_key_provided")
NO_SUCH_PATH = (404, "invalid_path")
NO_SUCH_THING = (404, "resource_not_found")
WRONG_TYPE = (415, "unsupported_media_type")
# What each operation says of an id that is nobody's.
NOTHING_THERE = {
    READ: NO_SUCH_THING,
    LIST_BATCH: NO_SUCH_THING,
    RETRY: (400, "message_not_found_or_retry_message_not_in_failure_status"),
    RETRY_BATCH: (400, "batch_not_found_or_is_not_retryable"),
}


# --- JSON -----------------------------------------------------------------------------------------


def with_(**fields):
    return json.dumps(GOOD | fields).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"null",
        b"[]",
        b"[1, 2]",
        b"7",
        b'"text"',
        json.dumps([GOOD]).encode(),
        b'{"recipient": NaN, "language": "english", "values": {}}',
        b'{"recipient": Infinity}',
        b'{"recipient": 1e999, "language": "english", "values": {}}',
        b'{"recipient": ' + b"9" * 5_000 + b"}",
        b'{"recipient": 6581230001, "language": 7, "values": true}',
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        with_(recipient="6581230001\x00"),
        with_(recipient="6581230001\n"),
        with_(recipient="６５８１２３０００１"),
        with_(recipient=["6581230001"]),
        with_(language=["english"]),
        with_(language={"english": 1}),
        with_(language="english\x00"),
        with_(values=[]),
        with_(values=None),
        with_(values={"name": "Mei", "clinic": "\x00"}),
        with_(values={"name": "Mei", "clinic": "x" * 2_000}),
        with_(values={"name": "Mei", "clinic": {"name": "nested"}}),
        with_(values=GOOD["values"] | {"\x00": "x"}),
        with_(values=GOOD["values"] | {"__proto__": "x"}),
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
        json.dumps(GOOD).encode("utf-16"),
        b'{"recipient": "\xff\xfe"}',
        b'{"recipient": "\xed\xa0\x80"}',
        b'{"recipient": "\\ud83d"}',
        b'{"\\udc00": 1}',
        b'{"\\udc00": 1, "\\udc00": 2}',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_body_that_is_no_message_is_refused(send, body):
    assert send(SEND, body) == INVALID


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"recipient": "6581230001", "recipient": "6591234567"}', '"recipient"'),
        (b'{"recipient": "6581230001", "values": {"name": "A", "name": "B"}}', '"name"'),
    ],
)
def test_a_name_that_stands_twice_is_refused_and_named(send, body, name):
    assert send(SEND, body) == INVALID
    assert name in send.message


def test_fields_that_nobody_knows_are_refused_and_named(send):
    assert send(SEND, with_(sender="Bank", schedule="now")) == INVALID
    assert send.message == "schedule: Unknown field. sender: Unknown field."


def test_no_answer_repeats_what_is_endless(send):
    assert send(SEND, with_(**{"x" * 100_000: 1})) == INVALID
    assert send(SEND, with_(**{f"field {n}": 1 for n in range(10_000)})) == INVALID


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/html; charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
        "application/json, text/plain",
        ";;;",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json; charset=zlib",
        "application/json; charset=rot13",
        "application/json; charset=nonsense",
        "application/json; charset=\x00",
        "application/json; charset*=nonsense''utf-8",
        "application/json; charset=" + "x" * 10_000,
    ],
    ids=lambda text: repr(text[:50]),
)
def test_only_json_in_utf_8_is_read(send, content_type):
    assert send(SEND, json.dumps(GOOD).encode(), content_type) == WRONG_TYPE


@pytest.mark.parametrize("operation", POSTS)
def test_a_body_over_the_limit_is_refused(send, operation, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    json_body, type_ = with_(values={"name": "x" * 1_000}), "application/json"
    if operation is SEND_BATCH:
        json_body, type_ = form(("file", None, b"x" * 2_000))

    answer = send(operation, json_body, type_, HTTP_IDEMPOTENCY_KEY="again")

    assert answer == (413, "payload_too_large")


@pytest.mark.parametrize("operation", POSTS)
def test_a_body_without_its_length_is_refused_rather_than_lost(send, operation):
    chunked = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}

    assert send(operation, json.dumps(GOOD).encode(), **chunked) == (411, "length_required")


@pytest.mark.parametrize("length", ["-1", "x", "", "9" * 30, "1.5"])
def test_a_length_that_is_none_is_refused(send, length):
    assert send(SEND, json.dumps(GOOD).encode(), CONTENT_LENGTH=length)[0] in (400, 413)
    body, content_type = form(("file", "people.csv", csv_of(1)))
    assert send(SEND_BATCH, body, content_type, CONTENT_LENGTH=length) == INVALID


# --- Addresses and methods ------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_wrong_method_is_refused_with_those_that_are_right(send, operation):
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "SEND"):
        assert send((method, operation[1])) == (405, "method_not_allowed")
        assert operation[0] in send.headers["Allow"]
        assert method not in send.headers["Allow"]


@pytest.mark.parametrize("operation", [RETRY, SEND_BATCH, RETRY_BATCH])
def test_what_only_creates_cannot_be_read(send, operation):
    assert send(("GET", operation[1])) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/v2",
        "/api/v2/",
        "/api/v3/campaigns",
        "/api/v2/campaigns",
        "/api//v2/campaigns",
        "/api/v2/../v2/campaigns",
        "/api/v2/\x00",
        "/api/v2/\xff\xfe",
        "/api/v2/%zz",
        "/api/v2/" + "x" * 100_000,
        "/api/v2/" + "x/" * 10_000,
    ],
    ids=lambda path: repr(path[:30]),
)
def test_an_address_that_there_is_not_is_an_invalid_path(send, path):
    for method in ("GET", "POST", "DELETE"):
        assert send((method, ""), path=path) == NO_SUCH_PATH


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_slash_too_many_is_another_address(send, operation):
    assert send((operation[0], operation[1] + "/")) == NO_SUCH_PATH


IDS_OF_NOTHING = [
    "x",
    "message_",
    "\x00" * 36,
    "'; DROP TABLE messaging_message; --",
    "../" * 12,
    "message_" + "٠" * 36,
    "message_" + "0" * 36,
    "message_{" + "0" * 34 + "}",
    "message_urn:uuid:" + "0" * 27,
    "message_" + "F" * 8 + NOBODY[8:],
    "m" * 100_000,
]


@pytest.mark.parametrize(("operation", "expected"), NOTHING_THERE.items())
def test_an_id_that_is_none_finds_nothing(send, operation, expected):
    method, below = operation
    kind, _, tail = below.split("/")[1].partition("_")
    for identity in IDS_OF_NOTHING:
        wrong = identity.replace("message", kind).encode().decode("latin-1")
        answer = send((method, below.replace(f"{kind}_{tail}", wrong)))
        # A slash in it makes another address.
        assert answer == (NO_SUCH_PATH if "/" in wrong else expected)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_another_campaign_is_not_ours(send, operation):
    for campaign_id in (f"campaign_{NOBODY}", "x", "\x00", "campaign_", "*"):
        path = f"/api/v2/campaigns/{campaign_id}/{operation[1]}"
        assert send(operation, path=path) == NOT_OURS


def test_another_hosts_name_is_refused(send):
    assert send(LIST, HTTP_HOST="evil.example") == INVALID


# --- Queries --------------------------------------------------------------------------------------


def cursor(*place):
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


@pytest.mark.parametrize("parameter", ["after", "before"])
@pytest.mark.parametrize(
    "text",
    [
        "x",
        "%00",
        "%ff%fe",
        "=",
        "A" * 100_000,
        base64.b64encode(b"[" * 100).decode(),
        base64.b64encode(b"\xff").decode(),
        cursor(),
        cursor(1, 2),
        cursor(None, None),
        cursor({"a": 1}, []),
        cursor("2026-11-20T04:00:00", NOBODY),
        cursor("2026-11-20T04:00:00+00:00", "nobody"),
        cursor("2026-11-20T04:00:00+00:00", NOBODY, "more"),
        cursor("0001-01-01T00:00:00+14:00", NOBODY),
        cursor("9999-12-31T23:59:59-14:00", NOBODY),
        cursor("NaN", NOBODY),
    ],
    ids=lambda text: repr(text[:40]),
)
def test_a_cursor_that_is_not_ours_is_refused(send, parameter, text):
    assert send(LIST, query=f"{parameter}={text}") == INVALID


@pytest.mark.parametrize("offset", ["+23:59", "-23:59", "+15:59:59"])
def test_a_cursor_in_any_time_zone_is_read(client, campaign, key, offset):
    answer = client.get(
        f"/api/v2/campaigns/{campaign.public_id}/messages",
        {"after": cursor(f"2026-11-20T04:00:00{offset}", NOBODY)},
        headers={"Authorization": f"Bearer {key}"},
    )

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "limit",
    [
        "",
        "0",
        "-1",
        "1001",
        "99999999999999999999",
        "1.0",
        "1e2",
        "0x10",
        "١",
        "²",
        "%00",
        " 5",
        "NaN",
    ],
)
def test_a_limit_that_is_none_is_refused(send, limit):
    assert send(LIST, query=f"limit={limit.encode().decode('latin-1')}") == INVALID


def test_a_query_without_end_is_refused(send):
    assert send(LIST, query="&".join(f"q{n}=1" for n in range(2_000))) == INVALID


@pytest.mark.parametrize(
    "query", ["search=%00%ff%zz", "search=" + "9" * 50_000, "%=%&&&=", "search[]=1"]
)
def test_a_strange_search_finds_what_it_can(client, campaign, key, query):
    answer = client.get(
        f"/api/v2/campaigns/{campaign.public_id}/messages?{query}",
        headers={"Authorization": f"Bearer {key}"},
    )

    assert answer.status_code == 200
    assert answer.json()["data"] == []


@pytest.mark.parametrize("charset", ["rot13", "zlib", "nonsense", "utf-16"])
def test_no_charset_changes_how_an_address_is_read(send, charset):
    query = "limit=%30"

    assert send(LIST, query=query, content_type=f"text/plain; charset={charset}") == INVALID
    assert "`limit`" in send.message


# --- Headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        "bearer x",
        "Bearer key_live_x\r\nX-Injected: yes",
        "Bearer \x00",
        "Bearer \xff\xfe",
        "Bearer " + "x" * 100_000,
        "Bearer a b c",
        "nonsense",
    ],
    ids=lambda text: repr(text[:30]),
)
def test_a_key_that_is_none_is_refused(send, header):
    for operation in OPERATIONS:
        assert send(operation, HTTP_AUTHORIZATION=header) == NOT_OURS
        assert "X-Injected" not in send.headers


@pytest.mark.parametrize(
    "claimed",
    ["127.0.0.1", "127.0.0.1, 127.0.0.1", "\x00", "x" * 100_000, "::ffff:127.0.0.1", ",,,"],
)
def test_nobody_talks_himself_into_an_allowed_address(send, claimed):
    for operation in OPERATIONS:
        answer = send(operation, REMOTE_ADDR="203.0.113.9", HTTP_X_FORWARDED_FOR=claimed)
        assert answer == (400, "invalid_ip_address_used")


@pytest.mark.parametrize("operation", POSTS)
def test_an_idempotency_key_that_is_none_is_refused(send, operation):
    body, content_type = json.dumps(GOOD).encode(), "application/json"
    if operation is SEND_BATCH:
        body, content_type = form(("file", "people.csv", csv_of(1)))

    for text in ("", "\x00", "\xff", "a\r\nb", "x" * 256):
        assert send(operation, body, content_type, HTTP_IDEMPOTENCY_KEY=text) == INVALID


# --- Files ----------------------------------------------------------------------------------------


def form(*parts, boundary="b0undary"):
    """A multipart body of (name, file name or None, content), and its content type."""
    body = b""
    for name, file_name, content in parts:
        disposition = f'form-data; name="{name}"'
        if file_name is not None:
            disposition += f'; filename="{file_name}"'
        body += f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
        body += content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [("file", None, csv_of(1))],
        [("csv", "people.csv", csv_of(1))],
        [("File", "people.csv", csv_of(1))],
        [("file[]", "people.csv", csv_of(1))],
        [("file", "people.csv", csv_of(1)), ("file", "others.csv", csv_of(2))],
        [("file", "people.csv", b"")],
        [("file", "", csv_of(1))],
        [("file", "people.exe", csv_of(1))],
        [("file", "people.csv\x00.exe", csv_of(1))],
        [("file", "people.csv/", csv_of(1))],
        [("file", "..", csv_of(1))],
        [("file", "people.csv", b"\x00" * 1_000)],
        [("file", "people.csv", b"\xff\xfe\xfd")],
        [("file", "people.csv", b"PK\x03\x04 a spreadsheet")],
        [("file", "people.csv", b"<html></html>")],
        [("file", "people.csv", b"recipient,language,name,clinic\n")],
        [("file", "people.csv", b"recipient,recipient,language,name,clinic\n")],
        [("file", "people.csv", b'"' * 10_000)],
        [("file", "people.csv", b"," * 100_000)],
        [(f"part {n}", None, b"x") for n in range(2_000)],
        [(f"part {n}", "people.csv", b"x") for n in range(200)],
    ],
    ids=lambda parts: repr(parts[:1])[:50],
)
def test_a_form_without_one_readable_file_is_refused(send, parts):
    assert send(SEND_BATCH, *form(*parts)) == INVALID


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/csv",
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=b0undary",
    ],
)
def test_a_file_comes_in_a_form_only(send, content_type):
    body, _ = form(("file", "people.csv", csv_of(1)))

    assert send(SEND_BATCH, body, content_type) == WRONG_TYPE


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=another",
        "multipart/form-data; boundary=" + "x" * 1_000,
        "multipart/form-data; boundary=\xff\xfe",
        "multipart/form-data; boundary=b0\x00undary",
        "multipart/form-data; boundary=b0undary; boundary=another",
        "multipart/form-data; boundary*=nonsense''b0undary",
    ],
    ids=lambda text: repr(text[19:60]),
)
def test_a_form_whose_parts_cannot_be_told_apart_is_refused(send, content_type):
    body, _ = form(("file", "people.csv", csv_of(1)))

    assert send(SEND_BATCH, body, content_type)[0] in (400, 415)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"Content-Disposition",
        b"Content-Disposition: form-data",
        b"Content-Disposition: attachment; filename=people.csv",
        b"Content-Disposition: form-data; name=file; filename*=rot13''people%2Ecsv",
        b"Content-Disposition: form-data; name=file; filename*=nonsense''people%2Ecsv",
        b"Content-Disposition: form-data; name=\xff; filename=people.csv",
        b"Content-Disposition: form-data; name=file; filename=people.csv"
        b"\r\nContent-Transfer-Encoding: base64",
        b"Content-Disposition: form-data; name=file; filename=people.csv"
        b"\r\nContent-Type: text/csv; charset=rot13\r\nContent-Length: x\r\nX: " + b"x" * 10_000,
    ],
    ids=lambda head: repr(head[-40:]),
)
def test_a_part_with_a_broken_head_is_refused(send, head):
    body = b"--b0undary\r\n" + head + b"\r\n\r\nrecipient\r\n--b0undary--\r\n"

    assert send(SEND_BATCH, body, "multipart/form-data; boundary=b0undary") == INVALID


@pytest.mark.parametrize("cut", [10, 60, 120, -10])
def test_a_form_that_breaks_off_is_refused(send, cut):
    body, content_type = form(("file", "people.csv", b"not,a,table"))

    assert send(SEND_BATCH, body[:cut], content_type) == INVALID


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd.csv", "/etc/people.csv", "C:\\\\people.csv", "people\u202evsc.csv"],
)
def test_no_file_name_chooses_where_a_file_lies(client, campaign, key, settings, name):
    body, content_type = form(("file", name, csv_of(1)))

    answer = client.generic(
        "POST",
        f"/api/v2/campaigns/{campaign.public_id}/batch/messages",
        body,
        content_type,
        headers={"Authorization": f"Bearer {key}"},
    )

    batch = Batch.objects.get()
    assert answer.json() == {"isValid": True, "batchId": batch.public_id}
    assert batch.file.name.endswith(f"/{batch.public_id}.csv")
    assert "/" not in batch.original_file_name
    assert batch.original_file_name.isprintable()
