from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from postman.accounts import login, officers, tasks
from postman.accounts.models import AuditEvent, LoginCode, User
from tests.accounts.conftest import NOON, newest_mail, newest_row, other_than
from tests.factories import UserFactory

ANN = "ann@moh.gov.sg"
STRANGER = "mallory@example.com"
IP = "203.0.113.7"


def test_the_mailed_code_signs_in(mailed_code):
    user = login.redeem(ANN, mailed_code(ANN))

    assert user == User.objects.get(email=ANN)
    assert not user.can_create_campaigns


def test_a_code_works_once(mailed_code):
    code = mailed_code(ANN)
    login.redeem(ANN, code)

    with pytest.raises(login.ExpiredCode):
        login.redeem(ANN, code)


def test_a_code_works_for_ten_minutes(clock, mailed_code):
    code = mailed_code(ANN)

    clock.shift(timedelta(minutes=9, seconds=59))

    assert login.redeem(ANN, code).email == ANN


def test_a_code_of_ten_minutes_ago_has_expired(clock, mailed_code):
    code = mailed_code(ANN)

    clock.shift(timedelta(minutes=10))

    with pytest.raises(login.ExpiredCode):
        login.redeem(ANN, code)
    assert newest_row(ANN).tries_left == 4


def test_each_wrong_try_is_told_and_the_fourth_kills_the_code(mailed_code):
    code = mailed_code(ANN)
    told = []

    for _ in range(3):
        with pytest.raises(login.WrongCode) as refused:
            login.redeem(ANN, other_than(code))
        told.append((refused.value.tries_left, refused.value.message))
    with pytest.raises(login.NoTriesLeft):
        login.redeem(ANN, other_than(code))

    assert told == [
        (3, "That is not the code we mailed last. You have 3 tries left."),
        (2, "That is not the code we mailed last. You have 2 tries left."),
        (1, "That is not the code we mailed last. You have 1 try left."),
    ]
    with pytest.raises(login.NoTriesLeft):
        login.redeem(ANN, code)


def test_the_fourth_try_may_be_the_right_one(mailed_code):
    code = mailed_code(ANN)
    for _ in range(3):
        with pytest.raises(login.WrongCode):
            login.redeem(ANN, other_than(code))

    assert login.redeem(ANN, code).email == ANN


def test_only_the_newest_code_works(clock, mailed_code):
    first = mailed_code(ANN)
    clock.shift(timedelta(seconds=30))
    second = mailed_code(ANN)

    with pytest.raises(login.WrongCode):
        login.redeem(ANN, first)

    assert login.redeem(ANN, second).email == ANN


def test_a_new_code_is_refused_for_thirty_seconds(clock, db):
    login.request_code(ANN, ip=IP)

    clock.shift(timedelta(seconds=18))
    with pytest.raises(login.TooSoon) as refused:
        login.request_code(ANN, ip=IP)
    clock.shift(timedelta(seconds=12))
    login.request_code(ANN, ip=IP)

    assert refused.value.seconds == 12
    assert LoginCode.objects.count() == 2


def test_one_address_does_not_wait_for_another(clock, db):
    login.request_code(ANN, ip=IP)

    login.request_code("ben@moh.gov.sg", ip=IP)

    assert LoginCode.objects.count() == 2


def test_the_code_of_one_address_is_wrong_for_another(mailed_code):
    code = mailed_code(ANN)
    mailed_code("ben@moh.gov.sg")

    with pytest.raises(login.WrongCode):
        login.redeem("ben@moh.gov.sg", code)


def test_without_a_code_asked_for_there_is_nothing_to_redeem(db):
    with pytest.raises(login.ExpiredCode):
        login.redeem(ANN, "AB2CD3")


def test_someone_deactivated_after_the_mail_does_not_get_in(mailed_code):
    ann = UserFactory(email=ANN)
    code = mailed_code(ANN)
    User.objects.filter(pk=ann.pk).update(is_active=False)

    with pytest.raises(login.ExpiredCode):
        login.redeem(ANN, code)


