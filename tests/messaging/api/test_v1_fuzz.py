"""The running v1 against its own description: whatever is sent, the answer is a described one.

The suite sends a few calls of each operation, `make fuzz` a thousand (SCHEMATHESIS_EXAMPLES).
"""

import copy

import pytest
import schemathesis
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import positive_data_acceptance
from schemathesis.specs.openapi.checks import negative_data_rejection

from campaigns import sms_credentials
from campaigns.models import Sender, SenderDomain
from campaigns.twilio_account import Credentials
from messaging import transactional
from messaging.api.v1.schema import JSON, document
from messaging.channels.base import Rejected
from messaging.delivery import claiming, recording
from messaging.models import Transactional
from messaging.sandbox import constants
from postman.accounts import keys
from postman.wsgi import application
from tests.messaging import whatsapp
from tests.messaging.api.described import check
from tests.messaging.api.fuzzing import CALLS

pytestmark = pytest.mark.django_db

SENDER = "Clinic <mei.ling@health.gov.sg>"
TEMPLATE, PARAMS = 4000, ["recipient_name", "slot", "agency"]
# Ids that stand in the calls, and what is behind them in the test that runs.
STANDINS = [str(9_000_000_000 + n) for n in range(3)]
behind: dict[str, str] = {}


@pytest.fixture
def secret(officer, sandbox, _one_connection):
    """The key of an account without a limit that may send over every channel, and has."""
    officer.calls_per_second = None
    officer.save()
    domain = SenderDomain.objects.create(
        agency=officer.agency,
        domain="health.gov.sg",
        state="verified",
        asked_by=officer,
        proof="x",
        verified_at=timezone.now(),
    )
    Sender.objects.create(
        domain=domain,
        agency=officer.agency,
        owner=officer,
        creator=officer,
        address=officer.email,
        name="Clinic",
    )
    twilio = Credentials(
        constants.STAFF_ACCOUNT_SID,
        constants.STAFF_API_KEY_SID,
        constants.STAFF_API_SECRET,
        constants.STAFF_MESSAGING_SERVICE_SID,
    )
    sms_credentials.add(officer, label="clinic", segments_per_second=100, credentials=twilio)
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


def app(environ, start_response):
    path = environ["PATH_INFO"]
    for standin, real in behind.items():
        path = path.replace(standin, real)
    return application(environ | {"PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1"}, start_response)


def narrowed(*, sendable):
    """Ours, with ids of something. `sendable`: and only with what this account can send."""
    narrow = copy.deepcopy(document())
    narrow["servers"] = [{"url": "/v1"}]
    # Those of campaigns: v1_campaigns/test_hostile.py.
    narrow["paths"] = {
        path: methods
        for path, methods in narrow["paths"].items()
        if not path.startswith("/campaign")
    }
    for path, methods in narrow["paths"].items():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                parameter.pop("examples", None)
                if parameter["name"] == "id":
                    others = [] if sendable else [parameter["schema"]]
                    standins = {"type": "string", "enum": STANDINS}
                    parameter["schema"] = {"anyOf": [standins, *others]}
            for media in operation.get("requestBody", {"content": {}})["content"].values():
                if sendable:
                    media["schema"]["properties"] |= SENDABLE_FIELDS[path.split("/")[2]]
                    media["schema"]["properties"].pop("attachments", None)
    return narrow


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
            "properties": dict.fromkeys(PARAMS, _TEXT),
        },
        "language_code": {"type": "string", "enum": ["en_GB", "zh_CN"]},
    },
}


def operations(*, sendable=False):
    options = {"allow-extra-parameters": False, "with-security-parameters": False}
    schema = schemathesis.openapi.from_dict(
        narrowed(sendable=sendable),
        config=schemathesis.Config.from_dict({"generation": options}),
    )
    schema.app = app
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


OPERATIONS = operations()
SENDABLE = operations(sendable=True)


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_a_described_one(label, secret):
    method, path = label.split(" ")
    described = document()["paths"][path][method.lower()]
    right = SENDABLE[label].as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = OPERATIONS[label].as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @CALLS
    @given(case=right | wrong)
    def call(case):
        # No schema can say whose messages there are; and in a form everything is text.
        excluded = [positive_data_acceptance]
        if case.media_type not in (None, JSON):
            excluded.append(negative_data_rejection)
        with transaction.atomic():
            answer = case.call_and_validate(
                headers={"Authorization": f"Bearer {secret}"}, excluded_checks=excluded
            )
            transaction.set_rollback(True)
        check(described, answer)
        met.add(answer.status_code)

    met: set[int] = set()
    call()
    assert met & {200, 201}
    assert path == "/govsg/templates" or met & {400, 404}


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
