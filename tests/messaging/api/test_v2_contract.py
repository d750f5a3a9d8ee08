"""The contract of v2, field by field: every answer whole, and what §13 asks that no rule's own
test proves. Where each acceptance check is proven: `grep -rn "v2-sms §13" tests`."""

import base64
import runpy
from datetime import UTC, datetime

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from campaigns.models import AllowedAddress, ApiKey
from messaging import receipts
from messaging.channels.base import DELIVERY_ERRORS, Accepted, Rejected
from messaging.delivery import claiming, expanding, recording
from messaging.delivery.pipeline import send_chunk
from messaging.models import Batch, Message
from messaging.sending import deciding
from postman.settings import base
from tests.factories import CampaignFactory, UserFactory
from tests.messaging.builders import accepted_batch, csv_of, report, single, upload

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 4, 0, 0, 118_000, tzinfo=UTC)
AT_NOON = "2026-11-20T12:00:00.118+08:00"
A_SECOND_LATER = "2026-11-20T12:00:01.118+08:00"
TWO_SECONDS_LATER = "2026-11-20T12:00:02.118+08:00"

VALUES = {"name": "Mei Ling", "clinic": "Clementi Clinic"}
GOOD = {"recipient": "6581230001", "language": "english", "values": VALUES}
TEXT = (
    "Ministry of Health\n\n---\n\nDear Mei Ling, see you at Clementi Clinic."
    "\n\n---\n\nAutomated message from the Singapore Government. Do not reply."
)


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def campaign(clock, campaign):
    """Made at noon, as everything is that no test moves the clock for."""
    return campaign


@pytest.fixture
def call(client, campaign, key):
    """`call("get", "messages", limit=1)`; a POST takes `body` as JSON, or `file` as a CSV file."""

    def call(method, path, body=None, *, file=None, secret=key, **asked):
        url = f"/api/v2/campaigns/{campaign.public_id}/{path}"
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        if method == "get":
            return client.get(url, asked, headers=headers)
        if file is not None:
            return client.post(url, {"file": csv_file(file)}, headers=headers)
        return client.post(url, body, content_type="application/json", headers=headers, **asked)

    return call


def csv_file(content):
    return SimpleUploadedFile("people.csv", content, content_type="text/csv")


def error_of(answer):
    """Status and code of an error whose envelope is whole (§8.1)."""
    error = answer.json()["error"]
    assert error == {
        "code": error["code"],
        "message": error["message"],
        "type": "domain_error",
        "id": answer["X-Request-Id"],
    }
    assert error["message"]
    return answer.status_code, error["code"]


def hand_over(batch=None):
    """Every waiting message of this lane is taken by the provider."""
    claimed = claiming.claim(batch.id if batch else None)
    recording.record([(c, Accepted(f"SM{n}")) for n, c in enumerate(claimed)])


def undelivered(message):
    report(message.attempts.latest("number"), "undelivered", "30003")
    receipts.apply_events()


# --- Every field of a message ---------------------------------------------------------------------


def short(message, **facts):
    """What every shape of a message shows; the language is left out by E2 alone (§6.1)."""
    campaign = message.campaign
    return {
        "createdAt": AT_NOON,
        "updatedAt": AT_NOON,
        "id": f"message_{message.id}",
        "recipient": "6581230001",
        "values": VALUES,
        "fullMessage": TEXT,
        "latestStatus": "created",
        "templateBodyId": str(campaign.bodies["english"].id),
        "campaignId": f"campaign_{campaign.id}",
        "language": "english",
        "creatorId": f"user_{campaign.creator_id}",
        **facts,
    }


def template_body(campaign):
    body = campaign.bodies["english"]
    return {
        "createdAt": AT_NOON,
        "updatedAt": AT_NOON,
        "id": str(body.id),
        "templateId": str(body.template_id),
        "language": "english",
        "body": "Dear {{name}}, see you at {{clinic}}.",
        "creatorId": f"user_{campaign.creator_id}",
    }


def long(message, **facts):
    """What E3, E4 and E7 add to it."""
    by_program = f"campaign_{message.campaign_id}@localhost"
    return short(message) | {
        "templateBody": template_body(message.campaign),
        "creatorEmail": by_program if message.via_api else "mei.ling@health.gov.sg",
        **facts,
    }


