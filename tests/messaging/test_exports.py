import csv
import io
from datetime import UTC, datetime

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from messaging import exports
from messaging.models import Message
from postman.accounts.models import AuditEvent
from tests.messaging.rows import make_attempt, make_batch, make_message, member

AT = datetime(2026, 11, 20, 4, 5, 6, 789000, tzinfo=UTC)


def read(content):
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def written(*rows):
    return b"".join(exports.write(rows))


def download(client, *args, name="campaign-log"):
    answer = client.get(reverse(name, args=args))
    return read(b"".join(answer.streaming_content))


# The writer --------------------------------------------------------------------------------

cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
hostile = st.builds(str.__add__, st.sampled_from("=+-@\t\r"), cells)


@given(st.lists(st.lists(hostile, min_size=1, max_size=3), min_size=1, max_size=3))
def test_no_cell_and_no_header_can_start_a_formula(table):
    rows = read(written(*table))

    assert len(rows) == len(table)
    for row, given_row in zip(rows, table, strict=True):
        assert row == [f"'{cell}" for cell in given_row]


@given(st.lists(st.lists(cells | hostile, min_size=2, max_size=4), min_size=1, max_size=4))
def test_what_is_written_reads_back_as_it_was_but_for_the_apostrophe(table):
    rows = read(written(*table))

    assert [[cell.removeprefix("'") for cell in row] for row in rows] == [
        [cell.removeprefix("'") for cell in row] for row in table
    ]


def test_numbers_of_recipients_stay_numbers():
    assert written(["recipient"], ["6591234567"]) == "\ufeffrecipient\r\n6591234567\r\n".encode()


def test_quotes_commas_and_line_breaks_are_quoted_as_rfc_4180_says():
    assert written(['a "b"', "c,d", "e\nf", "ü"]) == '\ufeff"a ""b""","c,d","e\nf",ü\r\n'.encode()


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("Clinic", "messages"), "Clinic messages.csv"),
        (("../../etc/passwd",), "-..-etc-passwd.csv"),
        (('a"b\r\nc',), "a-b-c.csv"),
        (("...",), "export.csv"),
        (("诊所",), "诊所.csv"),
    ],
)
def test_file_names_hold_nothing_that_a_system_minds(parts, name):
    assert exports.file_name(*parts) == name


# The log -----------------------------------------------------------------------------------


def test_the_log_tells_all_about_each_message(client_of, officer, campaign, settings):
    settings.PUBLIC_URL = "https://postman.example.gov.sg"
    batch = make_batch(campaign, "messages_enqueued")
    failed = make_message(campaign, status="failure", batch=batch, row=2, created_at=AT)
    make_attempt(failed, number=2, status="failure", error_code="message_expired")
    make_message(
        campaign,
        via_api=True,
        language="malay",
        values={"name": "=1+1", "clinic": "Bedok"},
        created_at=AT.replace(hour=5),
    )
    make_message(campaign, status="unknown")

    header, first, second, third = download(client_of(officer), campaign.pk)

    assert header == [
        "messageId",
        "createdAt",
        "updatedAt",
        "jobType",
        "batchId",
        "recipient",
        "language",
        "name",
        "clinic",
        "status",
        "errorType",
        "errorCode",
        "attempts",
        "segments",
        "creatorEmail",
    ]
    row = dict(zip(header, first, strict=True))
    assert row.pop("updatedAt")
    assert row == {
        "messageId": failed.public_id,
        "createdAt": "2026-11-20T12:05:06+08:00",
        "jobType": "batch",
        "batchId": batch.public_id,
        "recipient": "6591234567",
        "language": "english",
        "name": "Mei Ling",
        "clinic": "Bedok",
        "status": "failure",
        "errorType": "delivery_error",
        "errorCode": "message_expired",
        "attempts": "2",
        "segments": "1",
        "creatorEmail": "mei.ling@health.gov.sg",
    }
    row = dict(zip(header, second, strict=True))
    assert (row["jobType"], row["batchId"], row["language"]) == ("single", "", "malay")
    assert row["name"] == "'=1+1"
    assert row["creatorEmail"] == f"{campaign.public_id}@postman.example.gov.sg"
    assert dict(zip(header, third, strict=True))["status"] == "unknown"


