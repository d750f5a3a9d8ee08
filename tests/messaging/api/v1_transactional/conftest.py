"""An account that may send over every channel of v1, and the calls of each."""

from dataclasses import dataclass

import pytest
from django.utils import timezone

from campaigns.models import SenderDomain
from postman.accounts import keys
from tests.factories import SenderFactory
from tests.messaging import whatsapp
from tests.messaging.sandbox import staff

PARAMS = {"recipient_name": "Mei Ling", "slot": "9-11am", "agency": "Town Council"}


@dataclass(frozen=True)
class Kind:
    """A channel of v1: its address, and a call that is taken."""

    name: str
    good: dict

    @property
    def path(self):
        return f"/v1/transactional/{self.name}"

    @property
    def send(self):
        return f"{self.path}/send"


@pytest.fixture
def account(officer):
    """Without a limit, for tests of something else."""
    officer.calls_per_second = None
    officer.save()
    return officer


def headers_of(user):
    _, secret = keys.create(user, label="System", contacts=[user.email])
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def headers(account):
    return headers_of(account)


@pytest.fixture
def email():
    return Kind("email", {"subject": "Visit", "body": "<p>Hi</p>", "recipient": "pat@example.org"})


@pytest.fixture
def sms(account, sandbox):
    staff.labelled(account)
    return Kind("sms", {"recipient": "81230001", "body": "Your visit.", "label": "clinic"})


@pytest.fixture
def govsg(account):
    template = whatsapp.granted(account)
    return Kind("govsg", {"recipient": "81230001", "template_id": template.pk, "params": PARAMS})


@pytest.fixture(params=["email", "sms", "govsg"])
def kind(request):
    """Each channel in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def post(client, headers):
    """A call of this kind, with other fields; `headers` beside the key's."""

    def call(kind, headers=headers, **fields):
        return client.post(
            kind.send, kind.good | fields, content_type="application/json", headers=headers
        )

    return call


@pytest.fixture
def get(client, headers):
    """What `path` and a query answer."""
    return lambda path, query="": client.get(f"{path}{query}", headers=headers).json()


def code_of(answer):
    return answer.status_code, answer.json()["code"]


def verified(agency, host, *, by, state="verified"):
    return SenderDomain.objects.create(
        agency=agency,
        domain=host,
        state=state,
        asked_by=by,
        proof="x",
        verified_at=timezone.now() if state == "verified" else None,
    )


@pytest.fixture
def own_address(account):
    return SenderFactory(owner=account)