def attempt(row, **facts):
    """A whole `messageAttempts` item (§4.7)."""
    return {
        "sentAt": AT_NOON,
        "deliveredAt": None,
        "createdAt": AT_NOON,
        "updatedAt": AT_NOON,
        "id": str(row.id),
        "messageId": f"message_{row.message_id}",
        "externalAttemptId": "SM0",
        "status": "sent",
        "errorType": None,
        "errorCode": None,
        "metadata": {},
        "creatorId": f"user_{row.message.creator_id}",
        **facts,
    }


def of_batch(batch, message):
    """A whole `batches` item (§6.2)."""
    return {
        "createdAt": AT_NOON,
        "updatedAt": AT_NOON,
        "id": f"batch_{batch.id}",
        "originalFileName": "people.csv",
        "status": "messages_enqueued",
        "campaignId": f"campaign_{batch.campaign_id}",
        "creatorId": f"user_{batch.creator_id}",
        "totalMessages": 1,
        "BatchMessage": {
            "createdAt": AT_NOON,
            "updatedAt": AT_NOON,
            "id": "2",
            "batchId": f"batch_{batch.id}",
            "messageId": f"message_{message.id}",
        },
    }


def test_e1_answers_with_the_short_message(call):
    answer = call("post", "messages", GOOD)

    assert answer.status_code == 201
    assert answer.json() == short(Message.objects.get())


def test_e3_shows_a_message_of_a_program_that_nobody_has_taken_up_yet(call):
    call("post", "messages", GOOD)
    message = Message.objects.get()

    answer = call("get", f"messages/{message.public_id}")

    assert answer.status_code == 200
    assert answer.json() == long(
        message, batches=[], attempts=[{"status": "created", "createdAt": AT_NOON}]
    )


def test_e3_names_the_officer_who_sent_a_message_by_hand(call, campaign, clock):
    message = single(campaign)
    clock.shift(1)
    hand_over()
    report(message.attempts.get(), "delivered")
    receipts.apply_events()

    assert call("get", f"messages/{message.public_id}").json() == long(
        message,
        creatorEmail="mei.ling@health.gov.sg",
        updatedAt=A_SECOND_LATER,
        latestStatus="success",
        batches=[],
        attempts=[{"status": "success", "createdAt": A_SECOND_LATER}],
    )


def test_e3_shows_a_failed_message_with_its_error(call, campaign):
    message = single(campaign)
    hand_over()
    undelivered(message)

    assert call("get", f"messages/{message.public_id}").json() == long(
        message,
        latestStatus="failure",
        batches=[],
        attempts=[
            {
                "status": "failure",
                "createdAt": AT_NOON,
                "error": {"type": "delivery_error", "code": "recipient_unavailable"},
            }
        ],
    )


def test_a_retry_opens_a_fresh_attempt_that_comes_first(call, campaign, clock):
    """v2-sms §13.10, and E2's whole answer: `createdAt` stays, `updatedAt` moves (§4.2)."""
    message = single(campaign)
    hand_over()
    undelivered(message)
    failed = {
        "status": "failure",
        "createdAt": AT_NOON,
        "error": {"type": "delivery_error", "code": "recipient_unavailable"},
    }
    clock.shift(1)

    answer = call("post", f"messages/{message.public_id}/retry")

    shown = short(message, updatedAt=A_SECOND_LATER)
    del shown["language"]
    assert (answer.status_code, answer.json()) == (201, shown)
    assert call("get", f"messages/{message.public_id}").json() == long(
        message,
        updatedAt=A_SECOND_LATER,
        batches=[],
        attempts=[{"status": "created", "createdAt": A_SECOND_LATER}, failed],
    )
    clock.shift(1)
    hand_over()
    assert call("get", f"messages/{message.public_id}").json()["attempts"] == [
        {"status": "sent", "createdAt": TWO_SECONDS_LATER},
        failed,
    ]


def test_e3_shows_the_batch_of_a_message(call, campaign):
    batch = accepted_batch(campaign, 1)
    message = Message.objects.get()

    shown = call("get", f"messages/{message.public_id}").json()

    assert shown["batches"] == [of_batch(batch, message)]
    assert set(shown) == set(long(message, batches=[], attempts=[]))


