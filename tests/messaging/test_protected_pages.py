"""The pages of password-protected emails: the sender's, and the recipient's."""

import json
import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.models import EmailDraft
from messaging import protected
from messaging.models import Batch, ProtectedMessage
from postman.accounts.models import AuditEvent
from tests.factories import CampaignFactory, EmailCampaignFactory, UserFactory
from tests.messaging.rows import member
from tests.messaging.secure import (
    PASSWORD,
    encrypted_row,
    in_base64,
    sent,
    started,
    uploaded,
    verifier_of,
)

pytestmark = pytest.mark.django_db


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


def post(client, name, *args, **content):
    return client.post(reverse(name, args=args), content, content_type="application/json")


def start(client, campaign, **changed):
    content = {
        "file_name": "people.csv",
        "rows": 1,
        "hint": "The code on your letter",
        "days": 14,
        "ignores_case_and_spaces": True,
    }
    return post(client, "secure-upload-start", campaign.pk, **{**content, **changed})


# The sender -----------------------------------------------------------------------------------


def test_the_page_has_no_field_in_which_text_or_a_password_could_be_posted(
    client_of, officer, protected_campaign
):
    page = client_of(officer).get(reverse("secure-compose", args=[protected_campaign.pk]))

    html = page.content.decode()
    form = re.search(r"<form data-options.*?</form>", html, re.DOTALL)[0]
    assert set(re.findall(r'name="(\w+)"', form)) == {"hint", "days", "ignores_case_and_spaces"}
    for field in re.findall(r"<(?:textarea|input)[^>]*data-(?:text|file)[^>]*>", html):
        assert "name=" not in field


def test_first_the_notice_has_to_be_written(client_of, officer, protected_campaign):
    EmailDraft.objects.update(html="<p>Your results are ready.</p>")

    page = client_of(officer).get(reverse("secure-compose", args=[protected_campaign.pk]))

    assert "First finish" in page.content.decode()
    assert "data-secure" not in page.content.decode()


def test_a_browser_uploads_encrypted_rows_and_is_led_to_the_review(
    client_of, officer, protected_campaign
):
    browser = client_of(officer)

    urls = start(browser, protected_campaign).json()["urls"]
    rows = browser.post(
        urls["rows"], {"after": 0, "rows": [encrypted_row()]}, content_type="application/json"
    )
    finished = browser.post(urls["finish"], {}, content_type="application/json")

    batch = Batch.objects.get()
    assert rows.json() == {"stored": 1}
    assert finished.json() == {"page": reverse("batch", args=[protected_campaign.pk, batch.pk])}
    upload = batch.protected_upload
    assert (upload.hint, upload.lifetime) == ("The code on your letter", timedelta(days=14))
    assert upload.ignores_case_and_spaces
    assert browser.get(finished.json()["page"]).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"days": 0},
        {"days": 366},
        {"rows": 0},
        {"rows": "1"},
        {"rows": 100_001},
        {"hint": "x" * 201},
        {"file_name": 7},
        {"text": "Your result is negative."},
        {"password": "correct horse battery"},
    ],
)
def test_settings_that_our_page_would_not_post_are_refused(
    client_of, officer, protected_campaign, changed
):
    answer = start(client_of(officer), protected_campaign, **changed)

    assert answer.status_code == 422
    assert not Batch.objects.exists()


def test_rows_with_a_field_too_many_are_refused(client_of, officer, protected_campaign):
    batch = started(protected_campaign, 1)
    row = {**encrypted_row(), "password": PASSWORD}

    answer = post(
        client_of(officer), "secure-upload-rows", protected_campaign.pk, batch.pk,
        after=0, rows=[row],
    )  # fmt: skip

    assert answer.status_code == 422
    assert not ProtectedMessage.objects.exists()


def test_nothing_changes_without_a_csrf_token(officer, protected_campaign):
    client = Client(enforce_csrf_checks=True)
    client.force_login(officer)

    assert start(client, protected_campaign).status_code == 403
    assert not Batch.objects.exists()


OF_A_BATCH = {
    "secure-upload-rows": "post",
    "secure-upload-finish": "post",
    "secure-upload-abandon": "post",
    "secure-pages": "get",
    "secure-withdraw-all": "get",
}
OF_A_MESSAGE = {"secure-send-again": "post", "secure-withdraw": "get"}
OF_A_CAMPAIGN = {"secure-compose": "get", "secure-upload-start": "post"}


@pytest.fixture
def addresses(protected_campaign):
    batch = uploaded(protected_campaign)
    page = ProtectedMessage.objects.get()
    campaign = protected_campaign.pk
    return (
        {name: (how, reverse(name, args=[campaign])) for name, how in OF_A_CAMPAIGN.items()}
        | {name: (how, reverse(name, args=[campaign, batch.pk])) for name, how in OF_A_BATCH.items()}
        | {
            name: (how, reverse(name, args=[campaign, page.message_id]))
            for name, how in OF_A_MESSAGE.items()
        }
    )  # fmt: skip


