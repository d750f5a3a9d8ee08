"""The recipients of a campaign: a file in one call, or v1's three steps (v1-backend §2.7)."""

import base64
import hashlib
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core.signing import dumps
from django.test import Client
from django.utils import timezone

from messaging.models import Batch
from postman.accounts import keys
from tests.factories import EmailCampaignFactory, UserFactory
from tests.messaging.api.v1_campaigns.conftest import PEOPLE
from tests.messaging.api.v1_campaigns.workers import check_uploads, refused

pytestmark = pytest.mark.django_db


def md5_of(content):
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


@pytest.fixture
def path(account):
    campaign = EmailCampaignFactory(creator=account)
    return f"/campaign/{campaign.number}/email"


@pytest.fixture
def start(call, path):
    def ask(content=PEOPLE, **query):
        asked = {"mime_type": "text/csv", "md5": md5_of(content), **query}
        return call("get", f"{path}/upload/start", asked)

    return ask


def put(answer, content=PEOPLE):
    """As a client does that knows the address and nothing else."""
    address = urlsplit(answer.json()["presigned_url"]).path
    return Client().put(address, content, content_type="text/csv")


@pytest.fixture
def complete(call, path):
    def ask(started, **fields):
        body = {"transaction_id": started.json()["transaction_id"], "filename": "people.csv"}
        return call("post", f"{path}/upload/complete", body | fields)

    return ask


@pytest.fixture
def state(call, path):
    return lambda: call("get", f"{path}/upload/status").json()


# v1's three steps ------------------------------------------------------------------------------


def test_a_file_is_announced_stored_completed_and_checked(start, complete, state):
    started = start()
    stored = put(started)
    taken = complete(started, etag=stored.headers["ETag"])

    assert stored.status_code == 200
    assert taken.status_code == 202
    assert (state()["is_csv_processing"], state()["temp_csv_filename"]) == (True, "people.csv")

    check_uploads()

    found = state()
    assert (found["is_csv_processing"], found["csv_filename"]) == (False, "people.csv")
    assert (found["temp_csv_filename"], found["csv_error"]) == (None, None)
    assert found["num_recipients"] == 2
    assert found["preview"]["subject"] == "Your visit to Bedok"
    assert "Dear Ann" in found["preview"]["themedBody"]
    batch = Batch.objects.get()
    assert batch.file_sha256 == hashlib.sha256(PEOPLE).hexdigest()


def test_completing_twice_takes_the_file_once(start, complete):
    started = start()
    put(started)

    assert [complete(started).status_code for _ in range(2)] == [202, 202]
    assert Batch.objects.count() == 1


def test_the_address_opens_for_three_minutes(start):
    started = start()

    with time_machine.travel(timezone.now() + timedelta(seconds=181)):
        refused(put(started), 403, "unauthorized")


def test_a_transaction_expires(call, path, headers, start, complete):
    with time_machine.travel(timezone.now() - timedelta(hours=2)):
        started = start()
        put(started)

    refused(complete(started), 400, "api_validation")


def test_another_file_than_the_announced_one_is_refused(start, complete):
    started = start()

    refused(put(started, PEOPLE + b"x"), 400, "malformed")
    refused(complete(started), 400, "api_validation")
    assert not Batch.objects.exists()


def test_nothing_is_completed_that_was_not_stored(start, complete):
    refused(complete(start()), 400, "api_validation")


def test_an_address_cannot_be_made_up(start):
    refused(
        Client().put("/v1/upload/nothing", PEOPLE, content_type="text/csv"), 403, "unauthorized"
    )
    forged = dumps({"file": "../../x"}, salt="messaging.api.v1.transaction")
    answer = Client().put(f"/v1/upload/{forged}", PEOPLE, content_type="text/csv")
    refused(answer, 403, "unauthorized")


