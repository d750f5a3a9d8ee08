"""WhatsApp campaigns in the browser: the template, one or many, and what became of each."""

import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from campaigns import passcodes
from campaigns.models import (
    Campaign,
    Membership,
    OfficerProfile,
    WhatsappBody,
    WhatsappChoice,
    WhatsappGrant,
)
from messaging import counters, ingest, receipts
from messaging.delivery import expanding, starting
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Batch, Counter, Message
from messaging.sending import deciding, retrying, uploading
from messaging.sending.whatsapp import send_whatsapp
from postman.accounts.models import Agency, AuditEvent
from postman.ids import new_id
from tests.factories import CampaignFactory, UserFactory, WhatsappCampaignFactory
from tests.messaging import whatsapp as wa
from tests.messaging.builders import single

pytestmark = pytest.mark.django_db

PRECALL = {
    "name": "Before a call",
    "label": "before_a_call",
    "body": "Hello {{recipient_name}}, {{officer_name}} of {{agency}} will call. "
    "Passcode: {{passcode}}.",
    "params": ["recipient_name", "officer_name", "agency", "passcode"],
    "param_metadata": {
        "recipient_name": {"displayName": "Name of the citizen"},
        "officer_name": {"defaultFromMetaField": "officer_name"},
        "agency": {"defaultFromMetaField": "agency"},
    },
    "languages": [],
}
VALUES = {"recipient_name": "Mei Ling", "slot": "9am", "agency": "MOH"}


@pytest.fixture
def template(officer):
    return wa.granted(officer)


@pytest.fixture
def campaign(officer, template):
    return WhatsappCampaignFactory(creator=officer, template=template, name="Calls")


@pytest.fixture
def browser(officer, client_of):
    return client_of(officer)


def url(name, campaign, *args):
    return reverse(name, args=[campaign.pk, *args])


def main_of(page):
    return page.text.partition("<main")[2].partition("</main>")[0]


def typed(**changes):
    return {
        "message_id": str(new_id()),
        "recipient": "81230001",
        "language": "en_GB",
        **{f"values.{name}": value for name, value in VALUES.items()},
    } | changes


def sent(campaign, **changes):
    facts = {
        "recipient": "81230001",
        "language": "en_GB",
        "values": VALUES,
        "id": new_id(),
        **changes,
    }
    return send_whatsapp(campaign=campaign, creator=campaign.creator, **facts)


def checked(campaign, content):
    batch = uploading.accept_upload(
        campaign=campaign,
        creator=campaign.creator,
        upload=SimpleUploadedFile("people.csv", content.encode()),
    )
    ingest.check(batch.id)
    batch.refresh_from_db()
    return batch


ROWS = (
    "recipient,language,recipient_name,slot,agency\n"
    "6581230001,English,Mei Ling,9am,MOH\n"
    "81230002,chinese,Wei,10am,MOH\n"
)


# A new campaign ------------------------------------------------------------------------------


def test_whoever_has_a_template_may_start_a_campaign_and_chooses_it_next(browser, template):
    typed = {"campaign_id": str(new_id()), "name": "Calls", "kind": "whatsapp"}

    answer = browser.post(reverse("campaign-new"), typed)

    campaign = Campaign.objects.get()
    assert campaign.channel == "whatsapp"
    assert answer.url == url("whatsapp-template", campaign)


def test_whoever_has_none_is_told_so_and_makes_nothing(browser, officer):
    Agency.objects.filter(pk=officer.agency_id).update(may_use_whatsapp=True)
    typed = {"campaign_id": str(new_id()), "name": "Calls", "kind": "whatsapp"}

    page, answer = (
        browser.get(reverse("campaign-new")),
        browser.post(reverse("campaign-new"), typed),
    )

    assert "No WhatsApp template is granted to you yet." in page.text
    assert answer.status_code == 422
    assert not Campaign.objects.exists()


