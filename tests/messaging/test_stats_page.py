from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.factories import CampaignFactory
from tests.messaging.rows import make_batch, member, tally

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)  # noon in Singapore


@pytest.fixture(autouse=True)
def _at_noon():
    with time_machine.travel(NOON + timedelta(minutes=20), tick=False):
        yield


def stats(client, campaign, **asked):
    return client.get(reverse("campaign-stats", args=[campaign.pk]), asked)


def test_the_totals_add_up_and_lead_to_their_messages(client_of, officer, campaign):
    tally(campaign, make_batch(campaign, "messages_enqueued"), total=900, success=800, failure=100)
    tally(campaign, total=100, created=35, sent=50, unknown=10, cancelled=5)

    answer = stats(client_of(officer), campaign)

    html = answer.content.decode()
    totals = {row["name"]: row["count"] for row in answer.context["totals"]}
    assert totals == {
        "delivered": 800, "sent": 50, "pending": 35, "unknown": 10, "failed": 100, "cancelled": 5,
    }  # fmt: skip
    assert sum(totals.values()) == answer.context["counts"]["total"] == 1000
    assert "1,000 messages accepted" in html
    assert "80%" in html
    assert f"{reverse('campaign', args=[campaign.pk])}?status=failed" in html


def test_a_campaign_without_messages_divides_nothing_by_nothing(client_of, officer, campaign):
    answer = stats(client_of(officer), campaign)

    assert answer.status_code == 200
    assert "Nothing was sent in this time." in answer.content.decode()


def test_the_chart_shows_each_of_the_last_48_hours(client_of, officer, campaign):
    tally(campaign, hour=NOON, total=7, success=5, failure=2)
    tally(campaign, hour=NOON - timedelta(hours=47), success=1)
    tally(campaign, hour=NOON - timedelta(hours=48), success=1000)

    series = stats(client_of(officer), campaign).context["series"]

    assert len(series) == 48
    assert series[-1] == {"label": "20 Nov, 12:00", "delivered": 5, "failed": 2}
    assert series[0] == {"label": "18 Nov, 13:00", "delivered": 1, "failed": 0}
    assert all(set(hour) == {"label"} for hour in series[1:-1])


def test_days_begin_at_midnight_in_singapore(client_of, officer, campaign):
    tally(campaign, hour=datetime(2026, 11, 19, 15, 0, tzinfo=UTC), success=3)  # 11 pm
    tally(campaign, hour=datetime(2026, 11, 19, 16, 0, tzinfo=UTC), success=4)  # midnight

    series = stats(client_of(officer), campaign, by="day").context["series"]

    assert len(series) == 30
    assert [(day["label"], day.get("delivered")) for day in series[-2:]] == [
        ("19 Nov", 3),
        ("20 Nov", 4),
    ]


def test_a_failure_taken_back_by_a_retry_leaves_no_hour_below_zero(client_of, officer, campaign):
    tally(campaign, hour=NOON - timedelta(hours=1), failure=1)
    tally(campaign, hour=NOON, failure=-1, success=1)

    series = stats(client_of(officer), campaign).context["series"]

    assert [hour["failed"] for hour in series[-2:]] == [1, 0]


def test_segments_and_cost_of_sent_batches_are_added_up(client_of, officer, campaign):
    make_batch(campaign, "messages_enqueued")
    make_batch(campaign, "messages_enqueuing")
    make_batch(campaign, "ready")

    answer = stats(client_of(officer), campaign)

    assert answer.context["billed"] == {"segments": 8, "cost": 2 * (3 * 46_000 + 230_000)}


def test_a_restricted_member_sees_the_numbers_of_their_own_batches(client_of, campaign):
    clerk = member(campaign, "member_restricted")
    tally(campaign, make_batch(campaign, "messages_enqueued", creator=clerk), total=3, success=3)
    tally(campaign, make_batch(campaign, "messages_enqueued"), total=50, success=50)
    tally(campaign, total=7, success=7)

    answer = stats(client_of(clerk), campaign)

    assert answer.context["counts"]["total"] == 3
    assert answer.context["series"][-1]["delivered"] == 3
    assert answer.context["billed"]["segments"] == 4
    assert "not in these numbers" in answer.content.decode()


def test_numbers_of_another_campaign_stay_there(client_of, officer, campaign):
    tally(CampaignFactory(creator=officer), total=9, success=9)

    assert stats(client_of(officer), campaign).context["counts"]["total"] == 0


def test_no_message_is_read_for_the_numbers(client_of, officer, campaign):
    tally(campaign, total=3, success=3)
    client = client_of(officer)

    with CaptureQueriesContext(connection) as queries:
        stats(client, campaign)

    assert not any('"messaging_message"' in query["sql"] for query in queries)
