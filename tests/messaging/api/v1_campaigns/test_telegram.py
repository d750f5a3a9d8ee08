"""The campaign API for Telegram (v1-backend §2.9, §2.16, §3.4)."""

import json

import pytest

from campaigns.models import Campaign
from messaging.delivery.pipeline import send_chunk
from messaging.models import Batch, Message
from tests.factories import TelegramBotFactory
from tests.messaging.api.v1_campaigns.workers import check_uploads, deliver, refused
from tests.messaging.telegram import subscribe

pytestmark = pytest.mark.django_db

MEI, RAVI, LEE = "6581230001", "6581230002", "6581230003"
PEOPLE = f"recipient,name,unused\n{MEI},Mei,x\n{RAVI},Ravi,y\n".encode()


@pytest.fixture
def bot(account):
    account.agency.may_use_telegram = True
    account.agency.save()
    return TelegramBotFactory(owner=account, label="clinic")


@pytest.fixture
def made(call, bot):
    answer = call("post", "/campaigns", {"name": "Visits", "type": "TELEGRAM"})
    assert answer.status_code == 201, answer.json()
    return f"/campaign/{answer.json()['id']}/telegram"


@pytest.fixture
def filled(made, call, upload):
    assert call("put", f"{made}/template", {"body": "Dear <b>{{name}}</b>"}).status_code == 200
    assert upload(made, PEOPLE).status_code == 202
    return made


def test_a_telegram_campaign_is_made_filled_tested_sent_and_reported_through_the_api(
    call, upload, bot, sandbox
):
    made = call("post", "/campaigns", {"name": "Visits", "type": "TELEGRAM"})
    number = made.json()["id"]
    path = f"/campaign/{number}/telegram"
    subscribe(Campaign.objects.get(), MEI, LEE)

    saved = call("put", f"{path}/template", {"body": "Dear <b>{{name}}</b><script>x</script>"})
    taken = upload(path, PEOPLE)
    preview = call("get", f"{path}/preview")
    chosen = call("post", f"{path}/credentials", {"label": "clinic"})
    tried = call("post", f"{path}/credentials/verify", {"recipient": LEE})
    told = call("post", f"{path}/send", {"rate": 30})
    send_chunk(None)
    deliver()

    assert made.json()["type"] == "TELEGRAM"
    assert saved.json()["template"] == {"body": "Dear <b>{{name}}</b>", "params": ["name"]}
    assert taken.status_code == 202
    assert preview.json() == {"preview": {"body": "Dear <b>Mei</b>"}}
    assert (chosen.status_code, tried.status_code) == (200, 200)
    assert told.json() == {"campaign_id": number, "job_id": [number]}
    assert {(sent["to"], sent["html"]) for sent in sandbox.outbox(channel="telegram")} == {
        (f"+{LEE}", "Dear <b>Mei</b>"),
        (f"+{MEI}", "Dear <b>Mei</b>"),
    }
    report = json.loads(call("get", f"{path}/export").getvalue())
    by_recipient = {row["recipient"]: row["status"] for row in report}
    assert (by_recipient[f"+{MEI}"], by_recipient[f"+{RAVI}"]) == ("SUCCESS", "ERROR")
    stats = call("get", f"{path}/stats").json()
    assert (stats["error"], stats["unsent"], stats["status"]) == (1, 0, "LOGGED")


def test_an_account_without_a_bot_makes_none(call):
    refused(call("post", "/campaigns", {"name": "V", "type": "TELEGRAM"}), 403, "unauthorized")


def test_of_several_bots_the_campaign_names_one(call, account, bot):
    TelegramBotFactory(owner=account, label="school")
    body = {"name": "Visits", "type": "TELEGRAM"}

    refused(call("post", "/campaigns", body), 400, "api_validation")
    assert call("post", "/campaigns", {**body, "label": "school"}).status_code == 201
    assert Campaign.objects.get().telegram_draft.bot.label == "school"


def test_it_is_sent_by_no_other_bot(call, filled):
    refused(call("post", f"{filled}/credentials", {"label": "other"}), 400, "invalid_credentials")


def test_it_is_tried_out_by_subscribers_only(call, filled):
    answer = call("post", f"{filled}/credentials/verify", {"recipient": LEE})

    refused(answer, 400, "invalid_template")
    assert not Message.objects.exists()


@pytest.mark.parametrize("rate", [0, 31, "30"])
def test_its_rate_is_what_telegram_takes(call, filled, rate):
    refused(call("post", f"{filled}/send", {"rate": rate}), 400, "api_validation")


def test_its_file_is_checked_anew_with_another_text(call, filled):
    answer = call("put", f"{filled}/template", {"body": "{{name}} {{unused}}"})

    assert (answer.json()["valid"], answer.json()["num_recipients"]) == (True, 2)
    check_uploads()
    assert call("get", f"{filled}/preview").json() == {"preview": {"body": "Mei x"}}
    assert call("post", f"{filled}/send", {}).status_code == 200


def test_a_text_whose_keywords_the_file_lacks_asks_for_another_file(call, filled):
    answer = call("put", f"{filled}/template", {"body": "{{day}}"}).json()

    assert (answer["extra_keys"], answer["num_recipients"]) == (["day"], 0)
    assert Batch.objects.get().status == "discarded"


def test_a_duplicate_has_the_text_and_the_bot(call, filled):
    copy = call("post", f"{filled}/duplicate", {"name": "Again"})

    shown = call("get", f"/campaign/{copy.json()['id']}/telegram").json()
    assert shown["telegram_templates"]["body"] == "Dear <b>{{name}}</b>"
    assert shown["num_recipients"] == 0


def test_other_types_are_tried_out_by_their_credentials(call):
    number = call("post", "/campaigns", {"name": "Visits", "type": "EMAIL"}).json()["id"]

    answer = call("post", f"/campaign/{number}/email/credentials/verify", {"recipient": LEE})
    refused(answer, 404, "not_found")
