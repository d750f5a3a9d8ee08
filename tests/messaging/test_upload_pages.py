import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from messaging import ingest
from messaging.models import Batch
from tests.factories import CampaignFactory

CSV = b"recipient,language,name,clinic\r\n6591234567,english,Mei Ling,Bedok\r\n"


@pytest.fixture
def client(client_of, officer):
    return client_of(officer)


@pytest.fixture(autouse=True)
def _files_of_the_test(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def upload(client, campaign, content=CSV, name="patients.csv"):
    url = reverse("compose-multiple", args=[campaign.pk])
    return client.post(url, {"file": SimpleUploadedFile(name, content)})


def test_a_file_is_taken_and_its_own_page_opens(client, officer, campaign):
    answer = upload(client, campaign)

    batch = Batch.objects.get()
    assert answer.status_code == 302
    assert answer.url == reverse("batch", args=[campaign.pk, batch.pk])
    assert (batch.status, batch.creator, batch.original_file_name) == (
        "uploaded",
        officer,
        "patients.csv",
    )
    assert batch.file.read() == CSV


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (CSV, "patients.xlsx", "is not a CSV file"),
        (CSV, "patients", "is not a CSV file"),
        (b"", "patients.csv", "This file is empty."),
    ],
)
def test_what_is_no_csv_file_is_refused_with_what_to_do(client, campaign, content, name, sentence):
    answer = upload(client, campaign, content, name)

    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not Batch.objects.exists()


def test_a_form_without_a_file_is_told_to_choose_one(client, campaign):
    answer = client.post(reverse("compose-multiple", args=[campaign.pk]), {})

    assert answer.status_code == 422
    assert "Choose the CSV file to upload." in answer.content.decode()


@pytest.mark.parametrize(("over_by", "reaches_the_disk"), [(1, True), (200_000, False)])
def test_a_file_over_the_limit_is_refused_on_a_page_and_not_kept(
    client, campaign, settings, tmp_path, over_by, reaches_the_disk
):
    settings.BATCH_BYTES_LIMIT = 200_000
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "temporary")
    (tmp_path / "temporary").mkdir()

    answer = upload(client, campaign, b"x" * (200_000 + over_by))

    assert answer.status_code == 422
    assert "is larger than 195.3\u00a0KB" in answer.content.decode()
    assert bool(answer.wsgi_request.FILES) is reaches_the_disk
    assert not Batch.objects.exists()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_file_at_the_limit_is_taken(client, campaign, settings):
    settings.BATCH_BYTES_LIMIT = len(CSV)

    assert upload(client, campaign).status_code == 302


def test_the_page_states_its_limits(client, campaign, settings):
    settings.BATCH_ROW_LIMIT = 20

    html = client.get(reverse("compose-multiple", args=[campaign.pk])).content.decode()

    assert "up to 40.0\u00a0MB" in html
    assert "up to 20 rows" in html
    assert "<code>clinic</code>" in html


def test_the_template_can_be_filled_in_and_comes_back_right(client, campaign):
    answer = client.get(reverse("csv-template", args=[campaign.pk]))

    content = b"".join(answer.streaming_content)
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert rows[0] == ["recipient", "language", "name", "clinic"]
    assert len(rows) == 2
    assert 'filename="(sample) Appointments.csv"' in answer["Content-Disposition"]

    upload(client, campaign, content)
    batch = Batch.objects.get()
    ingest.check(batch.pk)
    batch.refresh_from_db()
    assert (batch.status, batch.total_messages) == ("ready", 1)


def test_a_campaign_name_cannot_lead_the_file_astray(client, officer):
    campaign = CampaignFactory(creator=officer, name='../=A"\r\nx: y')

    disposition = client.get(reverse("csv-template", args=[campaign.pk]))["Content-Disposition"]

    assert disposition == 'attachment; filename="(sample) ..-=A-x- y.csv"'
