import re
from datetime import timedelta

import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.test import Client

from postman.accounts import devices
from postman.accounts.models import AuditEvent, Session
from tests.factories import UserFactory

EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def laptop(officer):
    return browser_of(officer, EDGE, "203.0.113.7")


@pytest.fixture
def phone(officer):
    return browser_of(officer, IPHONE, "198.51.100.9")


def browser_of(user, user_agent: str, ip: str) -> Client:
    browser = Client(headers={"user-agent": user_agent}, REMOTE_ADDR=ip)
    browser.force_login(user)
    browser.get("/account/sessions")
    return browser


def is_signed_in(browser: Client) -> bool:
    return browser.get("/account/sessions").status_code == 200


def test_the_list_names_every_device_and_this_one(clock, laptop, phone):
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", laptop.get("/account/sessions").text))

    assert "Edge on Windows (this device) 203.0.113.7 20 Nov 2026, 12:00 pm SGT" in page
    assert "Safari on iPhone 198.51.100.9 20 Nov 2026, 12:00 pm SGT" in page


def test_the_list_holds_nobody_elses_and_no_key(laptop):
    other = browser_of(UserFactory(), IPHONE, "192.0.2.1")

    page = laptop.get("/account/sessions").text

    assert "192.0.2.1" not in page
    assert other.session.session_key not in page
    assert laptop.session.session_key not in page


def test_one_other_device_can_be_signed_out(laptop, phone):
    handle = re.search(r'name="session" value="(\w+)"', laptop.get("/account/sessions").text)[1]

    answer = laptop.post("/account/sessions/end", {"session": handle}, follow=True)

    assert "That device is signed out." in answer.text
    assert is_signed_in(laptop)
    assert not is_signed_in(phone)


def test_the_handle_of_somebody_elses_session_ends_nothing(laptop, phone):
    handle = re.search(r'name="session" value="(\w+)"', laptop.get("/account/sessions").text)[1]
    stranger = browser_of(UserFactory(), IPHONE, "192.0.2.1")

    for value in (handle, "", "nonsense"):
        stranger.post("/account/sessions/end", {"session": value})

    assert is_signed_in(laptop)
    assert is_signed_in(phone)
    assert not AuditEvent.objects.filter(action="sessions.ended").exists()


def test_signing_out_everywhere_ends_the_others_at_once(officer, laptop, phone):
    stranger = browser_of(UserFactory(), IPHONE, "192.0.2.1")

    laptop.post("/account/sessions/end-all")

    assert is_signed_in(laptop)
    assert not is_signed_in(phone)
    assert is_signed_in(stranger)
    row = AuditEvent.objects.get()
    assert (row.action, row.actor, row.object_id, row.details, row.ip) == (
        "sessions.ended",
        officer,
        officer.public_id,
        {"count": 1},
        "203.0.113.7",
    )


def test_an_hour_without_activity_signs_out_and_says_so(clock, laptop):
    clock.shift(timedelta(minutes=60, seconds=1))

    answer = laptop.get("/account/sessions", follow=True)

    assert answer.redirect_chain == [("/login?next=/account/sessions", 302)]
    assert "You were signed out after 60 minutes without activity." in answer.text


def test_activity_puts_the_idle_end_off(clock, laptop):
    for _ in range(3):
        clock.shift(timedelta(minutes=59))
        assert is_signed_in(laptop)


def test_an_idle_session_is_no_longer_listed(clock, laptop, phone):
    clock.shift(timedelta(minutes=40))
    laptop.get("/account/sessions")
    clock.shift(timedelta(minutes=40))

    assert "198.51.100.9" not in laptop.get("/account/sessions").text


def test_the_time_last_seen_is_written_once_a_minute(clock, laptop, django_assert_num_queries):
    session = Session.objects.get(session_key=laptop.session.session_key)
    began_at = session.last_seen_at

    clock.shift(timedelta(seconds=59))
    laptop.get("/account/sessions")
    session.refresh_from_db()
    assert session.last_seen_at == began_at
    clock.shift(timedelta(seconds=1))
    laptop.get("/account/sessions")

    session.refresh_from_db()
    assert session.last_seen_at == began_at + timedelta(minutes=1)
    assert session.created_at == began_at


def test_the_list_keeps_its_query_count(officer, laptop, django_assert_num_queries):
    with django_assert_num_queries(3):
        laptop.get("/account/sessions")
    for number in range(3):
        browser_of(officer, IPHONE, f"198.51.100.{number}")

    with django_assert_num_queries(3):
        laptop.get("/account/sessions")


def test_a_part_of_a_page_is_not_filled_with_the_login_form(clock, laptop):
    clock.shift(timedelta(hours=2))

    answer = laptop.get(
        "/account/sessions",
        headers={"hx-request": "true", "hx-current-url": "http://testserver/campaigns/?q=flu"},
    )

    assert answer.status_code == 200
    assert answer["HX-Redirect"] == "/login?next=/campaigns/%3Fq%3Dflu"
    assert answer.content == b""


def test_visitors_without_a_session_cost_no_query(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/account/sessions").status_code == 302


def test_a_very_long_user_agent_is_cut(officer):
    browser = browser_of(officer, "x" * 5000, "203.0.113.7")

    assert len(Session.objects.get(session_key=browser.session.session_key).user_agent) == 200


def test_the_engine_is_a_django_session_engine():
    assert issubclass(Session.get_session_store_class(), SessionBase)


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (EDGE, "Edge on Windows"),
        (IPHONE, "Safari on iPhone"),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0",
            "Firefox on Linux",
        ),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/130.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5.0", "Unknown device"),
        ("", "Unknown device"),
    ],
)
def test_devices_have_plain_names(user_agent, name):
    assert devices.name_of(user_agent) == name


@pytest.mark.parametrize("key", ['"\\000aaaaaaaaaa"', '"\\355\\240\\200aaaaaaaa"'])
def test_a_cookie_that_can_be_no_session_is_a_visitors(client, key):
    answer = client.get("/campaigns/", headers={"Cookie": f"sessionid={key}"})

    assert (answer.status_code, answer.url) == (302, "/login?next=/campaigns/")


def test_a_part_of_a_page_without_a_readable_address_leads_to_the_login_form(client):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://["}
    answer = client.get("/campaigns/", headers=headers)

    assert answer["HX-Redirect"] == "/login?next=/"


def test_no_page_of_somebody_signed_in_is_kept_by_a_browser(laptop):
    for path in ("/campaigns/", "/account/sessions", "/nowhere"):
        assert "no-store" in laptop.get(path)["Cache-Control"]
