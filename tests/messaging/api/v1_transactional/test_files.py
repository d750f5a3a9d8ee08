"""Files of an email, from the call to the wire (v1-backend §3.5; v1-web-app §20.6)."""

import hashlib

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from messaging.delivery.pipeline import send_chunk
from messaging.models import Message, Transactional
from tests.messaging.api.v1_transactional.conftest import code_of

pytestmark = pytest.mark.django_db

MB = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 40


@pytest.fixture
def send(client, headers, email, account, own_address):
    """A form from one's own address with these files (name, content)."""

    def call(*files, field="attachments", **fields):
        uploads = [SimpleUploadedFile(name, data) for name, data in files]
        data = email.good | {"from": account.email} | fields | {field: uploads}
        return client.post(email.send, data, headers=headers)

    return call


def refused(answer, *expected):
    assert code_of(answer) == expected
    assert not Message.objects.exists()
    assert not Transactional.objects.exists()


def test_of_each_file_its_name_its_size_and_its_md5_are_told(send, get, email):
    shown = send(("map.png", PNG), ("notes.txt", b"hello")).json()

    facts = [
        {"fileName": "map.png", "fileSize": 56, "hash": hashlib.md5(PNG).hexdigest()},
        {"fileName": "notes.txt", "fileSize": 5, "hash": "5d41402abc4b2a76b9719d911017c592"},
    ]
    assert shown["attachments_metadata"] == facts
    assert get(f"{email.path}/{shown['id']}")["attachments_metadata"] == facts
    assert get(email.path)["data"][0]["attachments_metadata"] == facts


def test_they_leave_under_their_names_in_their_order(send, sandbox):
    send(("map.png", PNG), ("预约.txt", b"hello"), ("notes.txt", b"hello"))

    send_chunk(None)

    [mail] = sandbox.outbox(channel="email")
    assert mail["attachments"] == ["map.png", "预约.txt", "notes.txt"]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/notes.txt", "notes.txt"),
        ("C:\\temp\\notes.txt", "notes.txt"),
        ("no\ttes\u202e.txt", "notes.txt"),
        ("预约.txt", "预约.txt"),
    ],
)
def test_a_name_cannot_lead_elsewhere_or_hide_how_it_ends(
    client, headers, email, account, own_address, sent, shown
):
    fields = email.good | {"from": account.email}
    # By hand, as Django's client would clean the name.
    parts = [f'name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    parts.append(f'name="attachments"; filename="{sent}"\r\n\r\nhello')
    start = "--edge\r\nContent-Disposition: form-data; "
    body = "".join(f"{start}{part}\r\n" for part in parts) + "--edge--\r\n"

    answer = client.post(
        email.send,
        body.encode(),
        content_type="multipart/form-data; boundary=edge",
        headers=headers,
    )

    assert answer.json()["attachments_metadata"][0]["fileName"] == shown


def test_pictures_are_shown_by_their_places(send, sandbox):
    send(("a.png", PNG), ("b.txt", b"x"), body='<p>Map:<img src="cid:0"><a href="#">x</a></p>')

    send_chunk(None)

    files = Transactional.objects.get().files.order_by("position")
    assert [file.content_id for file in files] == ["0", "1"]
    [mail] = sandbox.outbox(channel="email")
    # As a reader of mail shows it.
    assert '<img src="data:image/png;base64,' in mail["html"]


def test_without_a_picture_in_the_text_files_are_only_attached(send):
    send(("a.png", PNG), body="<p>cid:0</p>")

    assert Transactional.objects.get().files.get().content_id == ""


@pytest.mark.parametrize("sender", [None, "Clinic <donotreply@mail.postman.gov.sg>"])
def test_from_the_shared_sender_none_goes_whatever_it_is(client, headers, email, sender):
    fields = {"from": sender} if sender else {}
    upload = SimpleUploadedFile("tool.exe", b"MZ\0")

    answer = client.post(email.send, email.good | fields | {"attachments": upload}, headers=headers)

    refused(answer, 403, "unauthorized")


@pytest.mark.parametrize("value", [["notes.txt"], "notes.txt", [], None, {}])
def test_in_json_there_are_none(post, email, account, own_address, value):
    answer = post(email, attachments=value, **{"from": account.email})

    refused(answer, 400, "attachment_format")


def test_text_in_the_place_of_a_file_is_refused(client, headers, email, account, own_address):
    data = email.good | {"from": account.email, "attachments": "hello"}

    refused(client.post(email.send, data, headers=headers), 400, "attachment_format")


def test_files_in_another_field_are_refused(send):
    refused(send(("notes.txt", b"hello"), field="files"), 400, "attachment_format")


@pytest.mark.parametrize(
    "sizes", [[10 * MB], [5 * MB, 5 * MB + 1], [1] * 11], ids=["one", "together", "many"]
)
def test_too_much_is_a_413(send, sizes):
    files = [(f"{n}.txt", b"x" * size) for n, size in enumerate(sizes)]

    refused(send(*files), 413, "attachment_limit")


@pytest.mark.parametrize("sizes", [[10 * MB - 1], [1] * 10], ids=["one", "many"])
def test_what_is_within_the_limits_is_taken(send, sizes):
    files = [(f"{n}.txt", b"x" * size) for n, size in enumerate(sizes)]

    shown = send(*files).json()

    assert [file["fileSize"] for file in shown["attachments_metadata"]] == sizes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("form.pdf.exe", b"%PDF-1.7"),
        ("map.gif", b"GIF89a=1;alert(1)//"),
        ("form.pdf", b"MZ\x90\0%PDF-1.7"),
        ("notes.txt", b""),
        ("page.html", b"<p>hello</p>"),
    ],
)
def test_one_file_that_may_not_go_keeps_the_whole_email(send, name, content):
    answer = send(("notes.txt", b"hello"), (name, content))

    refused(answer, 400, "invalid_template")
    assert "Unsupported file type" in answer.json()["message"]
