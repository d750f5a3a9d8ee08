"""Secure pages: what is taken, what is kept of it, and who gets it out again."""

import base64
import threading
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from campaigns.models import EmailDraft
from messaging import mails, protected, retention
from messaging.delivery import expanding
from messaging.delivery.pipeline import send_chunk
from messaging.models import (
    Attempt,
    Batch,
    Message,
    ProtectedMessage,
    ProtectedUpload,
    StagedRow,
    Suppression,
    WrongGuesses,
)
from messaging.sending import deciding, uploading
from postman.errors import Refused
from tests.factories import EmailCampaignFactory
from tests.messaging.secure import (
    HTML,
    PASSWORD,
    decrypted,
    encrypted_row,
    keys_of,
    sent,
    started,
    uploaded,
    verifier_of,
)

pytestmark = pytest.mark.django_db

HERE = "203.0.113.7"


@pytest.fixture
def protected_campaign(officer):
    campaign = EmailCampaignFactory(
        creator=officer,
        name="Test results",
        is_protected=True,
        draft={"subject": "Your test results", "html": "<p>They are ready: {{protectedlink}}</p>"},
    )
    EmailDraft.objects.filter(campaign=campaign).update(tested_version=1)
    return campaign


def only_page() -> ProtectedMessage:
    return ProtectedMessage.objects.as_of(timezone.now()).get()


def guess(password: str = PASSWORD, *, address: str = HERE):
    page = ProtectedMessage.objects.get()
    return protected.guess(page.id, verifier_of(page, password), address=address)


def guess_wrong(times: int, *, address: str = HERE):
    """So many wrong guesses, each as soon as it is looked at; the last answer."""
    answer = None
    for _ in range(times):
        ProtectedMessage.objects.update(guess_again_at=None)
        answer = guess("not the password", address=address)
    return answer


# What is taken --------------------------------------------------------------------------------


def test_a_file_becomes_a_batch_whose_rows_hold_a_link_and_nothing_else(protected_campaign):
    first, second = encrypted_row(2, "Mei@Example.com"), encrypted_row(5, "ravi@example.com")

    batch = uploaded(protected_campaign, first, second)

    assert (batch.status, batch.total_messages) == ("ready", 2)
    rows = StagedRow.objects.filter(batch=batch).order_by("row")
    assert [(row.row, row.recipient, row.values) for row in rows] == [
        (2, "mei@example.com", {"protectedlink": f"http://localhost:8000/p/{first['id']}"}),
        (5, "ravi@example.com", {"protectedlink": f"http://localhost:8000/p/{second['id']}"}),
    ]


def test_the_review_is_told_of_repeated_and_of_suppressed_recipients(protected_campaign):
    Suppression.objects.create(
        agency=protected_campaign.agency, recipient="ravi@example.com", reason="unsubscribed"
    )

    batch = uploaded(
        protected_campaign,
        encrypted_row(2, "mei@example.com"),
        encrypted_row(3, "mei@example.com"),
        encrypted_row(4, "ravi@example.com"),
    )

    assert batch.summary["duplicates"] == 1
    assert batch.summary["suppressed"]["unsubscribed"] == 1


def test_what_is_kept_opens_only_with_our_key_and_the_password(protected_campaign):
    row = encrypted_row()
    uploaded(protected_campaign, row)

    page = ProtectedMessage.objects.get()
    key, verifier = keys_of(PASSWORD, bytes(page.salt), 1)
    opened = protected.guess(page.id, verifier, address=HERE)

    ciphertext = base64.b64decode(row["ciphertext"])
    assert ciphertext not in bytes(page.sealed)
    assert verifier not in bytes(page.verifier)
    assert opened == protected.Opened(ciphertext, base64.b64decode(row["iv"]))
    assert decrypted(row["id"], key, opened.iv, opened.ciphertext) == HTML


def test_a_chunk_that_comes_twice_is_stored_once(protected_campaign):
    batch = started(protected_campaign, 3)
    chunk = protected.clean_rows([encrypted_row(2), encrypted_row(3)])

    assert protected.take_rows(batch, chunk, after=0) == 2
    assert protected.take_rows(batch, chunk, after=0) == 2
    assert ProtectedMessage.objects.count() == StagedRow.objects.count() == 2


