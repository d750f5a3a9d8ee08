from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.models import Membership
from messaging.models import Message
from messaging.views import campaign as campaign_views
from tests.factories import CampaignFactory
from tests.messaging.rows import make_attempt, make_batch, make_message, member

NOON = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


def page(client, campaign, **asked):
    return client.get(reverse("campaign", args=[campaign.pk]), asked)


# The list of messages ----------------------------------------------------------------------


def test_the_page_shows_each_message_with_its_values(client_of, officer, campaign):
    batch = make_batch(campaign, "messages_enqueued")
    make_message(campaign, recipient="6591234567", status="success")
    make_message(
        campaign,
        recipient="60123456789",
        batch=batch,
        row=2,
        language="malay",
        values={"name": "Aisyah <b>", "clinic": "Tampines"},
    )

    html = page(client_of(officer), campaign).content.decode()

    assert "Member of Public | gov.sg" in html
    assert campaign.public_id in html
    assert "{{name}}" in html
    assert "{{clinic}}" in html
    assert "+65\u00a09123\u00a04567" in html
    assert "Delivered" in html
    assert "Aisyah &lt;b&gt;" in html
    assert f"batch_{str(batch.pk)[-5:]}" in html
    assert "Settings" in html
    assert "For a single recipient" in html


def test_only_owners_are_shown_the_way_to_settings(client_of, campaign):
    way = reverse("campaign-about", args=[campaign.pk])

    assert way not in page(client_of(member(campaign)), campaign).content.decode()
    assert way in page(client_of(campaign.creator), campaign).content.decode()


def test_an_empty_campaign_says_what_to_do(client_of, officer, campaign):
    assert "No messages yet" in page(client_of(officer), campaign).content.decode()


@pytest.mark.parametrize("typed", ["4567", "+65 9123-4567", "(9123) 4567"])
def test_search_finds_any_part_of_a_number_however_it_is_typed(client_of, officer, campaign, typed):
    make_message(campaign, recipient="6591234567")
    make_message(campaign, recipient="6588880000")

    html = page(client_of(officer), campaign, search=typed).content.decode()

    assert "9123\u00a04567" in html
    assert "8888\u00a00000" not in html


def test_search_without_a_digit_is_no_search(client_of, officer, campaign):
    make_message(campaign, recipient="6591234567")

    assert "9123\u00a04567" in page(client_of(officer), campaign, search="+ ab").content.decode()


def test_filters_by_status_and_job_type(client_of, officer, campaign):
    batch = make_batch(campaign, "messages_enqueued")
    make_message(campaign, recipient="6590000001", status="failure")
    make_message(campaign, recipient="6590000002", status="success")
    make_message(campaign, recipient="6590000003", status="failure", batch=batch, row=2)
    client = client_of(officer)

    def found(**asked):
        rows = page(client, campaign, **asked).context["rows"]
        return {row["message"].recipient for row in rows}

    assert found(status="failed") == {"6590000001", "6590000003"}
    assert found(status="failed", job="single") == {"6590000001"}
    assert found(job="batch") == {"6590000003"}
    assert found(batch=batch.public_id) == {"6590000003"}
    assert found(status="nonsense", job="other") == {"6590000001", "6590000002", "6590000003"}


def test_pages_go_back_and_forth_without_losing_or_doubling_a_message(
    client_of, officer, campaign, monkeypatch
):
    monkeypatch.setattr(campaign_views, "PAGE_SIZE", 3)
    for number in range(8):  # five share one moment, as the messages of a batch do
        at = NOON if number < 5 else NOON + timedelta(seconds=number)
        make_message(campaign, recipient=f"659000000{number}", created_at=at)
    client = client_of(officer)

    seen, asked = [], {"status": "pending"}
    while True:
        answer = page(client, campaign, **asked)
        seen.append([row["message"].pk for row in answer.context["rows"]])
        if not answer.context["page"].older:
            break
        asked = {"status": "pending", "older": answer.context["page"].older}
    everything = list(Message.objects.newest_first().values_list("pk", flat=True))
    assert [pk for rows in seen for pk in rows] == everything
    assert [len(rows) for rows in seen] == [3, 3, 2]

    back = page(client, campaign, newer=answer.context["page"].newer)
    assert [row["message"].pk for row in back.context["rows"]] == seen[1]
    first = page(client, campaign, newer=back.context["page"].newer)
    assert [row["message"].pk for row in first.context["rows"]] == seen[0]
    assert not first.context["page"].newer


def test_links_to_other_pages_keep_the_search(client_of, officer, campaign, monkeypatch):
    monkeypatch.setattr(campaign_views, "PAGE_SIZE", 1)
    make_message(campaign)
    make_message(campaign)

    html = page(client_of(officer), campaign, search="9123").content.decode()

    links = [part.replace("&amp;", "&") for part in html.split('"') if part.startswith("?")]
    link = next(part for part in links if "older=" in part)
    assert parse_qs(urlsplit(link).query)["search"] == ["9123"]


@pytest.mark.parametrize("place", ["x", "1.2", "99999999999999999999.aa", "1e9.zz"])
def test_a_place_that_makes_no_sense_shows_the_newest_page(client_of, officer, campaign, place):
    make_message(campaign)

    answer = page(client_of(officer), campaign, older=place)

    assert len(answer.context["rows"]) == 1


def test_messages_of_a_batch_come_in_the_order_of_its_file(
    client_of, officer, campaign, monkeypatch
):
    monkeypatch.setattr(campaign_views, "PAGE_SIZE", 2)
    batch = make_batch(campaign, "messages_enqueued")
    for row in (4, 2, 3):
        make_message(campaign, batch=batch, row=row)
    client = client_of(officer)

    first = page(client, campaign, batch=batch.public_id)
    second = page(client, campaign, batch=batch.public_id, older=first.context["page"].older)

    assert [row["message"].row for row in first.context["rows"]] == [2, 3]
    assert [row["message"].row for row in second.context["rows"]] == [4]