def test_where_the_agency_has_no_whatsapp_a_grant_does_not_help(browser, officer, template):
    Agency.objects.filter(pk=officer.agency_id).update(may_use_whatsapp=False)
    typed = {"campaign_id": str(new_id()), "name": "Calls", "kind": "whatsapp"}

    answer = browser.post(reverse("campaign-new"), typed)

    assert "WhatsApp is not switched on" in answer.text
    assert not Campaign.objects.exists()


# The template --------------------------------------------------------------------------------


def test_an_officer_chooses_among_the_granted_templates(browser, officer, template):
    campaign = WhatsappCampaignFactory(creator=officer)
    wa.template(name="Of others")

    page = browser.get(url("whatsapp-template", campaign))
    answer = browser.post(
        url("whatsapp-template", campaign), {"template": template.pk, "to": "multiple"}
    )

    assert "Appointment heads-up" in page.text
    assert "Of others" not in page.text
    assert "您好" in page.text
    assert answer.url == url("compose-multiple", campaign)
    assert WhatsappChoice.objects.get(campaign=campaign).template == template


def test_a_template_of_others_cannot_be_chosen(browser, officer, template):
    campaign = WhatsappCampaignFactory(creator=officer)
    other = wa.template(name="Of others")

    answer = browser.post(
        url("whatsapp-template", campaign), {"template": other.pk, "to": "single"}
    )

    assert answer.status_code == 422
    assert not WhatsappChoice.objects.exists()


def test_once_something_was_sent_the_template_stays(browser, campaign, officer, template):
    other = wa.granted(officer, name="Another")
    sent(campaign)

    browser.post(url("whatsapp-template", campaign), {"template": other.pk, "to": "single"})

    assert WhatsappChoice.objects.get(campaign=campaign).template == template


def test_without_a_template_every_page_leads_to_the_choice(browser, officer, template):
    campaign = WhatsappCampaignFactory(creator=officer)

    for name in ("campaign", "compose-single", "compose-multiple"):
        assert browser.get(url(name, campaign)).url == url("whatsapp-template", campaign)


def test_a_restricted_member_changes_no_template(client_of, campaign, template):
    clerk = UserFactory(agency=campaign.agency)
    Membership.objects.create(campaign=campaign, user=clerk, role="member_restricted")
    other = wa.granted(clerk, name="Another")

    client_of(clerk).post(
        url("whatsapp-template", campaign), {"template": other.pk, "to": "single"}
    )

    assert WhatsappChoice.objects.get(campaign=campaign).template == template


def test_the_pages_that_confirm_speak_of_no_keys_and_no_bills(browser, campaign):
    for name in ("campaign-delete", "campaign-members"):
        page = main_of(browser.get(url(name, campaign)))
        assert "API key" not in page
        assert "billed" not in page


# One person ----------------------------------------------------------------------------------


def test_one_message_is_sent_from_the_form(browser, campaign, sandbox):
    answer = browser.post(url("compose-single", campaign), typed(language="zh_CN"))
    send_chunk(None)

    message = Message.objects.get()
    assert answer.url == url("message", campaign, message.pk)
    [out] = sandbox.outbox(channel="whatsapp")
    assert (out["to"], out["language"]) == ("+6581230001", "zh_CN")
    assert out["parameters"] == ["Mei Ling", "9am", "MOH"]


def test_a_second_press_sends_nothing_more(browser, campaign):
    form = typed()

    browser.post(url("compose-single", campaign), form)
    browser.post(url("compose-single", campaign), form)

    assert Message.objects.count() == 1


