from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from campaigns.models import EmailDraft
from messaging import email_tests
from messaging.models import Attempt, Counter, EmailTest, Message
from messaging.sending import deciding, trials
from postman.errors import Refused
from tests.messaging.emails import edit, mark_tested, ready_batch
from tests.messaging.rows import make_batch, member

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(email_campaign):
    return ready_batch(email_campaign)


@pytest.fixture
def page(batch):
    return reverse("batch-test", args=[batch.campaign_id, batch.pk])


@pytest.fixture
def client(client_of, officer):
    return client_of(officer)


def send_test(batch, *recipients, **asked):
    tests = trials.send_test(
        batch,
        row=asked.pop("row", 2),
        recipients=recipients or ["mei.ling@health.gov.sg"],
        by=asked.pop("by", batch.campaign.creator),
        **asked,
    )
    email_tests.send_waiting()
    return tests


def test_officers_get_the_email_of_one_row_marked_as_a_test(batch, sandbox):
    send_test(batch, "mei.ling@health.gov.sg", "ravi@health.gov.sg", row=3)

    mails = {mail["to"]: mail for mail in sandbox.outbox(channel="email")}
    assert set(mails) == {"mei.ling@health.gov.sg", "ravi@health.gov.sg"}
    mail = mails["ravi@health.gov.sg"]
    assert mail["subject"] == "[TEST] Your visit to Yishun"
    assert "Dear Ravi, see you at Yishun." in mail["html"]
    assert "/test" in mail["headers"]["List-Unsubscribe"]


def test_a_test_may_go_without_its_mark(batch, sandbox):
    send_test(batch, is_marked=False)

    assert sandbox.outbox(channel="email")[0]["subject"] == "Your visit to Bedok"


def test_a_test_is_in_no_count_and_no_list(batch, sandbox):
    send_test(batch)

    assert EmailTest.objects.get().outcome == "sent"
    assert not Message.objects.exists()
    assert not Attempt.objects.exists()
    assert not Counter.objects.exists()


def test_only_a_tested_message_can_be_sent(batch, officer, sandbox):
    with pytest.raises(Refused) as refused:
        deciding.send_batch(batch, by=officer)

    assert refused.value.code == "not_tested"
    send_test(batch)
    assert deciding.send_batch(batch, by=officer).status == "messages_enqueuing"


def test_a_message_that_changed_since_is_tested_again(batch, officer, sandbox):
    send_test(batch)
    edit(batch.campaign, subject="Another subject")

    with pytest.raises(Refused) as refused:
        deciding.schedule_batch(batch, at=timezone.now() + timedelta(days=1), by=officer)

    assert refused.value.code == "not_tested"


def test_a_test_of_an_older_text_that_leaves_late_does_not_count_for_the_newer(batch, sandbox):
    trials.send_test(batch, row=2, recipients=["mei.ling@health.gov.sg"], by=batch.creator)
    edit(batch.campaign, html="<p>Another text.</p>")

    email_tests.send_waiting()

    draft = EmailDraft.objects.get(campaign=batch.campaign)
    assert (draft.tested_version, draft.version) == (1, 2)
    assert "Dear Mei," in sandbox.outbox(channel="email")[0]["html"]


def test_a_test_that_the_provider_refused_opens_no_gate(batch, sandbox):
    send_test(batch, "rejected@health.gov.sg")

    assert EmailTest.objects.get().outcome == "failed"
    assert EmailDraft.objects.get(campaign=batch.campaign).tested_version is None


def test_a_test_that_the_provider_has_no_time_for_waits_and_goes_out_later(batch, sandbox):
    sandbox.control(rate_429=1)
    send_test(batch)
    waiting = EmailTest.objects.get()

    sandbox.control(rate_429=0)
    EmailTest.objects.update(due_at=timezone.now())
    email_tests.send_waiting()

    assert waiting.outcome == "waiting"
    assert EmailTest.objects.get().outcome == "sent"


def test_a_test_whose_answer_was_lost_is_shown_as_that(batch, sandbox):
    send_test(batch, "lost@health.gov.sg")

    assert EmailTest.objects.get().outcome == "unknown"
    assert EmailDraft.objects.get(campaign=batch.campaign).tested_version is None