def test_messages_of_a_batch_are_asked_for_by_the_batch_alone(client_of, officer, campaign):
    batch = make_batch(campaign, "messages_enqueued")
    make_message(campaign, batch=batch, row=2)
    client = client_of(officer)

    with CaptureQueriesContext(connection) as queries:
        page(client, campaign, batch=batch.public_id)

    (sql,) = (query["sql"] for query in queries if 'FROM "messaging_message"' in query["sql"])
    assert '"campaign_id" =' not in sql


def test_a_batch_of_another_campaign_or_person_is_not_found(client_of, officer, campaign):
    clerk = member(campaign, "member_restricted")
    other = make_batch(CampaignFactory(creator=officer), "messages_enqueued")
    of_the_officer = make_batch(campaign, "messages_enqueued")

    assert page(client_of(officer), campaign, batch=other.public_id).status_code == 404
    assert page(client_of(clerk), campaign, batch=of_the_officer.public_id).status_code == 404


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_asks_the_same_few_questions_however_long_and_counts_nothing(
    client_of, officer, campaign, count
):
    batch = make_batch(campaign, "messages_enqueued")
    for row in range(count):
        make_message(campaign, batch=batch, row=row + 2)
    client = client_of(officer)
    page(client, campaign)  # notes that the campaign was opened

    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = page(client, campaign)

    assert len(answer.context["rows"]) == count
    about_messages = [query["sql"] for query in queries if '"messaging_message"' in query["sql"]]
    assert len(about_messages) == 1
    assert not any("COUNT(" in query["sql"].upper() for query in queries)
    assert not any("OFFSET" in sql.upper() for sql in about_messages)
    assert len(queries) <= 5


def test_opening_the_page_is_noted_once_a_minute(client_of, officer, campaign):
    client = client_of(officer)

    def opened():
        return Membership.objects.get(user=officer, campaign=campaign).last_opened_at

    with time_machine.travel(NOON, tick=False) as clock:
        page(client, campaign)
        assert opened() == NOON
        clock.shift(30)
        page(client, campaign)
        assert opened() == NOON
        clock.shift(60)
        page(client, campaign)
        assert opened() == NOON + timedelta(seconds=90)


def test_htmx_gets_the_list_alone_and_history_the_whole_page(client_of, officer, campaign):
    make_message(campaign)
    client = client_of(officer)
    url = reverse("campaign", args=[campaign.pk])

    part = client.get(url, headers={"HX-Request": "true"})
    whole = client.get(url, headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})

    assert b"<html" not in part.content
    assert b"<table" in part.content
    assert b"<html" in whole.content
    assert "HX-Request" in part["Vary"]


# One message -------------------------------------------------------------------------------


def show(client, message):
    return client.get(reverse("message", args=[message.campaign_id, message.pk]))


def test_a_failed_message_says_why_in_plain_words_for_each_attempt(client_of, officer, campaign):
    message = make_message(campaign, status="failure")
    make_attempt(message, number=2, status="success")

    html = show(client_of(officer), message).content.decode()

    assert "Dear Mei Ling, see you at Bedok." in html
    assert "Automated message from the Singapore Government" in html
    assert "The phone could not be reached" in html
    assert "recipient_unavailable" in html
    assert "30003" in html
    assert html.count('data-label="Attempt"') == 2
    assert "hx-trigger" not in html.split("<main")[1]


def test_an_unknown_outcome_is_explained(client_of, officer, campaign):
    message = make_message(campaign, status="unknown")

    html = show(client_of(officer), message).content.decode()

    assert "We do not know whether this message was sent" in html
    assert "never sent again on a guess" in html


@pytest.mark.parametrize(
    ("status", "every"), [("created", "2s"), ("sent", "5s"), ("success", None), ("failure", None)]
)
def test_a_message_is_watched_until_it_is_finished(client_of, officer, campaign, status, every):
    message = make_message(campaign, status=status)

    main = show(client_of(officer), message).content.decode().split("<main")[1]

    assert (f'hx-trigger="every {every}"' in main) if every else ("hx-trigger" not in main)


def test_nobody_watches_an_old_message(client_of, officer, campaign):
    message = make_message(campaign, status="sent_to_telco", updated_at=NOON)

    with time_machine.travel(NOON + timedelta(hours=1), tick=False):
        html = show(client_of(officer), message).content.decode()

    assert "hx-trigger" not in html.split("<main")[1]


# Who may see what --------------------------------------------------------------------------


# v2-sms §13.19
def test_a_restricted_member_sees_only_what_they_sent_by_hand(client_of, officer, campaign):
    clerk = member(campaign, "member_restricted")
    mine = make_message(campaign, creator=clerk, recipient="6590000001")
    by_api = make_message(campaign, creator=clerk, via_api=True, recipient="6590000002")
    theirs = make_message(campaign, creator=officer, recipient="6590000003")
    client = client_of(clerk)

    batch = make_batch(campaign, "messages_enqueued", creator=clerk)
    make_message(campaign, creator=clerk, via_api=True, batch=batch, row=2)

    rows = page(client, campaign).context["rows"]

    assert [row["message"].pk for row in rows] == [mine.pk]
    assert page(client, campaign, batch=batch.public_id).context["rows"] == []
    assert show(client, mine).status_code == 200
    assert show(client, by_api).status_code == 404
    assert show(client, theirs).status_code == 404
