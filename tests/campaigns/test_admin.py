import pytest
from django.urls import reverse
from django.utils import timezone

from campaigns.models import ApiKey, TwilioCredentials
from postman.accounts.models import AuditEvent
from tests.factories import UserFactory


@pytest.fixture
def support(db):
    return UserFactory(email="support@postman.gov.sg", is_staff=True, is_superuser=True)


@pytest.fixture
def own_account(campaign):
    return TwilioCredentials.objects.create(
        campaign=campaign,
        account_sid="AC" + "1" * 32,
        api_key_sid="SK" + "1" * 32,
        api_secret="the-agencys-secret",
        messaging_service_sid="MG" + "1" * 32,
        auth_token="the-agencys-token",
        verified_at=timezone.now(),
    )


# The part of the page for an agency's own account, where there is none.
NO_ACCOUNT = {"twilio_credentials-TOTAL_FORMS": "0", "twilio_credentials-INITIAL_FORMS": "0"}


@pytest.fixture
def page(campaign):
    return reverse("admin:campaigns_campaign_change", args=[campaign.pk])


def test_limits_are_all_that_can_be_changed(campaign, page, support, client_of):
    client_of(support).post(
        page, {"calls_per_second": "25", "name": "Renamed", "sender_id": "Scam", **NO_ACCOUNT}
    )

    campaign.refresh_from_db()
    assert (campaign.calls_per_second, campaign.name, campaign.sender_id) == (
        25,
        "Appointments",
        "gov.sg",
    )
    event = AuditEvent.objects.get(action="campaign.rate_changed")
    assert (event.actor, event.details) == (support, {"before": 10, "calls_per_second": 25})


def test_a_campaign_is_opened_to_ranges_of_addresses(campaign, page, support, client_of):
    client_of(support).post(
        page, {"calls_per_second": "10", "may_allow_ranges": "on", **NO_ACCOUNT}
    )

    campaign.refresh_from_db()
    assert campaign.may_allow_ranges
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.details) == (
        "campaign.ranges_changed",
        support,
        {"may_allow_ranges": True},
    )


def test_an_empty_rate_limit_is_none_and_a_rate_of_nothing_is_a_mistake(
    campaign, page, support, client_of
):
    client_of(support).post(page, {"calls_per_second": "", **NO_ACCOUNT})
    campaign.refresh_from_db()
    assert campaign.calls_per_second is None

    answer = client_of(support).post(page, {"calls_per_second": "0", **NO_ACCOUNT})

    assert "greater than or equal to 1" in answer.content.decode()
    campaign.refresh_from_db()
    assert campaign.calls_per_second is None


def test_a_campaign_is_marked_as_time_critical(campaign, page, support, client_of):
    client_of(support).post(page, {"calls_per_second": "10", "is_urgent": "on", **NO_ACCOUNT})

    campaign.refresh_from_db()
    assert campaign.is_urgent
    assert AuditEvent.objects.get().action == "campaign.urgency_changed"


def test_the_pace_of_an_agencys_own_account_is_set(campaign, own_account, page, support, client_of):
    client_of(support).post(
        page,
        {
            "calls_per_second": "10",
            "twilio_credentials-TOTAL_FORMS": "1",
            "twilio_credentials-INITIAL_FORMS": "1",
            "twilio_credentials-0-id": own_account.pk,
            "twilio_credentials-0-campaign": campaign.pk,
            "twilio_credentials-0-segments_per_second": "40",
        },
    )

    own_account.refresh_from_db()
    assert own_account.segments_per_second == 40
    assert own_account.api_secret == "the-agencys-secret"
    assert AuditEvent.objects.get().details == {"segments_per_second": 40}


def test_no_secret_is_shown(campaign, own_account, page, support, officer, client_of):
    key, secret = ApiKey.issue(campaign=campaign, creator=officer)
    browser = client_of(support)

    for url in (page, reverse("admin:campaigns_campaign_changelist")):
        html = browser.get(url).content.decode()
        assert "Appointments" in html
        for hidden in (secret, key.secret_hash, "the-agencys-secret", "the-agencys-token"):
            assert hidden not in html


def test_campaigns_are_neither_made_nor_deleted_here(campaign, support, client_of):
    browser = client_of(support)

    assert browser.get(reverse("admin:campaigns_campaign_add")).status_code == 403
    deletion = reverse("admin:campaigns_campaign_delete", args=[campaign.pk])
    assert browser.post(deletion, {"post": "yes"}).status_code == 403


def test_officers_do_not_get_in(page, officer, client_of):
    assert client_of(officer).get(page).status_code == 302