def test_fields_have_names_for_people_and_defaults_from_the_profile(browser, officer):
    OfficerProfile.objects.create(user=officer, officer_name="Tan Ah Kow")
    campaign = WhatsappCampaignFactory(creator=officer, template=wa.granted(officer, **PRECALL))

    page = browser.get(url("compose-single", campaign))

    assert "Name of the citizen" in page.text
    assert page.context["form"]["values.officer_name"].value() == "Tan Ah Kow"
    assert page.context["form"]["values.agency"].value() == "Ministry of Health"
    assert "values.passcode" not in page.context["form"].fields


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"recipient": "61234567"}, "recipient"),
        ({"recipient": ""}, "recipient"),
        ({"language": "ta"}, "language"),
        ({"values.slot": " "}, "values.slot"),
        ({"values.slot": "a\nb"}, "values.slot"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_is_kept(
    browser, campaign, changes, field
):
    answer = browser.post(url("compose-single", campaign), typed(**changes))

    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    assert answer.context["form"]["values.recipient_name"].value() == "Mei Ling"
    assert not Message.objects.exists()


def test_a_number_that_is_no_mobile_is_not_called_one_of_sms(browser, campaign):
    answer = browser.post(url("compose-single", campaign), typed(recipient="6561234567"))

    assert "landline" in answer.text
    assert "SMS" not in main_of(answer)


def test_an_officer_whose_grant_was_taken_away_sends_nothing(browser, campaign, officer):
    WhatsappGrant.objects.filter(user=officer).delete()

    answer = browser.post(url("compose-single", campaign), typed())

    assert answer.status_code == 422
    assert "is not granted to you" in answer.text
    assert not Message.objects.exists()


# Passcodes -----------------------------------------------------------------------------------


def test_a_wrong_number_is_said_together_with_what_is_missing(browser, campaign):
    answer = browser.post(
        url("compose-single", campaign), typed(**{"recipient": "12", "values.slot": ""})
    )

    assert set(answer.context["form"].errors) == {"recipient", "values.slot"}


def test_the_list_of_messages_says_why_each_failed(browser, campaign, sandbox):
    sent(campaign, recipient="81120001")
    send_chunk(None)

    page = main_of(browser.get(url("campaign", campaign)))

    assert "Invalid number" in page
    assert "This number is not on WhatsApp" in page


def test_nobody_is_told_to_change_the_words_of_a_template(browser, campaign, sandbox):
    message = sent(campaign, recipient="81120003")
    send_chunk(None)

    page = main_of(browser.get(url("message", campaign, message.pk)))

    assert "WhatsApp has paused this template." in page
    assert "tell Postman’s support" in page
    assert "Change the text" not in page


def test_a_passcode_is_made_sealed_and_read_by_recipient_and_officer(browser, officer, sandbox):
    campaign = WhatsappCampaignFactory(creator=officer, template=wa.granted(officer, **PRECALL))
    values = {"recipient_name": "Mei Ling", "officer_name": "Tan", "agency": "MOH"}
    message = sent(campaign, values=values)
    send_chunk(None)

    passcode = sandbox.outbox(channel="whatsapp")[0]["parameters"][3]
    page = browser.get(url("campaign", campaign))
    assert re.fullmatch(r"\d{4}", passcode)
    assert f'<code class="passcode">{passcode}</code>' in page.text
    assert f"Passcode: {passcode}." in message.full_message
    assert passcodes.PARAM not in message.values
    assert passcode not in message.values[passcodes.SEALED]


def test_passcodes_of_a_file_are_each_their_own(officer):
    campaign = WhatsappCampaignFactory(creator=officer, template=wa.granted(officer, **PRECALL))
    people = "".join(f"812300{n:02},P{n},Tan,MOH\n" for n in range(40))
    batch = checked(campaign, f"recipient,recipient_name,officer_name,agency\n{people}")

    found = {passcodes.of(row.values) for row in batch.staged_rows.all()}
    assert batch.status == "ready"
    assert len(found) > 30
    assert all(re.fullmatch(r"\d{4}", each) for each in found)


def test_a_file_may_not_bring_passcodes_along(officer):
    campaign = WhatsappCampaignFactory(creator=officer, template=wa.granted(officer, **PRECALL))

    batch = checked(
        campaign,
        "recipient,recipient_name,officer_name,agency,passcode\n81230001,Mei,Tan,MOH,1234\n",
    )

    assert batch.status == "invalid"
    assert "passcode" in batch.file_fault["message"]


# Many people ---------------------------------------------------------------------------------


def test_the_sample_has_the_columns_of_the_template(browser, campaign):
    content = b"".join(browser.get(url("csv-template", campaign)).streaming_content).decode()

    assert (
        content.splitlines()[0].lstrip("\ufeff") == "recipient,language,recipient_name,slot,agency"
    )


def test_a_sample_filled_in_as_it_is_is_right(browser, campaign):
    content = b"".join(browser.get(url("csv-template", campaign)).streaming_content).decode()

    assert checked(campaign, content).status == "ready"


def test_a_file_is_reviewed_without_a_word_of_sms(browser, campaign):
    batch = checked(campaign, ROWS)

    page = browser.get(url("batch", campaign, batch.pk))

    assert batch.status == "ready"
    assert "English: 1, Chinese: 1" in " ".join(page.text.split())
    assert "Hello Mei Ling" in page.text
    for word in ("SMS", "segment", "Cost", "SGD", "GST"):
        assert word not in main_of(page)


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        ("6561234567,English,Mei,9am,MOH", "recipient", "recipient_landline"),
        ("81230001,French,Mei,9am,MOH", "language", "language_unknown"),
        ("81230001,,Mei,9am,MOH", "language", "language_blank"),
        ("81230001,Tamil,Mei,9am,MOH", "language", "language_unknown"),
        ("81230001,English,,9am,MOH", "recipient_name", "value_blank"),
        ('81230001,English,Mei,"9\nam",MOH', "slot", "value_refused"),
    ],
)
def test_one_bad_cell_refuses_the_file_and_says_where(campaign, row, column, code):
    batch = checked(campaign, f"recipient,language,recipient_name,slot,agency\n{row}\n")

    [fault] = batch.first_faults
    assert batch.status == "invalid"
    assert [(each["column"], each["code"]) for each in fault["reasons"]] == [(column, code)]
    assert not batch.staged_rows.exists()


