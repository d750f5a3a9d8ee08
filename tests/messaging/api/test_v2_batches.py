import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from messaging.delivery import expanding
from messaging.delivery.pipeline import send_chunk
from messaging.models import Batch, Message, StagedRow
from tests.messaging.builders import csv_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def post(client, campaign, key):
    def post(parts):
        return client.post(
            f"/api/v2/campaigns/{campaign.public_id}/batch/messages",
            parts,
            headers={"Authorization": f"Bearer {key}"},
        )

    return post


def file(content, name="people.csv"):
    return {"file": SimpleUploadedFile(name, content, content_type="text/csv")}


def error_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_a_good_file_is_accepted_whole(post, campaign, sandbox):
    answer = post(file(csv_of(3)))

    batch = Batch.objects.get()
    assert answer.status_code == 201
    assert answer.json() == {"isValid": True, "batchId": batch.public_id}
    expanding.expand(batch.id)
    while send_chunk(batch.id):
        pass
    assert len(sandbox.outbox(channel="sms")) == 3
    assert set(Message.objects.values_list("via_api", flat=True)) == {True}


# v2-sms §13.12
def test_one_bad_row_refuses_the_file_with_a_report(post, campaign, client_of):
    answer = post(file(csv_of(2) + b"81230001,french,,Clinic\n"))

    shown = answer.json()
    report = shown.pop("reportURL")
    assert answer.status_code == 201
    assert shown == {
        "isValid": False,
        "numRows": 1,
        "numErrors": 3,
        "fileHasAvoidableExpensiveCharacter": False,
        "fileHasUnicode": False,
    }
    assert not Message.objects.exists()
    assert not StagedRow.objects.exists()
    path = report.removeprefix("http://localhost:8000")
    text = b"".join(client_of(campaign.creator).get(path).streaming_content).decode()
    assert "Error Reason" in text


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"file": "recipient,language"},
        {"csv": SimpleUploadedFile("people.csv", csv_of(1))},
        file(csv_of(1), "people.xlsx"),
        file(b"PK\x03\x04"),
        file(b"recipient,lang\n1,2\n"),
        file(b"recipient,language,name,clinic\n"),
    ],
)
def test_what_is_no_file_of_recipients_is_refused(post, parts):
    assert error_of(post(parts)) == (400, "parameter_invalid")
    assert not Message.objects.exists()


# v2-sms §13.11
def test_forty_megabytes_and_one_byte_are_too_much(post, settings):
    settings.BATCH_BYTES_LIMIT = len(csv_of(3))

    assert post(file(csv_of(3))).status_code == 201
    assert error_of(post(file(csv_of(3) + b" "))) == (400, "parameter_invalid")


# v2-sms §13.11
def test_the_test_site_takes_twenty_rows(post, settings):
    settings.BATCH_ROW_LIMIT = 20

    assert post(file(csv_of(20))).json()["isValid"] is True
    assert error_of(post(file(csv_of(21)))) == (400, "parameter_invalid")


def test_json_is_not_a_file(client, campaign, key):
    answer = client.post(
        f"/api/v2/campaigns/{campaign.public_id}/batch/messages",
        {"file": "x"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )

    assert error_of(answer) == (415, "unsupported_media_type")
