from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from messaging import ingest
from messaging.models import Batch
from messaging.sending import deciding
from messaging.views import batches as batch_views
from postman.accounts.models import AuditEvent
from tests.messaging.rows import SUMMARY, make_batch, member, stage, tally

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)  # a Friday, noon in Singapore
MIDNIGHT = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)


@pytest.fixture
def client(client_of, officer):
    return client_of(officer)


def url_of(batch, name="batch"):
    return reverse(name, args=[batch.campaign_id, batch.pk])


def show(client, batch, **asked):
    return client.get(url_of(batch), asked)


def main_of(answer):
    return answer.content.decode().split("<main")[1]


# Being checked -----------------------------------------------------------------------------


def test_while_it_is_checked_the_page_says_how_far_and_looks_again(client, campaign):
    batch = make_batch(campaign, "checking", bytes_checked=250, rows_checked=1234)

    answer = show(client, batch)

    assert 'value="250"' in main_of(answer)
    assert "1,234 rows" in main_of(answer)
    assert "25%" in main_of(answer)
    assert 'hx-trigger="every 1s"' in main_of(answer)
    assert '<noscript><meta http-equiv="refresh"' in answer.content.decode()


def test_the_poll_ends_with_the_check(client, campaign):
    batch = make_batch(campaign, "ready")
    stage(batch, 1)

    part = client.get(url_of(batch), headers={"HX-Request": "true", "HX-Target": "batch"})

    html = part.content.decode()
    assert "<html" not in html
    assert "every 1s" not in html
    assert "Send 3 messages now" in html


# Refused -----------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_says_why_and_takes_another(client, campaign):
    fault = {"code": "no_header", "message": "The first row must name the columns."}
    batch = make_batch(campaign, "invalid", file_fault=fault)

    html = main_of(show(client, batch))

    assert "The first row must name the columns." in html
    assert 'type="file"' in html
    assert reverse("compose-multiple", args=[campaign.pk]) in html


def test_wrong_rows_are_listed_with_their_numbers_and_the_rest_counted(
    client, campaign, monkeypatch
):
    monkeypatch.setattr(batch_views, "FAULTS_SHOWN", 2)
    faults = [
        {
            "row": row,
            "reasons": [
                {"column": "name", "value": "<i>", "message": f"Wrong {row}.", "code": "x"}
            ],
        }
        for row in (4, 7, 9)
    ]
    batch = make_batch(
        campaign,
        "invalid",
        rows_checked=1000,
        rows_bad=12,
        errors_total=15,
        first_faults=faults,
        report=ContentFile(b"recipient,Error Reason\r\n", "report.csv"),
    )

    html = main_of(show(client, batch))

    assert "12 of 1,000 rows have errors (15 in all)" in html
    assert "Wrong 4." in html
    assert "Wrong 7." in html
    assert "Wrong 9." not in html
    assert "<strong>10</strong> more rows" in html
    assert "&lt;i&gt;" in html
    assert url_of(batch, "batch-report") in html


def test_the_report_downloads_and_leaves_a_trace(client, campaign, officer, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    batch = make_batch(campaign, "invalid", report=ContentFile(b"a,Error Reason\r\n", "r.csv"))

    answer = client.get(url_of(batch, "batch-report"))

    assert b"".join(answer.streaming_content) == b"a,Error Reason\r\n"
    assert answer["Content-Disposition"] == 'attachment; filename="errors in patients.csv"'
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.object_id) == (
        "report.downloaded",
        officer,
        batch.public_id,
    )


def test_there_is_no_report_on_a_good_file(client, campaign):
    assert client.get(url_of(make_batch(campaign), "batch-report")).status_code == 404


# Review ------------------------------------------------------------------------------------


def test_the_review_says_what_will_be_sent_and_what_it_costs(client, campaign):
    batch = make_batch(campaign)
    stage(batch, 3)

    html = main_of(show(client, batch))

    assert "English: 2, Malay: 1" in html
    assert "1 to 2, 1.3 on average" in html
    assert "SGD\u00a00.138" in html  # three local segments
    assert "SGD\u00a00.23" in html
    assert "SGD\u00a00.368" in html
    assert "Send 3 messages now" in html
    assert "Asia/Singapore (SGT)" in html
    assert "repeat" not in html
    assert "sent before" not in html


