"""A code reaches its mailbox once, whatever becomes of workers, broker and provider."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from postman.accounts import login, mails, tasks
from postman.accounts.models import LoginCode
from postman.celery import app
from tests.accounts.conftest import code_in, newest_mail, newest_row
from tests.factories import UserFactory

ANN = "ann@moh.gov.sg"
STRANGER = "mallory@example.com"
IP = "203.0.113.7"


def test_the_mail_says_code_minutes_and_who_asked(post_office, db):
    row = login.request_code(ANN, ip=IP)

    tasks.mail_code(str(row.id))

    mail = newest_mail(post_office, ANN)
    code = code_in(post_office, ANN)
    assert mail["subject"] == f"{code} is your Postman sign-in code"
    for part in (mail["text"], mail["html"]):
        assert code in part
        assert "for 10 minutes" in part
        assert "from the address 203.0.113.7" in part
        assert "If that was not you, ignore this mail" in part


def test_only_the_hash_is_stored(post_office, db):
    row = login.request_code(ANN, ip=IP)
    assert row.code_hash == ""

    mails.mail_code(row.id)

    code = code_in(post_office, ANN)
    row.refresh_from_db()
    assert len(row.code_hash) == 64
    assert code not in str(vars(row))


def test_a_task_that_runs_twice_mails_once(post_office, db):
    row = login.request_code(ANN, ip=IP)

    mails.mail_code(row.id)
    mails.mail_code(row.id)

    assert len(post_office.outbox(to=ANN)) == 1


@pytest.mark.django_db(transaction=True)
def test_workers_that_meet_at_one_code_mail_it_once(post_office):
    UserFactory(email=ANN)
    row = login.request_code(ANN, ip=IP)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_mail, [row.id] * 4))

    assert len(post_office.outbox(to=ANN)) == 1


def test_the_sweep_mails_what_no_task_came_for(clock, post_office, db):
    login.request_code(ANN, ip=IP)
    tasks.mail_waiting_codes()
    assert post_office.outbox(to=ANN) == []  # its own task may still come

    clock.shift(timedelta(seconds=3))
    tasks.mail_waiting_codes()
    tasks.mail_waiting_codes()

    assert len(post_office.outbox(to=ANN)) == 1


def test_what_the_provider_refused_is_mailed_at_the_next_sweep(clock, post_office, db):
    row = login.request_code(ANN, ip=IP)
    post_office.control(down=True)
    mails.mail_code(row.id)
    assert newest_row(ANN).mailed_at is None

    post_office.control(down=False)
    clock.shift(timedelta(seconds=5))
    tasks.mail_waiting_codes()

    assert login.redeem(ANN, code_in(post_office, ANN)).email == ANN


def test_a_worker_that_died_while_mailing_holds_the_code_for_a_minute(clock, post_office, db):
    row = login.request_code(ANN, ip=IP)
    LoginCode.objects.filter(pk=row.pk).update(mailing_until=row.created_at + mails.LEASE)

    clock.shift(timedelta(seconds=59))
    tasks.mail_waiting_codes()
    assert post_office.outbox(to=ANN) == []
    clock.shift(timedelta(seconds=2))
    tasks.mail_waiting_codes()

    assert "for 9 minutes" in newest_mail(post_office, ANN)["text"]


def test_a_code_that_expired_unmailed_is_not_mailed(clock, post_office, db):
    login.request_code(ANN, ip=IP)

    clock.shift(timedelta(minutes=10))
    tasks.mail_waiting_codes()

    assert post_office.outbox(to=ANN) == []


def test_of_two_codes_that_wait_only_the_newer_is_mailed(clock, post_office, db):
    login.request_code(ANN, ip=IP)
    clock.shift(timedelta(seconds=31))
    login.request_code(ANN, ip=IP)

    clock.shift(timedelta(seconds=3))
    tasks.mail_waiting_codes()

    assert len(post_office.outbox(to=ANN)) == 1
    assert login.redeem(ANN, code_in(post_office, ANN)).email == ANN


def test_strangers_and_the_deactivated_get_no_mail(clock, post_office, db):
    UserFactory(email="gone@moh.gov.sg", is_active=False)
    for email in (STRANGER, "gone@moh.gov.sg"):
        mails.mail_code(login.request_code(email, ip=IP).id)

    clock.shift(timedelta(seconds=3))
    tasks.mail_waiting_codes()

    assert post_office.outbox() == []
    assert not LoginCode.objects.filter(mailed_at=None).exists()
    assert set(LoginCode.objects.values_list("code_hash", flat=True)) == {""}


def test_a_provider_error_is_logged_without_the_address(post_office, db, caplog):
    row = login.request_code(ANN, ip=IP)
    post_office.control(down=True)

    mails.mail_code(row.id)

    assert "a mail of signing in waits" in caplog.text
    assert ANN not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_fails_no_request(monkeypatch, caplog):
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)

    row = login.request_code(ANN, ip=IP)

    assert "the broker is away: accounts.mail_code waits" in caplog.text
    assert LoginCode.objects.filter(pk=row.pk, mailed_at=None).exists()


def _mail(code_id: object) -> None:
    try:
        mails.mail_code(code_id)
    finally:
        connection.close()