def test_a_transaction_is_of_one_campaign_and_one_account(client, call, account, start):
    started = start()
    put(started)
    body = {"transaction_id": started.json()["transaction_id"], "filename": "people.csv"}
    other = EmailCampaignFactory(creator=account)
    somebody = UserFactory(calls_per_second=None)
    theirs = EmailCampaignFactory(creator=somebody)
    _, secret = keys.create(somebody, label="System", contacts=[somebody.email])

    refused(
        call("post", f"/campaign/{other.number}/email/upload/complete", body),
        400,
        "api_validation",
    )
    answer = client.post(
        f"/v1/campaign/{theirs.number}/email/upload/complete",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    refused(answer, 400, "api_validation")
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    "query",
    [{"mime_type": "image/png"}, {"md5": "x"}, {"md5": ""}, {"mime_type": ""}, {"surprise": 1}],
)
def test_a_file_that_is_not_announced_right_is_refused(start, query):
    refused(start(**query), 400, "api_validation")


@pytest.mark.parametrize(
    "fields",
    [
        {"transaction_id": "nothing"},
        {"transaction_id": 7},
        {"filename": ""},
        {"filename": "people.xlsx"},
        {"filename": "people.csv "},
        {"etag": '"00000000000000000000000000000000"'},
        {"surprise": 1},
    ],
)
def test_a_file_that_is_not_completed_right_is_refused(start, complete, fields):
    started = start()
    put(started)

    refused(complete(started, **fields), 400, "api_validation")
    assert not Batch.objects.exists()


# In one call -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name"), [(b"", "people.csv"), (PEOPLE, "people.xlsx"), (PEOPLE, "people")]
)
def test_what_is_no_csv_file_is_refused(upload, path, content, name):
    refused(upload(path, content, name), 400, "api_validation")
    assert not Batch.objects.exists()


def test_a_form_holds_the_file_and_nothing_else(client, headers, path, upload):
    refused(client.post(f"/v1{path}/upload", {}, headers=headers), 400, "api_validation")
    refused(upload(path, surprise="x"), 400, "api_validation")


def test_recipients_come_after_the_message(call, upload):
    number = call("post", "/campaigns", {"name": "Visits", "type": "EMAIL"}).json()["id"]
    path = f"/campaign/{number}/email"

    refused(upload(path), 400, "invalid_template")
    start = call("get", f"{path}/upload/start", {"mime_type": "text/csv", "md5": md5_of(PEOPLE)})
    refused(start, 400, "invalid_template")


def test_a_bad_file_is_told_of_and_leaves_the_good_one_standing(call, upload, path, state):
    upload(path)
    upload(path, b"recipient,name,clinic\nnobody,Ann,Bedok\n", "bad.csv")

    found = state()
    assert (found["csv_filename"], found["num_recipients"]) == ("people.csv", 2)
    assert found["temp_csv_filename"] == "bad.csv"
    assert "1 of 1 rows have errors. Row 2:" in found["csv_error"]

    assert call("delete", f"{path}/upload/status").status_code == 200
    found = state()
    assert (found["temp_csv_filename"], found["csv_error"]) == (None, None)
    assert found["num_recipients"] == 2


def test_a_file_without_a_column_is_told_of(upload, path, state):
    upload(path, b"recipient,name\na@example.org,Ann\n")

    assert "clinic" in state()["csv_error"]
    assert state()["num_recipients"] == 0


def test_nothing_is_changed_while_a_file_is_being_checked(client, call, path, start, complete):
    started = start()
    put(started)
    complete(started)

    refused(call("post", f"{path}/send", {}), 403, "unauthorized")
    refused(call("delete", f"{path}/upload/status"), 403, "unauthorized")
    refused(start(), 403, "unauthorized")


def test_a_later_file_takes_the_place_of_the_first(call, upload, path, sandbox, state):
    upload(path)
    upload(path, PEOPLE + b"c@example.org,Cy,Clementi\n", "more.csv")
    assert state()["num_recipients"] == 3
    call("post", f"{path}/credentials", {"recipient": "mei.ling@health.gov.sg"})

    assert call("post", f"{path}/send", {}).status_code == 200

    statuses = dict(Batch.objects.values_list("original_file_name", "status"))
    assert statuses == {"people.csv": "discarded", "more.csv": "messages_enqueuing"}