def test_the_page_and_the_check_agree_on_cost_and_segments(
    client, officer, campaign, tmp_path, settings
):
    settings.MEDIA_ROOT = tmp_path
    rows = b"6591234567,english,A,B\n60123456789,malay,A,B\n6591234567,english,A,B\n"
    batch = make_batch(
        campaign,
        "uploaded",
        file=ContentFile(b"recipient,language,name,clinic\n" + rows, "a.csv"),
    )
    ingest.check(batch.pk)
    batch.refresh_from_db()

    review = show(client, batch).context["review"]

    assert review["messages"] == 3
    assert review["duplicates"] == 1
    assert review["cost"] == batch.summary["cost_micros"]
    assert review["segments"] == batch.summary["segments_total"]
    assert "1 row repeats a phone number" in main_of(show(client, batch))


def test_staff_campaigns_are_billed_by_their_own_account(client, campaign):
    campaign.recipient_type = "internal_staff"
    campaign.save()
    batch = make_batch(campaign)

    html = main_of(show(client, batch))

    assert "Billed by your own Twilio account" in html
    assert "SGD" not in html


def test_costly_characters_are_pointed_out(client, campaign):
    summary = SUMMARY | {
        "file_has_unicode": True,
        "file_has_avoidable_expensive_character": True,
    }

    assert "cost more than they need" in main_of(
        show(client, make_batch(campaign, summary=summary))
    )


def test_rows_are_previewed_one_after_the_other_without_javascript(client, campaign):
    batch = make_batch(campaign)
    stage(batch, 3)

    first, second, last = (main_of(show(client, batch, row=row)) for row in ("", "3", "4"))

    assert "Dear Person 2, see you at Bedok." in first
    assert "?row=3" in first
    assert "preview-previous" not in first
    assert "Dear Person 3" in second
    assert "?row=2" in second
    assert "?row=4" in second
    assert "Dear Person 4" in last
    assert "preview-next" not in last


@pytest.mark.parametrize("row", ["x", "-1", "²", "99999999999999999999", "900"])
def test_a_row_that_is_not_there_shows_one_that_is(client, campaign, row):
    batch = make_batch(campaign)
    stage(batch, 2)

    assert "Dear Person" in main_of(show(client, batch, row=row))


def test_the_same_file_sent_before_is_pointed_out(client, client_of, campaign):
    earlier = make_batch(campaign, "messages_enqueued", file_sha256="a" * 64)
    batch = make_batch(campaign, file_sha256="a" * 64)
    clerk = member(campaign, "member_restricted")
    of_the_clerk = make_batch(campaign, file_sha256="a" * 64, creator=clerk)

    assert url_of(earlier) in main_of(show(client, batch))
    html = main_of(show(client_of(clerk), of_the_clerk))
    assert "This very file was sent before" in html
    assert url_of(earlier) not in html


def test_an_unsent_copy_of_the_file_is_no_reason_to_warn(client, campaign):
    make_batch(campaign, "discarded", file_sha256="a" * 64)
    batch = make_batch(campaign, file_sha256="a" * 64)

    assert "sent before" not in main_of(show(client, batch))


def test_at_night_the_page_says_so(client, campaign):
    batch = make_batch(campaign)

    with time_machine.travel(MIDNIGHT, tick=False):
        assert "It is night in Singapore now" in main_of(show(client, batch))
    with time_machine.travel(NOON, tick=False):
        assert "night" not in main_of(show(client, batch))


# The word to send --------------------------------------------------------------------------