EVERY = [*OF_A_CAMPAIGN, *OF_A_BATCH, *OF_A_MESSAGE]


def ask(client, addresses, name):
    how, url = addresses[name]
    return (
        client.post(url, {}, content_type="application/json") if how == "post" else client.get(url)
    )


@pytest.mark.parametrize("name", EVERY)
def test_whoever_is_not_signed_in_is_sent_to_sign_in(addresses, name):
    assert ask(Client(), addresses, name).url.startswith(reverse("login"))


@pytest.mark.parametrize("name", EVERY)
def test_to_a_stranger_the_campaign_does_not_exist(client_of, addresses, name):
    assert ask(client_of(UserFactory()), addresses, name).status_code == 404


@pytest.mark.parametrize("name", [*OF_A_BATCH, *OF_A_MESSAGE])
def test_a_restricted_member_finds_nothing_of_others(
    client_of, protected_campaign, addresses, name
):
    clerk = member(protected_campaign, "member_restricted")

    assert ask(client_of(clerk), addresses, name).status_code == 404


@pytest.mark.parametrize("name", [*OF_A_BATCH, *OF_A_MESSAGE])
def test_what_is_another_campaigns_is_not_found_through_ones_own(
    client_of, officer, addresses, protected_campaign, name
):
    other = EmailCampaignFactory(creator=officer, is_protected=True)
    how, url = addresses[name]
    through = url.replace(str(protected_campaign.pk), str(other.pk))

    assert ask(client_of(officer), {name: (how, through)}, name).status_code == 404


@pytest.mark.parametrize("make", [CampaignFactory, EmailCampaignFactory])
def test_a_campaign_that_is_not_protected_has_no_secure_page(client_of, officer, make):
    campaign = make(creator=officer)

    page = client_of(officer).get(reverse("secure-compose", args=[campaign.pk]))

    assert page.status_code == 404


def test_the_ordinary_upload_leads_to_the_secure_one(client_of, officer, protected_campaign):
    answer = client_of(officer).get(reverse("compose-multiple", args=[protected_campaign.pk]))

    assert answer.url == reverse("secure-compose", args=[protected_campaign.pk])


def test_the_sender_sees_who_opened_whose_is_locked_and_finds_them_by_that(
    client_of, officer, protected_campaign, sandbox
):
    batch = sent(
        protected_campaign,
        encrypted_row(2, "mei@example.com"),
        encrypted_row(3, "ravi@example.com"),
        encrypted_row(4, "siti@example.com"),
    )
    mei, ravi, _ = ProtectedMessage.objects.order_by("row")
    protected.guess(mei.id, verifier_of(mei), address="203.0.113.7")
    ProtectedMessage.objects.filter(id=ravi.id).update(
        wrong_guesses=9, locked_at=None, guess_again_at=None
    )
    protected.guess(ravi.id, verifier_of(ravi, "wrong"), address="203.0.113.7")
    browser, url = client_of(officer), reverse("secure-pages", args=[batch.campaign_id, batch.pk])

    everything, locked = browser.get(url), browser.get(f"{url}?state=locked")

    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", everything.content.decode()))
    assert "All (3)" in text
    for state in ("Withdrawn (0)", "Expired (0)", "Locked (1)", "Opened (1)", "Not opened (1)"):
        assert state in text
    assert "ravi@example.com" in locked.content.decode()
    assert "mei@example.com" not in locked.content.decode()


def test_the_sender_withdraws_all_pages_after_being_asked(
    client_of, officer, protected_campaign, sandbox
):
    batch = sent(protected_campaign, encrypted_row(2), encrypted_row(3))
    browser = client_of(officer)
    url = reverse("secure-withdraw-all", args=[batch.campaign_id, batch.pk])

    asked = browser.get(url)
    assert "Withdraw 2 pages?" in asked.content.decode()
    assert ProtectedMessage.objects.filter(sealed=None).count() == 0
    browser.post(url)

    assert ProtectedMessage.objects.filter(sealed=None).count() == 2
    assert AuditEvent.objects.get(action="page.withdrawn").details == {"pages": 2}


def test_the_sender_withdraws_one_page(client_of, officer, protected_campaign, sandbox):
    sent(protected_campaign, encrypted_row(2), encrypted_row(3))
    page = ProtectedMessage.objects.get(row=2)

    client_of(officer).post(
        reverse("secure-withdraw", args=[protected_campaign.pk, page.message_id])
    )

    assert [p.row for p in ProtectedMessage.objects.filter(sealed=None)] == [2]


def test_the_sender_sends_a_locked_page_again(client_of, officer, protected_campaign, sandbox):
    batch = sent(protected_campaign)
    page = ProtectedMessage.objects.get()
    ProtectedMessage.objects.update(wrong_guesses=10, locked_at=timezone.now())

    answer = client_of(officer).post(
        reverse("secure-send-again", args=[protected_campaign.pk, page.message_id]), follow=True
    )

    assert "The email is sent again" in answer.content.decode()
    page.refresh_from_db()
    assert (page.wrong_guesses, page.locked_at) == (0, None)
    assert batch.counts()["created"] == 1