def test_a_retried_message_that_arrived_has_no_error(client_of, officer, campaign):
    message = make_message(campaign, status="failure")
    make_attempt(message, number=2, status="success")

    header, row = download(client_of(officer), campaign.pk)

    assert dict(zip(header, row, strict=True))["errorCode"] == ""


def test_a_long_log_is_read_page_by_page_and_loses_nothing(
    client_of, officer, campaign, monkeypatch
):
    monkeypatch.setattr(exports, "PAGE", 2)
    batch = make_batch(campaign, "messages_enqueued")
    for row in (6, 2, 5, 3, 4):
        make_message(campaign, batch=batch, row=row, created_at=AT, recipient=f"659000000{row}")
    client = client_of(officer)

    ids = [row[0] for row in download(client, campaign.pk)[1:]]
    assert ids == [m.public_id for m in Message.objects.order_by("created_at", "id")]

    rows = download(client, campaign.pk, batch.pk, name="batch-log")[1:]
    assert [row[5] for row in rows] == [f"659000000{row}" for row in (2, 3, 4, 5, 6)]


def test_a_batchs_log_holds_its_messages_alone(client_of, officer, campaign):
    batch = make_batch(campaign, "messages_enqueued")
    mine = make_message(campaign, batch=batch, row=2)
    make_message(campaign)

    rows = download(client_of(officer), campaign.pk, batch.pk, name="batch-log")

    assert [row[0] for row in rows[1:]] == [mine.public_id]


def test_an_unsent_batch_has_no_log(client_of, officer, campaign):
    url = reverse("batch-log", args=[campaign.pk, make_batch(campaign).pk])

    assert client_of(officer).get(url).status_code == 404


def test_a_restricted_members_log_holds_only_what_they_sent_by_hand(client_of, campaign):
    clerk = member(campaign, "member_restricted")
    mine = make_message(campaign, creator=clerk)
    make_message(campaign, creator=clerk, via_api=True)
    make_message(campaign)

    rows = download(client_of(clerk), campaign.pk)

    assert [row[0] for row in rows[1:]] == [mine.public_id]


def test_every_download_is_on_record_without_a_recipient(client_of, officer, campaign):
    make_message(campaign)

    download(client_of(officer), campaign.pk)

    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.object_id, event.details) == (
        "log.downloaded",
        officer,
        campaign.public_id,
        {},
    )


@pytest.mark.parametrize("count", [1, 3])
def test_a_page_of_the_log_takes_the_same_few_questions(client_of, officer, campaign, count):
    for _ in range(count):
        make_message(campaign, status="failure")

    with CaptureQueriesContext(connection) as queries:
        rows = list(exports.campaign_log(campaign, Message.objects.filter(campaign=campaign)))

    assert len(rows) == count + 1
    assert len(queries) == 3  # messages, attempts, creators


def test_an_outage_is_a_503_and_not_an_empty_file(client_of, officer, campaign):
    make_message(campaign)
    client = client_of(officer)

    def away(execute, sql, *args):
        if 'FROM "messaging_message"' in sql:
            raise OperationalError("the database is away")
        return execute(sql, *args)

    with connection.execute_wrapper(away):
        answer = client.get(reverse("campaign-log", args=[campaign.pk]))

    assert answer.status_code == 503


def test_the_log_is_a_download_that_nobody_keeps(client_of, officer, campaign):
    answer = client_of(officer).get(reverse("campaign-log", args=[campaign.pk]))

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith(
        'attachment; filename="Appointments messages 20'
    )
    assert answer["Cache-Control"] == "no-store"