def test_send_now_starts_the_batch_and_pressing_twice_does_no_harm(client, officer, campaign):
    batch = make_batch(campaign)

    first = client.post(url_of(batch, "batch-send"))
    second = client.post(url_of(batch, "batch-send"), follow=True)

    batch.refresh_from_db()
    assert first.url == url_of(batch)
    assert batch.status == "messages_enqueuing"
    assert "can no longer be done" in second.content.decode()
    assert AuditEvent.objects.filter(action="batch.accepted", actor=officer).count() == 1


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        ({"when": "tomorrow"}, datetime(2026, 11, 21, 1, 0, tzinfo=UTC)),
        ({"when": "monday"}, datetime(2026, 11, 23, 1, 0, tzinfo=UTC)),
        (
            {"when": "chosen", "date": "2026-11-20", "time": "14:30"},
            datetime(2026, 11, 20, 6, 30, tzinfo=UTC),
        ),
        (
            {"when": "chosen", "date": "2027-11-20", "time": "12:00"},
            datetime(2027, 11, 20, 4, 0, tzinfo=UTC),
        ),
    ],
)
def test_a_batch_is_scheduled_in_singapore_time(client, campaign, typed, at):
    with time_machine.travel(NOON, tick=False):
        batch = make_batch(campaign)
        answer = client.post(url_of(batch, "batch-schedule"), typed)

    batch.refresh_from_db()
    assert answer.status_code == 302
    assert (batch.status, batch.scheduled_at) == ("scheduled", at)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"when": "chosen", "date": "2026-11-20", "time": "11:59"}, "That time has passed"),
        ({"when": "chosen", "date": "2026-11-19", "time": "18:00"}, "That time has passed"),
        ({"when": "chosen", "date": "2026-11-20", "time": "12:00"}, "it is 12:00 on 20 Nov 2026"),
        ({"when": "chosen", "date": "2027-11-20", "time": "12:01"}, "within one year"),
        ({"when": "chosen", "date": "", "time": "12:01"}, "Enter a date."),
        ({"when": "chosen", "date": "2026-12-01", "time": ""}, "Enter a time."),
        ({"when": "chosen", "date": "soon", "time": "12:01"}, "Enter a date, such as"),
        ({"when": "never"}, "Select a valid choice"),
    ],
)
def test_a_time_that_cannot_be_is_refused_with_what_was_typed(client, campaign, typed, sentence):
    with time_machine.travel(NOON, tick=False):
        batch = make_batch(campaign)
        stage(batch, 1)
        answer = client.post(url_of(batch, "batch-schedule"), typed)

    batch.refresh_from_db()
    assert answer.status_code == 422
    assert sentence in main_of(answer)
    assert batch.status == "ready"
    if typed.get("date"):
        assert f'value="{typed["date"]}"' in main_of(answer)


def test_a_scheduled_batch_shows_when_and_can_be_moved_or_called_off(client, campaign):
    at = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
    with time_machine.travel(NOON, tick=False):
        batch = make_batch(campaign, "scheduled", scheduled_at=at)
        stage(batch, 1)
        html = main_of(show(client, batch))

        assert "22 Nov 2026, 10:30 pm SGT" in html
        assert "at night in Singapore" in html
        assert 'value="2026-11-22"' in html
        assert 'value="22:30"' in html

        client.post(url_of(batch, "batch-schedule"), {"when": "monday"})
        batch.refresh_from_db()
        assert batch.scheduled_at == datetime(2026, 11, 23, 1, 0, tzinfo=UTC)

        client.post(url_of(batch, "batch-unschedule"))
        batch.refresh_from_db()
        assert (batch.status, batch.scheduled_at) == ("ready", None)


def test_a_batch_under_way_is_not_scheduled(client, campaign):
    batch = make_batch(campaign, "messages_enqueued")

    answer = client.post(url_of(batch, "batch-schedule"), {"when": "monday"}, follow=True)

    batch.refresh_from_db()
    assert "can no longer be scheduled" in answer.content.decode()
    assert batch.status == "messages_enqueued"


def test_a_discarded_batch_is_gone_from_the_list_and_says_so(client, campaign):
    batch = make_batch(campaign)

    answer = client.post(url_of(batch, "batch-discard"), follow=True)

    assert "Nothing of it was sent" in main_of(answer)
    listed = client.get(reverse("campaign-batches", args=[campaign.pk])).context["cards"]
    assert listed == []


# Under way ---------------------------------------------------------------------------------


def test_the_numbers_add_up_even_before_every_row_is_a_message(client, campaign):
    batch = make_batch(campaign, "messages_enqueuing", total_messages=1000)
    tally(
        campaign, batch, total=400,
        created=297, sent=50, success=30, failure=15, unknown=5, cancelled=3,
    )  # fmt: skip

    counts = show(client, batch).context["counts"]

    assert counts == {
        "pending": 897,
        "sent": 50,
        "delivered": 30,
        "failed": 15,
        "unknown": 5,
        "cancelled": 3,
        "suppressed": 0,
        "total": 1000,
    }


def test_each_number_leads_to_its_messages_and_unknown_ones_are_explained(client, campaign):
    batch = make_batch(campaign, "messages_enqueued", total_messages=3)
    tally(campaign, batch, total=3, success=2, unknown=1)

    html = main_of(show(client, batch))

    assert f"?batch={batch.public_id}&amp;status=failed" in html
    assert "1 message: outcome unknown." in html
    assert "never send it again on a guess" in html


