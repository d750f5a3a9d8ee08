import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from campaigns.models import EmailDraft, SenderDomain
from messaging import counters
from messaging.delivery import starting
from messaging.delivery.pipeline import send_chunk
from messaging.models import Batch, Message, StagedRow, Suppression
from messaging.sending import deciding
from postman.errors import Refused
from tests.factories import SenderFactory, UserFactory
from tests.messaging.emails import edit, expanded, mark_tested, ready_batch
from tests.messaging.rows import make_attempt, member

pytestmark = pytest.mark.django_db

OF_SMS = re.compile(
    r"\b(SMS|segments?|sender ID|phone number|Twilio|GST|telco|API keys?|Compose|footer)\b", re.I
)


@pytest.fixture
def client(client_of, officer):
    return client_of(officer)


def url_of(batch, name="batch"):
    return reverse(name, args=[batch.campaign_id, batch.pk])


def main_of(answer):
    return answer.content.decode().split("<main")[1].split("</main")[0]


def words_of(answer):
    return " ".join(re.sub(r"<[^>]*>", " ", main_of(answer)).split())


def sent_batch(campaign):
    mark_tested(campaign)
    return expanded(deciding.send_batch(ready_batch(campaign), by=campaign.creator))


# The shell ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["campaign-batches", "campaign-stats", "campaign-about",
                                  "campaign-members", "campaign-delete"])  # fmt: skip
def test_no_page_of_an_email_campaign_speaks_of_sms(client, email_campaign, name):
    sent_batch(email_campaign)

    answer = client.get(reverse(name, args=[email_campaign.pk]))

    assert answer.status_code == 200
    assert OF_SMS.findall(words_of(answer)) == []


@pytest.mark.parametrize("status", ["checking", "invalid", "ready", "scheduled", "discarded"])
def test_no_state_of_a_file_of_emails_speaks_of_sms(client, email_campaign, status):
    mark_tested(email_campaign)
    batch = ready_batch(email_campaign)
    Batch.objects.filter(pk=batch.pk).update(status=status, scheduled_at="2026-12-24T01:00Z")

    answer = client.get(url_of(batch))

    assert answer.status_code == 200
    assert OF_SMS.findall(words_of(answer)) == []


@pytest.mark.parametrize(
    "name", ["compose-single", "campaign-billing", "campaign-billing-csv", "campaign-integrations"]
)
def test_an_email_campaign_has_no_pages_that_only_sms_has(client, email_campaign, name):
    assert client.get(reverse(name, args=[email_campaign.pk])).status_code == 404


def test_the_list_of_campaigns_says_the_channel_of_each(client, campaign, email_campaign):
    words = words_of(client.get(reverse("campaign-list")))

    assert "Newsletter Email –" in words
    assert "Appointments SMS Member of Public" in words


def test_an_empty_campaign_opens_where_its_message_is_written(client, email_campaign):
    EmailDraft.objects.filter(campaign=email_campaign).update(subject="", html="", variables=[])

    answer = client.get(reverse("campaign", args=[email_campaign.pk]))

    assert answer.url == reverse("campaign-message", args=[email_campaign.pk])


def test_a_campaign_with_a_message_opens_where_recipients_are_uploaded(client, email_campaign):
    answer = client.get(reverse("campaign", args=[email_campaign.pk]))

    assert answer.url == reverse("compose-multiple", args=[email_campaign.pk])


def test_a_campaign_that_was_sent_opens_with_its_recipients(client, email_campaign):
    sent_batch(email_campaign)

    answer = client.get(reverse("campaign", args=[email_campaign.pk]))

    assert answer.status_code == 200
    assert "mei@example.org" in words_of(answer)
    assert OF_SMS.findall(words_of(answer)) == []


def test_a_restricted_member_is_never_led_to_a_message_they_may_not_write(
    client_of, email_campaign
):
    clerk = member(email_campaign, "member_restricted")
    EmailDraft.objects.filter(campaign=email_campaign).update(subject="", html="", variables=[])

    answer = client_of(clerk).get(reverse("campaign", args=[email_campaign.pk]))

    assert answer.url == reverse("compose-multiple", args=[email_campaign.pk])


OF_A_BATCH = ["batch", "batch-preview", "batch-test", "delivery-report"]
ORDERS = ["email-report-order", "batch-send", "batch-schedule"]


@pytest.mark.parametrize("name", [*OF_A_BATCH, *ORDERS, "message-email"])
def test_to_a_stranger_nothing_of_an_email_campaign_exists(client_of, email_campaign, name):
    batch = sent_batch(email_campaign)
    of = batch.messages.first() if name == "message-email" else batch
    url = reverse(name, args=[email_campaign.pk, of.pk])
    stranger = client_of(UserFactory())

    answer = stranger.post(url) if name in ORDERS else stranger.get(url)

    assert answer.status_code == 404
    assert Client().get(url).status_code in (302, 405)


