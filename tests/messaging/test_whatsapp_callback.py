"""WhatsApp's webhooks: what is believed, what is passed over, and who is answered."""

import asyncio
import json
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from messaging import providers, receipts
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, ProviderEvent
from messaging.sandbox import constants
from messaging.sandbox.whatsapp import signed
from messaging.sending.whatsapp import send_whatsapp
from postman.ids import new_id
from tests.factories import WhatsappCampaignFactory
from tests.messaging import whatsapp as wa

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign(officer):
    return WhatsappCampaignFactory(creator=officer, template=wa.granted(officer))


def sent(campaign, number="6581230001"):
    """A message that was handed over."""
    message = send_whatsapp(
        campaign=campaign,
        creator=campaign.creator,
        recipient=number,
        language="en_GB",
        values={"recipient_name": "Mei Ling", "slot": "9am", "agency": "MOH"},
        id=new_id(),
    )
    send_chunk(None)
    return Attempt.objects.get(message=message)


def test_all_statuses_and_entries_of_a_call_count(campaign, sandbox):
    first, second, third = sent(campaign), sent(campaign), sent(campaign)
    body = wa.webhook(wa.status_of(first, "sent"), wa.status_of(second, "delivered"))
    body["entry"] += wa.webhook(wa.status_of(third, "read"))["entry"]

    assert wa.post(body) == 200
    receipts.apply_events()

    stand = dict(Attempt.objects.values_list("id", "status"))
    assert stand == {first.id: "sent_to_telco", second.id: "success", third.id: "opened"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Signature-256": "sha256=" + "0" * 64},
        {"X-Hub-Signature-256": "sha1=abc"},
        {"X-Hub-Signature-256": "sha256=\u00e9"},
    ],
)
def test_what_meta_did_not_sign_is_refused(campaign, sandbox, headers):
    attempt = sent(campaign)

    assert wa.post(wa.webhook(wa.status_of(attempt, "read")), headers=headers) == 403
    assert not ProviderEvent.objects.exists()


def test_a_signature_of_another_body_is_refused(campaign, sandbox):
    attempt = sent(campaign)
    other = signed(json.dumps(wa.webhook(wa.status_of(attempt, "sent"))).encode())

    assert wa.post(wa.webhook(wa.status_of(attempt, "read")), headers=other) == 403


def test_a_report_counts_once_however_often_it_comes(campaign, sandbox):
    attempt = sent(campaign)

    for _ in range(3):
        assert wa.report(attempt, "delivered") == 200

    assert ProviderEvent.objects.count() == 1


@pytest.mark.parametrize("status", ["deleted", "warning", "something_new"])
def test_what_says_nothing_of_the_message_changes_nothing(campaign, sandbox, status):
    attempt = sent(campaign)

    assert wa.report(attempt, status) == 200
    receipts.apply_events()

    attempt.refresh_from_db()
    assert attempt.status == "sent"


@pytest.mark.parametrize(
    "changes",
    [
        {"biz_opaque_callback_data": "somebody else's"},
        {"biz_opaque_callback_data": None},
        {"biz_opaque_callback_data": str(new_id())},
    ],
)
def test_messages_that_are_not_ours_are_met_with_a_200(campaign, sandbox, changes):
    attempt = sent(campaign)

    assert wa.post(wa.webhook(wa.status_of(attempt, "read", **changes))) == 200
    receipts.apply_events()

    attempt.refresh_from_db()
    assert attempt.status == "sent"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"entry": 5}',
        b'{"entry": [null, {"changes": [7, {"field": "messages", "value": "x"}]}]}',
        b'{"entry": [{"changes": [{"field": "messages", "value": {"metadata": []}}]}]}',
        b"\xff\xfe",
    ],
)
def test_what_meta_never_sends_breaks_nothing(sandbox, body):
    assert wa.post(body) == 200


def test_statuses_of_odd_shapes_are_passed_over(campaign, sandbox):
    attempt = sent(campaign)
    odd = [{}, {"id": 5, "status": "read"}, {"id": "x", "status": None}]

    assert wa.post(wa.webhook(*odd, wa.status_of(attempt, "read", errors="none"))) == 200
    receipts.apply_events()

    attempt.refresh_from_db()
    assert attempt.status == "opened"


