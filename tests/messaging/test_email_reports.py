import csv
import io
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from messaging import reports, retention
from messaging.models import Batch, EmailReport, Message, Suppression
from messaging.sending import deciding, ordering
from postman.accounts.models import AuditEvent
from postman.errors import Refused
from tests.messaging.emails import expanded, mark_tested, ready_batch
from tests.messaging.rows import make_attempt, make_batch, member

pytestmark = pytest.mark.django_db

MEI = {"name": "Mei", "clinic": "=Bedok"}
RAVI = {"name": "Ravi", "clinic": "Yishun"}


@pytest.fixture(autouse=True)
def _files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def batch(email_campaign, officer):
    mark_tested(email_campaign)
    ready = ready_batch(email_campaign, ("mei@example.org", MEI), ("ravi@example.org", RAVI))
    return expanded(deciding.send_batch(ready, by=officer))


@pytest.fixture
def client(client_of, officer):
    return client_of(officer)


def url_of(batch, name="delivery-report"):
    return reverse(name, args=[batch.campaign_id, batch.pk])


def read(answer):
    content = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content, newline="")))


def test_the_report_says_of_each_recipient_what_happened_and_when(client, batch):
    mei, ravi = Message.objects.order_by("row")
    make_attempt(mei, number=1, status="opened", sent_at="2026-11-20T04:05:06Z",
                 delivered_at="2026-11-20T04:05:07Z", opened_at="2026-11-20T04:06:00Z")  # fmt: skip
    make_attempt(ravi, number=1, status="bounced", error_code="hard_bounce")
    Suppression.objects.create(
        agency=batch.campaign.agency,
        campaign=batch.campaign,
        recipient="mei@example.org",
        reason="unsubscribed",
        note="Too many",
    )

    first, second = read(client.get(url_of(batch)))

    assert (first["recipient"], first["status"], first["error"]) == (
        "mei@example.org",
        "Opened",
        "",
    )
    assert first["openedAt"] == "2026-11-20T12:06:00+08:00"
    assert first["unsubscribeReason"] == "Too many"
    assert (first["file"], first["row"]) == ("people.csv", "2")
    assert (second["status"], second["unsubscribedAt"]) == ("Bounced", "")
    assert second["error"] == "The address does not exist, or its server refuses it for good."
    assert "clinic" not in first


def test_the_columns_of_the_file_come_along_when_asked_for_and_start_no_formula(client, batch):
    first, second = read(client.get(url_of(batch), {"columns": 1}))

    assert (first["name"], first["clinic"]) == ("Mei", "'=Bedok")
    assert second["clinic"] == "Yishun"


def test_links_to_secure_pages_are_in_no_report(client, batch):
    batch.campaign.is_protected = True
    batch.campaign.save()

    assert "clinic" not in read(client.get(url_of(batch), {"columns": 1}))[0]


def test_a_download_leaves_a_trace(client, batch, officer):
    client.get(url_of(batch))

    event = AuditEvent.objects.get(action="report.downloaded")
    assert (event.actor, event.object_id) == (officer, batch.public_id)


def test_the_report_of_a_campaign_has_every_file(client, batch, email_campaign, officer):
    again = ready_batch(email_campaign, ("siti@example.org", RAVI))
    expanded(deciding.send_batch(again, by=officer))

    answer = client.get(reverse("campaign-delivery-report", args=[email_campaign.pk]))

    assert {row["recipient"] for row in read(answer)} == {
        "mei@example.org", "ravi@example.org", "siti@example.org",
    }  # fmt: skip


def test_a_restricted_member_gets_the_rows_of_their_own_files_only(
    client_of, batch, email_campaign
):
    clerk = member(email_campaign, "member_restricted")
    own = ready_batch(email_campaign, ("siti@example.org", RAVI), creator=clerk)
    expanded(deciding.send_batch(own, by=clerk))

    answer = client_of(clerk).get(reverse("campaign-delivery-report", args=[email_campaign.pk]))

    assert [row["recipient"] for row in read(answer)] == ["siti@example.org"]
    assert client_of(clerk).get(url_of(batch)).status_code == 404


def test_an_email_campaign_has_no_log_and_an_sms_campaign_no_report(client, campaign, batch):
    sms = make_batch(campaign, "messages_enqueued")

    assert client.get(url_of(sms)).status_code == 404
    assert client.get(url_of(batch, "batch-log")).status_code == 404


# Its time ----------------------------------------------------------------------------------


def test_recipients_of_emails_are_kept_for_thirty_days(client, batch):
    until = timezone.localtime(batch.accepted_at + timedelta(days=30))
    html = client.get(url_of(batch, "batch")).content.decode()

    with time_machine.travel(batch.accepted_at + timedelta(days=29)):
        retention.erase(chunks=10)
    kept = list(Message.objects.values_list("recipient", flat=True))
    with time_machine.travel(batch.accepted_at + timedelta(days=30, minutes=1)):
        retention.erase(chunks=10)

    assert f"Available until <strong>{until.day} {until:%b %Y}</strong>" in html
    assert "" not in kept
    assert set(Message.objects.values_list("recipient", flat=True)) == {""}