def test_allowed_and_not_allowed_addresses_cost_the_same_and_answer_the_same(db):
    answers = {}

    for email in (ANN, STRANGER):
        with CaptureQueriesContext(connection) as asked:
            login.request_code(email, ip=IP)
        with CaptureQueriesContext(connection) as guessed, pytest.raises(login.WrongCode) as error:
            login.redeem(email, "AB2CD3")
        answers[email] = (len(asked), len(guessed), error.value.message)

    assert officers.may_sign_in(ANN)
    assert not officers.may_sign_in(STRANGER)
    assert answers[ANN] == answers[STRANGER]


@pytest.mark.django_db(transaction=True)
def test_guesses_made_at_once_all_count():
    login.request_code(ANN, ip=IP)

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(_guess, range(16)))

    assert sorted(outcomes) == ["no_tries_left"] * 13 + ["wrong_code"] * 3
    assert newest_row(ANN).tries_left == 0
    assert AuditEvent.objects.filter(action="login.locked").count() == 1


@pytest.mark.django_db(transaction=True)
def test_codes_asked_for_at_once_make_one():
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(_ask, range(8)))

    assert sorted(outcomes) == ["asked"] + ["code_requested_too_soon"] * 7
    assert LoginCode.objects.count() == 1


def test_the_owner_is_warned_once_when_all_tries_were_wrong(clock, mailed_code, post_office):
    code = mailed_code(ANN)

    for _ in range(6):
        with pytest.raises((login.WrongCode, login.NoTriesLeft)):
            login.redeem(ANN, other_than(code))
    _sweep()
    _sweep()

    assert len(post_office.outbox(to=ANN)) == 2
    warning = newest_mail(post_office, ANN)
    assert warning["subject"] == "Wrong sign-in codes were tried for your Postman account"
    assert (
        "20 November 2026, 12:00 (Singapore time) from the address 203.0.113.7" in warning["text"]
    )


def test_a_stranger_is_not_warned(clock, post_office, db):
    login.request_code(STRANGER, ip=IP)
    for _ in range(4):
        with pytest.raises((login.WrongCode, login.NoTriesLeft)):
            login.redeem(STRANGER, "AB2CD3")

    _sweep()

    assert post_office.outbox(to=STRANGER) == []


def test_sign_ins_and_failures_stand_in_the_audit_log_without_code_or_address(mailed_code):
    code = mailed_code(ANN)
    for _ in range(2):
        with pytest.raises(login.WrongCode):
            login.redeem(ANN, other_than(code))

    ann = login.redeem(ANN, code)

    rows = list(AuditEvent.objects.order_by("id"))
    assert [(row.action, row.actor, row.object_id) for row in rows] == [
        ("login.failed", None, ""),
        ("login.failed", None, ""),
        ("login.succeeded", ann, ann.public_id),
    ]
    written = str([row.details for row in rows])
    assert ANN not in written
    assert code not in written
    assert other_than(code) not in written


def test_old_codes_are_forgotten(clock, db):
    login.request_code(ANN, ip=IP)
    clock.shift(timedelta(hours=25))
    login.request_code(ANN, ip=IP)

    tasks.forget()

    assert [row.created_at for row in LoginCode.objects.all()] == [NOON + timedelta(hours=25)]


def _guess(_: int) -> str:
    try:
        login.redeem(ANN, "AB2CD3")
    except (login.WrongCode, login.NoTriesLeft) as refused:
        return refused.code
    finally:
        connection.close()
    return "signed in"


def _ask(_: int) -> str:
    try:
        login.request_code(ANN, ip=IP)
    except login.TooSoon as refused:
        return refused.code
    finally:
        connection.close()
    return "asked"


def _sweep() -> None:
    tasks.mail_waiting_codes()
