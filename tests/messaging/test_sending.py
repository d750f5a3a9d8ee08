import uuid
from datetime import timedelta

import pytest
import redis
from django.conf import settings
from django.utils import timezone
from redis.exceptions import OutOfMemoryError

from messaging import tasks
from messaging.models import BatchStatus, Counter, Message, StagedRow
from messaging.sending import deciding, singles
from postman.accounts.models import AuditEvent
from postman.celery import app, ring, ring_unless_unheard
from postman.errors import Refused
from tests.messaging.builders import csv_of, single, upload

pytestmark = pytest.mark.django_db

GOOD = {"recipient": "6581230001", "language": "english", "values": {"name": "A", "clinic": "B"}}


def faults(campaign, **changes):
    with pytest.raises(singles.InvalidMessage) as refused:
        singles.send_message(campaign=campaign, creator=campaign.creator, **(GOOD | changes))
    assert not Message.objects.exists()
    return refused.value.faults


class FullBroker(app.Task):
    name = "tests.full_broker"

    def apply_async(self, *args, **kwargs):
        raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'")


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_full_fails_nothing_that_was_accepted(caplog):
    ring(FullBroker())

    assert "tests.full_broker waits for the next tick" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_bell_that_nobody_has_heard_yet_is_not_rung_again(campaign, sandbox):
    broker = redis.from_url(settings.CELERY_BROKER_URL)

    single(campaign)
    single(campaign)
    waiting = broker.llen("urgent")
    tasks.send_singles()
    single(campaign)

    assert (waiting, broker.llen("urgent")) == (1, 2)
    assert Message.objects.filter(status="created").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_bell_for_a_broker_that_is_full_fails_nothing_either(caplog):
    ring_unless_unheard(FullBroker())

    assert "tests.full_broker waits for the next tick" in caplog.text


def test_a_single_message_is_stored_and_counted(campaign):
    message = single(campaign)

    assert (message.status, message.segments) == ("created", 1)
    assert Counter.objects.filter(campaign=campaign).by_status()["created"] == 1


@pytest.mark.parametrize(
    ("recipient", "sentence"),
    [
        ("+6581230001", "plus sign"),
        ("81230001", "country code"),
        ("6581a30001", "letters"),
        ("65 8123 0001", "spaces"),
        ("6561230001", "landline"),
        ("", "phone number"),
        (6581230001, "string"),
        (None, "string"),
    ],
)
def test_a_wrong_number_is_refused_with_its_reason(campaign, recipient, sentence):
    assert sentence in faults(campaign, recipient=recipient)["recipient"]


@pytest.mark.parametrize("language", ["tamil", "ENGLISH", "", None, ["english"]])
def test_a_language_the_campaign_lacks_is_refused_naming_those_it_has(campaign, language):
    assert faults(campaign, language=language)["language"] == "Choose one of: english, malay."


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "A"}, "values.clinic"),
        ({"name": "A", "clinic": ""}, "values.clinic"),
        ({"name": "A", "clinic": 7}, "values.clinic"),
        ({"name": "A", "clinic": " B"}, "values.clinic"),
        ({"name": "A", "clinic": "B€"}, "values.clinic"),
        ({"name": "A", "clinic": "B", "date": "C"}, "values.date"),
        ([], "values"),
        (None, "values"),
        ({"name": "A", "clinic": "B" * 1000}, "values"),
    ],
)
def test_wrong_values_are_refused_by_their_field(campaign, values, field):
    assert list(faults(campaign, values=values)) == [field]


def test_every_fault_is_told_at_once(campaign):
    assert list(faults(campaign, recipient="1", language="x", values={})) == [
        "recipient", "language", "values.name", "values.clinic",
    ]  # fmt: skip


def test_a_form_submitted_twice_sends_once(campaign):
    token = uuid.uuid4()

    first, second = single(campaign, id=token), single(campaign, id=token)

    assert first == second
    assert Message.objects.count() == 1
    assert Counter.objects.filter(campaign=campaign).by_status()["total"] == 1


def test_a_value_that_looks_like_a_variable_stays_text(campaign):
    body = campaign.bodies["english"]

    assert body.render({"name": "{{clinic}}", "clinic": "B"}) == "Dear {{clinic}}, see you at B."


# --- Batches ---


def test_a_batch_is_sent_once(campaign):
    batch = upload(campaign, csv_of(2))

    deciding.send_batch(batch, by=campaign.creator)
    with pytest.raises(Refused):
        deciding.send_batch(batch, by=campaign.creator)

    assert batch.status == BatchStatus.ENQUEUING
    assert AuditEvent.objects.filter(action="batch.accepted").count() == 1


@pytest.mark.parametrize("ahead", [timedelta(seconds=-1), timedelta(days=366)])
def test_a_time_in_the_past_or_over_a_year_ahead_is_refused(campaign, ahead):
    batch = upload(campaign, csv_of(2))

    with pytest.raises(Refused):
        deciding.schedule_batch(batch, at=timezone.now() + ahead, by=campaign.creator)

    batch.refresh_from_db()
    assert batch.status == BatchStatus.READY


def test_a_schedule_can_be_moved_and_taken_back(campaign):
    batch = upload(campaign, csv_of(2))
    tomorrow = timezone.now() + timedelta(days=1)

    deciding.schedule_batch(batch, at=tomorrow, by=campaign.creator)
    deciding.schedule_batch(batch, at=tomorrow + timedelta(hours=1), by=campaign.creator)
    assert batch.scheduled_at == tomorrow + timedelta(hours=1)
    deciding.unschedule_batch(batch, by=campaign.creator)

    assert (batch.status, batch.scheduled_at) == (BatchStatus.READY, None)


def test_discarding_takes_rows_and_file_away(campaign, django_capture_on_commit_callbacks):
    batch = upload(campaign, csv_of(2))

    with django_capture_on_commit_callbacks(execute=True):
        deciding.discard_batch(batch, by=campaign.creator)

    assert batch.status == BatchStatus.DISCARDED
    assert not StagedRow.objects.exists()
    assert not batch.file.storage.exists(batch.file.name)


def test_what_was_sent_cannot_be_discarded(campaign):
    batch = upload(campaign, csv_of(2))
    deciding.send_batch(batch, by=campaign.creator)

    with pytest.raises(Refused, match="Delivery in progress"):
        deciding.discard_batch(batch, by=campaign.creator)