@pytest.mark.parametrize(
    ("counts", "age", "every"),
    [
        ({"created": 1, "success": 2}, timedelta(days=9), 2),
        ({"sent": 1, "success": 2}, timedelta(minutes=1), 5),
        ({"sent": 1, "success": 2}, timedelta(hours=1), 30),
        ({"unknown": 1, "success": 2}, timedelta(hours=1), 30),
        ({"sent": 1, "success": 2}, timedelta(hours=73), None),
        ({"success": 2, "failure": 1}, timedelta(minutes=1), None),
    ],
)
def test_the_page_looks_again_only_while_something_may_change(client, campaign, counts, age, every):
    batch = make_batch(
        campaign, "messages_enqueued", total_messages=3, accepted_at=timezone.now() - age
    )
    tally(campaign, batch, total=3, **counts)

    html = main_of(show(client, batch))

    assert (f'hx-trigger="every {every}s"' in html) if every else ("hx-trigger" not in html)


def test_a_poll_gets_the_numbers_alone_and_speaks_only_of_news(client, campaign):
    batch = make_batch(campaign, "messages_enqueued", total_messages=100)
    tally(campaign, batch, total=100, created=60, sent=40)
    poll = {"HX-Request": "true", "HX-Target": "batch-progress"}

    news = client.get(url_of(batch), {"spoken": "3-going"}, headers=poll)
    no_news = client.get(url_of(batch), {"spoken": "4-going"}, headers=poll)

    assert "<h1" not in news.content.decode()
    assert "40 of 100 messages have left" in news.content.decode()
    assert "messages have left" not in no_news.content.decode()
    assert 'id="batch-status" hx-swap-oob="innerHTML"' in no_news.content.decode()
    assert "?spoken=4-going" in no_news.content.decode()


def test_a_finished_batch_is_completed(client, campaign):
    batch = make_batch(campaign, "messages_enqueued", total_messages=1)
    tally(campaign, batch, total=1, success=1)

    html = main_of(show(client, batch))

    assert "Completed" in html
    assert "chip-delivered" in html
    assert "Finished" in html
    assert "hx-swap-oob" not in html


# The list ----------------------------------------------------------------------------------


def listed(client, campaign, **asked):
    return client.get(reverse("campaign-batches", args=[campaign.pk]), asked)


def test_batches_are_found_by_part_of_their_id_and_by_status(client, campaign):
    ready = make_batch(campaign, "ready")
    sent = make_batch(campaign, "messages_enqueued")

    def found(**asked):
        return [card["batch"].pk for card in listed(client, campaign, **asked).context["cards"]]

    assert found() == [sent.pk, ready.pk]
    assert found(search=ready.public_id.upper()) == [ready.pk]
    assert found(search=str(sent.pk)[-12:]) == [sent.pk]
    assert found(status="sent") == [sent.pk]
    assert found(status="scheduled") == []
    assert found(search="' OR 1=1") == []


def test_cards_come_a_page_at_a_time(client, campaign, monkeypatch):
    monkeypatch.setattr(batch_views, "CARDS", 2)
    batches = [make_batch(campaign, created_at=NOON) for _ in range(3)][::-1]

    first = listed(client, campaign)
    second = listed(client, campaign, older=first.context["page"].older)

    shown = [card["batch"].pk for card in first.context["cards"] + second.context["cards"]]
    assert shown == [batch.pk for batch in batches]


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_asks_the_same_few_questions_however_long(client, campaign, count):
    for _ in range(count):
        batch = make_batch(campaign, "messages_enqueued")
        tally(campaign, batch, total=3, success=3)
    listed(client, campaign)  # notes that this session is alive

    with CaptureQueriesContext(connection) as queries:
        answer = listed(client, campaign)

    assert [card["counts"]["delivered"] for card in answer.context["cards"]] == [3] * count
    assert not any('"messaging_message"' in query["sql"] for query in queries)
    assert len(queries) <= 5


def test_a_restricted_member_sees_their_own_batches(client_of, campaign):
    clerk = member(campaign, "member_restricted")
    mine = make_batch(campaign, creator=clerk)
    make_batch(campaign)

    cards = listed(client_of(clerk), campaign).context["cards"]

    assert [card["batch"].pk for card in cards] == [mine.pk]


def test_a_stale_page_cannot_send_what_was_discarded(client, officer, campaign):
    batch = make_batch(campaign)
    deciding.discard_batch(batch, by=officer)

    client.post(url_of(batch, "batch-send"))

    assert Batch.objects.get(pk=batch.pk).status == "discarded"
