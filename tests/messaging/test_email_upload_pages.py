"""Where the recipients of an email come from: a file, or the cells of a spreadsheet."""

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from campaigns.models import EmailDraft
from messaging import ingest
from messaging.models import Batch, StagedRow
from tests.factories import EmailCampaignFactory
from tests.messaging.rows import member

CSV = b"recipient,name,clinic\r\nmei@example.com,Mei Ling,Bedok\r\n"
CELLS = "Recipient\tName\tClinic\r\nmei@example.com\tTan, Mei Ling\t\r\n"


@pytest.fixture
def client(client_of, officer):
    return client_of(officer)


@pytest.fixture(autouse=True)
def _files_of_the_test(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def url_of(campaign):
    return reverse("compose-multiple", args=[campaign.pk])


def checked():
    batch = Batch.objects.get()
    ingest.check(batch.pk)
    batch.refresh_from_db()
    return batch


def unfinish(campaign):
    EmailDraft.objects.filter(campaign=campaign).update(subject="")


def sample_of(client, campaign):
    answer = client.get(reverse("csv-template", args=[campaign.pk]))
    return answer, b"".join(answer.streaming_content)


def test_the_page_names_the_columns_and_says_nothing_of_phone_numbers(client, email_campaign):
    html = client.get(url_of(email_campaign)).content.decode()

    columns = "<code>recipient</code>, <code>clinic</code>, <code>name</code>"
    assert columns in html
    assert "language" not in html.partition("<main")[2].lower()
    assert "phone" not in html.partition("<main")[2].lower()


def test_a_file_of_addresses_is_taken_and_its_own_page_opens(client, email_campaign):
    answer = client.post(url_of(email_campaign), {"file": SimpleUploadedFile("p.csv", CSV)})

    assert answer.url == reverse("batch", args=[email_campaign.pk, Batch.objects.get().pk])
    assert checked().status == "ready"


def test_cells_pasted_from_a_spreadsheet_are_checked_like_a_file(client, email_campaign):
    answer = client.post(url_of(email_campaign), {"pasted": CELLS})

    batch = checked()
    assert answer.url == reverse("batch", args=[email_campaign.pk, batch.pk])
    assert (batch.status, batch.original_file_name) == ("ready", "pasted.csv")
    assert StagedRow.objects.get().values == {"name": "Tan, Mei Ling", "clinic": ""}


@pytest.mark.parametrize("pasted", ["", " \r\n\t"])
def test_pasting_nothing_is_said_beside_the_field(client, email_campaign, pasted):
    answer = client.post(url_of(email_campaign), {"pasted": pasted})

    assert answer.status_code == 422
    assert "Paste the cells of your spreadsheet." in answer.content.decode()
    assert not Batch.objects.exists()


def test_what_was_pasted_stays_where_it_is_refused(client, email_campaign, settings):
    settings.BATCH_BYTES_LIMIT = 10

    answer = client.post(url_of(email_campaign), {"pasted": CELLS})

    assert answer.status_code == 422
    assert "Tan, Mei Ling" in answer.content.decode()


@pytest.mark.parametrize("length", [1_000_001, 5_000_000])
def test_more_than_a_page_can_take_is_to_be_uploaded_as_a_file(client, email_campaign, length):
    answer = client.post(url_of(email_campaign), {"pasted": "x" * length})

    assert answer.status_code == 422
    assert "1,000,000 characters" in answer.content.decode()
    assert not Batch.objects.exists()


def test_a_campaign_of_sms_takes_no_pasted_cells(client, campaign):
    answer = client.post(url_of(campaign), {"pasted": CELLS})

    assert answer.status_code == 422
    assert "Choose the CSV file to upload." in answer.content.decode()


# The message -----------------------------------------------------------------------------------


def test_the_page_leads_back_to_a_message_that_is_not_finished(client, email_campaign):
    unfinish(email_campaign)

    html = client.get(url_of(email_campaign)).content.decode()

    assert "Finish the message first." in html
    assert "Write a subject." in html
    assert reverse("campaign-message", args=[email_campaign.pk]) in html
    assert 'type="file"' not in html


@pytest.mark.parametrize("form", [{"file": SimpleUploadedFile("p.csv", CSV)}, {"pasted": CELLS}])
def test_recipients_of_a_message_that_is_not_finished_are_refused_at_once(
    client, email_campaign, form
):
    unfinish(email_campaign)

    answer = client.post(url_of(email_campaign), form)

    assert answer.status_code == 422
    assert "Finish the message first." in answer.content.decode()
    assert not Batch.objects.exists()


def test_who_may_not_write_the_message_is_told_whom_to_ask(client_of, email_campaign):
    unfinish(email_campaign)
    clerk = client_of(member(email_campaign, "member_restricted"))

    html = clerk.get(url_of(email_campaign)).content.decode()

    assert "Ask an owner or a member of the campaign to finish it." in html
    assert reverse("campaign-message", args=[email_campaign.pk]) not in html.partition("<main")[2]


# The sample ------------------------------------------------------------------------------------


def test_the_sample_has_the_columns_of_the_message_and_comes_back_right(client, email_campaign):
    answer, content = sample_of(client, email_campaign)

    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert rows == [
        ["recipient", "clinic", "name"],
        ["name@example.com", "sample clinic", "sample name"],
    ]
    assert 'filename="postman_sample.csv"' in answer["Content-Disposition"]

    client.post(url_of(email_campaign), {"file": SimpleUploadedFile("sample.csv", content)})
    assert checked().status == "ready"


def test_the_sample_shows_what_a_link_looks_like(client, officer):
    campaign = EmailCampaignFactory(
        creator=officer, draft={"subject": "Your form", "html": "<p>{{form_link}}</p>"}
    )

    _, content = sample_of(client, campaign)

    assert b"name@example.com,https://www.example.gov.sg/" in content


def test_another_agencys_campaign_is_not_there(client_of, email_campaign):
    stranger = client_of(EmailCampaignFactory().creator)

    assert stranger.get(url_of(email_campaign)).status_code == 404
    assert stranger.post(url_of(email_campaign), {"pasted": CELLS}).status_code == 404
    assert stranger.get(reverse("csv-template", args=[email_campaign.pk])).status_code == 404
