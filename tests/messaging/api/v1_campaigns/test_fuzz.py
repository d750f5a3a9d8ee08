"""The campaigns of v1 against their own description, as `test_v1_fuzz.py` does with its messages.

The campaigns that are called stand everywhere between their making and the end of their data.
"""

import base64
import hashlib
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.telegram import subscribers
from messaging.api.v1.describing import ID
from messaging.models import Batch, Message
from messaging.sandbox import constants
from tests.factories import (
    CampaignFactory,
    EmailCampaignFactory,
    TelegramBotFactory,
    TelegramCampaignFactory,
    UserFactory,
    WhatsappCampaignFactory,
)
from tests.messaging.api.fuzzing import AWKWARD, behind, met_by_chance, v1_operations
from tests.messaging.api.v1_campaigns.workers import deliver

pytestmark = pytest.mark.django_db

PHONE, STRANGER = "81230001", "81230002"
PEOPLE = f"recipient,name\n{PHONE},Ann\n{STRANGER},Ben\n".encode()
FILES = {
    "EMAIL": b"recipient,name\na@example.org,Ann\nb@example.org,Ben\n",
    "SMS": PEOPLE,
    "TELEGRAM": PEOPLE,
}
TEMPLATES = {
    "EMAIL": {"subject": "Visit", "body": "<p>Dear {{name}}</p>", "reply_to": None},
    "SMS": {"body": "Dear {{name}}"},
    "TELEGRAM": {"body": "Dear {{name}}"},
}
TESTS = {
    "EMAIL": {"recipient": "mei.ling@health.gov.sg"},
    "SMS": {"label": "clinic", "recipient": PHONE},
    "TELEGRAM": {"label": "clinic"},
}
TOMORROW = (timezone.now() + timedelta(days=1)).isoformat()

# Where they stand --------------------------------------------------------------------------------

STATES = (
    "ready", "sent", "scheduled", "draft", "written", "faulty", "leaving", "stopped", "erased",
    "browser", "another's", "of another type",
)  # fmt: skip
# Ids that stand in the calls.
STANDINS = {state: str(9_000_000_100 + n) for n, state in enumerate(STATES)}
TICKET = "the-transaction-that-was-announced"


class Making:
    """Campaigns of one type, made through the API as far as each is wanted."""

    def __init__(self, type_, call, upload):
        self._type, self._call, self._upload = type_, call, upload

    def made(self, state):
        """The id of one that stands so."""
        answer = self._ask("post", "/campaigns", {"name": "Visits", "type": self._type})
        self._number = answer.json()["id"]
        self._path = f"/campaign/{self._number}/{self._type.lower()}"
        for step in self.STEPS[state]:
            step(self)
        return self._number

    def _ask(self, method, path, body=None):
        answer = self._call(method, path, body)
        assert answer.status_code < 300, answer.json()
        return answer

    def _write(self):
        self._ask("put", f"{self._path}/template", TEMPLATES[self._type])

    def _fill(self):
        self._upload(self._path, FILES[self._type])

    def _fill_wrongly(self):
        self._upload(self._path, b"recipient,name\nnobody,Ann\n")

    def _try_out(self):
        self._ask("post", f"{self._path}/credentials", TESTS[self._type])

    def _schedule(self):
        self._ask("post", f"{self._path}/send", {"scheduledTiming": TOMORROW})

    def _send(self):
        self._ask("post", f"{self._path}/send")

    def _deliver(self):
        """To the first; the second fails."""
        deliver()
        Message.objects.filter(campaign__number=self._number, row=2).update(status="failure")

    def _stop(self):
        self._ask("post", f"/campaigns/{self._number}/cancel")

    def _age(self):
        long_ago = timezone.now() - timedelta(days=400)
        Batch.objects.filter(campaign__number=self._number).update(accepted_at=long_ago)

    _READY = (_write, _fill, _try_out)
    _SENT = (*_READY, _send, _deliver)
    STEPS = {
        "ready": _READY,
        "sent": _SENT,
        "scheduled": (*_READY, _schedule),
        "draft": (),
        "written": (_write,),
        "faulty": (*_READY, _fill_wrongly),
        "erased": (*_SENT, _age),
        "stopped": (*_READY, _send, _stop),
        # The last: what is delivered, is all that was sent until then.
        "leaving": (*_READY, _send),
    }


BROWSERS = {
    "EMAIL": lambda user: EmailCampaignFactory(creator=user, is_protected=True),
    "SMS": lambda user: CampaignFactory(creator=user),
    "TELEGRAM": lambda user: TelegramCampaignFactory(creator=user),
}


@pytest.fixture
def secret(request, account, call, upload, clinic, headers):
    """The key of an account with campaigns of one type, that stand behind the ids."""
    type_ = request.param
    account.agency.may_use_telegram = True
    account.agency.retention_days = 30
    account.agency.save()
    bot = TelegramBotFactory(owner=account, label="clinic")
    subscribers.subscribe(bot, telegram_id=1, phone=f"65{PHONE}")
    making = Making(type_, call, upload)
    found = {state: making.made(state) for state in making.STEPS}
    found["browser"] = BROWSERS[type_](account).number
    found["another's"] = BROWSERS[type_](UserFactory()).number
    found["of another type"] = WhatsappCampaignFactory(creator=account).number
    behind.update({STANDINS[state]: str(number) for state, number in found.items()})
    behind[TICKET] = announced(call, f"/campaign/{found['ready']}/{type_.lower()}")
    return headers["Authorization"].removeprefix("Bearer ")


