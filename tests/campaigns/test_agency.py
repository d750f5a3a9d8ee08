"""The pages of an agency's administrators (v2-sms §10A.2)."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.membership import delete_campaign
from postman.accounts.models import AuditEvent, EmailDomain
from tests.factories import AgencyFactory, CampaignFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def agency():
    agency = AgencyFactory(name="Ministry of Health")
    EmailDomain.objects.create(domain="health.gov.sg", agency=agency, includes_subdomains=True)
    return agency


@pytest.fixture
def administrator(agency):
    return UserFactory(email="pic@health.gov.sg", agency=agency, is_agency_administrator=True)


def colleague(agency, email="mei.ling@health.gov.sg", **facts):
    return UserFactory(email=email, agency=agency, **{"can_create_campaigns": False, **facts})


def emails(answer):
    return [officer.email for officer in answer.context["page"]]


def right_of(officer):
    return reverse("agency-officer-right", args=[officer.pk])


# v2-sms §13.16
def test_every_campaign_of_the_agency_is_listed_deleted_ones_too(client_of, administrator, agency):
    mine = CampaignFactory(creator=colleague(agency), name="Appointments")
    gone = CampaignFactory(creator=mine.creator, name="Gone")
    delete_campaign(gone, typed_name="Gone", by=mine.creator)
    CampaignFactory(name="Elsewhere")

    page = client_of(administrator).get(reverse("agency"))

    gone.refresh_from_db()
    listed = [(row.name, row.creator.email, row.deleted_at) for row in page.context["page"]]
    assert listed == [
        ("Gone", "mei.ling@health.gov.sg", gone.deleted_at),
        ("Appointments", "mei.ling@health.gov.sg", None),
    ]
    found = client_of(administrator).get(reverse("agency"), {"q": "point"})
    assert [row.name for row in found.context["page"]] == ["Appointments"]


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_keeps_its_query_count(client_of, administrator, agency, count):
    for n in range(count):
        CampaignFactory(creator=colleague(agency, f"officer{n}@health.gov.sg"))
    browser, page = client_of(administrator), reverse("agency")
    browser.get(page)

    with CaptureQueriesContext(connection) as queries:
        browser.get(page)

    assert len(queries) == 5


def test_the_right_to_create_is_granted_and_taken_on_the_record(client_of, administrator, agency):
    officer = colleague(agency)
    browser = client_of(administrator)

    granted = browser.post(right_of(officer), {"may_create": "yes"})
    again = browser.post(right_of(officer), {"may_create": "yes"})

    officer.refresh_from_db()
    assert granted.url == again.url == reverse("agency-officers")
    assert officer.can_create_campaigns is True
    browser.post(right_of(officer), {"may_create": "no"})
    officer.refresh_from_db()
    assert officer.can_create_campaigns is False
    events = AuditEvent.objects.order_by("id").values_list("action", "actor", "object_id")
    assert list(events) == [
        ("creation_right.granted", administrator.pk, officer.public_id),
        ("creation_right.removed", administrator.pk, officer.public_id),
    ]


def test_only_officers_of_the_same_agency_and_domain_can_be_given_it(
    client_of, administrator, agency
):
    EmailDomain.objects.create(domain="vendor.health.gov.sg", agency=agency, members_only=True)
    EmailDomain.objects.create(domain="clinics.sg", agency=agency)
    near = [colleague(agency), colleague(agency, "ann@hq.health.gov.sg")]
    far = [
        colleague(agency, "bob@vendor.health.gov.sg"),
        colleague(agency, "bob@clinics.sg"),
        colleague(agency, "bob@nothealth.gov.sg"),
        colleague(AgencyFactory(), "lost@health.gov.sg"),
        colleague(agency, "left@health.gov.sg", is_active=False),
    ]
    browser = client_of(administrator)

    listed = emails(browser.get(reverse("agency-officers")))

    assert listed == sorted([administrator.email, *(officer.email for officer in near)])
    for officer in far:
        assert browser.post(right_of(officer), {"may_create": "yes"}).status_code == 404
        officer.refresh_from_db()
        assert officer.can_create_campaigns is False


def test_without_a_domain_of_the_agency_the_host_must_be_the_same(client_of):
    agency = AgencyFactory()
    administrator = colleague(agency, "pic@tiny.gov.sg", is_agency_administrator=True)
    colleague(agency, "ann@tiny.gov.sg")
    colleague(agency, "bob@other.gov.sg")

    listed = emails(client_of(administrator).get(reverse("agency-officers")))

    assert listed == ["ann@tiny.gov.sg", "pic@tiny.gov.sg"]


def test_officers_are_searched_by_a_part_of_their_address(client_of, administrator, agency):
    colleague(agency)

    found = client_of(administrator).get(reverse("agency-officers"), {"q": "LING"})

    assert emails(found) == ["mei.ling@health.gov.sg"]


@pytest.mark.parametrize("page", ["agency", "agency-officers"])
def test_only_administrators_have_these_pages(client_of, agency, page):
    nobodys = UserFactory(agency=None, is_agency_administrator=True)

    assert Client().get(reverse(page)).url.startswith(reverse("login"))
    assert client_of(colleague(agency)).get(reverse(page)).status_code == 404
    assert client_of(nobodys).get(reverse(page)).status_code == 404


def test_an_officer_gives_nobody_the_right(client_of, agency):
    officer = colleague(agency)

    assert client_of(officer).post(right_of(officer), {"may_create": "yes"}).status_code == 404
    assert client_of(officer).get(right_of(officer)).status_code == 405
    officer.refresh_from_db()
    assert officer.can_create_campaigns is False


def test_the_way_to_these_pages_is_shown_to_administrators_alone(client_of, administrator, agency):
    home = reverse("campaign-list")
    link = f'href="{reverse("agency")}"'

    assert link in client_of(administrator).get(home).content.decode()
    assert link not in client_of(colleague(agency)).get(home).content.decode()