def test_a_template_in_one_language_has_no_such_column(officer):
    plain = wa.granted(officer, languages=[])
    campaign = WhatsappCampaignFactory(creator=officer, template=plain)

    batch = checked(campaign, "recipient,recipient_name,slot,agency\n81230001,Mei,9am,MOH\n")

    assert batch.status == "ready"


def test_rows_that_repeat_a_number_are_counted(campaign):
    batch = checked(campaign, ROWS + "+65 8123 0001,English,Mei,9am,MOH\n")

    assert (batch.status, batch.summary["duplicates"]) == ("ready", 1)


@pytest.mark.parametrize("is_granted", [True, False])
def test_what_was_scheduled_leaves_only_while_its_template_is_granted(
    campaign, template, is_granted, mailoutbox
):
    batch = checked(campaign, ROWS)
    at = timezone.now() + timedelta(hours=1)
    deciding.schedule_batch(batch, at=at, by=campaign.creator)
    Batch.objects.update(scheduled_at=timezone.now() - timedelta(seconds=1))
    if not is_granted:
        WhatsappGrant.objects.all().delete()

    started = starting.start_due_batches()

    batch.refresh_from_db()
    if is_granted:
        assert (started, mailoutbox) == ([batch.id], [])
        return
    assert (started, batch.status, batch.scheduled_at) == ([], "ready", None)
    assert AuditEvent.objects.filter(action="batch.held").count() == 1
    [mail] = mailoutbox
    assert (mail.subject, mail.to) == ("Not sent as scheduled: Calls", [campaign.creator.email])
    assert "is not granted to mei.ling@health.gov.sg any more" in mail.body
    assert starting.start_due_batches() == []


