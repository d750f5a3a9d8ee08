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