# The recipient --------------------------------------------------------------------------------


@pytest.fixture
def page(protected_campaign, sandbox):
    sent(protected_campaign, hint="The code on your letter")
    return ProtectedMessage.objects.get()


def show(page, **kwargs):
    return Client().get(reverse("secure-page", args=[page.pk]), **kwargs)


def try_(page, password=PASSWORD):
    content = {"verifier": in_base64(verifier_of(page, password))}
    return post(Client(), "secure-page", page.pk, **content)


def test_the_page_says_who_sent_it_when_and_whom_to_ask(page, officer):
    html = show(page).content.decode()

    assert "Ministry of Health" in html
    assert f"mailto:{officer.email}" in html
    assert "The code on your letter" in html
    assert timezone.localtime().strftime("%Y") in html
    assert "mei@example.com" not in html


def test_the_page_leaves_no_trace_and_loads_nothing_from_elsewhere(page):
    answer = show(page)

    assert not answer.cookies
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["X-Robots-Tag"] == "noindex, nofollow"
    assert "no-store" in answer["Cache-Control"]
    policy = dict(
        part.strip().split(" ", 1) for part in answer["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert "unsafe" not in answer["Content-Security-Policy"]
    for directive in ("script-src", "style-src", "connect-src", "img-src", "font-src"):
        assert "http" not in policy[directive]
    html = answer.content.decode()
    assert re.findall(r'(?:src|href)="(https?://[^"]*)"', html) == []
    assert not re.search(r"\son\w+=|<style|style=", html)


def test_looking_at_the_page_opens_nothing(page):
    show(page)

    page.refresh_from_db()
    assert (page.opened_at, page.wrong_guesses) == (None, 0)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"query_params": {"lang": "chinese"}}, "打开您的信息"),
        ({"headers": {"Accept-Language": "ms-SG,en;q=0.5"}}, "Buka mesej anda"),
        ({"headers": {"Accept-Language": "ta"}}, "உங்கள் செய்தியைத் திறக்கவும்"),
        ({"headers": {"Accept-Language": "fr"}}, "Open your message"),
    ],
)
def test_the_page_speaks_the_readers_language(page, chosen, says):
    assert says in show(page, **chosen).content.decode()


def test_the_right_password_gets_what_the_browser_can_decrypt(page):
    answer = try_(page)

    assert answer.status_code == 200
    assert answer.json().keys() == {"ciphertext", "iv"}
    assert "no-store" in answer["Cache-Control"]


def test_a_wrong_password_is_told_how_many_tries_are_left(page):
    answer = try_(page, "wrong")

    assert answer.status_code == 403
    assert answer.json() == {"code": "wrong", "tries_left": 9, "wait": 0}


def test_a_guess_too_soon_is_told_when_to_come_back(page):
    ProtectedMessage.objects.update(
        wrong_guesses=5, guess_again_at=timezone.now() + timedelta(seconds=30)
    )

    answer = try_(page)

    assert answer.status_code == 429
    assert 29 <= int(answer["Retry-After"]) == answer.json()["wait"] <= 30
    assert re.search(r'data-wait="(29|30)"', show(page).content.decode())


@pytest.mark.parametrize(
    "posted", ["", "[]", '{"verifier": 1}', '{"verifier": "AAAA"}', '{"password": "x"}', "\x00"]
)
def test_what_is_no_guess_counts_for_nothing(page, posted):
    answer = Client().post(
        reverse("secure-page", args=[page.pk]), posted, content_type="application/json"
    )

    assert answer.status_code == 422
    page.refresh_from_db()
    assert page.wrong_guesses == 0


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"locked_at": timezone.now, "wrong_guesses": 10}, "This message is locked"),
        ({"withdrawn_at": timezone.now, "sealed": None}, "The sender withdrew this message"),
        ({"sealed": None}, "This message has expired"),
    ],
)
def test_a_page_that_nothing_opens_says_why(page, facts, says):
    facts = {name: value() if callable(value) else value for name, value in facts.items()}
    ProtectedMessage.objects.update(**facts)

    html = show(page).content.decode()

    assert says in html
    assert "data-password" not in html
    assert try_(page).status_code == 410


def test_an_expired_page_says_so(page):
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        assert "This message has expired" in show(page).content.decode()


def test_an_address_that_leads_nowhere_says_so(db):
    answer = Client().get(reverse("secure-page", args=["2cb7ba32-0a43-4d0a-b8f5-2d0ff6d5a9f1"]))

    assert answer.status_code == 404
    assert "There is no message at this address" in answer.content.decode()
    assert answer["Referrer-Policy"] == "no-referrer"


def test_without_javascript_the_page_says_what_it_needs(page):
    html = show(page).content.decode()

    (explained,) = re.findall(r"<noscript>(.*?)</noscript>", html, re.DOTALL)
    assert "takes JavaScript" in explained


def test_the_answer_to_a_guess_is_never_more_than_its_page(page):
    assert json.loads(try_(page, "wrong").content).keys() == {"code", "tries_left", "wait"}
