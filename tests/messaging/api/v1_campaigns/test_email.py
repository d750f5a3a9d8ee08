"""The campaign API (v1-backend §2, §3.3, §3.4): email, and what all types have in common."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.models import Campaign, EmailDraft
from messaging.models import Batch, Counter, EmailTest, Message, Suppression
from tests.factories import EmailCampaignFactory
from tests.messaging.api.v1_campaigns.workers import deliver, refused

pytestmark = pytest.mark.django_db

TEMPLATE = {
    "subject": "Visit to {{clinic}}",
    "body": "<p>Dear {{name}}</p>",
    "reply_to": None,
    "from": "Postman <donotreply@mail.postman.gov.sg>",
}


@pytest.fixture
def made(call):
    """The path of a new email campaign."""
    answer = call("post", "/campaigns", {"name": "Visits", "type": "EMAIL"})
    assert answer.status_code == 201, answer.json()
    return f"/campaign/{answer.json()['id']}/email"


@pytest.fixture
def filled(made, call, upload):
    assert call("put", f"{made}/template", TEMPLATE).status_code == 200
    assert upload(made).status_code == 202
    return made


@pytest.fixture
def tested(filled, call, sandbox):
    answer = call("post", f"{filled}/credentials", {"recipient": "mei.ling@health.gov.sg"})
    assert answer.status_code == 200, answer.json()
    sandbox.reset()
    return filled


@pytest.fixture
def sent(tested, call):
    assert call("post", f"{tested}/send", {}).status_code == 200
    deliver()
    return tested


# From an empty campaign to its report -----------------------------------------------------------


def test_an_email_campaign_is_made_filled_tested_sent_and_reported_through_the_api(
    call, upload, sandbox
):
    made = call("post", "/campaigns", {"name": "Visits", "type": "EMAIL"})
    number = made.json()["id"]
    path = f"/campaign/{number}/email"

    saved = call("put", f"{path}/template", TEMPLATE)
    taken = upload(path)
    state = call("get", f"{path}/upload/status").json()
    preview = call("get", f"{path}/preview").json()["preview"]
    tested = call("post", f"{path}/credentials", {"recipient": "mei.ling@health.gov.sg"})
    told = call("post", f"{path}/send", {})
    deliver()

    assert made.status_code == 201
    assert made.json() == {
        "id": Campaign.objects.get().number,
        "name": "Visits",
        "created_at": made.json()["created_at"],
        "type": "EMAIL",
        "protect": False,
        "demo_message_limit": None,
    }
    assert saved.json() == {
        "message": "The template was saved.",
        "valid": False,
        "num_recipients": 0,
        "template": {
            "subject": "Visit to {{clinic}}",
            "body": "<p>Dear {{name}}</p>",
            "params": ["clinic", "name"],
            "reply_to": "mei.ling@health.gov.sg",
            "from": "Postman <donotreply@mail.postman.gov.sg>",
            "show_logo": True,
        },
    }
    assert (taken.status_code, taken.json()) == (202, {"id": str(number)})
    assert state | {"preview": None} == {
        "is_csv_processing": False,
        "csv_filename": "people.csv",
        "temp_csv_filename": None,
        "csv_error": None,
        "num_recipients": 2,
        "preview": None,
    }
    assert (preview["subject"], preview["body"]) == ("Visit to Bedok", "<p>Dear Ann</p>")
    assert "Dear Ann" in preview["themed_body"]
    assert (tested.status_code, tested.json()) == (200, {"message": "OK"})
    assert (told.status_code, told.json()) == (200, {"campaign_id": number, "job_id": number})
    mails = sandbox.outbox(channel="email")
    assert {(mail["to"], mail["subject"]) for mail in mails} == {
        ("mei.ling@health.gov.sg", "Visit to Bedok"),
        ("a@example.org", "Visit to Bedok"),
        ("b@example.org", "Visit to Yishun"),
    }
    numbers = call("get", f"{path}/stats").json()
    assert numbers == call("post", f"{path}/refresh-stats").json()
    assert {name: numbers[name] for name in ("error", "unsent", "sent", "invalid")} == {
        "error": 0,
        "unsent": 0,
        "sent": 2,
        "invalid": 0,
    }
    assert (numbers["status"], numbers["halted"], numbers["unsubscribed"]) == ("LOGGED", False, 0)
    report = json.loads(call("get", f"{path}/export").getvalue())
    first = Message.objects.order_by("row").first()
    assert report[0] == {
        "recipient": "a@example.org",
        "status": "SENDING",
        "error_code": None,
        "updated_at": first.updated_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "unsubscriber.recipient": None,
        "unsubscriber.reason": None,
    }
    assert [row["recipient"] for row in report] == ["a@example.org", "b@example.org"]


# The message -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"body": ""}, "api_validation"),
        ({"subject": ""}, "api_validation"),
        ({"subject": 7}, "api_validation"),
        ({"reply_to": "nobody"}, "api_validation"),
        ({"show_logo": "yes"}, "api_validation"),
        ({"preheader": "x"}, "api_validation"),
        ({"from": "nobody"}, "api_validation"),
        ({"body": "<script></script>"}, "invalid_template"),
        ({"body": "{{#name}}"}, "invalid_template"),
        ({"subject": "{{a b}}"}, "invalid_template"),
        ({"from": "Boss <boss@example.org>"}, "invalid_from_address"),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused_and_not_stored(call, made, changed, code):
    refused(call("put", f"{made}/template", TEMPLATE | changed), 400, code)

    assert EmailDraft.objects.get().html == ""


def test_a_message_needs_to_say_where_replies_go(call, made):
    body = {name: value for name, value in TEMPLATE.items() if name != "reply_to"}

    answer = refused(call("put", f"{made}/template", body), 400, "api_validation")
    assert [fault["path"] for fault in answer["errors"]] == ["reply_to"]


def test_a_name_that_is_not_the_one_on_record_says_it_came_through_postman(call, made):
    sender = "Clinic <donotreply@mail.postman.gov.sg>"

    answer = call("put", f"{made}/template", TEMPLATE | {"from": sender})

    assert answer.json()["template"]["from"] == (
        "Clinic via Postman <donotreply@mail.postman.gov.sg>"
    )


def test_a_message_whose_keywords_the_file_lacks_asks_for_another_file(call, filled):
    answer = call("put", f"{filled}/template", TEMPLATE | {"body": "<p>{{day}} {{name}}</p>"})

    told = answer.json()
    assert (told["extra_keys"], told["valid"], told["num_recipients"]) == (["day"], False, 0)
    assert call("get", f"{filled}/upload/status").json()["num_recipients"] == 0


def test_a_message_may_be_changed_as_long_as_the_file_fits(call, filled):
    answer = call("put", f"{filled}/template", TEMPLATE | {"body": "<p>{{name}}!</p>"})

    told = answer.json()
    assert (told["valid"], told["num_recipients"]) == (True, 2)
    assert "extra_keys" not in told


def test_a_campaign_tells_everything_of_itself(call, tested, account):
    shown = call("get", tested).json()

    assert shown["email_templates"].pop("themed_body").count("{{name}}")
    assert shown["email_templates"] == {
        "subject": "Visit to {{clinic}}",
        "body": "<p>Dear {{name}}</p>",
        "params": ["clinic", "name"],
        "reply_to": "mei.ling@health.gov.sg",
        "from": "Postman <donotreply@mail.postman.gov.sg>",
        "show_logo": True,
    }
    assert shown["user"]["email_domain"] == "@health.gov.sg"
    assert shown["user"]["domain"]["agency"]["name"] == "Ministry of Health"
    assert (shown["valid"], shown["has_credential"]) == (True, True)
    assert (shown["csv_filename"], shown["num_recipients"]) == ("people.csv", 2)
    assert (shown["is_csv_processing"], shown["job_queue"]) == (False, [])


def test_a_duplicate_has_the_message_and_nothing_else(call, tested):
    copy = call("post", f"{tested}/duplicate", {"name": "Again"})

    assert (copy.status_code, copy.json()["name"]) == (201, "Again")
    shown = call("get", f"/campaign/{copy.json()['id']}/email").json()
    assert shown["email_templates"]["body"] == "<p>Dear {{name}}</p>"
    assert (shown["num_recipients"], shown["has_credential"]) == (0, False)


# Its test --------------------------------------------------------------------------------------


def test_a_test_needs_recipients(call, made):
    call("put", f"{made}/template", TEMPLATE)

    answer = call("post", f"{made}/credentials", {"recipient": "mei.ling@health.gov.sg"})
    refused(answer, 400, "invalid_credentials")


def test_a_test_goes_to_officers_only(call, filled):
    answer = call("post", f"{filled}/credentials", {"recipient": "pat@example.org"})

    refused(answer, 400, "invalid_credentials")
    assert not EmailTest.objects.exists()


def test_a_message_that_was_changed_after_its_test_is_not_sent(call, tested):
    call("put", f"{tested}/template", TEMPLATE | {"body": "<p>{{name}}!</p>"})

    assert not call("get", tested).json()["has_credential"]
    refused(call("post", f"{tested}/send", {}), 400, "invalid_template")
    assert not Message.objects.exists()


# Sending -----------------------------------------------------------------------------------------


def test_nothing_is_sent_without_recipients_or_a_test(call, made, upload):
    call("put", f"{made}/template", TEMPLATE)
    refused(call("post", f"{made}/send", {}), 400, "invalid_template")

    upload(made)
    refused(call("post", f"{made}/send", {}), 400, "invalid_template")


@pytest.mark.parametrize(
    "timing",
    [
        "tomorrow",
        "2020-01-01T09:00:00Z",
        "9999-12-31T23:59:59-23:59",
        17,
        {},
        "2999-12-31T23:59:59Z",
    ],
)
def test_a_schedule_is_a_time_within_a_year_from_now(call, tested, timing):
    answer = call("post", f"{tested}/send", {"scheduledTiming": timing})

    told = refused(answer, 400, "api_validation")
    assert [fault["path"] for fault in told["errors"]] == ["scheduledTiming"]
    assert Batch.objects.get().status == "ready"


@pytest.mark.parametrize("body", [[], "", 0, False])
def test_what_asks_to_send_is_an_object_where_there_is_a_body(call, tested, body):
    refused(call("post", f"{tested}/send", body), 400, "api_validation")

    assert Batch.objects.get().status == "ready"


def test_a_campaign_is_scheduled_moved_and_cancelled(call, tested):
    tomorrow, later = (timezone.now() + timedelta(days=n) for n in (1, 2))
    number = Campaign.objects.get().number

    first = call("post", f"{tested}/send", {"scheduledTiming": tomorrow.isoformat()})
    moved = call("post", f"{tested}/send", {"scheduledTiming": later.isoformat()})

    assert first.json() == {"campaign_id": number, "job_id": number}
    assert moved.json() == {"campaign_id": number}
    assert Batch.objects.get().scheduled_at == later
    [job] = call("get", tested).json()["job_queue"]
    assert job["status"] == "READY"
    stats = call("get", f"{tested}/stats").json()
    assert (stats["status"], stats["unsent"], stats["visible_at"]) == (
        "READY",
        2,
        job["visible_at"],
    )

    assert call("post", f"/campaigns/{number}/cancel").json() == {"id": str(number)}
    assert call("get", tested).json()["job_queue"] == []
    assert call("post", f"{tested}/send", {}).status_code == 200


def test_what_is_scheduled_is_changed_only_after_it_was_cancelled(call, upload, tested):
    at = (timezone.now() + timedelta(days=1)).isoformat()
    call("post", f"{tested}/send", {"scheduledTiming": at})

    refused(call("put", f"{tested}/template", TEMPLATE), 403, "unauthorized")
    refused(upload(tested), 403, "unauthorized")


def test_nothing_changes_while_it_is_sent_and_it_is_sent_once(call, upload, tested):
    assert call("post", f"{tested}/send", {}).status_code == 200

    refused(call("post", f"{tested}/send", {}), 403, "unauthorized")
    refused(call("put", f"{tested}/template", TEMPLATE), 403, "unauthorized")
    refused(call("post", f"{tested}/retry"), 403, "unauthorized")

    deliver()

    refused(call("post", f"{tested}/send", {}), 403, "already_sent")
    refused(call("put", f"{tested}/template", TEMPLATE), 403, "already_sent")
    refused(upload(tested), 403, "already_sent")
    assert Message.objects.count() == 2


def test_a_send_that_is_repeated_with_its_idempotency_key_answers_as_before(call, tested):
    key = {"Idempotency-Key": "send-1"}

    first, second = (call("post", f"{tested}/send", {}, headers=key) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert Batch.objects.filter(accepted_at__isnull=False).count() == 1


def test_what_failed_is_sent_once_more(call, sent, sandbox):
    Message.objects.filter(row=2).update(status="failure")
    Counter.objects.create(
        campaign=Campaign.objects.get(),
        batch=Batch.objects.get(),
        hour=timezone.now().replace(minute=0, second=0, microsecond=0),
        status="failure",
        n=1,
    )
    sandbox.reset()

    answer = call("post", f"{sent}/retry")
    deliver()

    assert answer.json() == {"campaign_id": Campaign.objects.get().number}
    assert [mail["to"] for mail in sandbox.outbox(channel="email")] == ["a@example.org"]


def test_retrying_what_did_not_fail_sends_nothing(call, sent, sandbox):
    sandbox.reset()

    assert call("post", f"{sent}/retry").status_code == 200
    deliver()
    assert sandbox.outbox(channel="email") == []


def test_numbers_are_final_only_once_the_provider_has_answered(call, sent):
    Counter.objects.filter(status="sent").update(status="sending")

    stats = call("get", f"{sent}/stats").json()

    assert (stats["status"], stats["unsent"], stats["sent"]) == ("SENDING", 2, 0)


def test_what_was_not_sent_cannot_be_retried(call, tested):
    refused(call("post", f"{tested}/retry"), 400, "invalid_template")


# Its report --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("success", "SUCCESS"),
        ("opened", "READ"),
        ("failure", "ERROR"),
        ("bounced", "INVALID_RECIPIENT"),
        ("suppressed", "INVALID_RECIPIENT"),
        ("unknown", "SENDING"),
    ],
)
def test_the_report_says_in_v1s_words_what_became_of_each(call, sent, status, word):
    Message.objects.update(status=status)

    report = json.loads(call("get", f"{sent}/export").getvalue())

    assert [row["status"] for row in report] == [word, word]


def test_the_report_says_who_unsubscribed_and_why(call, sent):
    Suppression.objects.create(
        agency=Campaign.objects.get().agency,
        campaign=Campaign.objects.get(),
        recipient="a@example.org",
        reason="unsubscribed",
        note="Too many",
    )

    first, second = json.loads(call("get", f"{sent}/export").getvalue())

    assert (first["unsubscriber.recipient"], first["unsubscriber.reason"]) == (
        "a@example.org",
        "Too many",
    )
    assert second["unsubscriber.recipient"] is None
    assert call("get", f"{sent}/stats").json()["unsubscribed"] == 1


def test_a_draft_has_an_empty_report(call, made):
    assert json.loads(call("get", f"{made}/export").getvalue()) == []


def test_there_is_no_report_once_its_recipients_are_erased(call, sent):
    Batch.objects.update(accepted_at=timezone.now() - timedelta(days=400))

    refused(call("get", f"{sent}/export"), 410, "campaign_redacted")
    assert call("get", sent).json()["redacted"]
    assert call("get", f"{sent}/stats").json()["sent"] == 2


# Password-protected --------------------------------------------------------------------------------


def test_a_password_protected_campaign_is_changed_in_the_browser_only(call, upload, account):
    campaign = EmailCampaignFactory(creator=account, is_protected=True)
    path = f"/campaign/{campaign.number}/email"

    refused(call("put", f"{path}/template", TEMPLATE), 403, "unauthorized")
    refused(upload(path), 403, "unauthorized")
    refused(call("post", f"{path}/send", {}), 403, "unauthorized")
    refused(
        call("post", f"{path}/credentials", {"recipient": "mei.ling@health.gov.sg"}),
        403,
        "unauthorized",
    )
    refused(call("post", f"{path}/duplicate", {"name": "Copy"}), 403, "unauthorized")
    assert call("get", path).json()["protect"]
    assert call("get", f"{path}/stats").status_code == 200