def test_e4_shows_a_single_message_with_every_attempt(call, campaign, clock):
    message = single(campaign)
    hand_over()
    undelivered(message)
    first = message.attempts.get()
    clock.shift(1)
    call("post", f"messages/{message.public_id}/retry")
    hand_over()
    report(message.attempts.get(number=2), "delivered")
    receipts.apply_events()
    second = message.attempts.get(number=2)

    answer = call("get", "messages")

    place = base64.urlsafe_b64encode(
        f'["2026-11-20T04:00:00.118+00:00", "{message.id}"]'.encode()
    ).decode()
    assert answer.status_code == 200
    assert answer.json() == {
        "data": [
            long(
                message,
                updatedAt=A_SECOND_LATER,
                latestStatus="success",
                batches=[],
                batchId=None,
                messageAttempts=[
                    attempt(
                        second,
                        status="success",
                        createdAt=A_SECOND_LATER,
                        updatedAt=A_SECOND_LATER,
                        sentAt=A_SECOND_LATER,
                        deliveredAt=A_SECOND_LATER,
                    ),
                    attempt(
                        first,
                        status="failure",
                        errorType="delivery_error",
                        errorCode="recipient_unavailable",
                    ),
                ],
            )
        ],
        "pageData": {
            "hasNextPage": False,
            "hasPreviousPage": False,
            "startCursor": place,
            "endCursor": place,
        },
    }


def test_e4_and_e7_show_a_message_of_a_file_sent_by_a_program(call, campaign):
    sent = call("post", "batch/messages", file=b"recipient,language,name,clinic\n"
                b"6581230001,english,Mei Ling,Clementi Clinic\n")  # fmt: skip
    batch = Batch.objects.get()
    expanding.expand(batch.id)
    hand_over(batch)
    batch.refresh_from_db()
    message = Message.objects.get()
    row = attempt(message.attempts.get())

    [in_campaign] = call("get", "messages").json()["data"]
    [in_batch] = call("get", f"batch/{batch.public_id}/messages").json()["data"]

    assert (sent.status_code, sent.json()) == (
        201,
        {"isValid": True, "batchId": f"batch_{batch.id}"},
    )
    by_program = f"campaign_{campaign.id}@localhost"
    assert in_batch == long(
        message, latestStatus="sent", creatorEmail=by_program, messageAttempts=[row]
    )
    assert in_campaign == in_batch | {
        "batches": [of_batch(batch, message)],
        "batchId": f"batch_{batch.id}",
    }


def test_e5_refuses_a_file_with_one_bad_row_and_says_where_the_report_is(call, campaign):
    answer = call("post", "batch/messages", file=csv_of(2) + b"81230001,french,,Clinic\n")

    batch = Batch.objects.get()
    report_page = reverse("batch-report", args=[campaign.id, batch.id])
    assert answer.status_code == 201
    assert answer.json() == {
        "isValid": False,
        "reportURL": f"http://localhost:8000{report_page}",
        "numRows": 1,
        "numErrors": 3,
        "fileHasAvoidableExpensiveCharacter": False,
        "fileHasUnicode": False,
    }


def test_e6_answers_with_no_body_at_all(call, campaign):
    batch = accepted_batch(campaign, 1)
    hand_over(batch)
    undelivered(Message.objects.get())

    answer = call("post", f"batch/{batch.public_id}/retry")

    assert (answer.status_code, answer.content) == (201, b"")


# --- Acceptance checks of §13 that only a call of the API can prove -------------------------------


@pytest.mark.parametrize(
    "recipient",
    ["+6581230001", "81230001", "65812300O1", "6581 230 001", " 6581230001", 6581230001],
)
def test_a_number_in_any_other_form_is_refused(call, recipient):
    """v2-sms §13.2"""
    answer = call("post", "messages", GOOD | {"recipient": recipient})

    assert error_of(answer) == (400, "parameter_invalid")
    assert "recipient" in answer.json()["error"]["message"]
    assert not Message.objects.exists()


