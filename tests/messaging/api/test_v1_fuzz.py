"""The running v1 against its own description: whatever is sent, the answer is a described one.

The suite sends a few calls of each operation, `make fuzz` a thousand (SCHEMATHESIS_EXAMPLES).
"""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from messaging import transactional
from messaging.api.v1.describing import ID
from messaging.channels.base import Rejected
from messaging.delivery import claiming, recording
from messaging.models import Transactional
from postman.accounts import keys
from tests.factories import SenderFactory
from tests.messaging import whatsapp
from tests.messaging.api.fuzzing import CALLS, behind, met_by_chance, v1_operations
from tests.messaging.sandbox import staff

pytestmark = pytest.mark.django_db

SENDER = "Clinic <mei.ling@health.gov.sg>"
TEMPLATE, PARAMS = 4000, ["recipient_name", "slot", "agency"]
# Ids that stand in the calls.
STANDINS = [str(9_000_000_000 + n) for n in range(3)]


@pytest.fixture
def secret(officer, sandbox, _one_connection):
    """The key of an account without a limit that may send over every channel, and has."""
    officer.calls_per_second = None
    officer.save()
    SenderFactory(owner=officer)
    staff.labelled(officer)
    whatsapp.granted(officer, pk=TEMPLATE)
    sent = [
        transactional.send_email(officer, recipient="a@example.org", subject="a", body="a"),
        transactional.send_sms(officer, recipient="81230001", body="a", label="clinic"),
        transactional.send_whatsapp(
            officer, recipient="81230001", template_id=TEMPLATE, params=dict.fromkeys(PARAMS, "a")
        ),
    ]
    failed = [
        (claim, Rejected("recipient_unavailable", provider_code="30003"))
        for claim in claiming.claim(None)
    ]
    recording.record(failed)
    behind.update(zip(STANDINS, [str(row.pk) for row in sent], strict=True))
    assert Transactional.objects.filter(message__status="failure").count() == len(sent)
    return keys.create(officer, label="System", contacts=[officer.email])[1]


_ADDRESS = {"type": "string", "pattern": r"^[a-z]{1,20}@example\.org$"}
_ADDRESSES = {"type": "array", "items": _ADDRESS, "maxItems": 5, "uniqueItems": True}
_TEXT = {"type": "string", "pattern": "^[A-Za-z0-9]{1,40}$"}
_PHONE = {"type": "string", "pattern": "^8[1-7][0-9]{6}$"}
SENDABLE_FIELDS = {
    "email": {
        "recipient": _ADDRESS,
        "subject": _TEXT,
        "body": _TEXT,
        "from": {"type": "string", "enum": [SENDER]},
        "reply_to": _ADDRESS,
        "cc": _ADDRESSES,
        "bcc": _ADDRESSES,
        "tag": _TEXT,
    },
    "sms": {"recipient": _PHONE, "body": _TEXT, "label": {"type": "string", "enum": ["clinic"]}},
    "govsg": {
        "recipient": _PHONE,
        "template_id": {"type": "integer", "enum": [TEMPLATE]},
        "params": {
            "type": "object",
            "required": PARAMS,
            "additionalProperties": False,
            "properties": dict.fromkeys(PARAMS, _TEXT),
        },
        "language_code": {"type": "string", "enum": ["en_GB", "zh_CN"]},
    },
}


def _is_ours(path):
    """Those of campaigns: v1_campaigns/test_fuzz.py."""
    return not path.startswith("/campaign")


def _sendable(path, body):
    """With what this account can send."""
    fields = body["properties"] | SENDABLE_FIELDS[path.split("/")[2]]
    fields.pop("attachments", None)
    needed = [*body["required"], *({"params"} & fields.keys())]
    return body | {"properties": fields, "required": needed}


_IDS = {"type": "string", "enum": STANDINS}
OPERATIONS = v1_operations(_is_ours, ids=lambda path: {"anyOf": [_IDS, ID]})
SENDABLE = v1_operations(_is_ours, ids=lambda path: _IDS, bodies=_sendable)


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_a_described_one(label, secret):
    met = met_by_chance(SENDABLE[label], OPERATIONS[label], secret=secret)

    assert met & {200, 201}
    assert label == "GET /govsg/templates" or met & {400, 404}


NAMES = st.sampled_from(
    ["map.png", "notes.txt", "list.CSV", "tool.exe", "a", "", "\u202e.txt", "x" * 300 + ".txt"]
)
CONTENTS = st.sampled_from([b"hello", b"", b"\0", b"PK\x03\x04", b"%PDF-1.7"]) | st.binary()
FIELDS = {"recipient": "pat@example.org", "subject": "a", "body": '<img src="cid:0">'}


def test_every_file_is_answered_as_described(client, secret):
    @CALLS
    @given(
        files=st.lists(st.just(("notes.txt", b"hello")), max_size=11)
        | st.lists(st.tuples(NAMES, CONTENTS), max_size=3),
        sender=st.sampled_from([SENDER, ""]),
        field=st.sampled_from(["attachments", "attachments", "attachments", "other"]),
    )
    def send(files, sender, field):
        uploads = [SimpleUploadedFile(name, data) for name, data in files if name]
        data = FIELDS | ({"from": sender} if sender else {}) | ({field: uploads} if uploads else {})
        with transaction.atomic():
            # The client looks at the answer.
            answer = client.post(
                "/v1/transactional/email/send", data, headers={"Authorization": f"Bearer {secret}"}
            )
            transaction.set_rollback(True)
        answered.add((answer.status_code, bool(uploads)))

    answered = set()
    send()
    assert {(201, True), (201, False), (400, True), (403, True)} <= answered
