"""The campaign API for SMS (v1-backend §2.5, §2.9, §3.4)."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns import sms_credentials
from campaigns.models import Campaign, SmsDraft, TemplateBody
from messaging.delivery import starting
from messaging.delivery.pipeline import send_chunk
from messaging.models import Batch, Message
from messaging.sandbox import constants
from messaging.sending import singles
from tests.factories import CampaignFactory
from tests.messaging.api.v1_campaigns.workers import check_uploads, deliver, refused

pytestmark = pytest.mark.django_db

PEOPLE = b"Recipient,Name,clinic,unused\n81230001,Ann,Bedok,x\n+6581230002,,Yishun,y\n"
TEXT = "Dear {{ Name }}, see you at {{clinic}}."


@pytest.fixture
def made(call):
    answer = call("post", "/campaigns", {"name": "Visits", "type": "SMS"})
    assert answer.status_code == 201, answer.json()
    return f"/campaign/{answer.json()['id']}/sms"


@pytest.fixture
def filled(made, call, upload):
    assert call("put", f"{made}/template", {"body": TEXT}).status_code == 200
    assert upload(made, PEOPLE).status_code == 202
    return made


@pytest.fixture
def tested(filled, call, clinic):
    asked = {"label": "clinic", "recipient": "81239999"}
    assert call("post", f"{filled}/credentials", asked).status_code == 200
    return filled


def test_an_sms_campaign_is_made_filled_tested_sent_and_reported_through_the_api(
    call, upload, clinic, sandbox
):
    made = call("post", "/campaigns", {"name": "Visits", "type": "SMS"})
    number = made.json()["id"]
    path = f"/campaign/{number}/sms"

    saved = call("put", f"{path}/template", {"body": TEXT})
    taken = upload(path, PEOPLE)
    preview = call("get", f"{path}/preview")
    tested = call("post", f"{path}/credentials", {"label": "clinic", "recipient": "81239999"})
    told = call("post", f"{path}/send", {"rate": 10})
    send_chunk(None)
    deliver()

    assert (made.status_code, made.json()["type"]) == (201, "SMS")
    assert saved.json() == {
        "message": "The template was saved.",
        "valid": False,
        "num_recipients": 0,
        "template": {
            "body": "Dear {{name}}, see you at {{clinic}}.",
            "params": ["name", "clinic"],
        },
    }
    assert taken.status_code == 202
    assert preview.json() == {"preview": {"body": "Dear Ann, see you at Bedok."}}
    assert (tested.status_code, tested.json()) == (200, {"message": "OK"})
    assert (told.status_code, told.json()) == (200, {"campaign_id": number, "job_id": [number]})
    texts = {(sms["to"], sms["text"]) for sms in sandbox.outbox()}
    assert texts == {
        ("+6581239999", "Dear Ann, see you at Bedok."),
        ("+6581230001", "Dear Ann, see you at Bedok."),
        ("+6581230002", "Dear , see you at Yishun."),
    }
    stats = call("get", f"{path}/stats").json()
    assert (stats["sent"], stats["unsent"], stats["status"]) == (2, 0, "LOGGED")
    assert "unsubscribed" not in stats
    report = json.loads(call("get", f"{path}/export").getvalue())
    assert [(row["recipient"], row["status"]) for row in report] == [
        ("+6581230001", "SENDING"),
        ("+6581230002", "SENDING"),
    ]


def test_an_sms_campaign_tells_everything_of_itself(call, tested):
    shown = call("get", tested).json()

    assert shown["sms_templates"]["params"] == ["name", "clinic"]
    assert shown["has_credential"]
    assert shown["valid"]
    assert (shown["csv_filename"], shown["num_recipients"]) == ("people.csv", 2)
    assert shown["cost_per_message"] > 0


def test_the_newest_text_counts_in_every_process_and_is_measured_anew(call, filled, sandbox):
    campaign = Campaign.objects.get()
    assert campaign.bodies["english"].version == 1

    answer = call("put", f"{filled}/template", {"body": "{{name}}: {{clinic}}" + "x" * 200})

    assert (answer.json()["valid"], answer.json()["num_recipients"]) == (True, 2)
    assert Campaign.objects.get().bodies["english"].version == 2
    assert call("get", f"{filled}/upload/status").json()["is_csv_processing"]
    check_uploads()
    assert Batch.objects.get().summary["segments_max"] == 2


def test_a_text_whose_keywords_the_file_lacks_asks_for_another_file(call, filled):
    answer = call("put", f"{filled}/template", {"body": "{{name}} {{day}}"}).json()

    assert (answer["valid"], answer["num_recipients"]) == (False, 0)
    assert answer["extra_keys"] == ["day"]
    assert Batch.objects.get().status == "discarded"


@pytest.mark.parametrize("body", ["", "   ", "{{#name}}", "{{}}", "{{name", "x" * 1001])
def test_a_text_that_cannot_be_sent_is_refused_and_not_stored(call, made, body):
    answer = call("put", f"{made}/template", {"body": body})

    assert answer.status_code == 400
    assert not TemplateBody.objects.exists()


def test_a_label_that_is_not_the_accounts_is_refused(call, filled):
    answer = call("post", f"{filled}/credentials", {"label": "nobody", "recipient": "81239999"})

    refused(answer, 400, "invalid_credentials")
    assert SmsDraft.objects.get().credentials is None


def test_a_test_to_no_number_chooses_nothing(call, filled, clinic):
    answer = call("post", f"{filled}/credentials", {"label": "clinic", "recipient": "123"})

    refused(answer, 400, "invalid_credentials")
    assert SmsDraft.objects.get().credentials is None


TWILIO = {
    "twilio_account_sid": constants.STAFF_ACCOUNT_SID,
    "twilio_api_key": constants.STAFF_API_KEY_SID,
    "twilio_api_secret": constants.STAFF_API_SECRET,
    "twilio_messaging_service_sid": constants.STAFF_MESSAGING_SERVICE_SID,
    "recipient": "81239999",
    "label": "school",
}


def test_another_account_is_kept_by_sending_the_test_through_it(call, filled, account, sandbox):
    answer = call("post", f"{filled}/new-credentials", TWILIO)

    assert (answer.status_code, answer.json()) == (200, {"message": "OK"})
    assert SmsDraft.objects.get().credentials == sms_credentials.of(account).get()
    assert sms_credentials.of(account).get().campaign.name == "school"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"twilio_api_secret": "wrong"}, "invalid_credentials"),
        ({"recipient": "123"}, "invalid_credentials"),
        ({"label": "clinic"}, "invalid_credential_label"),
        ({"label": "No Spaces"}, "api_validation"),
        ({"label": "school "}, "api_validation"),
        ({"twilio_api_key": None}, "api_validation"),
        ({"twilio_account_sid": "AC/../../Accounts/AC" + "0" * 14}, "api_validation"),
    ],
)
def test_an_account_that_does_not_open_is_not_kept(call, filled, clinic, account, changed, code):
    refused(call("post", f"{filled}/new-credentials", TWILIO | changed), 400, code)

    assert sms_credentials.of(account).get() == clinic
    assert SmsDraft.objects.get().credentials is None
    assert not Message.objects.exists()


def test_nothing_is_sent_before_a_test_chose_the_account(call, filled):
    refused(call("post", f"{filled}/send", {}), 400, "invalid_template")
    assert not Message.objects.exists()


def test_credentials_that_were_removed_send_no_campaign(call, tested, clinic, account):
    sms_credentials.remove(clinic, by=account)

    refused(call("post", f"{tested}/send", {}), 400, "invalid_template")


@pytest.mark.parametrize("rate", [0, -1, 1000, "10", 1.5, True])
def test_a_rate_is_a_small_whole_number(call, tested, rate):
    refused(call("post", f"{tested}/send", {"rate": rate}), 400, "api_validation")


def test_a_campaign_of_the_browser_is_told_of_but_not_changed(call, account):
    number = CampaignFactory(creator=account).number

    shown = call("get", f"/campaign/{number}/sms")

    assert shown.json()["sms_templates"]["params"] == ["name", "clinic"]
    refused(call("put", f"/campaign/{number}/sms/template", {"body": "Hello"}), 403, "unauthorized")


def test_a_duplicate_has_the_text_and_nothing_else(call, tested):
    copy = call("post", f"{tested}/duplicate", {"name": "Again"})

    assert copy.status_code == 201
    shown = call("get", f"/campaign/{copy.json()['id']}/sms").json()
    assert shown["sms_templates"]["body"] == "Dear {{name}}, see you at {{clinic}}."
    assert (shown["num_recipients"], shown["has_credential"]) == (0, False)


@pytest.mark.parametrize("page", ["compose", "upload"])
def test_its_pages_leave_the_filling_to_its_system(client_of, account, made, page):
    campaign = Campaign.objects.get()

    answer = client_of(account).get(f"/campaigns/{campaign.public_id}/{page}", follow=True)

    assert answer.status_code == 200
    assert "A system writes and fills this campaign" in answer.content.decode()


PAGES = ["", "batches", "log.csv", "settings", "stats", "billing"]


@pytest.mark.parametrize("page", PAGES)
def test_its_pages_open_before_anything_is_written(client_of, account, made, page):
    campaign = Campaign.objects.get()

    assert client_of(account).get(f"/campaigns/{campaign.public_id}/{page}").status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_its_pages_open_after_it_was_sent(client_of, account, call, tested, page):
    call("post", f"{tested}/send", {})
    deliver()
    campaign = Campaign.objects.get(sms_draft__isnull=False)

    assert client_of(account).get(f"/campaigns/{campaign.public_id}/{page}").status_code == 200


@pytest.mark.parametrize("is_sent", [False, True])
def test_the_page_of_its_file_opens(client_of, account, call, tested, is_sent):
    if is_sent:
        call("post", f"{tested}/send", {})
        deliver()
    batch = Batch.objects.get()
    path = f"/campaigns/{batch.campaign.public_id}/batches/{batch.public_id}"

    assert client_of(account).get(path).status_code == 200


def test_the_api_of_v2_sends_no_single_message_of_it(tested):
    campaign = Campaign.objects.get(sms_draft__isnull=False)

    with pytest.raises(singles.InvalidMessage, match="v1's API only"):
        singles.send_message(
            campaign=campaign,
            creator=campaign.creator,
            recipient="6581230001",
            language="english",
            values={"name": "Ann", "clinic": "Bedok"},
        )


def test_a_text_with_the_number_in_it_is_filled_for_each(call, made, upload):
    call("put", f"{made}/template", {"body": "{{recipient}}: {{ NAME }}"})
    upload(made, PEOPLE)

    assert call("get", f"{made}/preview").json() == {"preview": {"body": "81230001: Ann"}}


def test_a_scheduled_campaign_is_cancelled_and_sent(call, tested):
    at = (timezone.now() + timedelta(days=1)).isoformat()
    number = Campaign.objects.get(sms_draft__isnull=False).number

    assert call("post", f"{tested}/send", {"scheduledTiming": at}).status_code == 200
    assert call("get", f"{tested}/stats").json()["status"] == "READY"
    refused(call("put", f"{tested}/template", {"body": "New"}), 403, "unauthorized")
    assert call("post", f"/campaigns/{number}/cancel").status_code == 200
    assert call("post", f"{tested}/send", {}).status_code == 200
    deliver()
    refused(call("post", f"{tested}/send", {}), 403, "already_sent")


def test_credentials_that_were_removed_send_nothing_that_was_scheduled_through_them(
    call, tested, clinic, account, mailoutbox
):
    at = (timezone.now() + timedelta(days=1)).isoformat()
    call("post", f"{tested}/send", {"scheduledTiming": at})
    sms_credentials.remove(clinic, by=account)
    just_now = timezone.now() - timedelta(seconds=1)
    Batch.objects.filter(status="scheduled").update(scheduled_at=just_now)

    assert starting.start_due_batches() == []

    assert Batch.objects.get().status == "ready"
    [mail] = mailoutbox
    assert mail.subject.startswith("Not sent as scheduled")


def test_what_failed_is_sent_once_more(call, tested, sandbox):
    call("post", f"{tested}/send", {})
    deliver()
    Message.objects.filter(row=2).update(status="failure")
    sandbox.reset()

    assert call("post", f"{tested}/retry").status_code == 200
    deliver()
    assert [sms["to"] for sms in sandbox.outbox()] == ["+6581230001"]
