"""The programmatic email API (v1-backend §3.5, §3.6; v1-web-app §21, §22)."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from messaging import receipts
from messaging.channels.base import Event
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Message, Suppression, Transactional, TransactionalFile
from postman.accounts import keys
from tests.factories import SenderFactory, UserFactory

pytestmark = pytest.mark.django_db

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 40
SEND, LIST = "/v1/transactional/email/send", "/v1/transactional/email"
GOOD = {"subject": "Visit on Friday", "body": "<p>See you then</p>", "recipient": "pat@example.org"}


@pytest.fixture
def account(officer):
    officer.calls_per_second = None
    officer.save()
    return officer


@pytest.fixture
def headers(account):
    _, secret = keys.create(account, label="System", contacts=[account.email])
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def own_address(account):
    return SenderFactory(owner=account)


@pytest.fixture
def send(client, headers):
    def call(**fields):
        return client.post(
            SEND, {**GOOD, **fields}, content_type="application/json", headers=headers
        )

    return call


@pytest.fixture
def send_form(client, headers):
    def call(*files, **fields):
        attached = [SimpleUploadedFile(name, data) for name, data in files]
        data = {**GOOD, **fields, **({"attachments": attached} if attached else {})}
        return client.post(SEND, data, headers=headers)

    return call


@pytest.fixture
def get(client, headers):
    return lambda path=LIST, **query: client.get(path, query, headers=headers)


def refused(response, status, code):
    assert (response.status_code, response.json()["code"]) == (status, code), response.json()
    assert not Transactional.objects.exists()
    assert not Message.objects.exists()
    return response.json()


# Sending ---------------------------------------------------------------------------------------


def test_an_email_that_is_taken_is_shown_whole(send, account):
    answer = send(tag="feb-visits", classification="for_info", reply_to="Desk@agency.gov.sg")

    shown = answer.json()
    row = Transactional.objects.get()
    assert answer.status_code == 201
    now = shown["created_at"]
    assert shown == {
        "id": str(row.pk),
        "from": "Postman <donotreply@mail.postman.gov.sg>",
        "recipient": "pat@example.org",
        "params": {
            "subject": "Visit on Friday",
            "body": "<p>See you then</p>",
            "from": "Postman <donotreply@mail.postman.gov.sg>",
            "reply_to": "desk@agency.gov.sg",
        },
        "attachments_metadata": None,
        "status": "ACCEPTED",
        "error_code": None,
        "error_sub_type": None,
        "created_at": now,
        "updated_at": shown["updated_at"],
        "accepted_at": now,
        "sent_at": None,
        "delivered_at": None,
        "opened_at": None,
        "classification": "FOR_INFO",
        "tag": "feb-visits",
        "cc": [],
        "bcc": [],
    }
    assert now.endswith("Z")


def test_it_leaves_as_it_was_written_but_for_what_emails_may_not_hold(send, sandbox):
    send(
        recipient="Pat@Example.org",
        body='<p onclick="x()">Hi <b>Pat</b></p><script>x()</script>',
        cc=["a@example.org"],
        bcc=["b@example.org"],
        disable_tracking=True,
    )

    send_chunk(None)

    [mail] = sandbox.outbox(channel="email")
    assert "pat@example.org" in mail["to"]
    assert {"a@example.org", "b@example.org"} <= set(mail["to"].split(", "))
    assert "<b>Pat</b>" in mail["html"]
    assert "script" not in mail["html"]
    assert "onclick" not in mail["html"]
    assert mail["configuration_set"] == "postman-untracked"
    assert Message.objects.get().status == "sent"


def test_replies_go_to_the_account_unless_the_call_says_otherwise(send, account):
    assert send().json()["params"]["reply_to"] == account.email


def test_a_form_is_taken_as_json_is(send_form):
    answer = send_form(cc='["a@example.org"]', bcc="b@example.org", disable_tracking="true")

    assert answer.status_code == 201
    assert (answer.json()["cc"], answer.json()["bcc"]) == (["a@example.org"], ["b@example.org"])


def test_one_email_that_cannot_be_put_together_keeps_no_other_from_leaving(send, sandbox):
    send()
    Transactional.objects.update(content={})
    send(recipient="ravi@example.org")

    while send_chunk(None):
        pass

    assert dict(Message.objects.values_list("recipient", "status")) == {
        "pat@example.org": "failure",
        "ravi@example.org": "sent",
    }


def test_a_call_that_is_repeated_with_its_idempotency_key_sends_once(client, headers):
    calls = [
        client.post(
            SEND,
            GOOD,
            content_type="application/json",
            headers={**headers, "Idempotency-Key": "visit-1"},
        )
        for _ in range(2)
    ]

    assert [call.status_code for call in calls] == [201, 201]
    assert calls[0].json() == calls[1].json()
    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"recipient": "pat"}, "recipient"),
        ({"recipient": ""}, "recipient"),
        ({"recipient": "pät@example.org"}, "recipient"),
        ({"recipient": ["pat@example.org"]}, "recipient"),
        ({"subject": ""}, "subject"),
        ({"body": ""}, "body"),
        ({"body": "é" * (512 * 1024 + 1)}, "body"),
        ({"reply_to": "desk"}, "reply_to"),
        ({"from": "Clinic"}, "from"),
        ({"from": "Clinic\r\nBcc: x@example.org <a@health.gov.sg>"}, "from"),
        ({"cc": ["a@example.org", "a@example.org"]}, "cc"),
        ({"cc": "a@example.org"}, "cc"),
        ({"bcc": [1]}, "bcc.0"),
        ({"cc": "[" * 100_000}, "cc"),
        ({"bcc": '["\\ud800@example.org"]'}, "bcc"),
        ({"tag": "x" * 256}, "tag"),
        ({"classification": "LATER"}, "classification"),
        ({"disable_tracking": "perhaps"}, "disable_tracking"),
        ({"disable_tracking": 1}, "disable_tracking"),
        ({"subject": 1}, "subject"),
        ({"tag": 1}, "tag"),
        ({"unknown": 1}, "unknown"),
        ({"subject": "a\0b"}, "subject"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_nothing_is_stored(send, fields, path):
    said = refused(send(**fields), 400, "api_validation")

    assert path in [error["path"] for error in said["errors"]]
    assert path in said["message"]


def test_a_subject_is_one_line(send, sandbox):
    send(subject="Visit\r\nBcc: everybody@example.org")

    send_chunk(None)

    [mail] = sandbox.outbox(channel="email")
    assert mail["subject"] == "Visit Bcc: everybody@example.org"
    assert "everybody" not in mail["to"]


def test_at_most_fifty_addresses_get_one_email(send):
    addresses = [f"p{n}@example.org" for n in range(49)]

    refused(
        send(cc=addresses[:25], bcc=[*addresses[24:], "q@example.org"]), 400, "too_many_recipients"
    )
    refused(send(cc=[f"p{n}@example.org" for n in range(1000)]), 400, "too_many_recipients")
    assert send(cc=addresses[:24], bcc=addresses[24:]).status_code == 201


def test_nobody_whose_address_bounced_is_written_to(send):
    Suppression.objects.create(recipient="pat@example.org", reason="hard_bounce")

    said = refused(send(), 400, "invalid_template")

    assert "lacklisted" in said["message"]


def test_copies_to_addresses_that_bounced_are_dropped_and_left_out_of_the_answer(send):
    Suppression.objects.create(recipient="a@example.org", reason="complaint")

    assert send(cc=["a@example.org", "b@example.org"]).json()["cc"] == ["b@example.org"]


def test_who_unsubscribed_from_campaigns_still_gets_what_systems_send(send, account, sandbox):
    Suppression.objects.create(
        agency=account.agency, recipient="pat@example.org", reason="unsubscribed"
    )

    assert send().status_code == 201
    send_chunk(None)
    assert len(sandbox.outbox(channel="email")) == 1


@pytest.mark.parametrize("body", ["<script>x()</script>", "<p> </p>", "<style>p{}</style>"])
def test_an_email_of_which_nothing_is_left_is_refused(send, body):
    refused(send(body=body), 400, "invalid_template")


def test_an_address_of_ones_own_may_be_used_once_it_is_verified(send, account, own_address):
    assert send(**{"from": f"Clinic Reminders <{account.email}>"}).json()["from"] == (
        f"Clinic Reminders <{account.email}>"
    )


@pytest.mark.parametrize("address", ["mei.ling@health.gov.sg", "minister@pmo.gov.sg"])
def test_nobody_writes_from_an_address_that_is_not_verified_or_not_theirs(send, address):
    refused(send(**{"from": f"Clinic <{address}>"}), 400, "invalid_from_address")


def test_a_form_that_repeats_a_key_with_another_file_among_several_is_refused(
    client, headers, account, own_address
):
    def call(first):
        files = [SimpleUploadedFile("a.txt", first), SimpleUploadedFile("b.txt", b"the same")]
        data = {**GOOD, "from": account.email, "attachments": files}
        return client.post(SEND, data, headers={**headers, "Idempotency-Key": "visit-1"})

    assert [call(b"one").status_code, call(b"one").status_code] == [201, 201]
    assert call(b"another").json()["code"] == "idempotency_key_reused"
    assert Message.objects.count() == 1


# Files -----------------------------------------------------------------------------------------


def archive(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for name in names:
            out.writestr(name, "x")
    return file.getvalue()


def test_files_go_along_and_are_named_in_the_answer(send_form, account, own_address, sandbox):
    answer = send_form(("map.png", PNG), ("notes.txt", b"hello"), **{"from": account.email})

    assert answer.status_code == 201, answer.json()
    assert answer.json()["attachments_metadata"] == [
        {
            "fileName": "map.png",
            "fileSize": len(PNG),
            "hash": answer.json()["attachments_metadata"][0]["hash"],
        },
        {"fileName": "notes.txt", "fileSize": 5, "hash": "5d41402abc4b2a76b9719d911017c592"},
    ]
    send_chunk(None)
    assert Message.objects.get().status == "sent"


def test_a_picture_is_shown_in_the_text_by_its_place(send_form, account, own_address):
    send_form(("map.png", PNG), body='<p><img src="cid:0"></p>', **{"from": account.email})

    assert TransactionalFile.objects.get().content_id == "0"


def test_files_go_only_from_an_address_of_ones_own(send_form):
    refused(send_form(("notes.txt", b"hello")), 403, "unauthorized")


def test_files_cannot_stand_in_json(send, account, own_address):
    refused(send(attachments=["notes.txt"], **{"from": account.email}), 400, "attachment_format")


@pytest.mark.parametrize(
    "files",
    [
        [("a.txt", b"x" * (10 * 1024 * 1024))],
        [("a.txt", b"x" * (6 * 1024 * 1024)), ("b.txt", b"x" * (5 * 1024 * 1024))],
        [(f"{n}.txt", b"x") for n in range(11)],
    ],
)
def test_too_many_or_too_large_files_are_refused(send_form, account, own_address, files):
    refused(send_form(*files, **{"from": account.email}), 413, "attachment_limit")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tool.exe", b"MZ" + b"\0" * 100),
        ("page.html", b"<html></html>"),
        ("picture.svg", b"<svg xmlns='http://www.w3.org/2000/svg'></svg>"),
        ("map.png", b"MZ" + b"\0" * 100),
        ("map.png", PNG + archive("a.txt")),
        ("notes.txt", b"%PDF-1.7"),
        ("notes.txt", b"a\0b"),
        ("list.xlsx", archive("a.txt")),
        ("list.xlsx", archive("[Content_Types].xml", "xl/vbaProject.bin")),
        ("list.docx", b"PK\x03\x04broken"),
        ("notes", b"hello"),
        ("notes.txt", b""),
        ("notes.txt.exe", b"hello"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(send_form, account, own_address, name, content):
    said = refused(send_form((name, content), **{"from": account.email}), 400, "invalid_template")

    assert "Unsupported file type" in said["message"]


def test_an_office_file_goes_along(send_form, account, own_address):
    answer = send_form(
        ("list.XLSX", archive("[Content_Types].xml", "xl/workbook.xml")),
        **{"from": account.email},
    )

    assert answer.status_code == 201, answer.json()


# Who may call ----------------------------------------------------------------------------------


def test_without_a_key_nothing_is_told(client):
    for path in (SEND, LIST, f"{LIST}/1"):
        answer = client.post(path) if path == SEND else client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic abc", "Bearer ", "x"])
def test_a_wrong_key_opens_nothing(client, header):
    answer = client.get(LIST, headers={"Authorization": header})

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_who_is_signed_in_may_call_with_the_pages_token(client_of, account):
    client = client_of(account)
    client.handler.enforce_csrf_checks = True
    assert client.get(LIST).status_code == 200

    answer = client.post(SEND, GOOD, content_type="application/json")

    refused(answer, 403, "unauthorized")


def test_a_call_with_a_key_makes_no_session(client, headers):
    assert not client.get(LIST, headers=headers).cookies


def test_an_account_makes_ten_calls_a_second_and_is_told_how_many_are_left(
    client, headers, account
):
    account.calls_per_second = 10
    account.save()

    answers = [
        client.post(SEND, GOOD, content_type="application/json", headers=headers) for _ in range(12)
    ]

    statuses = [answer.status_code for answer in answers]
    assert statuses.count(201) >= 10
    first, last = answers[0], answers[-1]
    assert first["X-RateLimit-Limit"] == first["RateLimit-Limit"] == "10"
    assert first["X-RateLimit-Remaining"] == first["RateLimit-Remaining"] == "9"
    assert int(first["X-RateLimit-Reset"]) >= int(datetime.now(UTC).timestamp()) - 60
    if last.status_code == 429:
        assert last.json()["code"] == "rate_limit"
        assert last["Retry-After"] == "1"


# Reading ---------------------------------------------------------------------------------------


def report(kind, code=""):
    attempt = Attempt.objects.get()
    receipts.keep_events(
        [
            (
                "ses",
                attempt.id,
                Event(
                    f"{kind}{code}", attempt.reference, attempt.id, kind, code, {}, timezone.now()
                ),
            )
        ]
    )
    receipts.apply_events()


@pytest.mark.parametrize(
    ("events", "status", "error", "sub_type"),
    [
        ([("Send", "")], "SENT", None, None),
        ([("Send", ""), ("Delivery", "")], "DELIVERED", None, None),
        ([("Delivery", ""), ("Send", "")], "DELIVERED", None, None),
        ([("Delivery", ""), ("Open", ""), ("Delivery", "")], "OPENED", None, None),
        ([("Bounce", "Permanent/General")], "BOUNCED", "Hard bounce", "General"),
        ([("Bounce", "Transient/MailboxFull")], "BOUNCED", "Soft bounce", "MailboxFull"),
        ([("Delivery", ""), ("Complaint", "abuse")], "COMPLAINT", "abuse", None),
    ],
)
def test_what_became_of_it_is_told_and_never_goes_back(
    send, get, sandbox, events, status, error, sub_type
):
    number = send().json()["id"]
    send_chunk(None)
    assert get(f"{LIST}/{number}").json()["status"] == "ACCEPTED"

    for kind, code in events:
        report(kind, code)

    shown = get(f"{LIST}/{number}").json()
    assert (shown["status"], shown["error_code"], shown["error_sub_type"]) == (
        status,
        error,
        sub_type,
    )
    assert bool(shown["sent_at"]) is (status in ("SENT", "DELIVERED", "OPENED", "COMPLAINT"))


@pytest.mark.parametrize("number", ["999", "9" * 30])
def test_an_email_that_is_not_there_is_not_found(get, number):
    answer = get(f"{LIST}/{number}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_what_is_no_number_is_refused(get):
    assert get(f"{LIST}/abc").json()["code"] == "api_validation"


def test_somebody_elses_email_is_as_good_as_none(client, send):
    number = send().json()["id"]
    _, secret = keys.create(UserFactory(), label="x", contacts=["a@b.gov.sg"])
    other = {"Authorization": f"Bearer {secret}"}

    assert client.get(f"{LIST}/{number}", headers=other).status_code == 404
    assert client.get(LIST, headers=other).json() == {"has_more": False, "data": []}


def test_lists_go_in_steps_and_say_whether_there_is_more(send, get):
    sent = [send(subject=f"n{n}").json()["id"] for n in range(3)]

    first = get(limit=2).json()
    rest = get(limit=2, offset=2).json()

    assert [row["id"] for row in first["data"]] == [sent[2], sent[1]]
    assert first["has_more"] is True
    assert [row["id"] for row in rest["data"]] == [sent[0]]
    assert rest["has_more"] is False


@pytest.mark.parametrize(
    ("query", "is_oldest_first"),
    [
        ("", False),
        ("?sort_by=created_at", False),
        ("?sort_by=-created_at", False),
        ("?sort_by=+created_at", True),
        ("?sort_by=%2Bcreated_at", True),
        ("?sort_by=%20created_at", True),
        ("?sort_by=%2Bupdated_at", True),
        ("?sort_by=-updated_at", False),
    ],
)
def test_lists_are_sorted_as_asked_however_the_plus_is_written(
    client, headers, send, query, is_oldest_first
):
    sent = [send(subject=f"n{n}").json()["id"] for n in range(3)]

    listed = [row["id"] for row in client.get(LIST + query, headers=headers).json()["data"]]

    assert listed == (sent if is_oldest_first else sent[::-1])


def test_lists_are_narrowed_by_tag_status_and_time(send, get, sandbox):
    send(tag="a")
    send(tag="b")
    old, new = Transactional.objects.order_by("pk")
    long_ago = timezone.now() - timedelta(days=3)
    Transactional.objects.filter(pk=old.pk).update(created_at=long_ago)

    def found(**query):
        return [int(row["id"]) for row in get(**query).json()["data"]]

    assert found(tag="a") == [old.pk]
    assert found(status="accepted") == [new.pk, old.pk]
    assert found(status="BOUNCED") == []
    day = (long_ago + timedelta(days=1)).isoformat()
    assert found(**{"created_at[gt]": day}) == [new.pk]
    assert found(**{"created_at[lte]": day}) == [old.pk]
    between = {"created_at[gte]": long_ago.isoformat(), "created_at[lt]": day}
    assert found(**between) == [old.pk]


def test_params_can_be_left_out(send, get):
    send()

    [row] = get(exclude_params="true").json()["data"]

    assert "params" not in row


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "offset=-1",
        "status=LOST",
        "sort_by=id",
        "sort_by=created_at;%20x",
        "sort_by=xxupdated_at",
        "created_at[gt]=yesterday",
        "created_at[gt]=2026-01-01&created_at[gt]=2026-01-02",
        "exclude_params=maybe",
        "limit=",
        "created_at[gt]=",
        "tag=" + "x" * 256,
        "colour=red",
        "created_at[gt]=9999-12-31T23:59:59-23:00",
    ],
)
def test_a_query_that_cannot_be_understood_is_refused(client, headers, query):
    answer = client.get(f"{LIST}?{query}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "api_validation")
    assert answer.json()["errors"]


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"a": NaN}', b"[1]"])
def test_what_cannot_be_read_is_refused(client, headers, content):
    answer = client.post(SEND, content, content_type="application/json", headers=headers)

    assert answer.status_code == 400
    assert answer.json()["code"] in ("malformed", "api_validation")


def test_an_address_that_is_not_there_is_told_in_the_same_shape(client, headers):
    answer = client.get("/v1/nothing", headers=headers)

    assert (answer.status_code, json.loads(answer.content)["code"]) == (404, "not_found")
