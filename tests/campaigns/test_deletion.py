import pytest
from django.urls import reverse

from campaigns.integrations import create_key
from campaigns.models import AllowedAddress, ApiKey, Campaign, Membership, Role
from postman.accounts.models import AuditEvent
from tests.factories import UserFactory


@pytest.fixture
def browser(officer, client_of):
    return client_of(officer)


@pytest.fixture
def page(campaign):
    return reverse("campaign-delete", args=[campaign.pk])


def test_a_deleted_campaign_is_gone_for_every_member_and_its_keys_with_it(
    campaign, browser, page, officer, client_of
):
    AllowedAddress.objects.create(campaign=campaign, address="203.0.113.7")
    _, secret = create_key(campaign=campaign, label="", by=officer)
    member = UserFactory()
    Membership.objects.create(campaign=campaign, user=member, role=Role.MEMBER)

    answer = browser.post(page, {"name": " Appointments "})

    assert answer.url == reverse("campaign-list")
    assert browser.get(page).status_code == 404
    assert browser.get(reverse("campaign-about", args=[campaign.pk])).status_code == 404
    assert campaign not in Campaign.objects.visible_to(member)
    assert ApiKey.objects.find(secret) is None
    assert not ApiKey.objects.exists()
    event = AuditEvent.objects.get(action="campaign.deleted")
    assert (event.actor, event.object_id, event.details) == (
        officer,
        campaign.public_id,
        {"keys": 1},
    )


def test_its_rows_stay_for_the_agencys_records(campaign, browser, page):
    browser.post(page, {"name": "Appointments"})

    campaign.refresh_from_db()
    assert campaign.deleted_at
    assert set(campaign.bodies) == {"english", "malay"}


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "Type the campaign's name."),
        ("appointments", "This is not the campaign's name. Type it exactly."),
        ("Appointment", "This is not the campaign's name. Type it exactly."),
    ],
)
def test_any_other_name_deletes_nothing(campaign, browser, page, typed, reason):
    answer = browser.post(page, {"name": typed})

    campaign.refresh_from_db()
    assert answer.status_code == 422
    assert answer.context["form"].errors["name"] == [reason]
    assert campaign.deleted_at is None


def test_a_second_deletion_finds_nothing(campaign, browser, page):
    browser.post(page, {"name": "Appointments"})

    assert browser.post(page, {"name": "Appointments"}).status_code == 404
    assert AuditEvent.objects.filter(action="campaign.deleted").count() == 1
