"""What the provider could not say of a message is for an officer to decide."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from messaging import receipts
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Batch, Message
from messaging.sending import retrying
from postman.accounts.models import AuditEvent
from postman.errors import Refused
from tests.factories import UserFactory
from tests.messaging.builders import accepted_batch, report, single

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(campaign, sandbox):
    """Three messages that the provider took, and whose answers were lost."""
    sandbox.control(callbacks={"enabled": False}, rate_lost=1)
    batch = accepted_batch(campaign, 3)
    while send_chunk(batch.id):
        pass
    sandbox.control(rate_lost=0)
    return batch


def later():
    return time_machine.travel(timezone.now() + retrying.DECIDED_AFTER + timedelta(minutes=1))


def resend(batch):
    return retrying.resend_unknown(Message.objects.filter(batch=batch), by=batch.creator, on=batch)


def counts(batch):
    return {status: n for status, n in Batch.objects.get(id=batch.id).counts().items() if n}


def test_an_officer_has_them_sent_again_as_new_attempts(batch, sandbox):
    with later():
        assert resend(batch) == 3
        while send_chunk(batch.id):
            pass

    assert counts(batch) == {"total": 3, "sent": 3}
    assert (
        sorted(Attempt.objects.values_list("number", "status"))
        == [(1, "unknown")] * 3 + [(2, "sent")] * 3
    )
    assert len(sandbox.outbox(channel="sms")) == 6
    assert AuditEvent.objects.get(action="unknown.resent").details == {"messages": 3}


def test_pressed_twice_sends_once(batch, sandbox):
    with later():
        resend(batch)
        with pytest.raises(Refused):
            resend(batch)
        while send_chunk(batch.id):
            pass

    assert set(Message.objects.values_list("attempts_made", flat=True)) == {2}


def test_it_waits_until_the_provider_has_been_asked(batch):
    with pytest.raises(Refused) as refused:
        resend(batch)

    assert "may still be heard" in refused.value.message
    assert counts(batch) == {"total": 3, "unknown": 3}


def test_a_late_report_on_the_old_attempt_stays_with_it(batch, sandbox):
    with later():
        resend(batch)
        old = Attempt.objects.select_related("message").first()
        report(old, "delivered")
        receipts.apply_events()

        old.refresh_from_db()
        assert old.status == "success"
        assert Message.objects.get(id=old.message_id).status == "created"
        assert counts(batch) == {"total": 3, "created": 3}


def test_there_is_nothing_to_decide_where_all_is_known(campaign, sandbox):
    message = single(campaign)
    send_chunk(None)

    with pytest.raises(Refused) as refused:
        retrying.resend_unknown(
            Message.objects.filter(id=message.id), by=campaign.creator, on=message
        )

    assert refused.value.code == "nothing_to_decide"


# The pages ---------------------------------------------------------------------------------


def test_the_batch_page_asks_before_it_sends_again(batch, client_of):
    client = client_of(batch.creator)
    url = reverse("batch-resend", args=[batch.campaign_id, batch.id])
    with later():
        page = client.get(reverse("batch", args=[batch.campaign_id, batch.id]))
        asked = client.get(url)
        assert url in page.content.decode()
        assert "Send 3 messages again?" in asked.content.decode()
        assert Message.objects.filter(status="unknown").count() == 3

        done = client.post(url, follow=True)

    assert "3 messages will be sent again" in done.content.decode()


def test_one_message_can_be_sent_again_from_its_page(batch, client_of):
    message = Message.objects.first()
    url = reverse("message-resend", args=[batch.campaign_id, message.id])
    with later():
        done = client_of(batch.creator).post(url, follow=True)

    assert "1 message will be sent again" in done.content.decode()
    assert Message.objects.filter(status="created").get() == message


def test_a_failed_message_is_retried_from_its_page(campaign, sandbox, client_of):
    message = single(campaign)
    send_chunk(None)
    report(message.attempts.select_related("message").get(), "undelivered", "30003")
    receipts.apply_events()
    client = client_of(campaign.creator)
    page = client.get(reverse("message", args=[campaign.id, message.id])).content.decode()
    assert reverse("message-retry", args=[campaign.id, message.id]) in page

    client.post(reverse("message-retry", args=[campaign.id, message.id]))
    send_chunk(None)

    message.refresh_from_db()
    assert (message.status, message.attempts_made) == ("sent", 2)


@pytest.mark.parametrize("name", ["message-retry", "message-resend"])
def test_nobody_else_may_decide_on_a_message(batch, client_of, name):
    url = reverse(name, args=[batch.campaign_id, Message.objects.first().id])

    assert client_of(UserFactory()).post(url).status_code == 404
