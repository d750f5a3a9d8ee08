import csv
import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from campaigns.email import pinning
from messaging import ingest, sending
from messaging.models import Batch, BatchStatus, Message, StagedRow
from postman.errors import Refused
from tests.messaging.builders import csv_of, upload

pytestmark = pytest.mark.django_db

HEADER = b"recipient,language,name,clinic\n"


def test_a_good_file_is_staged_and_makes_no_message_yet(campaign):
    batch = upload(campaign, csv_of(3))

    assert (batch.status, batch.total_messages, batch.rows_checked) == (BatchStatus.READY, 3, 3)
    assert batch.summary["languages"] == {"english": 3, "malay": 0}
    assert batch.bytes_checked == batch.file_bytes
    staged = StagedRow.objects.filter(batch=batch).order_by("row").first()
    assert (staged.row, staged.recipient) == (2, "6581200000")
    assert staged.values == {"name": "Name 0", "clinic": "Clinic 0"}
    assert not Message.objects.exists()


def test_awkward_values_survive_the_way_into_the_database(campaign):
    values = 'said ""hi"", line 1\nline 2\ttab é'
    batch = upload(campaign, HEADER + f'6581230001,english,"{values}",x\n'.encode())

    assert batch.first_faults == []
    assert StagedRow.objects.get(batch=batch).values["name"] == values.replace('""', '"')


def test_one_bad_row_refuses_the_file_and_says_why(campaign):
    batch = upload(campaign, csv_of(6) + b"81230001,french,,Clinic\n")

    assert (batch.status, batch.rows_bad, batch.errors_total) == (BatchStatus.INVALID, 1, 3)
    assert not StagedRow.objects.exists()
    [fault] = batch.first_faults
    assert fault["row"] == 8
    assert [reason["column"] for reason in fault["reasons"]] == ["recipient", "language", "name"]
    [header, row] = list(csv.reader(io.StringIO(batch.report.read().decode("utf-8-sig"))))
    assert "Error Reason" in header
    assert "Add the country code: 6581230001." in row[header.index("Error Reason")]


def test_a_file_refused_as_a_whole_says_what_to_do(campaign):
    batch = upload(campaign, b"PK\x03\x04 a workbook")

    assert batch.status == BatchStatus.INVALID
    assert "Excel" in batch.file_fault["message"]


def test_the_test_site_takes_twenty_rows_and_no_more(campaign, settings):
    settings.BATCH_ROW_LIMIT = 20

    assert upload(campaign, csv_of(20)).status == BatchStatus.READY
    assert upload(campaign, csv_of(21)).status == BatchStatus.INVALID


def test_a_check_whose_process_died_starts_again(campaign):
    batch = upload(campaign, csv_of(5))
    Batch.objects.update(status=BatchStatus.CHECKING, lease_until=timezone.now())
    assert ingest.waiting(timezone.now() + timedelta(seconds=1)) == [batch.id]

    ingest.check(batch.id)

    batch.refresh_from_db()
    assert (batch.status, StagedRow.objects.count()) == (BatchStatus.READY, 5)


def test_a_check_under_way_is_left_to_its_process(campaign):
    batch = upload(campaign, csv_of(5))
    lease = timezone.now() + timedelta(minutes=1)
    Batch.objects.update(status=BatchStatus.CHECKING, lease_until=lease)

    ingest.check(batch.id)

    batch.refresh_from_db()
    assert (batch.status, batch.lease_until) == (BatchStatus.CHECKING, lease)
    assert ingest.waiting(timezone.now()) == []


def test_a_file_that_vanished_is_our_fault_and_said_so(campaign):
    batch = sending.accept_upload(
        campaign=campaign,
        creator=campaign.creator,
        upload=SimpleUploadedFile("people.csv", csv_of(1)),
    )
    batch.file.storage.delete(batch.file.name)

    ingest.check(batch.id)

    batch.refresh_from_db()
    assert batch.file_fault == ingest.OUR_FAULT


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("people.xlsx", b"x", ".csv"),
        ("people.csv", b"", "empty"),
        ("people.csv", b"x" * 1001, "40 MB"),
    ],
)
def test_an_upload_that_cannot_be_right_is_refused_at_once(
    campaign, settings, name, content, sentence
):
    settings.BATCH_BYTES_LIMIT = 1000

    with pytest.raises(Refused, match=sentence):
        upload(campaign, content, name)

    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    "content",
    [HEADER + b"6581230001,english,A\0B,x\n", HEADER.replace(b"name", b"na\0me") + b"1,2,3,4\n"],
    ids=["value", "header"],
)
def test_a_zero_byte_is_the_fault_of_the_file_and_not_ours(campaign, content):
    batch = upload(campaign, content)

    assert batch.status == BatchStatus.INVALID
    assert batch.first_faults or batch.file_fault["code"] != "internal_error"
    assert "internal_error" not in str(batch.file_fault)


# Emails --------------------------------------------------------------------------------------


def test_a_list_of_emails_is_staged_with_the_message_pinned_as_it_is_now(email_campaign):
    batch = upload(
        email_campaign, b"Recipient,Name,Clinic,Block\n Mei@Example.com ,Mei Ling,Bedok,2\n"
    )

    assert (batch.status, batch.total_messages, batch.file_fault) == (BatchStatus.READY, 1, None)
    row = StagedRow.objects.get(batch=batch)
    assert (row.row, row.recipient, row.segments) == (2, "mei@example.com", 1)
    assert row.values == {"name": "Mei Ling", "clinic": "Bedok", "block": "2"}
    assert row.template_body == pinning.pin(email_campaign)
