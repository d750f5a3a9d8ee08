import html
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
import time_machine
from django.db import connection, connections
from django.test import Client
from django.urls import reverse

from campaigns.integrations import allow_address, create_key
from campaigns.models import AllowedAddress, ApiKey, Membership, Role, hash_key
from postman.accounts.models import AuditEvent
from postman.errors import Refused
from tests.factories import UserFactory


@pytest.fixture
def browser(officer, client_of):
    return client_of(officer)


@pytest.fixture
def allowed(campaign):
    return AllowedAddress.objects.create(campaign=campaign, address="203.0.113.7")


def url(name, campaign, *args):
    return reverse(f"campaign-{name}", args=[campaign.pk, *args])


def add(browser, campaign, address):
    return browser.post(url("address-add", campaign), {"address": address})


def create(browser, campaign, label="", **more):
    return browser.post(url("key-create", campaign), {"label": label, **more})


def actions():
    return list(AuditEvent.objects.order_by("id").values_list("action", "details"))


# Addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        (" 203.0.113.7 ", "203.0.113.7"),
        ("2001:DB8:0:0::7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_single_addresses_are_allowed_in_their_usual_spelling(campaign, browser, typed, stored):
    answer = add(browser, campaign, typed)

    assert answer.url == url("integrations", campaign)
    assert campaign.allowed_addresses.get().address == stored
    assert actions() == [("address.added", {"address": stored})]


# v2-sms §13.17
@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "Type an IP address."),
        ("203.0.113.0/24", "Ranges are not accepted."),
        ("203.0.113.7/32", "Ranges are not accepted."),
        ("203.0.113.1-9", "Ranges are not accepted."),
        ("postman.gov.sg", "This is not an IP address."),
        ("203.0.113", "This is not an IP address."),
        ("203.0.113.256", "This is not an IP address."),
        ("0203.0.113.7", "This is not an IP address."),
        ("1.2.3.4, 1.2.3.5", "This is not an IP address."),
        ("10.1.2.3", "exists only inside a network"),
        ("192.168.0.1", "exists only inside a network"),
        ("100.64.0.1", "exists only inside a network"),
        ("0.0.0.0", "exists only inside a network"),
        ("255.255.255.255", "exists only inside a network"),
        ("::1", "exists only inside a network"),
        ("::ffff:10.0.0.1", "exists only inside a network"),
        ("2001:db8::7%eth0", "exists only inside a network"),
        ("fe80::1%eth0", "exists only inside a network"),
        ("fd00::1", "exists only inside a network"),
    ],
)
def test_whatever_is_not_one_public_address_is_refused_in_words(campaign, browser, typed, reason):
    answer = add(browser, campaign, typed)

    assert answer.status_code == 422
    assert reason in answer.context["address_form"].errors["address"][0]
    assert answer.context["address_form"]["address"].value() == typed
    assert not campaign.allowed_addresses.exists()


def test_an_address_is_listed_once(campaign, browser, allowed):
    answer = add(browser, campaign, "203.0.113.7")

    assert answer.status_code == 422
    assert "in the list already" in answer.content.decode()


def test_where_you_are_now_is_offered_and_accepted_even_inside_a_network(campaign, browser):
    page = browser.get(url("integrations", campaign)).content.decode()
    assert '<input type="hidden" name="address" value="127.0.0.1">' in page

    assert add(browser, campaign, "127.0.0.1").status_code == 302
    assert 'value="127.0.0.1"' not in browser.get(url("integrations", campaign)).content.decode()


# v2-sms §13.17
def test_the_21st_address_is_refused(campaign, browser, officer):
    for last in range(1, 21):
        allow_address(campaign=campaign, text=f"203.0.113.{last}", by=officer)

    answer = add(browser, campaign, "203.0.113.21")

    assert answer.status_code == 422
    assert "can have 20 addresses" in answer.content.decode()
    assert campaign.allowed_addresses.count() == 20


@pytest.fixture
def ranges(campaign):
    campaign.may_allow_ranges = True
    campaign.save()