def test_a_scheduled_batch_that_cannot_be_started_keeps_no_other_waiting(campaign, template):
    other = WhatsappCampaignFactory(creator=campaign.creator, template=template)
    batches = [checked(campaign, ROWS), checked(other, ROWS)]
    for batch in batches:
        at = timezone.now() + timedelta(hours=1)
        deciding.schedule_batch(batch, at=at, by=campaign.creator)
    Batch.objects.update(scheduled_at=timezone.now() - timedelta(seconds=1))
    WhatsappChoice.objects.filter(campaign=campaign).delete()

    assert starting.start_due_batches() == [batches[1].id]


@pytest.mark.parametrize("name", ["batch-retry", "message-retry", "batch-resend"])
def test_what_failed_is_sent_again_only_while_its_template_is_granted(browser, campaign, name):
    batch = checked(campaign, ROWS)
    deciding.send_batch(batch, by=campaign.creator)
    expanding.expand(batch.pk)
    status = "unknown" if name == "batch-resend" else "failure"
    long_ago = timezone.now() - timedelta(hours=1)
    Message.objects.update(status=status, attempts_made=1, updated_at=long_ago)
    counters.mend(campaign.id, batch.id)
    WhatsappGrant.objects.all().delete()
    path = url(name, campaign, (Message.objects.first() if "message" in name else batch).pk)

    assert "is not granted to you" in browser.post(path, follow=True).text
    assert set(Message.objects.values_list("status", flat=True)) == {status}

    WhatsappGrant.objects.create(
        template=batch.campaign.whatsapp_choice.template, user=campaign.creator
    )
    browser.post(path)
    assert Message.objects.filter(status="created").exists()


def test_a_thousand_rows_reach_a_thousand_people_once(browser, campaign, sandbox, settings):
    settings.WHATSAPP_MESSAGES_PER_SECOND = None
    people = "".join(f"65812{n:05},English,P{n},9am,MOH\n" for n in range(1000))
    batch = checked(campaign, f"recipient,language,recipient_name,slot,agency\n{people}")
    browser.post(url("batch-send", campaign, batch.pk))
    expanding.expand(batch.pk)

    while send_chunk(batch.pk):
        pass

    summary = sandbox.summary()
    assert summary["by_channel"]["whatsapp"] == summary["distinct"] == 1000
    assert summary["same_callback"] == 0
    batch.refresh_from_db()
    assert batch.progress()["sent"] == 1000
    page = browser.get(url("batch", campaign, batch.pk))
    assert "segment" not in page.text


def test_a_hostile_provider_neither_doubles_nor_loses(campaign, sandbox, settings):
    settings.WHATSAPP_MESSAGES_PER_SECOND = None
    sandbox.control(seed=7, rate_429=0.1, rate_5xx=0.05, rate_lost=0.1, rate_refused_auth=0.05)
    people = "".join(f"65812{n:05},English,P{n},9am,MOH\n" for n in range(300))
    batch = checked(campaign, f"recipient,language,recipient_name,slot,agency\n{people}")
    deciding.send_batch(batch, by=campaign.creator)
    expanding.expand(batch.pk)

    for _ in range(30):
        while send_chunk(batch.pk):
            Message.objects.filter(batch=batch).update(due_at=None)

    statuses = batch.counts()
    # What nobody heard of is unknown: the lost ones were taken, the broken ones were not.
    taken = sandbox.summary()
    assert taken["same_callback"] == 0
    assert statuses["created"] == statuses["enqueued"] == statuses["sending"] == 0
    assert statuses["sent"] + statuses["unknown"] == 300
    assert taken["by_channel"]["whatsapp"] >= statuses["sent"]


def test_too_many_messages_to_one_person_hold_up_nobody_else(campaign, sandbox):
    people = "6581120034,English,Often,9am,MOH\n6581230001,English,Mei,9am,MOH\n"
    batch = checked(campaign, f"recipient,language,recipient_name,slot,agency\n{people}")
    deciding.send_batch(batch, by=campaign.creator)
    expanding.expand(batch.pk)

    send_chunk(batch.pk)

    batch.refresh_from_db()
    waiting = Message.objects.get(batch=batch, recipient="6581120034")
    assert [entry["to"] for entry in sandbox.outbox(channel="whatsapp")] == ["+6581230001"]
    assert batch.hold_until is None
    assert (waiting.status, waiting.due_at > timezone.now()) == ("enqueued", True)


