import json

import pytest
from django.core.management import call_command

from campaigns.models import ApiKey, BotSubscription, Campaign

pytestmark = pytest.mark.django_db

MESSAGE = {"recipient": "6581230001", "language": "english"}


@pytest.fixture
def facts(tmp_path, monkeypatch):
    monkeypatch.setenv("POSTMAN_LOCAL_DIR", str(tmp_path))
    call_command("seed_demo")
    return json.loads((tmp_path / "demo.json").read_text())


def test_the_facts_are_enough_to_send_a_message(facts, client):
    answer = client.post(
        f"/api/v2/campaigns/{facts['campaign_id']}/messages",
        MESSAGE | {"values": facts["values"]},
        content_type="application/json",
        headers={"Authorization": f"Bearer {facts['api_key']}"},
    )

    assert answer.status_code == 201, answer.json()
    assert facts["values"]["name"] in answer.json()["fullMessage"]


def test_a_second_start_changes_nothing(facts, tmp_path):
    call_command("seed_demo")

    assert json.loads((tmp_path / "demo.json").read_text()) == facts
    assert (Campaign.objects.count(), ApiKey.objects.count()) == (1, 1)


def test_the_key_says_which_environment_it_is_for(facts, settings):
    assert facts["api_key"].startswith(settings.API_KEY_PREFIX)


def test_a_bot_has_subscribers_enough_for_a_campaign_of_a_thousand(facts):
    assert BotSubscription.objects.filter(bot__label=facts["telegram_bot"]).count() == 1000