@pytest.mark.parametrize(
    ("typed", "stored", "said"),
    [
        (
            " 203.0.113.0/24 ",
            "203.0.113.0/24",
            "203.0.113.0/24 may call now: every address from 203.0.113.0 to 203.0.113.255.",
        ),
        (
            "203.0.113.77/28",
            "203.0.113.64/28",
            "203.0.113.64/28 may call now: every address from 203.0.113.64 to 203.0.113.79.",
        ),
        (
            "2001:DB8:1::7/48",
            "2001:db8:1::/48",
            "2001:db8:1::/48 may call now: every address from 2001:db8:1:: "
            "to 2001:db8:1:ffff:ffff:ffff:ffff:ffff.",
        ),
        ("203.0.113.7/32", "203.0.113.7", "203.0.113.7 may call now."),
        ("203.0.113.8", "203.0.113.8", "203.0.113.8 may call now."),
    ],
)
def test_a_campaign_opened_to_ranges_takes_them_and_says_what_they_hold(
    campaign, ranges, browser, typed, stored, said
):
    answer = add(browser, campaign, typed)

    assert answer.status_code == 302
    assert campaign.allowed_addresses.get().address == stored
    assert said in html.unescape(browser.get(answer.url).content.decode())


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("203.0.112.0/23", "203.0.112.0/23 is too wide. The widest is /24 for IPv4"),
        ("0.0.0.0/0", "is too wide"),
        ("2001:db8::/47", "is too wide"),
        ("10.1.2.0/24", "exists only inside a network"),
        ("100.64.0.0/24", "exists only inside a network"),
        ("fd00::/48", "exists only inside a network"),
        ("::/48", "exists only inside a network"),
        ("::ffff:203.0.113.0/120", "exists only inside a network"),
        ("203.0.113.0/33", "This is not a range."),
        ("postman.gov.sg/24", "This is not a range."),
        ("203.0.113.1-9", "Ranges are not accepted."),
    ],
)
def test_a_range_that_is_too_wide_or_not_public_is_refused_in_words(
    campaign, ranges, browser, typed, reason
):
    answer = add(browser, campaign, typed)

    assert answer.status_code == 422
    assert reason in answer.context["address_form"].errors["address"][0]
    assert not campaign.allowed_addresses.exists()


def test_what_a_range_holds_already_is_not_listed_beside_it(campaign, ranges, officer):
    allow_address(campaign=campaign, text="203.0.113.0/28", by=officer)

    with pytest.raises(Refused, match=r"^203\.0\.113\.7 is in the list already, within 203"):
        allow_address(campaign=campaign, text="203.0.113.7", by=officer)
    allow_address(campaign=campaign, text="203.0.113.0/24", by=officer)


def test_the_page_speaks_of_ranges_only_where_they_are_open(campaign, browser):
    assert "or ranges" not in browser.get(url("integrations", campaign)).content.decode()
    campaign.may_allow_ranges = True
    campaign.save()
    assert "or ranges" in browser.get(url("integrations", campaign)).content.decode()


def test_an_address_can_be_removed_even_the_last_one(campaign, browser, allowed, officer):
    create_key(campaign=campaign, label="", by=officer)
    removal = url("address-remove", campaign, allowed.pk)
    assert "no API key of this campaign works" in browser.get(removal).content.decode()

    browser.post(removal)

    assert not campaign.allowed_addresses.exists()
    assert actions()[-1] == ("address.removed", {"address": "203.0.113.7"})


# Keys ----------------------------------------------------------------------------------------


# v2-sms §13.18
def test_a_secret_is_shown_once_and_kept_nowhere(campaign, browser, allowed, officer):
    answer = create(browser, campaign, "Clinic system")

    secret, page = answer.context["secret"], answer.content.decode()
    key = ApiKey.objects.get()
    assert answer.status_code == 200
    assert secret.startswith("key_live_")
    assert secret in page
    assert "cannot be shown again" in page
    assert "no-store" in answer["Cache-Control"]
    assert key.secret_hash == hash_key(secret)
    assert (key.label, key.creator) == ("Clinic system", officer)
    assert secret not in browser.get(url("integrations", campaign)).content.decode()
    with connection.cursor() as cursor:
        for table in ("campaigns_apikey", "accounts_auditevent", "accounts_session"):
            cursor.execute(
                f"SELECT coalesce(string_agg(row_to_json(t)::text, ''), '') FROM {table} t"
            )
            assert secret not in cursor.fetchone()[0]
    assert actions() == [
        ("key.created", {"key": str(key.pk), "shown": key.shown, "expires_on": None})
    ]


# v2-sms §13.18
def test_the_list_shows_a_mask_who_made_it_and_its_last_use(campaign, browser, allowed, officer):
    _, secret = create_key(campaign=campaign, label="Clinic", by=officer)

    page = browser.get(url("integrations", campaign)).content.decode()

    assert f"<code>{secret[:14]}*****</code>" in page
    assert secret[:15] not in page
    assert "Clinic" in page
    assert officer.email in page
    assert 'data-label="Last used">Never<' in page


