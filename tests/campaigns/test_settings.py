"""Who may open what, and the About page."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.models import AllowedAddress, ApiKey, Membership, Role
from tests.factories import CampaignFactory, UserFactory

GET, POST = "get", "post"
ROUTES = [
    ("campaign-about", GET),
    ("campaign-members", GET),
    ("campaign-members", POST),
    ("campaign-member-role", POST),
    ("campaign-member-remove", GET),
    ("campaign-member-remove", POST),
    ("campaign-integrations", GET),
    ("campaign-address-add", POST),
    ("campaign-address-remove", GET),
    ("campaign-address-remove", POST),
    ("campaign-key-create", POST),
    ("campaign-key-delete", GET),
    ("campaign-key-delete", POST),
    ("campaign-delete", GET),
    ("campaign-delete", POST),
]


@pytest.fixture
def addresses_of(campaign, officer):
    """Every settings address of the campaign, each about something that is there."""
    member = Membership.objects.create(campaign=campaign, user=UserFactory(), role=Role.MEMBER)
    allowed = AllowedAddress.objects.create(campaign=campaign, address="203.0.113.7")
    key, _ = ApiKey.issue(campaign=campaign, creator=officer)
    parts = {
        "campaign-member-role": [member.pk],
        "campaign-member-remove": [member.pk],
        "campaign-address-remove": [allowed.pk],
        "campaign-key-delete": [key.pk],
    }
    return {name: reverse(name, args=[campaign.pk, *parts.get(name, [])]) for name, _ in ROUTES}


def everything_about(campaign):
    return (
        list(campaign.memberships.order_by("id").values()),
        list(campaign.allowed_addresses.order_by("id").values()),
        list(campaign.api_keys.order_by("id").values()),
        type(campaign).objects.filter(pk=campaign.pk).values().get(),
    )


@pytest.mark.parametrize(("name", "method"), ROUTES)
def test_whoever_is_not_signed_in_is_sent_to_sign_in(client, addresses_of, name, method):
    answer = getattr(client, method)(addresses_of[name])

    assert answer.url.startswith("/login?next=")


# v2-sms §13.19
@pytest.mark.parametrize("role", [None, Role.MEMBER, Role.RESTRICTED])
@pytest.mark.parametrize(("name", "method"), ROUTES)
def test_settings_do_not_exist_for_those_who_do_not_own_the_campaign(
    campaign, addresses_of, client_of, role, name, method
):
    user = UserFactory(agency=campaign.agency, is_agency_administrator=True)
    if role:
        Membership.objects.create(campaign=campaign, user=user, role=role)
    before = everything_about(campaign)

    answer = getattr(client_of(user), method)(
        addresses_of[name],
        {"name": campaign.name, "role": "owner", "address": "8.8.8.8", "email": "a@health.gov.sg"},
    )

    assert answer.status_code == 404
    assert everything_about(campaign) == before


@pytest.mark.parametrize(("name", "method"), [route for route in ROUTES if route[1] == GET])
def test_an_owner_opens_every_page_and_opening_changes_nothing(
    campaign, addresses_of, client_of, officer, name, method
):
    before = everything_about(campaign)

    answer = client_of(officer).get(addresses_of[name])

    assert answer.status_code == 200
    assert everything_about(campaign) == before


@pytest.mark.parametrize(("name", "method"), ROUTES)
def test_a_post_without_its_token_is_refused(
    campaign, addresses_of, client_of, officer, name, method
):
    browser = client_of(officer)
    browser.handler.enforce_csrf_checks = True
    before = everything_about(campaign)

    if method == POST:
        assert browser.post(addresses_of[name], {"name": campaign.name}).status_code == 403
    assert everything_about(campaign) == before


@pytest.mark.parametrize(
    "name",
    ["campaign-member-remove", "campaign-address-remove", "campaign-key-delete"],
)
def test_what_belongs_to_another_campaign_is_not_found_in_this_one(
    campaign, addresses_of, client_of, name
):
    from_here = addresses_of[name]
    other = UserFactory()
    own = CampaignFactory(creator=other)
    crossed = from_here.replace(campaign.public_id, own.public_id)

    assert client_of(other).post(crossed).status_code == 404
    assert client_of(other).get(crossed).status_code == 404


@pytest.mark.parametrize("name", ["campaign-members", "campaign-integrations"])
def test_one_row_and_three_rows_cost_the_same_queries(
    campaign, officer, client_of, name, django_assert_num_queries
):
    browser, page = client_of(officer), reverse(name, args=[campaign.pk])

    def add_rows(count):
        for _ in range(count):
            user = UserFactory()
            Membership.objects.create(campaign=campaign, user=user, role=Role.OWNER)
            ApiKey.issue(campaign=campaign, creator=user)
            AllowedAddress.objects.create(
                campaign=campaign, address=f"203.0.113.{campaign.api_keys.count()}"
            )

    add_rows(1)
    browser.get(page)  # notes when the session was last seen
    with CaptureQueriesContext(connection) as one:
        browser.get(page)
    add_rows(2)
    with django_assert_num_queries(len(one)):
        browser.get(page)


def test_about_shows_what_was_locked_and_how_to_get_the_log(campaign, officer, client_of):
    page = client_of(officer).get(reverse("campaign-about", args=[campaign.pk])).content.decode()

    for fact in (
        "Member of Public",
        "gov.sg",
        "10 API calls a second",
        campaign.public_id,
        officer.email,
        "Ministry of Health",
        "Dear <mark>{{name}}</mark>, see you at <mark>{{clinic}}</mark>.",
        "Mesej automatik daripada Pemerintah Singapura. Jangan balas.",
        reverse("campaign-log", args=[campaign.pk]),
    ):
        assert fact in page


@pytest.mark.parametrize(
    ("limit", "shown"), [(1, "1 API call a second"), (25, "25 API calls a second"), (None, "None")]
)
def test_about_shows_the_limit_that_was_agreed(campaign, officer, client_of, limit, shown):
    type(campaign).objects.update(calls_per_second=limit)

    page = client_of(officer).get(reverse("campaign-about", args=[campaign.pk])).content.decode()

    assert f"<dt>Rate limit</dt><dd>{shown}</dd>" in page