def test_a_chunk_that_leaves_some_out_is_refused(protected_campaign):
    batch = started(protected_campaign, 3)

    with pytest.raises(Refused) as refused:
        protected.take_rows(batch, protected.clean_rows([encrypted_row(3)]), after=1)

    assert refused.value.code == "rows_missing"
    assert not StagedRow.objects.exists()


def test_more_rows_than_were_announced_are_refused(protected_campaign):
    batch = started(protected_campaign, 1)
    rows = protected.clean_rows([encrypted_row(2), encrypted_row(3)])

    with pytest.raises(protected.NotOurs):
        protected.take_rows(batch, rows, after=0)


@pytest.mark.parametrize("repeated", ["id", "row"])
def test_of_rows_that_are_stored_already_nothing_is_stored(protected_campaign, repeated):
    batch = started(protected_campaign, 3)
    first, again = encrypted_row(2), encrypted_row(3)
    again[repeated] = first[repeated]
    protected.take_rows(batch, protected.clean_rows([first]), after=0)

    with pytest.raises(protected.NotOurs):
        protected.take_rows(batch, protected.clean_rows([again, encrypted_row(4)]), after=1)

    assert StagedRow.objects.count() == 1


def test_nothing_can_be_sent_before_all_rows_are_here(protected_campaign):
    batch = started(protected_campaign, 2)
    protected.take_rows(batch, protected.clean_rows([encrypted_row(2)]), after=0)

    with pytest.raises(Refused, match="1 of 2 rows"):
        protected.finish_upload(batch, by=batch.creator)
    with pytest.raises(Refused):
        deciding.send_batch(batch, by=batch.creator)


def test_an_upload_that_is_over_takes_no_more_rows(protected_campaign):
    batch = uploaded(protected_campaign)

    with pytest.raises(Refused) as refused:
        protected.take_rows(batch, protected.clean_rows([encrypted_row(3)]), after=1)

    assert refused.value.code == "upload_over"
    assert protected.finish_upload(batch, by=batch.creator).status == "ready"


def test_no_file_is_taken_while_the_notice_leads_nowhere(protected_campaign):
    draft = protected_campaign.email_draft
    draft.html = "<p>Your results are ready.</p>"
    draft.save()

    with pytest.raises(Refused, match="protectedlink"):
        started(protected_campaign, 1)


def test_a_plain_file_is_refused_in_a_protected_campaign(protected_campaign):
    with pytest.raises(Refused) as refused:
        uploading.accept_upload(
            campaign=protected_campaign,
            creator=protected_campaign.creator,
            upload=SimpleUploadedFile("people.csv", b"recipient,password\nmei@example.com,x\n"),
        )

    assert refused.value.code == "campaign_is_protected"


def without(name):
    return lambda row: row.pop(name)


def having(**fields):
    return lambda row: row.update(fields)


@pytest.mark.parametrize(
    "spoil",
    [
        having(password="correct horse battery"),
        having(html="<p>Your result is negative.</p>"),
        without("verifier"),
        having(id="00000000-0000-0000-0000-000000000001"),
        having(id="{2cb7ba32-0a43-4d0a-b8f5-2d0ff6d5a9f1}"),
        having(id=7),
        having(row="2"),
        having(row=True),
        having(row=1),
        having(recipient="mei"),
        having(recipient=None),
        having(salt="AAAA"),
        having(salt="not base64 at all!!!!!!"),
        having(iv="AAAAAAAAAAAAAAAAAAAAAA=="),
        having(verifier="AAAA"),
        having(ciphertext=""),
        having(ciphertext="WW91ciByZXN1bHQgaXMgbmVnYXRpdmUu"),
        having(ciphertext=base64.b64encode(bytes(101 * 1024 + 16)).decode()),
    ],
)
def test_rows_that_our_page_would_not_post_are_refused(spoil):
    row = encrypted_row()
    spoil(row)

    with pytest.raises(protected.NotOurs):
        protected.clean_rows([row])


@pytest.mark.parametrize("posted", [None, {}, [], "rows", [None], [[]]])
def test_what_is_no_list_of_rows_is_refused(posted):
    with pytest.raises(protected.NotOurs):
        protected.clean_rows(posted)


