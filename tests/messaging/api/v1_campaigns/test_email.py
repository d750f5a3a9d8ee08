"""The campaign API (v1-backend §2, §3.3, §3.4): email, and what all types have in common."""

import json

import pytest

from campaigns.models import Campaign
from messaging.models import Message
from tests.messaging.api.v1_campaigns.workers import deliver

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