def test_a_key_may_have_a_last_day(campaign, browser, allowed):
    with time_machine.travel("2026-11-21T10:00:00+08:00", tick=False):
        create(browser, campaign, expires_on="2026-12-03")
        listed = browser.get(url("integrations", campaign)).content.decode()

    key = ApiKey.objects.get()
    assert key.expires_on == date(2026, 12, 3)
    assert actions()[0][1]["expires_on"] == "2026-12-03"
    assert '<td data-label="Last day">3 Dec 2026</td>' in listed
    assert "Expired" not in listed
    with time_machine.travel("2026-12-04T00:00:00+08:00", tick=False):
        client = Client()
        client.force_login(campaign.creator)
        assert "Expired" in client.get(url("integrations", campaign)).content.decode()


@pytest.mark.parametrize(
    ("typed", "reason"),
    [("2026-11-20", "Choose today or a later day."), ("soon", "Type a date such as 2027-03-31.")],
)
@time_machine.travel("2026-11-21T10:00:00+08:00", tick=False)
def test_a_last_day_that_has_passed_or_is_none_is_refused(
    campaign, allowed, officer, client_of, typed, reason
):
    answer = create(client_of(officer), campaign, expires_on=typed)

    assert answer.status_code == 422
    assert answer.context["key_form"].errors == {"expires_on": [reason]}
    assert not ApiKey.objects.exists()


def test_the_list_says_why_the_key_of_a_closed_account_is_refused(campaign, browser, allowed):
    gone = UserFactory(is_active=False)
    ApiKey.issue(campaign=campaign, creator=gone)

    page = browser.get(url("integrations", campaign)).content.decode()

    assert "Refused: the account of its creator is closed" in page
    assert gone.email in page


# v2-sms §13.17
def test_no_key_before_an_address(campaign, browser):
    answer = create(browser, campaign)

    assert answer.status_code == 422
    assert "Add an allowed IP address before the first key." in answer.content.decode()
    assert not ApiKey.objects.exists()


# v2-sms §13.17
def test_the_fourth_key_is_refused(campaign, browser, allowed):
    for _ in range(3):
        assert create(browser, campaign).status_code == 200

    answer = create(browser, campaign)

    assert answer.status_code == 422
    assert "can have 3 keys" in answer.content.decode()
    assert ApiKey.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_keys_created_at_once_do_not_overshoot(campaign, allowed, officer):
    together = threading.Barrier(6)

    def attempt():
        together.wait()
        try:
            create_key(campaign=campaign, label="", by=officer)
        except Refused as refusal:
            return refusal.code
        finally:
            connections.close_all()
        return "created"

    with ThreadPoolExecutor(6) as pool:
        outcomes = [job.result() for job in [pool.submit(attempt) for _ in range(6)]]

    assert sorted(outcomes) == ["created"] * 3 + ["too_many_keys"] * 3
    assert ApiKey.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_addresses_added_at_once_do_not_overshoot(campaign, officer):
    for last in range(1, 19):
        allow_address(campaign=campaign, text=f"203.0.113.{last}", by=officer)
    together = threading.Barrier(4)

    def attempt(last):
        together.wait()
        try:
            allow_address(campaign=campaign, text=f"203.0.113.{last}", by=officer)
        except Refused:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(4) as pool:
        outcomes = [job.result() for job in [pool.submit(attempt, n) for n in range(100, 104)]]

    assert sorted(outcomes) == [False, False, True, True]


def test_a_deleted_key_opens_nothing(campaign, browser, allowed, officer):
    key, secret = create_key(campaign=campaign, label="", by=officer)
    deletion = url("key-delete", campaign, key.pk)
    assert "cannot be undone" in browser.get(deletion).content.decode()
    assert ApiKey.objects.find(secret) == key

    browser.post(deletion)

    assert ApiKey.objects.find(secret) is None
    assert actions()[-1] == ("key.deleted", {"key": str(key.pk), "shown": key.shown})


def test_a_label_of_51_characters_is_refused(campaign, browser, allowed):
    assert create(browser, campaign, "x" * 51).status_code == 422
    assert not ApiKey.objects.exists()


def test_an_owner_who_lost_the_role_meanwhile_gets_a_404_and_no_key(campaign, allowed, client_of):
    was_owner = UserFactory()
    Membership.objects.create(campaign=campaign, user=was_owner, role=Role.MEMBER)

    with pytest.raises(Refused):
        create_key(campaign=campaign, label="", by=was_owner)
    assert create(client_of(was_owner), campaign).status_code == 404
