import csv
import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from campaigns.email import pinning
from campaigns.models import EmailDraft
from messaging import composing, ingest
from messaging.delivery import expanding
from messaging.models import Batch, BatchStatus, Message, StagedRow, Suppression
from messaging.sending import uploading
from postman.errors import Refused
from tests.factories import AgencyFactory
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
    batch = uploading.accept_upload(
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


def test_what_is_to_be_known_of_a_list_of_emails_is_kept_with_it(email_campaign):
    batch = upload(
        email_campaign,
        b"recipient,name,clinic\n"
        b"mei@gmial.com,Mei,Bedok\nMEI@gmial.com,,Bedok\npostmaster@a.sg,Tan,Yishun\n",
    )

    assert batch.summary == {
        "columns": ["recipient", "name", "clinic"],
        "columns_ignored": [],
        "duplicates": 1,
        "blank": {"name": 1},
        "role_addresses": {"count": 1, "examples": [{"row": 4, "found": "postmaster@"}]},
        "typos": {
            "count": 2,
            "examples": [
                {"row": 2, "found": "gmial.com", "meant": "gmail.com"},
                {"row": 3, "found": "gmial.com", "meant": "gmail.com"},
            ],
        },
        "suppressed": {"unsubscribed": 0, "hard_bounce": 0, "complaint": 0, "added": 0},
    }


def test_who_is_not_to_be_written_to_is_counted_by_reason_and_stays_staged(email_campaign):
    agency, other = email_campaign.agency, AgencyFactory()
    for recipient, of, reason, lifted_at in [
        ("a@a.sg", agency, "unsubscribed", None),
        ("b@a.sg", None, "hard_bounce", None),
        ("both@a.sg", agency, "complaint", None),  # the first of two is what counts
        ("both@a.sg", None, "hard_bounce", None),
        ("theirs@a.sg", other, "unsubscribed", None),
        ("back@a.sg", agency, "unsubscribed", timezone.now()),
    ]:
        Suppression.objects.create(
            recipient=recipient, agency=of, reason=reason, lifted_at=lifted_at
        )
    names = ["A", "a", "b", "both", "theirs", "back", "mei"]
    rows = "".join(f"{name}@a.sg,x,y\n" for name in names)

    batch = upload(email_campaign, f"recipient,name,clinic\n{rows}".encode())

    assert batch.summary["suppressed"] == {
        "unsubscribed": 2,
        "hard_bounce": 1,
        "complaint": 1,
        "added": 0,
    }
    assert StagedRow.objects.filter(batch=batch).count() == batch.total_messages == 7


def test_what_was_counted_as_suppressed_is_what_gets_nothing(email_campaign):
    for recipient in ("a@a.sg", "b@a.sg"):
        Suppression.objects.create(
            recipient=recipient, agency=email_campaign.agency, reason="added"
        )
    batch = upload(email_campaign, b"recipient,name,clinic\na@a.sg,x,y\nb@a.sg,x,y\nc@a.sg,x,y\n")
    Batch.objects.update(status=BatchStatus.ENQUEUING, accepted_at=timezone.now())

    expanding.expand(batch.id)

    found = Message.objects.filter(batch=batch, status="suppressed").count()
    assert found == sum(batch.summary["suppressed"].values()) == 2


def test_one_wrong_address_refuses_the_list_and_says_why(email_campaign):
    batch = upload(email_campaign, b"recipient,name,clinic\nmei@a.sg,x,y\nmei@gmail,x,y\n,x,y\n")

    assert (batch.status, batch.rows_bad) == (BatchStatus.INVALID, 2)
    assert not StagedRow.objects.exists()
    assert [fault["row"] for fault in batch.first_faults] == [3, 4]
    assert b"it has no dot, as in example.com." in batch.report.read()


def test_a_list_that_lacks_a_keyword_names_it(email_campaign):
    batch = upload(email_campaign, b"recipient,name\nmei@a.sg,x\n")

    assert batch.status == BatchStatus.INVALID
    assert batch.file_fault == {
        "code": "missing_columns",
        "message": "There is no column named “clinic”. Add it.",
    }


def test_a_message_that_came_undone_meanwhile_keeps_the_file_and_says_so(email_campaign):
    EmailDraft.objects.filter(campaign=email_campaign).update(subject="")

    batch = upload(email_campaign, b"recipient,name,clinic\nmei@a.sg,x,y\n")

    assert batch.status == BatchStatus.INVALID
    assert batch.file_fault == {"code": "draft_not_ready", "message": "Write a subject."}
    assert batch.file


def test_a_column_named_bcc_reaches_nobody(email_campaign):
    batch = upload(
        email_campaign,
        b"recipient,name,clinic,bcc,from,subject\nmei@a.sg,x,y,spy@a.sg,spy@a.sg,Hi\n",
    )

    row = StagedRow.objects.get(batch=batch)
    body = row.template_body_id
    mail = composing.content("email", body, email_campaign.id, row.recipient, row.values)
    assert (mail.bcc, mail.cc, mail.subject) == ((), (), "Your visit to y")
    assert "spy@a.sg" not in f"{mail.sender}{mail.reply_to}{mail.headers}{mail.html}{mail.text}"


def test_the_test_site_takes_twenty_emails_and_no_more(email_campaign, settings):
    settings.BATCH_ROW_LIMIT = 20
    header, row = b"recipient,name,clinic\n", b"mei@a.sg,x,y\n"

    assert upload(email_campaign, header + row * 20).status == BatchStatus.READY
    assert upload(email_campaign, header + row * 21).status == BatchStatus.INVALID