@pytest.mark.parametrize("language", ["tamil", "french", "English", ""])
def test_another_language_is_refused_with_those_there_are(call, language):
    """v2-sms §13.3"""
    answer = call("post", "messages", GOOD | {"language": language})

    assert error_of(answer) == (400, "parameter_invalid")
    assert answer.json()["error"]["message"] == "language: Choose one of: english, malay."


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "Mei Ling"}, "values.clinic"),
        (VALUES | {"clinic": ""}, "values.clinic"),
        (VALUES | {"clinic": 7}, "values.clinic"),
        (["Mei Ling", "Clementi Clinic"], "values"),
        (None, "values"),
    ],
    ids=["missing", "empty", "number", "array", "null"],
)
def test_every_variable_needs_a_text(call, values, field):
    """v2-sms §13.4"""
    answer = call("post", "messages", GOOD | {"values": values})

    assert error_of(answer) == (400, "parameter_invalid")
    assert answer.json()["error"]["message"].startswith(f"{field}: ")
    assert not Message.objects.exists()


@pytest.fixture
def test_site(settings):
    settings.POSTMAN_ENVIRONMENT = "test"


MAGIC = [(error.test_number, error.type, error.code) for error in DELIVERY_ERRORS.values()]


def test_the_numbers_that_fail_are_those_published():
    """v2-sms §13.7: the table of §8.3."""
    assert MAGIC == [
        ("6511111111", "delivery_error", "recipient_invalid"),
        ("6511112222", "delivery_error", "recipient_unavailable"),
        ("6511113333", "delivery_error", "content_invalid"),
        ("6511114444", "delivery_error", "routing_error"),
        ("6511115555", "delivery_error", "message_expired"),
        ("6511119999", "delivery_error", "delivery_unknown_error"),
        ("6522222222", "server_error", "server_unknown_error"),
    ]


@pytest.mark.usefixtures("test_site")
@pytest.mark.parametrize(("number", "kind", "code"), MAGIC)
def test_a_number_made_to_fail_does_so_wherever_it_is_read(call, number, kind, code):
    """v2-sms §13.7: on E3 and E4."""
    sent = call("post", "messages", GOOD | {"recipient": number})
    send_chunk(None)

    alone = call("get", f"messages/{sent.json()['id']}").json()
    [listed] = call("get", "messages").json()["data"]

    error = {"type": kind, "code": code}
    assert alone["latestStatus"] == listed["latestStatus"] == "failure"
    assert alone["attempts"] == [{"status": "failure", "createdAt": AT_NOON, "error": error}]
    [only] = listed["messageAttempts"]
    assert (only["status"], only["errorType"], only["errorCode"]) == ("failure", kind, code)


@pytest.mark.usefixtures("test_site")
def test_a_file_of_numbers_made_to_fail_does_so_row_by_row(call):
    """v2-sms §13.7: on E7."""
    rows = "".join(f"{number},english,Mei Ling,Bedok\n" for number, _, _ in MAGIC)
    sent = call("post", "batch/messages", file=f"recipient,language,name,clinic\n{rows}".encode())
    batch_id = sent.json()["batchId"]
    batch = Batch.objects.get()
    expanding.expand(batch.id)
    send_chunk(batch.id)

    listed = call("get", f"batch/{batch_id}/messages").json()["data"]

    assert {
        (m["recipient"], attempt["errorType"], attempt["errorCode"])
        for m in listed
        for attempt in m["messageAttempts"]
        if m["latestStatus"] == attempt["status"] == "failure"
    } == set(MAGIC)


@pytest.mark.parametrize("number", [number for number, _, _ in MAGIC])
def test_in_production_a_number_made_to_fail_is_just_an_invalid_one(call, number):
    """v2-sms §13.8"""
    alone = call("post", "messages", GOOD | {"recipient": number})
    row = f"recipient,language,name,clinic\n{number},english,Mei Ling,Bedok\n"
    in_file = call("post", "batch/messages", file=row.encode())

    assert error_of(alone) == (400, "parameter_invalid")
    assert (in_file.json()["isValid"], in_file.json()["numErrors"]) == (False, 1)
    assert not Message.objects.exists()


