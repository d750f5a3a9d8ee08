"""Who may call with which key (v2-sms §3)."""

from datetime import date

import pytest
import time_machine

from campaigns.models import AllowedAddress, ApiKey
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def call(client, campaign):
    AllowedAddress.objects.create(campaign=campaign, address="127.0.0.1")

    def call(secret):
        answer = client.get(
            f"/api/v2/campaigns/{campaign.public_id}/messages",
            headers={"Authorization": f"Bearer {secret}"},
        )
        error = answer.json().get("error", {})
        return answer.status_code, error.get("code"), error.get("message")

    return call


def test_a_key_works_to_the_end_of_its_last_day_in_singapore(call, campaign, officer):
    _, secret = ApiKey.issue(campaign=campaign, creator=officer, expires_on=date(2026, 12, 3))

    with time_machine.travel("2026-12-03T23:59:59+08:00", tick=False):
        assert call(secret) == (200, None, None)
    with time_machine.travel("2026-12-04T00:00:00+08:00", tick=False):
        assert call(secret) == (401, "invalid_api_key_provided", "This API key has expired.")


def test_an_account_that_is_closed_leaves_no_key_behind(call, campaign):
    creator = UserFactory()
    key, secret = ApiKey.issue(campaign=campaign, creator=creator)
    assert call(secret) == (200, None, None)
    key.refresh_from_db()

    creator.is_active = False
    creator.save()

    assert call(secret) == (
        401,
        "invalid_api_key_provided",
        "This API key was created by someone whose account is closed.",
    )
    assert ApiKey.objects.get().last_used_at == key.last_used_at


def test_a_key_outlives_its_creators_part_in_the_campaign(call, campaign):
    """It is the campaign's: other owners see it and delete it when they see fit."""
    _, secret = ApiKey.issue(campaign=campaign, creator=UserFactory())

    assert call(secret) == (200, None, None)


@pytest.mark.parametrize(
    ("allowed", "caller", "status"),
    [
        ("203.0.113.0/28", "203.0.113.0", 200),
        ("203.0.113.0/28", "203.0.113.15", 200),
        ("203.0.113.0/28", "203.0.113.16", 400),
        ("203.0.113.7", "203.0.113.7", 200),
        ("203.0.113.7", "203.0.113.8", 400),
        ("2001:db8:1::/48", "2001:db8:1:ffff::7", 200),
        ("2001:db8:1::/48", "2001:db8:2::7", 400),
        ("203.0.113.0/28", "2001:db8::7", 400),
    ],
)
def test_a_range_lets_in_the_addresses_it_holds_and_no_other(
    client, campaign, officer, allowed, caller, status
):
    AllowedAddress.objects.create(campaign=campaign, address=allowed)
    _, secret = ApiKey.issue(campaign=campaign, creator=officer)

    answer = client.get(
        f"/api/v2/campaigns/{campaign.public_id}/messages",
        headers={"Authorization": f"Bearer {secret}"},
        REMOTE_ADDR=caller,
    )

    assert answer.status_code == status
    if status == 400:
        assert answer.json()["error"]["code"] == "invalid_ip_address_used"
