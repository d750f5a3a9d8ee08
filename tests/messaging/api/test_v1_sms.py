"""The programmatic SMS API (v1-backend §3.7; v1-web-app §21, §22.4)."""

import pytest
from django.urls import reverse

from campaigns.models import Campaign, TwilioCredentials
from messaging.delivery.changes import Change, apply
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Message, Transactional
from messaging.sandbox import constants
from postman.accounts import keys
from tests.factories import UserFactory
from tests.messaging.sandbox import staff

pytestmark = pytest.mark.django_db

SEND, LIST = "/v1/transactional/sms/send", "/v1/transactional/sms"
GOOD = {"recipient": "81230001", "body": "Your visit is on Friday.", "label": "clinic"}
TYPED = {
    "label": "clinic",
    "account_sid": constants.STAFF_ACCOUNT_SID,
    "api_key_sid": constants.STAFF_API_KEY_SID,
    "api_secret": constants.STAFF_API_SECRET,
    "messaging_service_sid": constants.STAFF_MESSAGING_SERVICE_SID,
    "auth_token": "",
    "segments_per_second": "10",
}


@pytest.fixture
def account(officer):
    officer.calls_per_second = None
    officer.save()
    return officer


@pytest.fixture
def clinic(account, sandbox):
    return staff.labelled(account)


@pytest.fixture
def headers(account):
    _, secret = keys.create(account, label="System", contacts=[account.email])
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def send(client, headers):
    def call(**fields):
        return client.post(
            SEND, {**GOOD, **fields}, content_type="application/json", headers=headers
        )

    return call


def refused(response, status, code):
    assert (response.status_code, response.json()["code"]) == (status, code), response.json()
    assert not Message.objects.exists()


def test_an_sms_that_is_taken_is_shown_whole(send, clinic):
    answer = send()

    shown = answer.json()
    row = Transactional.objects.get()
    now = shown["created_at"]
    assert answer.status_code == 201
    assert shown == {
        "id": str(row.pk),
        "credentialsLabel": "clinic",
        "recipient": "+6581230001",
        "body": "Your visit is on Friday.",
        "message_id": None,
        "created_at": now,
        "updated_at": shown["updated_at"],
        "status": "ACCEPTED",
        "error_code": None,
        "accepted_at": now,
        "sent_at": None,
        "delivered_at": None,
        "errored_at": None,
    }


def test_it_leaves_through_the_labelled_account_with_not_a_word_more(
    send, clinic, sandbox, client, headers
):
    number = send(body="a < b > c & {{d}}\nbye").json()["id"]

    send_chunk(None)

    [sms] = sandbox.outbox(channel="sms")
    assert sms["text"] == "a < b > c & {{d}}\nbye"
    assert sms["account"] == constants.STAFF_ACCOUNT_SID
    shown = client.get(f"{LIST}/{number}", headers=headers).json()
    assert shown["message_id"] == Attempt.objects.get().reference


@pytest.mark.parametrize("recipient", ["81230001", "6581230001", "+6581230001", "+65 8123-0001"])
def test_numbers_may_be_written_as_v1_took_them(send, clinic, recipient):
    assert send(recipient=recipient).json()["recipient"] == "+6581230001"


@pytest.mark.parametrize("recipient", ["9123456", "912345678", "11234567", "abc", "+"])
def test_what_is_no_number_is_refused(send, clinic, recipient):
    refused(send(recipient=recipient), 400, "invalid_recipient")


def test_a_label_that_the_account_does_not_have_is_refused(send, clinic):
    refused(send(label="other"), 400, "invalid_credentials")


def test_somebody_elses_label_is_as_good_as_none(client, clinic):
    _, secret = keys.create(UserFactory(), label="x", contacts=["a@b.gov.sg"])

    answer = client.post(
        SEND,
        GOOD,
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )

    refused(answer, 400, "invalid_credentials")


@pytest.mark.parametrize(
    "fields",
    [
        {"recipient": ""},
        {"recipient": 81230001},
        {"body": ""},
        {"body": " "},
        {"body": 1},
        {"body": "x" * 1601},
        {"label": ""},
        {"label": None},
        {"x": "y"},
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(send, clinic, fields):
    refused(send(**fields), 400, "api_validation")


def test_a_number_the_operator_does_not_know_ends_as_an_error(
    send, clinic, client, headers, sandbox
):
    number = send(recipient="6581110013").json()["id"]
    send_chunk(None)
    attempt = Attempt.objects.get()
    apply([Change(attempt.id, "failure", "recipient_invalid", "30005")])

    shown = client.get(f"{LIST}/{number}", headers=headers).json()

    assert (shown["status"], shown["error_code"]) == ("ERROR", "30005")
    assert shown["errored_at"]


def test_lists_take_at_most_a_hundred(client, headers, send, clinic):
    send()

    assert len(client.get(f"{LIST}?limit=100", headers=headers).json()["data"]) == 1
    assert client.get(f"{LIST}?limit=101", headers=headers).status_code == 400
    assert client.get(f"{LIST}?tag=x", headers=headers).status_code == 400
    assert client.get(f"{LIST}?status=ERROR", headers=headers).json()["data"] == []


# Credentials -----------------------------------------------------------------------------------


def test_credentials_are_kept_once_twilio_opens_for_them(client_of, account, sandbox):
    shown = client_of(account).post(reverse("sms-credentials"), TYPED, follow=True)

    assert "clinic" in shown.content.decode()
    assert constants.STAFF_API_SECRET not in shown.content.decode()
    assert TwilioCredentials.objects.get().campaign.is_programmatic


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"api_secret": "wrong"}, "Twilio does not accept this API Secret"),
        ({"label": "Clinic A"}, "small letters, digits and hyphens"),
        ({"account_sid": "AC1"}, "starts with AC"),
        ({"segments_per_second": "0"}, "greater than or equal to 1"),
    ],
)
def test_credentials_that_do_not_open_are_not_kept(client_of, account, sandbox, typed, sentence):
    shown = client_of(account).post(reverse("sms-credentials"), {**TYPED, **typed})

    assert shown.status_code == 422
    assert sentence in shown.content.decode()
    assert not TwilioCredentials.objects.exists()
    assert not Campaign.objects.exists()


def test_a_label_is_used_once(client_of, account, clinic):
    shown = client_of(account).post(reverse("sms-credentials"), TYPED)

    assert "already" in shown.content.decode()
    assert TwilioCredentials.objects.count() == 1


def test_credentials_that_are_removed_can_be_named_no_more_but_their_label_used_again(
    client_of, account, clinic, send
):
    client = client_of(account)
    client.post(reverse("sms-credentials-remove", args=[clinic.pk]))

    refused(send(), 400, "invalid_credentials")
    client.post(reverse("sms-credentials"), TYPED)
    assert send().status_code == 201


@pytest.mark.parametrize("name", ["sms-credentials-remove", "sms-credentials-check"])
def test_somebody_elses_credentials_are_as_good_as_none(client_of, clinic, name):
    answer = client_of(UserFactory()).post(reverse(name, args=[clinic.pk]))

    assert answer.status_code == 404


def test_nobody_sees_the_campaign_that_holds_them(client_of, account, clinic, send):
    send()

    page = client_of(account).get(reverse("campaign-list")).content.decode()

    assert "clinic" not in page
    assert client_of(account).get(reverse("campaign", args=[clinic.campaign_id])).status_code == 404