def test_a_batch_that_is_still_being_made_keeps_its_failed_messages(call, campaign):
    """The second precondition of E2 (§4.2)."""
    batch = accepted_batch(campaign, 1)
    hand_over(batch)
    undelivered(Message.objects.get())
    Batch.objects.update(status="messages_enqueuing")

    answer = call("post", f"messages/{Message.objects.get().public_id}/retry")

    assert error_of(answer) == NOT_FAILED


NOT_FAILED = (400, "message_not_found_or_retry_message_not_in_failure_status")


def test_quotes_commas_and_line_breaks_of_a_file_reach_the_text(call):
    """v2-sms §13.13"""
    call("post", "batch/messages", file=b"recipient,language,name,clinic\r\n"
         b'6581230001,english,"Mei ""Mimi"" Ling","Bedok, Block 2\nLevel 3"\r\n')  # fmt: skip
    batch = Batch.objects.get()
    expanding.expand(batch.id)

    [shown] = call("get", f"batch/{batch.public_id}/messages").json()["data"]

    assert shown["values"] == {"name": 'Mei "Mimi" Ling', "clinic": "Bedok, Block 2\nLevel 3"}
    assert 'Dear Mei "Mimi" Ling, see you at Bedok, Block 2\nLevel 3.' in shown["fullMessage"]


def test_a_batch_is_read_there_and_back_like_a_campaign(call, campaign):
    """v2-sms §13.15: on E7, whose messages share one moment."""
    batch = accepted_batch(campaign, 5)
    path = f"batch/{batch.public_id}/messages"

    first = call("get", path, limit=2).json()
    second = call("get", path, limit=2, after=first["pageData"]["endCursor"]).json()
    back = call("get", path, limit=2, before=second["pageData"]["startCursor"]).json()

    assert back["data"] == first["data"]
    assert back["pageData"] == first["pageData"]
    assert [m["recipient"] for m in second["data"]] == ["6581200002", "6581200001"]
    assert second["pageData"]["hasNextPage"] is True
    assert second["pageData"]["hasPreviousPage"] is True


def test_search_finds_eleven_inside_a_number(call, campaign):
    """v2-sms §13.15: the example of §7."""
    single(campaign, "6591122233")
    single(campaign, "6591234567")

    found = call("get", "messages", search="11").json()["data"]

    assert [message["recipient"] for message in found] == ["6591122233"]


def test_every_endpoint_of_a_deleted_campaign_refuses(call, campaign, client_of):
    """v2-sms §13.16: as for a wrong key (§10A.10); the agency's administrators still see it."""
    batch = accepted_batch(campaign, 1)
    message = Message.objects.get()
    campaign.deleted_at = NOON
    campaign.save()

    answers = [
        call("post", "messages", GOOD),
        call("post", f"messages/{message.public_id}/retry"),
        call("get", f"messages/{message.public_id}"),
        call("get", "messages"),
        call("post", "batch/messages", file=csv_of(1)),
        call("post", f"batch/{batch.public_id}/retry"),
        call("get", f"batch/{batch.public_id}/messages"),
    ]

    assert {error_of(answer) for answer in answers} == {(401, "invalid_api_key_provided")}
    assert Message.objects.count() == 1
    administrator = UserFactory(agency=campaign.agency, is_agency_administrator=True)
    page = client_of(administrator).get(reverse("campaign-list"), {"show": "deleted"})
    assert [row.name for row in page.context["page"]] == ["Appointments"]


@pytest.mark.parametrize(
    ("environment", "prefix", "rows", "notice"),
    [
        ("production", "key_live_", None, ""),
        ("test", "key_test_", 20, "This is only a training message. Please ignore it."),
        ("loadtest", "key_load_", None, ""),
    ],
)
def test_each_site_has_its_own_rules(monkeypatch, environment, prefix, rows, notice):
    """v2-sms §13.11: where the twenty rows and the forty megabytes come from (§2)."""
    monkeypatch.setenv("POSTMAN_ENVIRONMENT", environment)

    rules = runpy.run_path(base.__file__)

    assert rules["API_KEY_PREFIX"] == prefix
    assert rules["BATCH_ROW_LIMIT"] == rows
    assert rules["BATCH_BYTES_LIMIT"] == 40 * 1024 * 1024
    assert rules["TRAINING_NOTICE"] == notice


