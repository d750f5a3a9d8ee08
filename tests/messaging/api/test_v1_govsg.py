"""The programmatic WhatsApp API (v1-backend §3.8; v1-web-app §21, §22.6)."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign, WhatsappGrant
from messaging import receipts, retention
from messaging.channels.base import Accepted
from messaging.delivery import claiming, recording
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Counter, Message, ProviderEvent, Transactional
from messaging.sandbox import constants
from postman.accounts import keys
from postman.accounts.models import Agency
from tests.factories import UserFactory
from tests.messaging import whatsapp as wa

pytestmark = pytest.mark.django_db

SEND, LIST = "/v1/transactional/govsg/send", "/v1/transactional/govsg"
PARAMS = {"recipient_name": "Mei Ling", "slot": "9-11am", "agency": "Town Council"}


@pytest.fixture
def account(officer):
    officer.calls_per_second = None
    officer.save()
    return officer


@pytest.fixture
def template(account):
    return wa.granted(account)


def headers_of(user):
    _, secret = keys.create(user, label="System", contacts=[user.email])
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def headers(account):
    return headers_of(account)


@pytest.fixture
def send(client, headers, template):
    def call(without=(), headers=headers, **fields):
        asked = {"recipient": "81230001", "template_id": template.pk, "params": PARAMS, **fields}
        asked = {name: value for name, value in asked.items() if name not in without}
        return client.post(SEND, asked, content_type="application/json", headers=headers)

    return call


@pytest.fixture
def get(client, headers):
    return lambda path: client.get(path, headers=headers).json()


def refused(response, status, code, *words):
    answer = response.json()
    assert (response.status_code, answer["code"]) == (status, code), answer
    for word in words:
        assert word in answer["message"]
    assert not Message.objects.exists()
    assert not Transactional.objects.exists()


# Sending -------------------------------------------------------------------------------------


def test_a_message_that_is_taken_is_shown_whole(send, template):
    answer = send()

    shown = answer.json()
    now = shown["created_at"]
    assert answer.status_code == 201
    assert shown == {
        "id": str(Transactional.objects.get().pk),
        "recipient": "+6581230001",
        "template_id": str(template.pk),
        "params": PARAMS,
        "language_code": "en_GB",
        "created_at": now,
        "updated_at": shown["updated_at"],
        "accepted_at": now,
        "sent_at": None,
        "delivered_at": None,
        "read_at": None,
        "errored_at": None,
        "error_code": None,
        "error_description": None,
        "status": "ACCEPTED",
    }


def test_it_leaves_as_a_template_with_its_params_in_whatsapps_order(send, sandbox):
    send(language_code="zh_CN")

    send_chunk(None)

    [sent] = sandbox.outbox(channel="whatsapp")
    attempt = Attempt.objects.get()
    assert sent["to"] == "+6581230001"
    assert (sent["template"], sent["language"]) == ("appointment_heads_up", "zh_CN")
    assert sent["parameters"] == ["Mei Ling", "9-11am", "Town Council"]
    assert sent["attempt"] == str(attempt.id)
    assert sent["sid"] == attempt.reference
    assert attempt.status == "sent"


def test_from_the_call_to_read(send, get, sandbox):
    number = send().json()["id"]
    send_chunk(None)
    attempt = Attempt.objects.get()
    seen = [get(f"{LIST}/{number}")["status"]]
    for status in ("sent", "delivered", "read"):
        assert wa.report(attempt, status) == 200
        receipts.apply_events()
        seen.append(get(f"{LIST}/{number}")["status"])

    shown = get(f"{LIST}/{number}")
    assert seen == ["ACCEPTED", "SENT", "DELIVERED", "READ"]
    assert shown["sent_at"] <= shown["delivered_at"] <= shown["read_at"]
    assert (shown["error_code"], shown["errored_at"]) == (None, None)


def test_statuses_never_go_back(send, get, sandbox):
    number = send().json()["id"]
    send_chunk(None)
    attempt = Attempt.objects.get()

    for status in ("read", "sent", "delivered", "failed"):
        wa.report(attempt, status, 131026 if status == "failed" else 0)
        receipts.apply_events()

    assert get(f"{LIST}/{number}")["status"] == "READ"


@pytest.mark.parametrize(
    ("recipient", "shown"),
    [
        ("81230001", "+6581230001"),
        ("6581230001", "+6581230001"),
        ("+6581230001", "+6581230001"),
        ("60123456789", "+60123456789"),
        ("+60123456789", "+60123456789"),
    ],
)
def test_numbers_may_be_written_as_v1_took_them(send, recipient, shown):
    assert send(recipient=recipient).json()["recipient"] == shown


@pytest.mark.parametrize("recipient", ["9123456", "11234567", "+", "abc", "+65 6123 4567"])
def test_what_is_no_mobile_number_is_refused(send, recipient):
    refused(send(recipient=recipient), 400, "invalid_recipient")


def test_the_template_may_be_given_as_text_as_v1s_own_answers_show_it(send, template):
    assert send(template_id=str(template.pk)).status_code == 201


# Templates and grants ------------------------------------------------------------------------


def test_a_template_that_does_not_exist_is_not_found(send):
    refused(send(template_id=987654), 404, "not_found")


def test_a_template_that_was_not_granted_is_as_good_as_none(send):
    other = wa.template(name="Somebody else's")

    refused(send(template_id=other.pk), 404, "not_found")


def test_a_grant_that_was_taken_away_counts_no_more(send, account):
    WhatsappGrant.objects.filter(user=account).delete()

    refused(send(), 404, "not_found")


def test_a_template_that_whatsapp_no_longer_approves_cannot_be_sent(send, template):
    template.is_approved = False
    template.save()

    refused(send(), 404, "not_found")


def test_an_agency_without_whatsapp_cannot_send(send, account):
    Agency.objects.filter(pk=account.agency_id).update(may_use_whatsapp=False)

    refused(send(), 403, "unauthorized", "WhatsApp is not switched on")


def test_a_language_that_the_template_lacks_is_refused(send):
    refused(send(language_code="ta"), 400, "api_validation", "language_code", "en_GB, zh_CN")


def test_english_is_always_there(send, account):
    plain = wa.granted(account, name="Plain", languages=[])

    assert send(template_id=plain.pk, language_code="en_GB").status_code == 201


def test_missing_and_blank_params_are_named(send):
    answer = send(params={"recipient_name": "Mei", "slot": " "})

    refused(answer, 400, "api_validation", "slot, agency")
    assert answer.json()["errors"][0]["path"] == "params"


def test_params_for_a_template_without_any_are_refused(send, account):
    plain = wa.granted(
        account, name="Plain", body="Hello.", params=[], param_metadata={}, languages=[]
    )

    refused(send(template_id=plain.pk), 400, "api_validation", "no params")


def test_a_template_without_params_needs_none(send, account, sandbox):
    plain = wa.granted(
        account, name="Plain", body="Hello.", params=[], param_metadata={}, languages=[]
    )

    answer = send(template_id=plain.pk, without=["params"])
    send_chunk(None)

    assert (answer.status_code, answer.json()["params"]) == (201, {})
    assert sandbox.outbox(channel="whatsapp")[0]["parameters"] == []


def test_params_that_the_template_does_not_know_are_passed_over(send, sandbox):
    answer = send(params={**PARAMS, "extra": "x", "sealed_passcode": "x"})
    send_chunk(None)

    assert answer.status_code == 201
    assert Message.objects.get().values == PARAMS
    assert sandbox.outbox(channel="whatsapp")[0]["parameters"][0] == "Mei Ling"


@pytest.mark.parametrize("value", ["two\nlines", "a\ttab", "a     row", "x" * 1025])
def test_values_that_whatsapp_would_refuse_are_refused_before(send, value):
    refused(send(params={**PARAMS, "slot": value}), 400, "api_validation", "params.slot")


def test_a_text_too_long_with_its_values_is_refused(send):
    refused(send(params={**PARAMS, "slot": "x" * 1000}), 400, "api_validation", "1,024")


def test_a_value_with_braces_stays_text(send, sandbox):
    send(params={**PARAMS, "slot": "{{agency}} & <b>"})
    send_chunk(None)

    assert sandbox.outbox(channel="whatsapp")[0]["parameters"][1] == "{{agency}} & <b>"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"recipient": 81230001}, "recipient"),
        ({"template_id": "four"}, "template_id"),
        ({"template_id": True}, "template_id"),
        ({"template_id": 1.5}, "template_id"),
        ({"template_id": 2**63}, "template_id"),
        ({"params": ["a"]}, "params"),
        ({"params": {"slot": 5}}, "params"),
        ({"params": {"slot": None}}, "params"),
        ({"params": {**PARAMS, "a\0b": "of no template"}}, "params"),
        ({"language_code": 5}, "language_code"),
        ({"nonsense": "x"}, "nonsense"),
    ],
)
def test_what_has_the_wrong_shape_is_refused(send, fields, path):
    answer = send(**fields)

    refused(answer, 400, "api_validation")
    assert path in [error["path"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("missing", ["recipient", "template_id"])
def test_what_is_needed_must_be_there(send, missing):
    refused(send(without=[missing]), 400, "api_validation", missing)


def test_what_is_no_json_is_malformed(client, headers, template):
    answer = client.post(SEND, "{", content_type="application/json", headers=headers)

    refused(answer, 400, "malformed")


# Who may call --------------------------------------------------------------------------------


def test_a_cookie_does_not_open_the_calls_for_systems(account, template):
    browser = Client()
    browser.force_login(account)

    for answer in (
        browser.post(SEND, {}, content_type="application/json"),
        browser.get(LIST),
        browser.get(f"{LIST}/1"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_key_that_was_revoked_opens_nothing(send, account, headers):
    keys.revoke(account.keys.get(), by=account)

    refused(send(), 401, "unauthenticated")


def test_somebody_elses_message_is_not_found(send, client):
    number = send().json()["id"]
    others = headers_of(UserFactory())

    assert client.get(f"{LIST}/{number}", headers=others).status_code == 404
    assert client.get(LIST, headers=others).json() == {"has_more": False, "data": []}


def test_calls_over_the_accounts_rate_are_refused(send, account):
    account.calls_per_second = 1
    account.save()

    answers = [send() for _ in range(6)]

    assert 429 in [answer.status_code for answer in answers]
    late = next(answer for answer in answers if answer.status_code == 429)
    assert late.json()["code"] == "rate_limit"
    assert Message.objects.count() == sum(answer.status_code == 201 for answer in answers)


def test_a_call_repeated_with_its_key_sends_once(send, headers):
    repeated = {**headers, "Idempotency-Key": "one"}

    first, second = send(headers=repeated), send(headers=repeated)

    assert first.json() == second.json()
    assert Message.objects.count() == 1


# What becomes of it --------------------------------------------------------------------------


def test_a_number_that_is_not_on_whatsapp_has_a_status_of_its_own(send, get, sandbox):
    number = send(recipient="81120001").json()["id"]

    send_chunk(None)

    shown = get(f"{LIST}/{number}")
    assert shown["status"] == "INVALID_RECIPIENT"
    assert shown["error_code"] == "131026"
    assert "not on WhatsApp" in shown["error_description"]
    assert shown["errored_at"] == shown["updated_at"]


def test_a_template_that_whatsapp_refuses_is_an_error(send, get, sandbox):
    number = send(recipient="81120003").json()["id"]

    send_chunk(None)

    shown = get(f"{LIST}/{number}")
    assert (shown["status"], shown["error_code"]) == ("ERROR", "132015")
    assert shown["error_description"] == "WhatsApp has paused this template."


def test_a_failure_told_later_is_an_error_with_metas_number(send, get, sandbox):
    number = send().json()["id"]
    send_chunk(None)

    wa.report(Attempt.objects.get(), "failed", 131049)
    receipts.apply_events()

    shown = get(f"{LIST}/{number}")
    assert (shown["status"], shown["error_code"]) == ("ERROR", "131049")
    assert (
        shown["error_description"]
        == "WhatsApp held it back: this person got many such messages lately."
    )


def test_an_answer_that_was_lost_is_settled_by_the_webhook(send, get, sandbox):
    number = send(recipient="81120033").json()["id"]
    send_chunk(None)
    assert Attempt.objects.get().status == "unknown"
    assert get(f"{LIST}/{number}")["status"] == "ACCEPTED"

    wa.report(Attempt.objects.get(), "delivered")
    receipts.apply_events()

    assert get(f"{LIST}/{number}")["status"] == "DELIVERED"
    assert len(sandbox.outbox(channel="whatsapp")) == 1


# Lists ---------------------------------------------------------------------------------------


def test_lists_tell_all_statuses_apart(send, get, sandbox):
    for recipient in ("81230001", "81120001", "81120003"):
        send(recipient=recipient)
    send_chunk(None)
    found = {
        status: [row["recipient"] for row in get(f"{LIST}?status={status}")["data"]]
        for status in ("ACCEPTED", "ERROR", "INVALID_RECIPIENT", "READ", "DELETED", "unsent")
    }

    assert found == {
        "ACCEPTED": ["+6581230001"],
        "ERROR": ["+6581120003"],
        "INVALID_RECIPIENT": ["+6581120001"],
        "READ": [],
        "DELETED": [],
        "unsent": [],
    }


def test_a_list_has_the_newest_first_and_says_whether_there_is_more(send, get):
    ids = [send().json()["id"] for _ in range(3)]

    assert [row["id"] for row in get(LIST)["data"]] == ids[::-1]
    assert get(f"{LIST}?limit=2")["has_more"] is True
    assert get(f"{LIST}?limit=1000")["has_more"] is False
    assert [row["id"] for row in get(f"{LIST}?offset=1&limit=1&sort_by=%2Bcreated_at")["data"]] == [
        ids[1]
    ]


@pytest.mark.parametrize("query", ["limit=1001", "limit=0", "status=GONE", "sort_by=id", "tag=x"])
def test_what_a_list_does_not_know_is_refused(client, headers, query):
    answer = client.get(f"{LIST}?{query}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "api_validation")


def test_only_the_messages_of_this_channel_are_listed(send, get, account):
    send()
    Transactional.objects.update(channel="sms")

    assert get(LIST)["data"] == []


# The catalogue -------------------------------------------------------------------------------


def test_an_account_sees_the_templates_that_were_granted_to_it(client, headers, template):
    wa.template(name="Not granted")

    answer = client.get("/v1/govsg/templates", headers=headers)

    chinese = "{{recipient_name}} 您好，{{agency}} 将在 {{slot}} 致电。"
    assert answer.json() == {
        "data": [
            {
                "id": template.pk,
                "name": "Appointment heads-up",
                "body": "Hello {{ recipient_name }}, this is {{ agency }}. We will call you {{ slot }}.",
                "params": ["recipient_name", "slot", "agency"],
                "param_metadata": {
                    "slot": {"displayName": "Time slot"},
                    "agency": {"defaultFromMetaField": "agency"},
                },
                "languages": [{"code": "zh_CN", "language": "Chinese", "body": chinese}],
                "multilingual_support": [
                    {"languageCode": "zh_CN", "language": "Chinese", "body": chinese}
                ],
            }
        ]
    }


def test_a_cookie_opens_the_catalogue(account, template):
    browser = Client()
    browser.force_login(account)

    assert [t["id"] for t in browser.get("/v1/govsg/templates").json()["data"]] == [template.pk]


def test_nobody_in_particular_sees_no_templates(client, template):
    assert client.get("/v1/govsg/templates").status_code == 401


# What is kept --------------------------------------------------------------------------------


def test_what_was_sent_can_be_shown_after_the_template_changed(send, template):
    send()
    template.body = "Goodbye {{recipient_name}} {{agency}} {{slot}}."
    template.save()
    send()

    texts = [message.full_message for message in Message.objects.order_by("created_at", "id")]
    assert texts == [
        "Hello Mei Ling, this is Town Council. We will call you 9-11am.",
        "Goodbye Mei Ling Town Council 9-11am.",
    ]


def test_the_text_is_pinned_once_and_the_messages_are_counted(send, account):
    send()
    send()

    place = Campaign.objects.get(creator=account, channel="whatsapp", is_programmatic=True)
    assert place.template.bodies.count() == 1
    assert Counter.objects.filter(campaign=place).by_status()["created"] == 2


def test_a_call_that_is_refused_pins_nothing(send):
    send(params={})

    assert not Campaign.objects.filter(template__isnull=False).exists()


def test_references_as_long_as_metas_are_kept_whole(send, get):
    send()
    [claimed] = claiming.claim(None)
    reference = "wamid." + "x" * 100

    recording.record([(claimed, Accepted(reference))])

    assert Attempt.objects.get().reference == reference


def test_the_sandboxs_own_number_is_what_speaks(send, sandbox):
    send()
    send_chunk(None)

    assert sandbox.outbox(channel="whatsapp")[0]["from"] == constants.WHATSAPP_NUMBER


def test_whatsapps_ids_hold_the_number_so_they_are_erased_with_it(send, sandbox, account):
    account.agency.retention_days = 30
    account.agency.save()
    send()
    send_chunk(None)
    wa.report(Attempt.objects.get(), "delivered")
    receipts.apply_events()
    assert Attempt.objects.get().reference

    with time_machine.travel(timezone.now() + timedelta(days=31)):
        retention.erase(chunks=10)

    wa.report(Attempt.objects.get(), "read")
    receipts.apply_events()

    assert Attempt.objects.get().reference == ""
    assert set(ProviderEvent.objects.values_list("kind", "reference")) == {
        ("delivered", ""),
        ("read", ""),
    }
    assert Message.objects.get().recipient == ""
