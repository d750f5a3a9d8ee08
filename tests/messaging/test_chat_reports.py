"""The report of Telegram and of WhatsApp: a row for each recipient, as a file."""

import csv
import io

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns import passcodes
from messaging import receipts
from messaging.delivery import expanding
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Message
from messaging.sending import deciding, retrying
from postman.accounts.models import AuditEvent
from tests.factories import UserFactory, WhatsappCampaignFactory
from tests.messaging import whatsapp as wa
from tests.messaging.builders import upload
from tests.messaging.rows import make_batch, member
from tests.messaging.telegram import subscribe

pytestmark = pytest.mark.django_db

MEI, RAVI = "6581230001", "6581230002"
PRECALL = {
    "body": "Hello {{recipient_name}}. Passcode: {{passcode}}.",
    "params": ["recipient_name", "passcode"],
    "param_metadata": {},
    "languages": [],
}


@pytest.fixture(autouse=True)
def _files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def sent(campaign, content, *, by=None):
    """A file that was uploaded, accepted and handed over."""
    batch = upload(campaign, content)
    if by:
        batch.creator = by
        batch.save(update_fields=["creator"])
    batch = deciding.send_batch(batch, by=batch.creator)
    expanding.expand(batch.id)
    send_chunk(batch.id)
    batch.refresh_from_db()
    return batch


@pytest.fixture
def of_bot(telegram_campaign, sandbox):
    """Mei has subscribed, Ravi has not."""
    subscribe(telegram_campaign, MEI)
    return sent(
        telegram_campaign, b"recipient,name,clinic\n81230001,Mei,=Bedok\n81230002,Ravi,Yishun\n"
    )


@pytest.fixture
def of_whatsapp(officer, sandbox):
    campaign = WhatsappCampaignFactory(
        creator=officer, template=wa.granted(officer, **PRECALL), name="Calls"
    )
    return sent(campaign, b"recipient,recipient_name\n81230001,+Mei\n81120001,Ravi\n")


def url_of(batch):
    return reverse("delivery-report", args=[batch.campaign_id, batch.pk])


def rows_of(answer):
    content = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content, newline="")))


def test_the_report_of_a_bot_says_of_each_recipient_what_happened_and_why(
    client_of, officer, of_bot
):
    mei, ravi = rows_of(client_of(officer).get(url_of(of_bot)))

    assert list(mei) == [
        *("recipient", "status", "errorCode", "updatedAt"),
        *("error", "acceptedAt", "sentAt", "file", "row"),
    ]
    assert (mei["recipient"], mei["status"], mei["errorCode"]) == (MEI, "Delivered", "")
    assert mei["sentAt"].endswith("+08:00")
    assert (mei["file"], mei["row"]) == ("people.csv", "2")
    assert (ravi["recipient"], ravi["status"], ravi["errorCode"]) == (RAVI, "Failed", "1")
    assert "not linked to a bot" in ravi["error"]
    assert ravi["sentAt"] == ""


def test_the_report_of_whatsapp_says_who_read_it_and_who_is_not_on_it(
    client_of, officer, of_whatsapp
):
    for status in ("sent", "delivered", "read"):
        assert wa.report(Attempt.objects.get(message__recipient=MEI), status) == 200
    receipts.apply_events()

    mei, ravi = rows_of(client_of(officer).get(url_of(of_whatsapp)))

    assert (mei["recipient"], mei["status"], mei["errorCode"]) == (MEI, "Read", "")
    assert all(mei[name].endswith("+08:00") for name in ("sentAt", "deliveredAt", "readAt"))
    assert (ravi["status"], ravi["errorCode"]) == ("Invalid number", "131026")
    assert ravi["error"].startswith("This number is not on WhatsApp")


def test_the_columns_of_the_file_come_along_when_asked_for_and_start_no_formula(
    client_of, officer, of_bot
):
    mei, ravi = rows_of(client_of(officer).get(url_of(of_bot), {"columns": 1}))

    assert (mei["name"], mei["clinic"]) == ("Mei", "'=Bedok")
    assert ravi["clinic"] == "Yishun"