def test_an_upload_that_is_given_up_leaves_nothing(protected_campaign):
    batch = started(protected_campaign, 2)
    protected.take_rows(batch, protected.clean_rows([encrypted_row(2)]), after=0)

    protected.abandon_upload(batch, by=batch.creator)

    batch.refresh_from_db()
    assert batch.status == "discarded"
    assert not StagedRow.objects.exists()
    assert not ProtectedMessage.objects.exists()


def test_an_upload_that_was_left_is_discarded_after_a_day(protected_campaign):
    batch = started(protected_campaign, 2)
    protected.take_rows(batch, protected.clean_rows([encrypted_row(2)]), after=0)

    assert retention.discard_left_uploads(timezone.now()) == 0
    assert retention.discard_left_uploads(timezone.now() + timedelta(hours=25)) == 1

    batch.refresh_from_db()
    assert batch.status == "discarded"
    assert not ProtectedMessage.objects.exists()


# Who gets it out ------------------------------------------------------------------------------


def test_the_email_leads_to_the_page(protected_campaign, sandbox):
    row = encrypted_row()

    sent(protected_campaign, row)

    (email,) = sandbox.outbox(channel="email")
    assert f"http://localhost:8000/p/{row['id']}" in email["html"]
    assert "negative" not in email["html"]


def test_opening_it_is_seen_by_the_sender(protected_campaign, sandbox):
    sent(protected_campaign)
    assert only_page().state == "unopened"

    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        first = timezone.now()
        guess()
    with time_machine.travel(first + timedelta(hours=1), tick=False):
        guess()
        page = only_page()

    assert page.state == "opened"
    assert page.times_opened == 2
    assert (page.opened_at, page.last_opened_at) == (first, first + timedelta(hours=1))


def test_a_wrong_password_gets_nothing_and_is_told_how_many_tries_are_left(
    protected_campaign, sandbox
):
    sent(protected_campaign)

    assert guess("wrong") == protected.Wrong(tries_left=9, wait=0)
    assert only_page().times_opened == 0


def test_each_guess_from_the_third_on_has_to_wait_twice_as_long(protected_campaign, sandbox):
    sent(protected_campaign)

    waits = [guess_wrong(1).wait for _ in range(9)]

    assert waits == [0, 0, 2, 4, 8, 16, 32, 64, 128]


def test_a_guess_that_comes_too_soon_is_not_looked_at(protected_campaign, sandbox):
    sent(protected_campaign)
    guess_wrong(3)

    assert guess(PASSWORD) == protected.TooSoon(2)
    assert only_page().wrong_guesses == 3

    with time_machine.travel(timezone.now() + timedelta(seconds=3)):
        assert isinstance(guess(PASSWORD), protected.Opened)


def test_the_tenth_wrong_guess_locks_the_page_for_the_right_password_too(
    protected_campaign, sandbox
):
    sent(protected_campaign)

    assert guess_wrong(9).tries_left == 1
    assert guess_wrong(1) == protected.Closed("locked")
    assert guess(PASSWORD) == protected.Closed("locked")
    assert only_page().wrong_guesses == 10


def test_whoever_gets_it_right_has_all_tries_again(protected_campaign, sandbox):
    sent(protected_campaign)
    guess_wrong(2)

    guess(PASSWORD)

    assert guess("wrong") == protected.Wrong(tries_left=9, wait=0)


def test_guesses_are_limited_for_each_address_over_all_pages(protected_campaign, sandbox):
    sent(protected_campaign)
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    guess("wrong")
    WrongGuesses.objects.update(n=WrongGuesses.MAX_AN_HOUR)

    assert isinstance(guess(PASSWORD), protected.TooSoon)
    assert isinstance(guess(PASSWORD, address="203.0.113.8"), protected.Opened)
    with time_machine.travel(hour + timedelta(hours=1, seconds=1)):
        assert isinstance(guess(PASSWORD), protected.Opened)


def test_right_guesses_do_not_count_against_an_address(protected_campaign, sandbox):
    sent(protected_campaign)

    guess(PASSWORD)

    assert WrongGuesses.objects.get().n == 0


def test_an_address_is_not_kept_as_it_is(protected_campaign, sandbox):
    sent(protected_campaign)

    guess("wrong")

    assert HERE not in WrongGuesses.objects.get().address


