"""Who may call v1 with what, and what is theirs (v1-backend §1.3, §1.4; v1-web-app §15.1, §21.1)."""

import re
from datetime import timedelta

import pytest
import time_machine

from messaging.models import Message
from postman.accounts import keys
from tests.factories import UserFactory
from tests.messaging.api.v1_transactional.conftest import code_of, headers_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def calls(client, kind):
    """The answers of every address of a channel to these headers."""

    def call(headers):
        return [
            client.post(kind.send, kind.good, content_type="application/json", headers=headers),
            client.get(kind.path, headers=headers),
            client.get(f"{kind.path}/1", headers=headers),
        ]

    return call


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def refuses_all(answers):
    assert [code_of(answer) for answer in answers] == [(401, "unauthenticated")] * 3
    assert not Message.objects.exists()


def test_without_a_key_nothing_is_told(calls):
    refuses_all(calls({}))


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer x", "Basic YTpi", "x", "Bearer \xff"]
)
def test_what_is_no_key_opens_nothing(calls, header):
    refuses_all(calls({"Authorization": header}))


def test_a_key_opens_nothing_once_it_has_expired(calls, account):
    key, secret = keys.create(account, label="System", contacts=[account.email])

    with time_machine.travel(key.expires_at - timedelta(minutes=1)):
        assert calls(bearer(secret))[1].status_code == 200
        Message.objects.all().delete()
    with time_machine.travel(key.expires_at + timedelta(seconds=1)):
        refuses_all(calls(bearer(secret)))


def test_a_key_opens_nothing_from_the_moment_it_is_revoked(calls, account):
    key, secret = keys.create(account, label="System", contacts=[account.email])
    assert calls(bearer(secret))[1].status_code == 200
    Message.objects.all().delete()

    keys.revoke(key, by=account)

    refuses_all(calls(bearer(secret)))


def test_a_closed_account_has_no_key(calls, account, headers):
    account.is_active = False
    account.save()

    refuses_all(calls(headers))


def test_several_keys_open_one_account_until_each_is_revoked(client, account, email):
    (first, one), (_, two) = [
        keys.create(account, label=label, contacts=[account.email]) for label in ("old", "new")
    ]

    def statuses():
        return [client.get(email.path, headers=bearer(secret)).status_code for secret in (one, two)]

    assert statuses() == [200, 200]
    keys.revoke(first, by=account)
    assert statuses() == [401, 200]


def test_a_key_looks_as_v1s_did(account):
    _, secret = keys.create(account, label="System", contacts=[account.email])

    assert re.fullmatch(r"meiling_v1_[A-Za-z0-9+/]{44}", secret)


def test_the_scheme_may_be_written_in_any_letters(client, account, headers, email):
    secret = headers["Authorization"].removeprefix("Bearer ")

    answer = client.get(email.path, headers={"Authorization": f"bearer  {secret} "})

    assert answer.status_code == 200


def test_a_key_makes_no_session_that_could_outlive_it(post, kind):
    assert not post(kind).cookies


@pytest.mark.parametrize("name", ["email", "sms"])
def test_whoever_is_signed_in_may_call_as_the_pages_do(request, client_of, account, name):
    kind = request.getfixturevalue(name)
    browser = client_of(account)

    sent = browser.post(kind.send, kind.good, content_type="application/json")

    assert sent.status_code == 201
    assert browser.get(f"{kind.path}/{sent.json()['id']}").json()["id"] == sent.json()["id"]


@pytest.mark.parametrize("name", ["email", "sms"])
def test_another_site_cannot_call_with_somebodys_cookie(request, client_of, account, name):
    kind = request.getfixturevalue(name)
    browser = client_of(account)
    browser.handler.enforce_csrf_checks = True

    answer = browser.post(kind.send, kind.good, content_type="application/json")

    assert code_of(answer) == (403, "unauthorized")
    assert not Message.objects.exists()


def test_somebody_elses_message_is_as_good_as_none(client, post, kind):
    number = post(kind).json()["id"]
    others = headers_of(UserFactory())

    answer = client.get(f"{kind.path}/{number}", headers=others)

    assert code_of(answer) == (404, "not_found")
    assert client.get(kind.path, headers=others).json() == {"has_more": False, "data": []}


def test_a_colleagues_message_is_as_good_as_none(client, account, post, email):
    number = post(email).json()["id"]
    colleague = headers_of(UserFactory(agency=account.agency))

    assert code_of(client.get(f"{email.path}/{number}", headers=colleague)) == (404, "not_found")


def test_a_message_of_another_channel_is_as_good_as_none(client, headers, post, email, sms, govsg):
    kinds = (email, sms, govsg)
    numbers = {kind.name: post(kind).json()["id"] for kind in kinds}

    for kind in kinds:
        for name, number in numbers.items():
            answer = client.get(f"{kind.path}/{number}", headers=headers)
            assert answer.status_code == (200 if name == kind.name else 404)
        assert [row["id"] for row in client.get(kind.path, headers=headers).json()["data"]] == [
            numbers[kind.name]
        ]


@pytest.mark.parametrize("number", ["0", "999999", "9" * 18, "9" * 40])
def test_what_was_never_sent_is_not_found(client, headers, kind, number):
    answer = client.get(f"{kind.path}/{number}", headers=headers)

    assert code_of(answer) == (404, "not_found")


@pytest.mark.parametrize("number", ["abc", "-1", "1.5", "١", "1 ", "0x1"])
def test_what_is_no_number_is_no_id(client, headers, kind, number):
    answer = client.get(f"{kind.path}/{number}", headers=headers)

    assert code_of(answer) == (400, "api_validation")


def test_an_account_of_no_agency_cannot_send(client, email):
    homeless = UserFactory(agency=None)

    answer = client.post(
        email.send, email.good, content_type="application/json", headers=headers_of(homeless)
    )

    assert code_of(answer) == (403, "unauthorized")