def test_no_passcode_stands_in_a_report(client_of, officer, of_whatsapp):
    passcode = passcodes.of(Message.objects.get(recipient=MEI).values)
    answer = client_of(officer).get(url_of(of_whatsapp), {"columns": 1})

    [mei, _] = rows_of(answer)

    assert passcode
    assert mei["recipient_name"] == "'+Mei"
    assert not [name for name in mei if "passcode" in name]
    assert passcode not in mei.values()


def test_a_download_leaves_a_trace(client_of, officer, of_bot):
    client_of(officer).get(url_of(of_bot))

    event = AuditEvent.objects.get(action="report.downloaded")
    assert (event.actor, event.object_id) == (officer, of_bot.public_id)


def test_a_retry_that_waits_has_left_its_failure_behind(client_of, officer, of_bot):
    retrying.retry_batch(of_bot.campaign, of_bot.pk, by=officer)

    _, ravi = rows_of(client_of(officer).get(url_of(of_bot)))

    assert (ravi["status"], ravi["errorCode"], ravi["error"]) == ("Pending", "", "")


def test_the_report_of_a_campaign_has_every_file_and_restricted_members_get_their_own(
    client_of, officer, of_bot, telegram_campaign
):
    clerk = member(telegram_campaign, "member_restricted")
    sent(telegram_campaign, b"recipient,name,clinic\n81230009,Siti,Bedok\n", by=clerk)
    url = reverse("campaign-delivery-report", args=[telegram_campaign.pk])

    everybody = rows_of(client_of(officer).get(url))
    own = rows_of(client_of(clerk).get(url))

    assert [row["recipient"] for row in everybody] == [MEI, RAVI, "6581230009"]
    assert [row["recipient"] for row in own] == ["6581230009"]
    assert client_of(clerk).get(url_of(of_bot)).status_code == 404


def test_to_a_stranger_there_is_no_report(client_of, of_bot, of_whatsapp):
    stranger = client_of(UserFactory())

    assert [stranger.get(url_of(batch)).status_code for batch in (of_bot, of_whatsapp)] == [404] * 2
    assert not AuditEvent.objects.filter(action="report.downloaded").exists()


def test_of_a_file_that_was_not_sent_there_is_none(client_of, officer, telegram_campaign):
    ready = make_batch(telegram_campaign, "ready")

    assert client_of(officer).get(url_of(ready)).status_code == 404


def test_after_the_agencys_time_there_is_none_and_the_page_says_so(client_of, officer, of_bot):
    of_bot.campaign.agency.retention_days = 30
    of_bot.campaign.agency.save()

    page = reverse("batch", args=[of_bot.campaign_id, of_bot.pk])
    assert "Download report" in client_of(officer).get(page).content.decode()
    with time_machine.travel("2030-01-01"):
        client = client_of(officer)
        answer = client.get(url_of(of_bot), follow=True)
        words = client.get(page).content.decode()

    assert "This report was kept until" in answer.content.decode()
    assert "The report was available until" in words
    assert "Download report" not in words


def test_three_rows_take_as_many_queries_as_two(client_of, officer, of_bot, telegram_campaign):
    content = b"recipient,name,clinic\n81230011,A,x\n81230012,B,x\n81230013,C,x\n"
    larger = sent(telegram_campaign, content)
    client = client_of(officer)
    rows_of(client.get(url_of(of_bot)))
    queries = []
    for batch, number in ((of_bot, 2), (larger, 3)):
        with CaptureQueriesContext(connection) as captured:
            assert len(rows_of(client.get(url_of(batch)))) == number
        queries.append(len(captured))

    assert queries[0] == queries[1]


def test_the_pages_offer_the_report(client_of, officer, of_bot, of_whatsapp):
    client = client_of(officer)

    for batch in (of_bot, of_whatsapp):
        page = client.get(reverse("batch", args=[batch.campaign_id, batch.pk])).content.decode()
        stats = client.get(reverse("campaign-stats", args=[batch.campaign_id])).content.decode()
        assert f'href="{url_of(batch)}"' in page
        assert reverse("campaign-delivery-report", args=[batch.campaign_id]) in stats