def test_a_page_expires_so_many_days_after_it_was_sent(protected_campaign, sandbox):
    sent(protected_campaign, lifetime=timedelta(days=3))

    with time_machine.travel(timezone.now() + timedelta(days=2, hours=23)):
        assert isinstance(guess(), protected.Opened)
    with time_machine.travel(timezone.now() + timedelta(days=3, seconds=1)):
        assert guess() == protected.Closed("expired")
        assert only_page().state == "expired"


def test_a_page_can_be_tried_before_it_is_sent_and_that_counts_for_nothing(
    protected_campaign, sandbox
):
    batch = uploaded(protected_campaign)
    assert isinstance(guess(), protected.Opened)
    assert only_page().state == "unopened"
    guess_wrong(10)
    assert only_page().state == "locked"

    deciding.send_batch(batch, by=batch.creator)

    assert only_page().state == "unopened"
    assert guess("wrong") == protected.Wrong(tries_left=9, wait=0)


@pytest.mark.parametrize("end", ["upload", "discarded"])
def test_a_page_that_was_never_to_be_sent_does_not_exist(protected_campaign, end):
    if end == "upload":
        batch = started(protected_campaign, 2)
        protected.take_rows(batch, protected.clean_rows([encrypted_row(2)]), after=0)
    else:
        deciding.discard_batch(uploaded(protected_campaign), by=protected_campaign.creator)

    with pytest.raises(ProtectedMessage.DoesNotExist):
        guess()


# What the sender may do -----------------------------------------------------------------------


def told_mails(batch: Batch) -> list[str]:
    mail.outbox.clear()
    mails.mail_locked_pages(batch.id)
    return [message.body for message in mail.outbox]


def test_the_sender_is_told_once_of_a_locked_page_in_a_mail_that_names_nobody(
    protected_campaign, sandbox
):
    batch = sent(protected_campaign)
    guess_wrong(10)

    (body,) = told_mails(batch)

    assert "1 secure page of “Test results” is locked" in body
    assert f"/campaigns/{protected_campaign.public_id}/batches/{batch.public_id}/secure" in body
    assert "mei@example.com" not in body
    assert told_mails(batch) == []


def test_however_many_lock_the_sender_gets_one_mail_an_hour(protected_campaign, sandbox):
    batch = sent(protected_campaign, encrypted_row(2), encrypted_row(3), encrypted_row(4))
    now = timezone.now()
    ProtectedMessage.objects.filter(row=2).update(locked_at=now, wrong_guesses=10)
    assert len(told_mails(batch)) == 1
    ProtectedMessage.objects.filter(row__gt=2).update(locked_at=now, wrong_guesses=10)

    assert told_mails(batch) == []
    with time_machine.travel(now + timedelta(hours=1, minutes=1)):
        (body,) = told_mails(batch)

    assert "2 secure pages" in body


def test_a_lock_that_nobody_was_told_of_is_found_again(protected_campaign, sandbox):
    batch = sent(protected_campaign)
    guess_wrong(10)

    waiting = ProtectedUpload.objects.to_be_told
    assert list(waiting(timezone.now())) == [batch.id]
    told_mails(batch)
    assert list(waiting(timezone.now())) == []


def test_sending_again_unlocks_the_page_renews_it_and_is_a_new_attempt(protected_campaign, sandbox):
    batch = sent(protected_campaign, lifetime=timedelta(days=3))
    guess_wrong(10)
    message = Message.objects.get()

    with time_machine.travel(timezone.now() + timedelta(days=2), tick=False):
        later = timezone.now()
        protected.send_again(protected_campaign, message.id, by=batch.creator)
        send_chunk(batch.id)
        page = only_page()

    assert (page.state, page.wrong_guesses) == ("unopened", 0)
    assert page.ends_at - later < timedelta(days=3, seconds=1)
    assert page.ends_at > later + timedelta(days=2, hours=23)
    assert Attempt.objects.filter(message=message).count() == 2
    assert len(sandbox.outbox(channel="email")) == 2
    assert isinstance(guess(PASSWORD), protected.Opened)


def test_an_email_on_its_way_is_not_sent_again(protected_campaign, sandbox):
    batch = deciding.send_batch(uploaded(protected_campaign), by=protected_campaign.creator)
    expanding.expand(batch.id)

    with pytest.raises(Refused) as refused:
        protected.send_again(protected_campaign, Message.objects.get().id, by=batch.creator)

    assert refused.value.code == "message_cannot_be_sent_again"