def test_a_schedule_is_kept_without_a_word_of_sms(browser, campaign):
    batch = checked(campaign, ROWS)
    deciding.schedule_batch(batch, at=timezone.now() + timedelta(hours=2), by=campaign.creator)

    page = browser.get(url("batch", campaign, batch.pk))

    assert "2 messages will be sent on" in page.text
    assert "segment" not in main_of(page)
    assert "SMS" not in main_of(page)


def test_a_colleague_without_the_grant_cannot_send_the_file(client_of, campaign):
    batch = checked(campaign, ROWS)
    colleague = UserFactory(agency=campaign.agency)
    Membership.objects.create(campaign=campaign, user=colleague, role="owner")

    client_of(colleague).post(url("batch-send", campaign, batch.pk))

    batch.refresh_from_db()
    assert batch.status == "ready"


# What became of them -------------------------------------------------------------------------


def test_messages_are_found_by_name_and_by_number(browser, campaign):
    sent(campaign)
    sent(campaign, recipient="81230002", values={**VALUES, "recipient_name": "Wei Jie"})

    def found(search):
        page = browser.get(url("campaign", campaign), {"search": search})
        return [row["name"] for row in page.context["rows"]]

    assert found("wei") == ["Wei Jie"]
    assert found("0001") == ["Mei Ling"]
    assert found("+65 8123") == ["Wei Jie", "Mei Ling"]
    assert found("nobody") == []
    assert found("%") == []


def test_no_list_asks_the_database_more_for_more_messages(
    browser, campaign, django_assert_max_num_queries
):
    for _ in range(3):
        sent(campaign)
    browser.get(url("campaign", campaign))

    with django_assert_max_num_queries(12):
        browser.get(url("campaign", campaign))


def test_a_message_tells_all_that_happened(browser, campaign, sandbox):
    message = sent(campaign)
    send_chunk(None)
    attempt = Attempt.objects.get()
    for status in ("sent", "delivered", "read"):
        wa.report(attempt, status)
        receipts.apply_events()

    page = browser.get(url("message", campaign, message.pk))

    assert [what for _, what, _ in page.context["timeline"]] == [
        "Taken",
        "Accepted",
        "Sent",
        "Delivered",
        "Read",
    ]
    assert "segment" not in page.text.lower()


def test_a_number_that_is_not_on_whatsapp_says_so(browser, campaign, sandbox):
    message = sent(campaign, recipient="81120001")
    send_chunk(None)

    page = browser.get(url("message", campaign, message.pk))

    assert "Invalid number" in page.text
    assert "This number is not on WhatsApp" in page.text


def test_who_reads_is_counted_among_those_who_got_it(browser, campaign, sandbox):
    sent(campaign)
    send_chunk(None)
    wa.report(Attempt.objects.get(), "read")
    receipts.apply_events()

    page = browser.get(url("campaign-stats", campaign))

    totals = {row["name"]: row["count"] for row in page.context["totals"]}
    assert page.context["counts"]["total"] == 1
    assert (totals["delivered"], totals["read"]) == (1, 1)
    assert "egment" not in page.text


# Once more -----------------------------------------------------------------------------------


def long_ago(message):
    Message.objects.filter(pk=message.pk).update(
        updated_at=timezone.now() - retrying.AGAIN_AFTER * 2
    )


def delivered(campaign):
    message = sent(campaign)
    send_chunk(None)
    wa.report(Attempt.objects.get(), "delivered")
    receipts.apply_events()
    return message