# --- Every code of §8.2 ---------------------------------------------------------------------------


def no_authorization(call, campaign):
    return call("get", "messages", secret="")


def key_of_another_campaign(call, campaign):
    other = CampaignFactory()
    AllowedAddress.objects.create(campaign=other, address="127.0.0.1")
    return call("get", "messages", secret=ApiKey.issue(campaign=other, creator=other.creator)[1])


def address_not_allowed(call, campaign):
    campaign.allowed_addresses.all().delete()
    return call("get", "messages")


def unknown_route(call, campaign):
    return call("get", "message")


def unknown_message(call, campaign):
    return call("get", f"messages/message_{campaign.id}")


def unknown_batch(call, campaign):
    return call("get", f"batch/batch_{campaign.id}/messages")


def wrong_number(call, campaign):
    return call("post", "messages", GOOD | {"recipient": "81230001"})


def wrong_language(call, campaign):
    return call("post", "messages", GOOD | {"language": "tamil"})


def wrong_values(call, campaign):
    return call("post", "messages", GOOD | {"values": {}})


def file_over_the_limit(call, campaign):
    content = csv_of(1)
    return call(
        "post", "batch/messages", file=content + b" " * (40 * 1024 * 1024 - len(content) + 1)
    )


def retry_of_a_message_that_waits(call, campaign):
    return call("post", f"messages/{single(campaign).public_id}/retry")


def retry_of_an_unknown_message(call, campaign):
    return call("post", f"messages/message_{campaign.id}/retry")


def fourth_retry(call, campaign):
    message = single(campaign)
    for _ in range(3):
        recording.record(
            [
                (c, Rejected("recipient_unavailable", provider_code="30003"))
                for c in claiming.claim(None)
            ]
        )
        assert call("post", f"messages/{message.public_id}/retry").status_code == 201
    recording.record(
        [
            (c, Rejected("recipient_unavailable", provider_code="30003"))
            for c in claiming.claim(None)
        ]
    )
    return call("post", f"messages/{message.public_id}/retry")


def retry_of_a_batch_in_the_making(call, campaign):
    batch = deciding.send_batch(upload(campaign, csv_of(1)), by=campaign.creator)
    return call("post", f"batch/{batch.public_id}/retry")


def retry_of_an_unknown_batch(call, campaign):
    return call("post", f"batch/batch_{campaign.id}/retry")


def retry_of_a_batch_that_waits(call, campaign):
    return call("post", f"batch/{accepted_batch(campaign, 1).public_id}/retry")


def retry_of_a_batch_without_failures(call, campaign):
    batch = accepted_batch(campaign, 1)
    hand_over(batch)
    return call("post", f"batch/{batch.public_id}/retry")


@pytest.mark.parametrize(
    ("meet", "status", "code"),
    [
        (wrong_number, 400, "parameter_invalid"),
        (wrong_language, 400, "parameter_invalid"),
        (wrong_values, 400, "parameter_invalid"),
        (file_over_the_limit, 400, "parameter_invalid"),
        (address_not_allowed, 400, "invalid_ip_address_used"),
        (retry_of_a_message_that_waits, *NOT_FAILED),
        (retry_of_an_unknown_message, *NOT_FAILED),
        (fourth_retry, 400, "too_many_message_attempts_error"),
        (retry_of_an_unknown_batch, 400, "batch_not_found_or_is_not_retryable"),
        (retry_of_a_batch_in_the_making, 400, "batch_not_found_or_is_not_retryable"),
        (retry_of_a_batch_that_waits, 400, "unresolved_batch_messages"),
        (retry_of_a_batch_without_failures, 400, "no_failed_batch_messages_to_retry"),
        (no_authorization, 401, "authentication_required"),
        (key_of_another_campaign, 401, "invalid_api_key_provided"),
        (unknown_route, 404, "invalid_path"),
        (unknown_message, 404, "resource_not_found"),
        (unknown_batch, 404, "resource_not_found"),
    ],
)
def test_every_error_of_the_contract_has_its_status_and_its_envelope(
    call, campaign, meet, status, code
):
    assert error_of(meet(call, campaign)) == (status, code)