def test_sending_again_has_an_end(protected_campaign, sandbox):
    batch = sent(protected_campaign)
    message = Message.objects.get()
    Message.objects.update(attempts_made=protected.MOST_NOTICES)

    with pytest.raises(Refused, match="10 times"):
        protected.send_again(protected_campaign, message.id, by=batch.creator)


def test_a_page_that_was_withdrawn_is_erased_at_once_and_for_good(protected_campaign, sandbox):
    batch = sent(protected_campaign)

    protected.withdraw(ProtectedMessage.objects.all(), by=batch.creator, on=batch)

    assert guess() == protected.Closed("withdrawn")
    assert ProtectedMessage.objects.get().sealed is None
    with pytest.raises(Refused, match="erased"):
        protected.send_again(protected_campaign, Message.objects.get().id, by=batch.creator)


# Forgetting -----------------------------------------------------------------------------------


def test_what_is_encrypted_is_erased_a_week_after_it_expired(protected_campaign, sandbox):
    sent(protected_campaign, lifetime=timedelta(days=3))
    guess()
    expired = timezone.now() + timedelta(days=3)

    assert retention.erase_pages(expired + timedelta(days=6)) == 0
    assert retention.erase_pages(expired + timedelta(days=7, minutes=1)) == 1

    page = ProtectedMessage.objects.get()
    assert (page.sealed, page.times_opened) == (None, 1)
    assert retention.erase_pages(expired + timedelta(days=8)) == 0


def test_a_renewed_page_is_kept_beside_expired_ones(protected_campaign, sandbox):
    sent(protected_campaign, encrypted_row(2), encrypted_row(3), lifetime=timedelta(days=3))
    later = timezone.now() + timedelta(days=30)
    ProtectedMessage.objects.filter(row=3).update(expires_at=later)

    assert retention.erase_pages(later) == 1

    kept = ProtectedMessage.objects.exclude(sealed=None)
    assert list(kept.values_list("row", flat=True)) == [3]


def test_the_agencys_retention_counts_for_secure_pages_too(protected_campaign, sandbox):
    sent(protected_campaign, lifetime=timedelta(days=300))
    protected_campaign.agency.retention_days = 10
    protected_campaign.agency.save()

    assert retention.erase_pages(timezone.now() + timedelta(days=9)) == 0
    assert retention.erase_pages(timezone.now() + timedelta(days=11)) == 1


def test_of_a_discarded_file_nothing_encrypted_is_kept(protected_campaign):
    deciding.discard_batch(uploaded(protected_campaign), by=protected_campaign.creator)

    assert retention.erase_pages(timezone.now()) == 1


# Two at once ----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_however_many_guess_at_once_no_more_are_looked_at_than_may_be(protected_campaign, sandbox):
    sent(protected_campaign)
    page = ProtectedMessage.objects.get()
    ProtectedMessage.objects.update(wrong_guesses=8)

    answers = at_once(
        12, lambda: protected.guess(page.id, verifier_of(page, "wrong"), address=HERE)
    )

    page.refresh_from_db()
    # One was looked at; the others came before it was time for the next.
    assert page.wrong_guesses == 9
    assert sorted(type(answer).__name__ for answer in answers) == ["TooSoon"] * 11 + ["Wrong"]


@pytest.mark.django_db(transaction=True)
def test_an_address_cannot_guess_at_many_pages_at_once_beyond_its_limit(
    protected_campaign, sandbox
):
    sent(protected_campaign, *(encrypted_row(number) for number in range(2, 10)))
    pages = list(ProtectedMessage.objects.order_by("row"))
    protected.guess(pages[0].id, verifier_of(pages[0], "wrong"), address=HERE)
    WrongGuesses.objects.update(n=WrongGuesses.MAX_AN_HOUR - 3)

    answers = at_once(
        8,
        lambda: protected.guess((page := pages.pop()).id, verifier_of(page, "wrong"), address=HERE),
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["TooSoon"] * 5 + ["Wrong"] * 3
    assert WrongGuesses.objects.get().n == WrongGuesses.MAX_AN_HOUR


def at_once(number, act):
    """What `act` answers each of so many callers."""
    start = threading.Barrier(number)
    answers = []

    def run():
        try:
            connection.ensure_connection()
            start.wait()
            answers.append(act())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