def test_an_agency_may_keep_them_longer(batch):
    batch.campaign.agency.retention_days = 90
    batch.campaign.agency.save()

    with time_machine.travel(batch.accepted_at + timedelta(days=60)):
        retention.erase(chunks=10)

    assert "" not in Message.objects.values_list("recipient", flat=True)


def test_what_systems_send_is_kept_as_the_agency_says(batch):
    type(batch.campaign).objects.filter(pk=batch.campaign_id).update(is_programmatic=True)

    with time_machine.travel(batch.accepted_at + timedelta(days=60)):
        retention.erase(chunks=10)

    assert "" not in Message.objects.values_list("recipient", flat=True)


def test_a_report_whose_time_is_over_says_so(client_of, officer, batch):
    with time_machine.travel(batch.accepted_at + timedelta(days=31)):
        client = client_of(officer)
        answer = client.get(url_of(batch), follow=True)

    assert "This report was kept until" in answer.content.decode()
    assert answer.redirect_chain == [(url_of(batch, "batch"), 302)]


def test_once_all_are_erased_the_report_of_the_campaign_is_offered_no_more(
    client_of, officer, batch
):
    stats = reverse("campaign-stats", args=[batch.campaign_id])
    with time_machine.travel(batch.accepted_at + timedelta(days=31)):
        client = client_of(officer)
        html = client.get(stats).content.decode()
        answer = client.get(reverse("campaign-delivery-report", args=[batch.campaign_id]))

    assert "The report was available until" in html
    assert "Download report" not in html
    assert answer.url == stats


# In the background -------------------------------------------------------------------------


def made(client, batch, mailoutbox, **asked):
    client.post(url_of(batch, "email-report-order"), asked)
    while reports.make_next():
        pass
    report = EmailReport.objects.get()
    text = mailoutbox[0].body
    return report, text[text.index("/campaigns/") :].split()[0]


def test_a_large_report_is_made_in_the_background_and_mailed_as_a_link(client, batch, mailoutbox):
    report, path = made(client, batch, mailoutbox, columns=1)

    answer = client.get(path)

    assert mailoutbox[0].to == ["mei.ling@health.gov.sg"]
    assert "example.org" not in mailoutbox[0].body
    assert [row["name"] for row in read(answer)] == ["Mei", "Ravi"]
    assert report.expires_at == report.made_at + EmailReport.KEPT_FOR


def test_only_who_ordered_it_may_have_it_and_only_by_its_link(client, client_of, batch, mailoutbox):
    _, path = made(client, batch, mailoutbox)
    colleague = member(batch.campaign, "owner")

    assert client_of(colleague).get(path).status_code == 404
    assert client.get(path[:-1] + ("a" if path[-1] != "a" else "b")).status_code == 404
    client.logout()
    assert client.get(path).url.startswith(reverse("login"))


def test_the_link_ends_and_the_file_with_it(client, batch, mailoutbox, settings):
    report, path = made(client, batch, mailoutbox)
    stored = report.file.path
    EmailReport.objects.update(expires_at=timezone.now())

    assert client.get(path).status_code == 404
    reports.forget(timezone.now())

    assert not EmailReport.objects.exists()
    assert not Path(stored).exists()


def test_a_report_outlives_nothing_of_what_it_holds(client_of, officer, batch, mailoutbox):
    with time_machine.travel(batch.accepted_at + timedelta(days=28)):
        report, _ = made(client_of(officer), batch, mailoutbox)

    assert report.expires_at == batch.accepted_at + timedelta(days=30)


def test_whoever_left_the_campaign_is_sent_no_report(client_of, batch, mailoutbox):
    colleague = member(batch.campaign)
    client_of(colleague).post(url_of(batch, "email-report-order"))
    batch.campaign.memberships.filter(user=colleague).delete()

    reports.make_next()

    assert not EmailReport.objects.exists()
    assert mailoutbox == []


def test_one_report_at_a_time_is_made_for_an_officer(batch, officer):
    ordering.order_report(batch.campaign, batch, by=officer)

    with pytest.raises(Refused) as refused:
        ordering.order_report(batch.campaign, batch, by=officer)

    assert refused.value.code == "report_under_way"


def test_a_report_whose_process_died_is_made_by_another(batch, officer, mailoutbox):
    ordering.order_report(batch.campaign, batch, by=officer)
    EmailReport.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    assert reports.make_next() is True
    assert reports.make_next() is False
    assert len(mailoutbox) == 1


def test_a_link_by_mail_is_offered_for_large_files_only(client, batch):
    small = client.get(url_of(batch, "batch")).content.decode()
    Batch.objects.filter(pk=batch.pk).update(total_messages=50_001)
    large = client.get(url_of(batch, "batch")).content.decode()

    assert "Mail me a link" not in small
    assert "Mail me a link" in large