def test_another_numbers_statuses_are_passed_over(campaign, sandbox):
    attempt = sent(campaign)
    body = wa.webhook(wa.status_of(attempt, "read"))
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "42"

    assert wa.post(body) == 200
    assert not ProviderEvent.objects.exists()


def test_no_number_of_a_person_is_kept_with_a_report(campaign, sandbox):
    attempt = sent(campaign)
    wa.report(attempt, "failed", 131026)

    assert "6581230001" not in json.dumps(ProviderEvent.objects.get().raw)


# The challenge -------------------------------------------------------------------------------


def test_meta_is_shown_that_the_webhook_is_ours():
    asked = {
        "hub.mode": "subscribe",
        "hub.verify_token": constants.WHATSAPP_VERIFY_TOKEN,
        "hub.challenge": "1158201444",
    }

    answer = Client().get(wa.CALLBACK, asked)

    assert (answer.status_code, answer.content) == (200, b"1158201444")
    assert answer["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("token", ["", "wrong", "\u00e9"])
def test_nobody_else_is_shown_anything(token):
    asked = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "x"}

    assert Client().get(wa.CALLBACK, asked).status_code == 403


# Answers to people ---------------------------------------------------------------------------


def text(body, *, sender="6581239999", id="wamid.in1"):
    return {"from": sender, "id": id, "type": "text", "text": {"body": body}}


def answered(sandbox):
    """Whom we answered; the answers leave beside the call."""
    providers.wait_for(_all_that_was_started())
    return [entry for entry in sandbox.outbox(channel="whatsapp") if not entry["template"]]


async def _all_that_was_started() -> None:
    """In the loop of the channels, in which answers leave."""
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=10)


def test_a_person_who_writes_is_told_that_nobody_reads_it(sandbox):
    assert wa.post(wa.webhook(texts=[text("Who is this?")])) == 200

    [answer] = answered(sandbox)
    assert answer["to"] == "+6581239999"
    assert "cannot read replies" in answer["text"]


def test_one_person_is_answered_once_in_an_hour_and_one_text_once(sandbox):
    for n in range(3):
        wa.post(wa.webhook(texts=[text("Hello?", id=f"wamid.in{n}")]))
    wa.post(wa.webhook(texts=[text("Hello?", id="wamid.in1", sender="6581230002")]))

    assert len(answered(sandbox)) == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "x" * 257,
        "This is an auto reply",
        "AUTO-REPLY: away",
        "Thank you",
        "We have received your message",
        "see https://example.org",
        "I am out of office",
        "Dear customer, hello",
    ],
)
def test_machines_are_not_answered(sandbox, body):
    wa.post(wa.webhook(texts=[text(body)]))

    assert not answered(sandbox)


def test_nobody_is_answered_where_it_is_switched_off(sandbox, settings):
    settings.WHATSAPP_AUTO_REPLY = ""

    wa.post(wa.webhook(texts=[text("Hello?")]))

    assert not answered(sandbox)


def test_pictures_and_odd_texts_are_passed_over(sandbox):
    odd = [
        {"from": "6581239999", "id": "1", "type": "image"},
        {"from": "6581239999", "id": "2", "type": "text", "text": "x"},
        {"from": "not a number", "id": "3", "type": "text", "text": {"body": "Hi"}},
    ]

    assert wa.post(wa.webhook(texts=odd)) == 200
    assert not answered(sandbox)


# What the provider answers -------------------------------------------------------------------


@pytest.mark.parametrize("switch", ["rate_refused_auth", "rate_429"])
def test_while_our_account_is_not_served_messages_wait(campaign, sandbox, switch):
    sandbox.control(**{switch: 1.0})
    attempt = sent(campaign)
    assert (attempt.status, attempt.message.status) == ("enqueued", "enqueued")

    sandbox.control(**{switch: 0.0})
    with time_machine.travel(timezone.now() + timedelta(seconds=6), tick=False):
        send_chunk(None)

    attempt.refresh_from_db()
    assert (attempt.status, attempt.number) == ("sent", 1)
    assert len(sandbox.outbox(channel="whatsapp")) == 1


def test_a_lost_answer_is_never_sent_again_on_a_guess(campaign, sandbox):
    attempt = sent(campaign, "6581120033")
    for _ in range(3):
        send_chunk(None)

    attempt.refresh_from_db()
    assert attempt.status == "unknown"
    assert len(sandbox.outbox(channel="whatsapp")) == 1