def test_a_test_that_nobody_heard_of_any_more_is_not_sent_again(batch, sandbox):
    trials.send_test(batch, row=2, recipients=["mei.ling@health.gov.sg"], by=batch.creator)
    EmailTest.objects.update(outcome="sending", lease_until=timezone.now() - timedelta(seconds=1))

    email_tests.sweep()
    email_tests.send_waiting()

    assert EmailTest.objects.get().outcome == "unknown"
    assert sandbox.outbox(channel="email") == []


@pytest.mark.parametrize(
    ("testers", "code"),
    [
        (["mei@example.org"], "tester_not_an_officer"),
        (["a@health.gov.sg", "b@gov.sg.example.org"], "tester_not_an_officer"),
        ([f"a{n}@health.gov.sg" for n in range(11)], "number_of_testers_out_of_range"),
    ],
)
def test_a_test_goes_to_a_few_officers_only(batch, testers, code):
    with pytest.raises(Refused) as refused:
        trials.send_test(batch, row=2, recipients=testers, by=batch.creator)

    assert refused.value.code == code
    assert not EmailTest.objects.exists()


def test_fifty_tests_an_hour_are_enough(batch):
    testers = [f"a{n}@health.gov.sg" for n in range(10)]
    for _ in range(5):
        trials.send_test(batch, row=2, recipients=testers, by=batch.creator)

    with pytest.raises(Refused) as refused:
        trials.send_test(batch, row=2, recipients=testers[:1], by=batch.creator)

    assert refused.value.code == "too_many_tests"


def test_there_is_no_test_of_a_message_with_faults(batch):
    edit(batch.campaign, html="<p>{{na me}}</p>")

    with pytest.raises(Refused) as refused:
        trials.send_test(batch, row=2, recipients=["a@health.gov.sg"], by=batch.creator)

    assert refused.value.code == "draft_not_ready"


# Its page ----------------------------------------------------------------------------------


def test_the_page_offers_the_officers_own_address_and_the_first_row(client, page):
    html = client.get(page).content.decode()

    assert "mei.ling@health.gov.sg</textarea>" in html
    assert 'name="row" value="2"' in html
    assert 'aria-current="step">Test</a>' in html


def test_the_page_sends_and_tells_of_every_test(client, page, sandbox):
    answer = client.post(
        page, {"recipients": "mei.ling@health.gov.sg, ravi@health.gov.sg", "row": 3, "is_marked": 1}
    )
    email_tests.send_waiting()
    html = client.get(page).content.decode()

    assert answer.url == page
    assert "ravi@health.gov.sg" in html
    assert "The message as it is now was tested." in html
    assert "every 2s" not in html


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"recipients": "", "row": 2}, "Give at least one address."),
        ({"recipients": "mei", "row": 2}, "“mei” is not an email address."),
        ({"recipients": "a@example.org", "row": 2}, "a@example.org is no officer’s address"),
        ({"recipients": "a@health.gov.sg", "row": 99}, "has no such row"),
        ({"recipients": "a@health.gov.sg", "row": 10**12}, "less than or equal to"),
    ],
)
def test_what_is_wrong_is_said_beside_what_was_typed(client, page, typed, says):
    answer = client.post(page, typed)

    assert answer.status_code == 422
    assert says.replace("’", "&#x27;") in answer.content.decode().replace("’", "&#x27;")
    assert not EmailTest.objects.exists()


def test_the_review_of_an_untested_message_leads_to_the_test_and_has_no_button(client, batch, page):
    html = client.get(reverse("batch", args=[batch.campaign_id, batch.pk])).content.decode()

    assert "Nobody has tested this message yet." in html
    assert page in html
    assert "Send 2 emails now" not in html


def test_sms_campaigns_have_no_tests(client, campaign):
    batch = make_batch(campaign)

    assert client.get(reverse("batch-test", args=[campaign.pk, batch.pk])).status_code == 404


def test_nobody_tests_with_anothers_file(client_of, batch, page):
    clerk = member(batch.campaign, "member_restricted")

    answer = client_of(clerk).post(page, {"recipients": clerk.email, "row": 2})

    assert answer.status_code == 404
    assert not EmailTest.objects.exists()


def test_what_is_scheduled_is_tested_no_more(client, batch, page, officer):
    mark_tested(batch.campaign)
    deciding.schedule_batch(batch, at=timezone.now() + timedelta(days=1), by=officer)

    html = client.get(page).content.decode()

    assert "This file is scheduled" in html
    assert "Send test message" not in html