@pytest.mark.parametrize("name", [*OF_A_BATCH, *ORDERS, "message-email"])
def test_a_restricted_member_finds_nothing_of_others(client_of, email_campaign, name):
    batch = sent_batch(email_campaign)
    of = batch.messages.first() if name == "message-email" else batch
    url = reverse(name, args=[email_campaign.pk, of.pk])
    clerk = client_of(member(email_campaign, "member_restricted"))

    answer = clerk.post(url) if name in ORDERS else clerk.get(url)

    assert answer.status_code == 404


@pytest.mark.parametrize("name", ORDERS)
def test_nothing_is_done_by_following_a_link(client, email_campaign, name):
    assert client.get(url_of(ready_batch(email_campaign), name)).status_code == 405


# Recipients --------------------------------------------------------------------------------


def test_recipients_are_found_by_a_part_of_their_address(client, email_campaign):
    sent_batch(email_campaign)

    answer = client.get(reverse("campaign", args=[email_campaign.pk]), {"search": "RAVI@"})

    assert "ravi@example.org" in words_of(answer)
    assert "mei@example.org" not in words_of(answer)


def test_the_page_of_a_recipient_tells_what_happened_and_shows_their_email(
    client, email_campaign, sandbox
):
    batch = sent_batch(email_campaign)
    send_chunk(batch.id)
    message = Message.objects.get(recipient="mei@example.org")

    answer = client.get(reverse("message", args=[email_campaign.pk, message.pk]))
    email = client.get(reverse("message-email", args=[email_campaign.pk, message.pk]))

    assert "Handed to the mail service, which took it." in words_of(answer)
    assert OF_SMS.findall(words_of(answer)) == []
    assert "Dear Mei, see you at Bedok." in email.content.decode()
    assert email["X-Frame-Options"] == "SAMEORIGIN"
    policy = email["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "frame-ancestors 'self'" in policy


# Review ------------------------------------------------------------------------------------


def test_the_review_says_who_gets_what_from_whom(client, email_campaign):
    mark_tested(email_campaign)
    batch = ready_batch(email_campaign, summary={"suppressed": {"unsubscribed": 1}})

    words = words_of(client.get(url_of(batch)))

    assert "Subject Your visit to {{clinic}}" in words
    assert "Recipients 1 of 2 rows" in words
    assert "Suppressed 1, who get nothing: Unsubscribed 1" in words
    assert "Send 1 email now" in words


def test_the_preview_shows_the_email_of_any_row(client, email_campaign):
    batch = ready_batch(email_campaign)

    assert "Dear Mei," in client.get(url_of(batch, "batch-preview")).content.decode()
    assert "Dear Ravi," in client.get(url_of(batch, "batch-preview"), {"row": 3}).content.decode()


def test_what_was_reviewed_is_what_leaves(client, email_campaign, sandbox):
    mark_tested(email_campaign)
    batch = ready_batch(email_campaign)

    answer = client.post(url_of(batch, "batch-send"), {"version": 1})

    assert answer.url == url_of(batch)
    edit(email_campaign, html="<p>Another text.</p>")
    expanded(batch)
    send_chunk(batch.id)
    assert "Dear Ravi, see you at Yishun." in sandbox.outbox(to="ravi@example.org")[0]["html"]


def test_what_somebody_changed_meanwhile_is_shown_again_and_not_sent(client, email_campaign):
    mark_tested(email_campaign)
    batch = ready_batch(email_campaign)
    edit(email_campaign, html="<p>Another text for {{name}}.</p>")
    mark_tested(email_campaign)

    answer = client.post(url_of(batch, "batch-send"), {"version": 1})

    assert answer.status_code == 422
    assert "The message was changed after you looked at it." in words_of(answer)
    assert 'name="version" value="2"' in main_of(answer)
    batch.refresh_from_db()
    assert batch.status == "ready"


def test_a_file_without_a_keywords_column_says_so_and_waits(client, email_campaign):
    batch = ready_batch(email_campaign)
    edit(email_campaign, html="<p>{{name}}, {{clinic}}, {{date}}</p>",
         variables=["clinic", "name", "date"])  # fmt: skip
    mark_tested(email_campaign)

    words = words_of(client.get(url_of(batch)))
    with pytest.raises(Refused) as refused:
        deciding.send_batch(batch, by=email_campaign.creator)

    assert "This file has no column for {{date}}" in words
    assert "Send 2 emails now" not in words
    assert refused.value.code == "columns_missing"
    assert StagedRow.objects.filter(batch=batch).count() == 2


def test_a_message_with_faults_is_not_sent(email_campaign):
    batch = ready_batch(email_campaign)
    edit(email_campaign, html="<p>{{na me}}</p>")
    mark_tested(email_campaign)

    with pytest.raises(Refused) as refused:
        deciding.send_batch(batch, by=email_campaign.creator)

    assert refused.value.code == "draft_not_ready"
    batch.refresh_from_db()
    assert (batch.status, batch.template_body_id) == ("ready", None)


def test_what_is_scheduled_stays_as_it_was_whatever_is_written_later(client, email_campaign):
    mark_tested(email_campaign)
    batch = ready_batch(email_campaign)

    answer = client.post(url_of(batch, "batch-schedule"), {"version": 1, "when": "tomorrow"})

    assert answer.url == url_of(batch)
    edit(email_campaign, html="<p>Another text.</p>")
    assert "Dear Mei," in client.get(url_of(batch, "batch-preview")).content.decode()
    assert client.post(url_of(batch, "batch-send"), {"version": 2}).status_code == 302
    batch.refresh_from_db()
    assert batch.template_body.body == "<p>Dear {{name}}, see you at {{clinic}}.</p>"


def test_what_was_scheduled_does_not_leave_from_an_address_that_may_be_used_no_more(
    email_campaign, officer, mailoutbox
):
    SenderFactory(owner=officer)
    edit(email_campaign, from_address=officer.email, from_name="The Clinic")
    mark_tested(email_campaign)
    batches = [ready_batch(email_campaign) for _ in range(2)]
    for batch in batches:
        deciding.schedule_batch(batch, at=timezone.now() + timedelta(days=1), by=officer)
    just_now = timezone.now() - timedelta(seconds=1)
    Batch.objects.filter(pk=batches[0].pk).update(scheduled_at=just_now)
    assert starting.start_due_batches() == [batches[0].pk]
    Batch.objects.filter(pk=batches[1].pk).update(scheduled_at=just_now)
    SenderDomain.objects.update(state="failed", verified_at=None)

    with pytest.raises(Refused):
        deciding.send_batch(batches[1], by=officer)
    assert starting.start_due_batches() == []

    batches[1].refresh_from_db()
    assert (batches[1].status, batches[1].template_body) == ("ready", None)
    assert [mail.subject for mail in mailoutbox] == ["Not sent as scheduled: Newsletter"]


def test_without_its_schedule_a_file_goes_with_the_message_as_it_is_now(email_campaign, officer):
    mark_tested(email_campaign)
    batch = ready_batch(email_campaign)
    deciding.schedule_batch(batch, at=timezone.now() + timedelta(days=1), by=officer)

    deciding.unschedule_batch(batch, by=officer)

    assert batch.template_body is None


def test_from_ten_thousand_recipients_on_their_number_is_typed(client, email_campaign):
    mark_tested(email_campaign)
    batch = ready_batch(email_campaign)
    Batch.objects.filter(pk=batch.pk).update(total_messages=10_000)

    refused = client.post(url_of(batch, "batch-send"), {"version": 1, "count": "1000"})
    accepted = client.post(url_of(batch, "batch-send"), {"version": 1, "count": "10,000"})

    assert refused.status_code == 422
    assert "Type the number of recipients: 10,000." in words_of(refused)
    assert accepted.status_code == 302


def test_the_number_to_type_is_that_of_those_who_get_an_email(client, email_campaign):
    mark_tested(email_campaign)
    batch = ready_batch(email_campaign, summary={"suppressed": {"unsubscribed": 500}})
    Batch.objects.filter(pk=batch.pk).update(total_messages=10_600)

    words = words_of(client.get(url_of(batch)))

    assert "Type 10,100 to go on." in words
    assert "Send 10,100 emails now" in words


def test_pressing_send_twice_sends_once_and_complains_of_nothing(client, email_campaign):
    mark_tested(email_campaign)
    batch = ready_batch(email_campaign)

    client.post(url_of(batch, "batch-send"), {"version": 1})
    answer = client.post(url_of(batch, "batch-send"), {"version": 1}, follow=True)

    assert answer.redirect_chain == [(url_of(batch), 302)]
    assert "can no longer" not in answer.content.decode()
    expanded(batch)
    assert Message.objects.count() == 2


def test_a_message_with_every_fault_can_still_be_looked_at(client, email_campaign):
    batch = ready_batch(email_campaign)
    edit(
        email_campaign,
        from_name="A\nBcc: x@example.org",
        from_address="nobody",
        reply_to="nobody",
        subject="{{na me}} {{",
        html="<p>{{{name}}} {{",
    )

    answer = client.get(url_of(batch))

    assert answer.status_code == 200
    assert "The message is not ready." in words_of(answer)
    assert client.get(url_of(batch, "batch-preview")).status_code == 200
    assert client.get(url_of(batch, "batch-test")).status_code == 200


def test_a_restricted_member_is_not_sent_to_edit_what_they_may_not(client_of, email_campaign):
    clerk = member(email_campaign, "member_restricted")
    batch = ready_batch(email_campaign, creator=clerk)
    edit(email_campaign, html="<p>{{na me}}</p>")

    html = main_of(client_of(clerk).get(url_of(batch)))

    assert reverse("campaign-message", args=[email_campaign.pk]) not in html
    assert "Ask an owner or a member" in html


# While it is sent, and after -----------------------------------------------------------------


def test_what_failed_or_bounced_softly_is_sent_again_and_nothing_else(
    client, email_campaign, sandbox
):
    mark_tested(email_campaign)
    boxes = ("bounce", "softbounce", "complaint", "rejected", "mei")
    people = [(f"{box}@example.org", {"name": box, "clinic": "Bedok"}) for box in boxes]
    batch = expanded(
        deciding.send_batch(ready_batch(email_campaign, *people), by=email_campaign.creator)
    )
    for message, status in zip(
        batch.messages.order_by("row"),
        ("bounced", "soft_bounced", "complained", "failure", "success"),
        strict=True,
    ):
        error = {"bounced": "hard_bounce", "soft_bounced": "soft_bounce",
                 "complained": "complaint", "failure": "mail_rejected"}.get(status, "")  # fmt: skip
        make_attempt(message, number=1, status=status, error_code=error)
        counters.add(email_campaign.pk, batch.pk, {"created": -1, status: 1})

    html = main_of(client.get(url_of(batch)))
    client.post(url_of(batch, "batch-retry"))

    assert "Send again to 2 that failed or bounced softly" in html
    waiting = batch.messages.filter(status="created").order_by("row")
    assert [message.recipient for message in waiting] == [
        "softbounce@example.org",
        "rejected@example.org",
    ]


def test_a_batch_can_be_stopped_resumed_and_cancelled(client, email_campaign, sandbox):
    batch = sent_batch(email_campaign)

    client.post(url_of(batch, "batch-stop"))
    send_chunk(batch.id)
    stopped = words_of(client.get(url_of(batch)))
    client.post(url_of(batch, "batch-cancel"))
    send_chunk(batch.id)

    assert "Nothing more of this batch leaves." in stopped
    assert sandbox.outbox(channel="email") == []
    assert set(batch.messages.values_list("status", flat=True)) == {"cancelled"}


# The report --------------------------------------------------------------------------------


def test_those_who_unsubscribed_are_counted_and_found(client, email_campaign):
    sent_batch(email_campaign)
    Suppression.objects.create(
        agency=email_campaign.agency,
        campaign=email_campaign,
        recipient="ravi@example.org",
        reason="unsubscribed",
    )

    report = words_of(client.get(reverse("campaign-stats", args=[email_campaign.pk])))
    found = words_of(
        client.get(reverse("campaign", args=[email_campaign.pk]), {"status": "unsubscribed"})
    )

    assert "Unsubscribed 1 50%" in report
    assert "ravi@example.org" in found
    assert "mei@example.org" not in found


def test_the_numbers_of_a_million_emails_take_as_many_queries_as_those_of_two(
    client, email_campaign, django_assert_max_num_queries
):
    batch = sent_batch(email_campaign)
    counters.add(email_campaign.pk, batch.pk, {"total": 1_000_000, "success": 1_000_000})

    with django_assert_max_num_queries(14) as queries:
        client.get(reverse("campaign-stats", args=[email_campaign.pk]))

    assert not [q["sql"] for q in queries.captured_queries if "messaging_message" in q["sql"]]


def test_the_list_takes_as_many_queries_for_two_recipients_as_for_one(
    client, email_campaign, django_assert_max_num_queries
):
    sent_batch(email_campaign)
    url = reverse("campaign", args=[email_campaign.pk])
    client.get(url)

    with CaptureQueriesContext(connection) as one:
        client.get(url, {"search": "mei"})
    with CaptureQueriesContext(connection) as two:
        client.get(url, {"search": "example"})

    assert len(one) == len(two)


def test_every_number_of_the_report_leads_to_its_recipients(client, email_campaign):
    batch = sent_batch(email_campaign)
    mei = Message.objects.get(recipient="mei@example.org")
    Message.objects.filter(pk=mei.pk).update(status="opened")
    counters.add(email_campaign.pk, batch.pk, {"created": -1, "opened": 1})

    html = main_of(client.get(reverse("campaign-stats", args=[email_campaign.pk])))

    list_url = reverse("campaign", args=[email_campaign.pk])
    for name in ("left", "delivered", "opened"):
        assert f'href="{list_url}?status={name}"' in html
        found = words_of(client.get(list_url, {"status": name}))
        assert "mei@example.org" in found
        assert "ravi@example.org" not in found
