"""Signing in as a person does it: two pages, a mailbox, and what goes wrong between them."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from postman.accounts import limits, mails
from postman.accounts.models import AuditEvent, LoginCode, Session, User
from tests.accounts.conftest import code_in, newest_row, other_than
from tests.factories import UserFactory

ANN = "ann@moh.gov.sg"
STRANGER = "mallory@example.com"

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    return Client(enforce_csrf_checks=False)


def ask(browser: Client, email: str = ANN, **extra: str):
    return browser.post("/login", {"email": email, **extra})


def read_code(post_office, email: str = ANN) -> str:
    mails.mail_code(newest_row(email).id)
    return code_in(post_office, email)


def test_an_officer_signs_in_with_the_mailed_code(browser, post_office):
    asked = ask(browser, " Ann@MOH.gov.sg ")
    code = read_code(post_office)

    signed_in = browser.post("/login/verify", {"code": f" {code[:3].lower()}-{code[3:].lower()} "})

    assert (asked.status_code, asked["Location"]) == (302, "/login/verify")
    assert (signed_in.status_code, signed_in["Location"]) == (302, "/campaigns/")
    assert User.objects.get(pk=browser.session["_auth_user_id"]).email == ANN


def test_the_session_key_changes_at_sign_in(browser, post_office):
    ask(browser)
    before = browser.session.session_key

    browser.post("/login/verify", {"code": read_code(post_office)})

    assert browser.session.session_key != before
    assert not Session.objects.filter(session_key=before).exists()


def test_the_session_ends_after_a_day_however_busy(clock, browser, post_office):
    ask(browser)
    browser.post("/login/verify", {"code": read_code(post_office)})

    for _ in range(47):
        clock.shift(timedelta(minutes=30))
        assert browser.get("/account/sessions").status_code == 200
    clock.shift(timedelta(minutes=30))

    assert browser.get("/account/sessions").status_code == 302


def test_next_is_followed_on_this_site(browser, post_office):
    page = browser.get("/login?next=/account/sessions%3Fa%3D1")
    assert '<input type="hidden" name="next" value="/account/sessions?a=1">' in page.text

    ask(browser, next="/account/sessions?a=1")
    signed_in = browser.post("/login/verify", {"code": read_code(post_office)})

    assert signed_in["Location"] == "/account/sessions?a=1"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:///evil.example",
        "\x08//evil.example",
    ],
)
def test_next_leads_nowhere_else(browser, post_office, elsewhere):
    assert "evil" not in browser.get(f"/login?next={quote(elsewhere)}").text

    ask(browser, next=elsewhere)
    signed_in = browser.post("/login/verify", {"code": read_code(post_office)})

    assert signed_in["Location"] == "/campaigns/"


def test_the_signed_in_go_past_the_login_pages(client_of, officer):
    browser = client_of(officer)

    assert browser.get("/login")["Location"] == "/campaigns/"
    assert browser.get("/login?next=/account/sessions")["Location"] == "/account/sessions"
    assert browser.get("/login/verify")["Location"] == "/campaigns/"


def test_pages_of_the_signed_in_lead_to_login_and_back(browser):
    refused = browser.get("/account/sessions")

    assert (refused.status_code, refused["Location"]) == (302, "/login?next=/account/sessions")


def test_the_second_page_needs_the_first(browser):
    assert browser.get("/login/verify")["Location"] == "/login"
    assert browser.post("/login/verify", {"code": "AB2CD3"})["Location"] == "/login"
    assert browser.post("/login/resend")["Location"] == "/login"


@pytest.mark.parametrize(
    "email",
    ["", "ann", "ann@", "ann@moh.gov.sg\nbcc:x@y.sg", "änn@moh.gov.sg", "a" * 250 + "@a.gov.sg"],
)
def test_what_is_no_address_is_refused_beside_its_field(browser, email):
    refused = ask(browser, email)

    assert refused.status_code == 422
    assert 'role="alert"' in refused.text
    assert 'aria-invalid="true"' in refused.text
    assert LoginCode.objects.count() == 0


def test_an_odd_code_is_refused_without_spending_a_try(browser):
    ask(browser)

    refused = browser.post("/login/verify", {"code": "12"})

    assert refused.status_code == 422
    assert "A code has six characters" in refused.text
    assert 'value="12"' in refused.text
    assert newest_row(ANN).tries_left == 4


def test_a_wrong_code_is_refused_with_the_tries_left(browser, post_office):
    ask(browser)
    wrong = other_than(read_code(post_office))

    refused = browser.post("/login/verify", {"code": wrong})

    assert refused.status_code == 422
    assert "You have 3 tries left." in refused.text
    assert "_auth_user_id" not in browser.session


def test_after_four_wrong_codes_the_page_says_so(browser, post_office):
    ask(browser)
    code = read_code(post_office)
    for _ in range(4):
        refused = browser.post("/login/verify", {"code": other_than(code)})

    late = browser.post("/login/verify", {"code": code})

    for answer in (refused, late):
        assert answer.status_code == 422
        assert "After 4 wrong tries this code no longer works. Ask for a new one." in answer.text


def test_an_expired_code_is_refused(clock, browser, post_office):
    ask(browser)
    code = read_code(post_office)
    clock.shift(timedelta(minutes=10))

    refused = browser.post("/login/verify", {"code": code})

    assert refused.status_code == 422
    assert "This code has expired" in refused.text


def test_the_code_field_helps_telephones_to_fill_it(browser):
    ask(browser)

    field = re.search(r"<input[^>]*name=\"code\"[^>]*>", browser.get("/login/verify").text).group()

    assert 'autocomplete="one-time-code"' in field
    assert 'inputmode="text"' in field
    assert 'autocapitalize="characters"' in field


def test_the_page_counts_down_from_the_servers_seconds(clock, browser):
    ask(browser)
    clock.shift(timedelta(seconds=12))

    page = browser.get("/login/verify").text

    assert '<span data-seconds="18">18</span> seconds' in page
    clock.shift(timedelta(seconds=18))
    assert "data-seconds" not in browser.get("/login/verify").text


def test_another_code_too_soon_is_refused_with_the_seconds(clock, browser):
    ask(browser)
    clock.shift(timedelta(seconds=29))

    refused = browser.post("/login/resend")

    assert refused.status_code == 422
    assert "You can ask for another in 1 second." in refused.text
    assert LoginCode.objects.count() == 1


def test_another_code_after_thirty_seconds_replaces_the_first(clock, browser, post_office):
    ask(browser)
    first = read_code(post_office)
    clock.shift(timedelta(seconds=30))

    asked = browser.post("/login/resend", follow=True)

    assert "A new code is on its way" in asked.text
    second = read_code(post_office)
    assert browser.post("/login/verify", {"code": first}).status_code == 422
    assert browser.post("/login/verify", {"code": second}).status_code == 302


def test_coming_back_too_soon_leads_to_the_code_mailed_before(clock, browser, post_office):
    ask(browser)
    code = read_code(post_office)
    page = browser.get("/login/verify").text
    assert "Use another email address" in page

    again = ask(browser)

    assert again["Location"] == "/login/verify"
    assert browser.post("/login/verify", {"code": code}).status_code == 302


def test_allowed_and_not_allowed_addresses_look_the_same(clock):
    seen = {}

    for email in (ANN, STRANGER):
        browser = Client(headers={"user-agent": "test"})
        answers = []
        for path, data in [
            ("/login", {"email": email}),
            ("/login/verify", None),
            ("/login/verify", {"code": "AB2CD3"}),
            ("/login/resend", {}),
            *[("/login/verify", {"code": "AB2CD3"})] * 4,
        ]:
            with CaptureQueriesContext(connection) as queries:
                response = browser.get(path) if data is None else browser.post(path, data)
            answers.append((response.status_code, _comparable(response, email), len(queries)))
        seen[email] = answers

    assert seen[ANN] == seen[STRANGER]
    assert any("AB2CD3" in body for _, body, _ in seen[ANN])


def test_the_demo_says_where_the_code_is(browser, settings):
    ask(browser)

    page = browser.get("/login/verify").text

    assert f'href="{settings.SANDBOX_URL}/?to=ann%40moh.gov.sg"' in page
    settings.SANDBOX_URL = ""
    assert "outbox" not in browser.get("/login/verify").text


def test_posts_without_a_csrf_token_are_refused(officer):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(officer)

    for path in (
        "/login",
        "/login/verify",
        "/login/resend",
        "/logout",
        "/account/sessions/end-all",
    ):
        assert browser.post(path).status_code == 403


@pytest.mark.parametrize(
    "path", ["/logout", "/login/resend", "/account/sessions/end", "/account/sessions/end-all"]
)
def test_a_get_changes_nothing(client_of, officer, path):
    browser = client_of(officer)

    assert browser.get(path).status_code == 405
    assert browser.get("/account/sessions").status_code == 200


def test_signing_out_ends_the_session_and_is_audited(client_of, officer):
    browser = client_of(officer)
    key = browser.session.session_key

    signed_out = browser.post("/logout")

    assert signed_out["Location"] == "/login"
    assert not Session.objects.filter(session_key=key).exists()
    assert AuditEvent.objects.get().action == "logout"
    assert browser.get("/account/sessions").status_code == 302


def test_login_pages_are_not_cached(browser):
    ask(browser)

    for path in ("/login", "/login/verify"):
        assert "no-store" in browser.get(path)["Cache-Control"]


def test_too_many_codes_for_one_address_are_refused_for_a_while(clock, browser):
    for _ in range(10):
        assert ask(browser).status_code == 302

    refused = ask(browser)

    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 3600
    assert "That was too often. Try again in" in refused.text
    assert f'value="{ANN}"' in refused.text
    assert ask(browser, "ben@moh.gov.sg").status_code == 302


def test_too_many_codes_for_one_ip_are_refused_whoever_asks(clock, browser, monkeypatch):
    monkeypatch.setitem(limits.RATES, "codes", {"address": "10/h", "ip": "3/h"})
    for number in range(3):
        assert ask(browser, f"officer{number}@moh.gov.sg").status_code == 302

    assert ask(browser, "officer3@moh.gov.sg").status_code == 429
    elsewhere = Client(REMOTE_ADDR="198.51.100.9")
    assert ask(elsewhere, "officer4@moh.gov.sg").status_code == 302


def test_too_many_guesses_are_refused_before_they_spend_a_try(clock, browser):
    for _ in range(6):
        ask(browser)
        for _ in range(3):
            browser.post("/login/verify", {"code": "AB2CD3"})
        clock.shift(timedelta(seconds=31))
    ask(browser)

    statuses = [browser.post("/login/verify", {"code": "AB2CD3"}).status_code for _ in range(4)]

    assert statuses == [422, 422, 429, 429]
    assert newest_row(ANN).tries_left == 2


def test_a_deactivated_officer_is_out_at_once(client_of, officer):
    browser = client_of(officer)
    assert browser.get("/account/sessions").status_code == 200

    User.objects.filter(pk=officer.pk).update(is_active=False)

    assert browser.get("/account/sessions").status_code == 302


def test_the_last_sign_in_is_kept(clock, browser, post_office):
    ann = UserFactory(email=ANN)
    ask(browser)

    browser.post("/login/verify", {"code": read_code(post_office)})

    ann.refresh_from_db()
    assert ann.last_login.isoformat() == "2026-11-20T04:00:00+00:00"


def _comparable(response, email: str) -> str:
    """The page without what differs between any two visits: address, tokens and nonces."""
    page = response.text.replace(email, "ADDRESS").replace(quote(email), "ADDRESS")
    page = re.sub(r'nonce="[^"]*"', "", page)
    page = re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", page)
    return re.sub(r'"X-CSRFToken": "[^"]*"', "", page) + response.headers.get("Location", "")


@pytest.mark.parametrize("wanted", ["foo", "logout", "https:evil.com", "/\\evil.com", "//evil.com"])
def test_a_next_that_is_no_page_of_ours_leads_to_the_campaigns(client_of, officer, wanted):
    answer = client_of(officer).get("/login", {"next": wanted})

    assert (answer.status_code, answer.url) == (302, "/campaigns/")


def test_a_strangers_file_is_never_stored(browser):
    answer = browser.post(
        "/login", {"email": ANN, "file": SimpleUploadedFile("big.bin", b"x" * 100_000)}
    )

    assert answer.status_code == 302
    assert not answer.wsgi_request.FILES


@pytest.mark.parametrize("email", ['"mallory@example.com,x"@moh.gov.sg', "ann@\uff4doh.gov.sg"])
def test_an_address_that_only_looks_official_gets_no_code(browser, email):
    answer = ask(browser, email)

    assert answer.status_code == 422
    assert not LoginCode.objects.exists()
