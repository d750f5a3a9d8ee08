"""Two at once: the second waits at the row's lock and must look again at what the first left."""

import threading
import time
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.utils import timezone

from messaging import email_tests, ingest, webhooks
from messaging.delivery import claiming, expanding, starting
from messaging.delivery.changes import Change, apply
from messaging.delivery.pipeline import send_chunk
from messaging.models import (
    Attempt,
    Batch,
    BatchStatus,
    Message,
    StagedRow,
    Webhook,
    WebhookDelivery,
    WebhookTry,
)
from messaging.sending import deciding, trials, uploading
from postman.accounts.models import EmailDomain
from postman.errors import Refused
from tests.messaging.builders import accepted_batch, csv_of, single, upload
from tests.messaging.emails import edit, mark_tested, ready_batch

pytestmark = pytest.mark.django_db(transaction=True)


def meanwhile(first, second, look=lambda: None):
    """`second`'s result, begun after `first` changed its rows and before that was committed."""
    result = []

    def run():
        try:
            result.append(second())
        except Refused:
            result.append("refused")
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    with transaction.atomic():
        first()
        thread.start()
        wait_until_somebody_waits()
        look()
    thread.join()
    return result[0]


def wait_until_somebody_waits():
    end = time.monotonic() + 10
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute(
                "SELECT count(*) FROM pg_locks"
                " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
            time.sleep(0.02)
    raise AssertionError("nobody waited")


@pytest.fixture
def ready(campaign):
    return upload(campaign, csv_of(3))


@pytest.fixture
def due(ready):
    deciding.schedule_batch(ready, at=timezone.now() + timedelta(hours=1), by=ready.creator)
    Batch.objects.update(scheduled_at=timezone.now())
    return Batch.objects.get()


def again(batch):
    return Batch.objects.get(id=batch.id)


@pytest.mark.parametrize(
    ("stop", "left"),
    [
        (deciding.unschedule_batch, BatchStatus.READY),
        (deciding.discard_batch, BatchStatus.DISCARDED),
    ],
)
def test_what_was_stopped_as_its_time_came_does_not_start(due, stop, left):
    assert meanwhile(lambda: stop(again(due), by=due.creator), starting.start_due_batches) == []

    assert again(due).status == left


def test_what_was_put_off_as_its_time_came_does_not_start(due):
    later = timezone.now() + timedelta(hours=1)

    started = meanwhile(
        lambda: deciding.schedule_batch(again(due), at=later, by=due.creator),
        starting.start_due_batches,
    )

    assert started == []
    assert (again(due).status, again(due).scheduled_at) == (BatchStatus.SCHEDULED, later)


def test_of_two_beats_one_starts_a_batch(due):
    assert meanwhile(starting.start_due_batches, starting.start_due_batches) == []


def test_a_batch_that_is_being_sent_keeps_its_rows_from_a_discard(ready):
    other = again(ready)

    answer = meanwhile(
        lambda: deciding.send_batch(again(ready), by=ready.creator),
        lambda: deciding.discard_batch(other, by=other.creator),
    )

    assert answer == "refused"
    assert expanding.expand(ready.id) == 3


def test_a_batch_that_was_discarded_is_not_said_to_be_sent(ready):
    other = again(ready)

    answer = meanwhile(
        lambda: deciding.discard_batch(again(ready), by=ready.creator),
        lambda: deciding.send_batch(other, by=other.creator),
    )

    assert answer == "refused"
    assert again(ready).status == BatchStatus.DISCARDED


def test_expanding_what_nobody_sent_takes_no_row_away(ready):
    assert expanding.expand(ready.id) == 0

    assert StagedRow.objects.filter(batch=ready).count() == 3


@pytest.fixture
def webhook(campaign, sandbox):
    url = f"{sandbox.url}/webhooks/race"
    return webhooks.add_webhook(campaign=campaign, url=url, by=campaign.creator)[0]


def test_what_became_of_a_message_is_written_down_while_its_webhook_is_being_deleted(
    campaign, webhook, sandbox
):
    message = single(campaign)
    thread = threading.Thread(target=lambda: (send_chunk(None), connection.close()))
    with transaction.atomic():
        webhooks.delete_webhook(webhook, by=campaign.creator)
        thread.start()
        thread.join(timeout=20)  # it has to wait for nobody

        assert not thread.is_alive()
        assert Message.objects.get(pk=message.pk).status == "sent"
    assert not Webhook.objects.exists()


def test_a_webhook_that_is_deleted_while_it_is_served_takes_its_log_along(
    campaign, webhook, sandbox
):
    webhooks.send_test(webhook, by=campaign.creator)
    sandbox.control(webhooks={"delay_ms": 300})
    thread = threading.Thread(
        target=lambda: (webhooks.serve(webhook.pk, seconds=5), connection.close())
    )
    thread.start()
    while not sandbox.get("/webhooks.json")["events"]:
        pass
    webhooks.delete_webhook(webhook, by=campaign.creator)
    webhooks.forget_log(webhook.id)
    thread.join()

    assert not Webhook.objects.exists()
    assert not WebhookDelivery.objects.exists()
    assert not WebhookTry.objects.exists()


def test_a_file_of_the_api_is_checked_by_its_call_and_by_no_worker(campaign):
    seen = []

    def send():
        file = SimpleUploadedFile("people.csv", csv_of(3))
        return uploading.send_file(campaign=campaign, creator=campaign.creator, upload=file)

    batch = meanwhile(
        lock_the_audit_log,
        send,
        look=lambda: seen.append(ingest.waiting(timezone.now())),
    )

    assert seen == [[]]
    assert batch.status == BatchStatus.ENQUEUING


def lock_the_audit_log():
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE accounts_auditevent")


def test_what_two_hear_of_an_attempt_at_once_reaches_its_message(campaign):
    accepted_batch(campaign, 3)
    attempts = [claimed.attempt_id for claimed in claiming.claim(Batch.objects.get().id)]

    meanwhile(
        lambda: apply([Change(id_, "unknown") for id_ in attempts]),
        lambda: apply([Change(id_, "sent_to_telco") for id_ in attempts]),
    )

    assert set(Attempt.objects.values_list("status", flat=True)) == {"sent_to_telco"}
    assert set(Message.objects.values_list("status", flat=True)) == {"sent_to_telco"}
    assert Batch.objects.get().counts()["sent_to_telco"] == 3


def test_a_text_that_is_saved_while_an_email_is_sent_is_not_the_one_that_leaves(email_campaign):
    mark_tested(email_campaign)
    batch = ready_batch(email_campaign)

    meanwhile(
        lambda: deciding.send_batch(batch, by=email_campaign.creator, reviewed=1),
        lambda: edit(email_campaign, html="<p>Another text.</p>"),
    )

    batch.refresh_from_db()
    assert batch.template_body.body == "<p>Dear {{name}}, see you at {{clinic}}.</p>"


def test_an_email_whose_text_is_being_saved_waits_and_is_refused(email_campaign):
    mark_tested(email_campaign)
    batch = ready_batch(email_campaign)

    outcome = meanwhile(
        lambda: edit(email_campaign, html="<p>Another text.</p>"),
        lambda: deciding.send_batch(batch, by=email_campaign.creator, reviewed=1),
    )

    assert outcome == "refused"
    batch.refresh_from_db()
    assert (batch.status, batch.template_body_id) == (BatchStatus.READY, None)


def test_of_two_who_send_an_email_one_does(email_campaign):
    mark_tested(email_campaign)
    batch = ready_batch(email_campaign)

    outcome = meanwhile(
        lambda: deciding.send_batch(batch, by=email_campaign.creator, reviewed=1),
        lambda: deciding.send_batch(
            Batch.objects.get(pk=batch.pk), by=email_campaign.creator, reviewed=1
        ),
    )

    assert outcome == "refused"


def test_two_processes_never_send_the_same_test(email_campaign, sandbox):
    EmailDomain.objects.create(domain="health.gov.sg")
    batch = ready_batch(email_campaign)
    trials.send_test(batch, row=2, recipients=["a@health.gov.sg"], by=batch.creator)
    others = []

    with transaction.atomic():
        email_tests._claim()
        thread = threading.Thread(
            target=lambda: (others.append(email_tests.send_waiting()), connection.close())
        )
        thread.start()
        thread.join(timeout=20)

    assert others == [0]
