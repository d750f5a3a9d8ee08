"""Whom an email may be from (v1-backend §2.6, §3.5; v1-web-app §20.7)."""

import pytest

from campaigns.models import Sender
from messaging.delivery.pipeline import send_chunk
from messaging.models import Transactional
from tests.factories import UserFactory
from tests.messaging.api.v1_transactional.conftest import code_of, verified

pytestmark = pytest.mark.django_db

DEFAULT = "donotreply@mail.postman.gov.sg"


@pytest.mark.parametrize("address", [DEFAULT, DEFAULT.upper(), "info@mail.postman.gov.sg"])
def test_the_default_sender_may_be_called_anything(post, email, sandbox, address):
    shown = post(email, **{"from": f"Clinic Reminders <{address}>"}).json()

    send_chunk(None)

    assert shown["from"] == shown["params"]["from"] == f"Clinic Reminders <{DEFAULT}>"
    [mail] = sandbox.outbox(channel="email")
    assert mail["from"] == f"Clinic Reminders <{DEFAULT}>"


@pytest.mark.parametrize(
    ("name", "shown", "sent"),
    [
        ("", f"Postman <{DEFAULT}>", f"Postman <{DEFAULT}>"),
        ("Clinic | Bedok / East!", *[f"Clinic | Bedok / East! <{DEFAULT}>"] * 2),
        ('"Clinic, Bedok"', *[f'"Clinic, Bedok" <{DEFAULT}>'] * 2),
        ("诊所", f"诊所 <{DEFAULT}>", f"=?utf-8?b?6K+K5omA?= <{DEFAULT}>"),
    ],
)
def test_a_name_is_answered_as_it_was_sent_and_leaves_as_a_header_must(
    post, email, sandbox, name, shown, sent
):
    answer = post(email, **{"from": f"{name} <{DEFAULT}>"})

    send_chunk(None)

    assert answer.json()["from"] == shown
    assert sandbox.outbox(channel="email")[0]["from"] == sent


@pytest.mark.parametrize(
    "name", ['"boss@pmo.gov.sg"', "boss＠pmo.gov.sg", "=?utf-8?q?boss?=", "x" * 101]
)
def test_a_name_that_reads_as_another_address_is_refused(post, email, name):
    assert code_of(post(email, **{"from": f"{name} <{DEFAULT}>"})) == (400, "invalid_from_address")
    assert not Transactional.objects.exists()


def test_ones_own_address_has_the_name_on_record_unless_the_call_gives_one(
    post, email, account, own_address
):
    def shown(sender):
        return post(email, **{"from": sender}).json()["from"]

    assert shown(account.email) == f"Clinic <{account.email}>"
    assert shown(f"Appointments <{account.email.upper()}>") == f"Appointments <{account.email}>"


def test_an_agencys_mailbox_is_its_officers_and_nobody_elses(post, email, account):
    domain = verified(account.agency, "health.gov.sg", by=account)
    Sender.objects.create(
        domain=domain, agency=account.agency, creator=account, address="clinic@health.gov.sg"
    )
    stranger = UserFactory()
    theirs = verified(stranger.agency, "pmo.gov.sg", by=stranger)
    Sender.objects.create(
        domain=theirs, agency=stranger.agency, creator=stranger, address="press@pmo.gov.sg"
    )

    assert post(email, **{"from": "clinic@health.gov.sg"}).status_code == 201
    assert code_of(post(email, **{"from": "press@pmo.gov.sg"})) == (400, "invalid_from_address")
    assert Transactional.objects.count() == 1


def test_a_colleagues_own_address_is_refused(post, email, account, own_address):
    colleague = UserFactory(email="lee@health.gov.sg", agency=account.agency)
    Sender.objects.create(
        domain=own_address.domain,
        agency=account.agency,
        owner=colleague,
        creator=colleague,
        address=colleague.email,
    )

    assert code_of(post(email, **{"from": colleague.email})) == (400, "invalid_from_address")


def test_an_address_is_refused_once_its_domain_is_verified_no_more(
    post, email, account, own_address
):
    own_address.domain.state = "lost"
    own_address.domain.save()

    assert code_of(post(email, **{"from": account.email})) == (400, "invalid_from_address")
    assert not Transactional.objects.exists()


def test_replies_go_where_the_call_says_or_to_the_account(post, email, account, sandbox):
    post(email)
    post(email, reply_to="Desk@Health.gov.sg")

    send_chunk(None)

    told = {mail["reply_to"][0] for mail in sandbox.outbox(channel="email")}
    assert told == {account.email, "desk@health.gov.sg"}