def test_a_message_is_sent_again_with_a_reason_and_a_trace(browser, campaign, sandbox):
    message = delivered(campaign)
    long_ago(message)

    answer = browser.post(
        url("whatsapp-again", campaign, message.pk), {"reason": "Asked for on the phone"}
    )
    send_chunk(None)

    assert answer.url == url("message", campaign, message.pk)
    out = sandbox.outbox(channel="whatsapp")
    assert len(out) == 2
    assert out[0]["parameters"] == out[1]["parameters"]
    assert out[0]["attempt"] != out[1]["attempt"]
    event = AuditEvent.objects.get(action="message.sent_again")
    assert event.details["reason"] == "Asked for on the phone"
    counts = Counter.objects.filter(campaign=campaign).by_status()
    assert (counts["total"], counts["sent"], counts["success"]) == (1, 1, 0)


def test_what_was_heard_of_a_moment_ago_is_not_sent_again(browser, campaign, sandbox):
    message = delivered(campaign)

    answer = browser.post(url("whatsapp-again", campaign, message.pk), {"reason": "Again"})

    assert answer.status_code == 422
    assert len(sandbox.outbox(channel="whatsapp")) == 1


def test_a_late_report_on_the_first_try_does_not_speak_for_the_second(campaign, sandbox):
    message = delivered(campaign)
    first = Attempt.objects.get()
    long_ago(message)
    retrying.send_again(campaign, message.pk, reason="x", by=campaign.creator)
    send_chunk(None)

    wa.report(first, "read")
    receipts.apply_events()

    message.refresh_from_db()
    first.refresh_from_db()
    assert (message.status, first.status) == ("sent", "opened")


def test_it_needs_a_reason(browser, campaign, sandbox):
    message = delivered(campaign)
    long_ago(message)

    answer = browser.post(url("whatsapp-again", campaign, message.pk), {"reason": " "})

    assert answer.status_code == 422
    assert len(sandbox.outbox(channel="whatsapp")) == 1


def test_a_message_of_another_campaign_is_not_there(browser, campaign, officer, template):
    other = WhatsappCampaignFactory(creator=officer, template=template)
    message = sent(other)

    for name in ("message", "whatsapp-again"):
        assert browser.get(url(name, campaign, message.pk)).status_code == 404
    assert browser.post(url("whatsapp-again", campaign, message.pk)).status_code == 404


def test_an_sms_cannot_be_sent_again_this_way(browser, officer):

    sms = CampaignFactory(creator=officer, bodies={"english": "{{name}} {{clinic}}"})
    message = single(sms)

    assert browser.get(url("whatsapp-again", sms, message.pk)).status_code == 404


def test_to_a_stranger_no_page_of_it_exists(client_of, campaign):
    message = sent(campaign)
    stranger = client_of(UserFactory())

    for name, args in (
        ("campaign", []),
        ("whatsapp-template", []),
        ("compose-single", []),
        ("compose-multiple", []),
        ("csv-template", []),
        ("campaign-stats", []),
        ("message", [message.pk]),
        ("whatsapp-again", [message.pk]),
    ):
        assert stranger.get(url(name, campaign, *args)).status_code == 404


@pytest.mark.parametrize(
    "name", ["campaign-about", "campaign-stats", "campaign-batches", "campaign-list"]
)
def test_the_pages_that_all_campaigns_have_open(browser, campaign, name):
    args = [] if name == "campaign-list" else [campaign.pk]

    page = browser.get(reverse(name, args=args))

    assert page.status_code == 200
    assert "WhatsApp" in page.text


@pytest.mark.parametrize("name", ["campaign-integrations", "campaign-billing", "campaign-log"])
def test_pages_of_sms_do_not_exist_for_it(browser, campaign, name):
    assert browser.get(url(name, campaign)).status_code == 404


def test_bodies_are_pinned_once_for_each_language(campaign):
    checked(campaign, ROWS)
    checked(campaign, ROWS)

    assert WhatsappBody.objects.filter(body__template__campaign=campaign).count() == 2
    assert Batch.objects.filter(campaign=campaign, status="ready").count() == 2