def announced(call, path):
    """The transaction of a file that was announced and put."""
    md5 = base64.b64encode(hashlib.md5(PEOPLE, usedforsecurity=False).digest()).decode()
    started = call("get", f"{path}/upload/start", {"mime_type": "text/csv", "md5": md5}).json()
    assert Client().put(urlsplit(started["presigned_url"]).path, PEOPLE).status_code == 200
    return started["transaction_id"]


# What is called ----------------------------------------------------------------------------------

_TEXT = {"type": "string", "pattern": "^[A-Za-z0-9]{1,40}$"}
_FITTING = r"^[A-Za-z <>/&]{0,20}\{\{name\}\}[A-Za-z <>/&]{0,20}$"
_WRITTEN = {"anyOf": [{"type": "string", "pattern": _FITTING}, {"type": "string", "enum": AWKWARD}]}
_PHONE = {"type": "string", "pattern": "^8[1-7][0-9]{6}$"}
_OWN = {"type": "string", "enum": ["mei.ling@health.gov.sg"]}
_CLINIC = {"type": "string", "enum": ["clinic"]}
_NAME = {"name": {"anyOf": [_TEXT, {"type": "string", "pattern": r"\S", "maxLength": 255}]}}
FIELDS = {
    "": _NAME | {"type": {"type": "string", "enum": ["EMAIL", "SMS", "TELEGRAM"]}},
    "{id}": _NAME,
    "email/template": {
        "subject": _WRITTEN,
        "body": _WRITTEN,
        "reply_to": {"anyOf": [_OWN, {"type": "null"}]},
        "from": {"type": "string", "enum": ["Postman <donotreply@mail.postman.gov.sg>"]},
    },
    "sms/template": {"body": _WRITTEN},
    "telegram/template": {"body": _WRITTEN},
    "upload/complete": {
        "transaction_id": {"type": "string", "enum": [TICKET]},
        "filename": {"type": "string", "pattern": r"^[a-z]{1,20}\.csv$"},
        "etag": {
            "type": "string",
            "enum": [hashlib.md5(PEOPLE, usedforsecurity=False).hexdigest()],
        },
    },
    "email/credentials": {"recipient": _OWN},
    "sms/credentials": {"label": _CLINIC, "recipient": _PHONE},
    "telegram/credentials": {"label": _CLINIC},
    "credentials/verify": {"recipient": {"type": "string", "enum": [PHONE]}},
    "new-credentials": {
        "twilio_account_sid": {"type": "string", "enum": [constants.STAFF_ACCOUNT_SID]},
        "twilio_api_key": {"type": "string", "enum": [constants.STAFF_API_KEY_SID]},
        "twilio_api_secret": {"type": "string", "enum": [constants.STAFF_API_SECRET]},
        "twilio_messaging_service_sid": {
            "type": "string",
            "enum": [constants.STAFF_MESSAGING_SERVICE_SID],
        },
        "recipient": _PHONE,
        "label": {"type": "string", "pattern": "^[a-z]{1,20}$"},
    },
    "send": {"scheduledTiming": {"anyOf": [{"type": "null"}, {"enum": [TOMORROW]}]}},
    "duplicate": _NAME,
    "upload": {},
}


def _narrower(path, body):
    ending = next(end for end in FIELDS if path.endswith(f"/{end}" if end else "/campaigns"))
    return body | {"properties": body["properties"] | FIELDS[ending]}


def _is_ours(path):
    return path.startswith("/campaign")


_IDS = {"type": "string", "enum": list(STANDINS.values())}


def _fitting(path):
    """Half of the time one that the call is about, or else any."""
    about = STANDINS["sent" if path.endswith("/retry") else "ready"]
    # A pattern, as two enums would be made one.
    return {"anyOf": [{"type": "string", "pattern": f"^{about}$"}, _IDS]}


OPERATIONS = v1_operations(_is_ours, ids=lambda path: {"anyOf": [_IDS, ID]})
SENDABLE = v1_operations(_is_ours, ids=_fitting, bodies=_narrower)


@pytest.mark.parametrize(
    ("secret", "paths"),
    [("EMAIL", "/campaigns"), *((type_, f"/campaign/{{id}}/{type_.lower()}") for type_ in FILES)],
    indirect=["secret"],
)
def test_every_answer_is_a_described_one(secret, paths, subtests, _one_connection):
    for label in OPERATIONS:
        if label.partition(" ")[2].startswith(paths):
            with subtests.test(label):
                met = met_by_chance(SENDABLE[label], OPERATIONS[label], secret=secret, count=10)

                assert met & {200, 201, 202}
                assert met & {400, 403}
