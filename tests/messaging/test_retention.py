"""Personal data is erased when its time is over; what happened to whom it was sent stays counted."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from messaging import billing, receipts, retention, tasks, transactional
from messaging.delivery import claiming
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Batch, Charge, Message, StagedRow, TransactionalFile
from messaging.sending import deciding, retrying
from messaging.states import Status
from postman.errors import Refused
from tests.messaging.builders import accepted_batch, csv_of, report, single, upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def thirty_days(campaign):
    campaign.agency.retention_days = 30
    campaign.agency.save()


@pytest.fixture
def batch(campaign, sandbox):
    batch = accepted_batch(campaign, 4)
    while send_chunk(batch.id):
        pass
    return batch


def later(days):
    return time_machine.travel(timezone.now() + timedelta(days=days))


def erased():
    return list(Message.objects.filter(recipient="", values={}).values_list("row", flat=True))


def test_recipients_and_values_are_erased_and_the_facts_kept(batch, thirty_days):
    before = batch.counts()
    with later(days=31):
        assert retention.erase(chunks=10) is False

    assert sorted(erased()) == [2, 3, 4, 5]
    assert Batch.objects.get().counts() == before
    assert set(Message.objects.values_list("status", "segments")) == {("sent", 1)}
    assert Attempt.objects.exclude(reference="").count() == 4


def test_nothing_is_erased_before_its_time(batch, thirty_days):
    with later(days=29):
        retention.erase(chunks=10)

    assert erased() == []


def test_an_agency_without_a_time_keeps_everything(batch):
    with later(days=400):
        retention.erase(chunks=10)

    assert erased() == []


def test_it_goes_on_where_it_stopped_and_may_run_twice(batch, thirty_days):
    with later(days=31):
        assert retention.erase(chunks=1, size=3) is True
        assert len(erased()) == 3
        assert retention.erase(chunks=10) is False
        assert retention.erase(chunks=10) is False

    assert len(erased()) == 4


def test_what_moved_lately_waits_and_is_not_forgotten(batch, thirty_days):
    with later(days=31):
        first = Attempt.objects.select_related("message").order_by("message__id").first()
        report(first, "delivered")
        receipts.apply_events()
        retention.erase(chunks=10)
        assert erased() == []
    with later(days=36):
        retention.erase(chunks=10)

    assert len(erased()) == 4


def test_what_nobody_sent_in_all_that_time_is_cancelled(campaign, thirty_days):
    message = single(campaign)
    batch = accepted_batch(campaign, 2)
    deciding.stop_batch(batch, by=batch.creator)

    with later(days=31):
        retention.erase(chunks=10)

    message.refresh_from_db()
    assert message.status == Status.CANCELLED
    assert {k: n for k, n in batch.counts().items() if n} == {"total": 2, "cancelled": 2}
    assert claiming.claim(None) == []


def test_an_erased_message_is_never_sent_again(batch, thirty_days):
    for attempt in Attempt.objects.select_related("message"):
        report(attempt, "undelivered", "30003")
    receipts.apply_events()
    with later(days=31):
        retention.erase(chunks=10)

        with pytest.raises(Refused):
            retrying.retry_batch(batch.campaign, batch.id, by=batch.creator)
        with pytest.raises(Refused):
            retrying.retry_message(batch.campaign, Message.objects.first().id, by=batch.creator)


def test_files_and_their_reports_go_as_well(campaign, thirty_days):
    bad = upload(campaign, csv_of(2) + b"81230001,french,,Clinic\n")
    files = [(stored.storage, stored.name) for stored in (bad.file, bad.report)]

    with later(days=31):
        retention.erase(chunks=10)

    bad.refresh_from_db()
    assert not any(storage.exists(name) for storage, name in files)
    assert (bad.file.name, bad.report.name, bad.first_faults) == ("", "", [])


def test_a_file_whose_call_was_cut_off_is_erased_after_a_day(campaign, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    kept = upload(campaign, csv_of(2))
    orphan = upload(campaign, csv_of(2))
    StagedRow.objects.filter(batch=orphan)._raw_delete("default")
    Batch.objects.filter(id=orphan.id)._raw_delete("default")

    assert retention.erase_orphans(timezone.now()) == 0
    with later(days=2):
        assert retention.erase_orphans(timezone.now()) == 1

    assert kept.file.storage.exists(kept.file.name)
    assert not orphan.file.storage.exists(orphan.file.name)


def test_a_file_that_nobody_sent_is_discarded_with_its_rows(campaign, thirty_days):
    ready = upload(campaign, csv_of(2))

    with later(days=31):
        retention.erase(chunks=10)

    assert Batch.objects.get(id=ready.id).status == "discarded"
    assert not StagedRow.objects.exists()


def test_a_file_that_is_scheduled_is_kept_until_it_is_sent(campaign, thirty_days):
    ready = upload(campaign, csv_of(2))
    deciding.schedule_batch(ready, at=timezone.now() + timedelta(days=60), by=ready.creator)

    with later(days=31):
        retention.erase(chunks=10)

    assert StagedRow.objects.count() == 2


def test_the_page_and_the_api_show_an_erased_message_as_such(batch, thirty_days, client_of):
    with later(days=31):
        tasks.forget()
        message = Message.objects.order_by("row").first()
        page = client_of(batch.creator).get(
            reverse("message", args=[batch.campaign_id, message.id])
        )

    assert "Message to erased" in page.content.decode()
    assert "keeps them for 30 days" in page.content.decode()
    assert message.full_message == ""


def test_no_number_is_erased_before_its_price_is_final(batch, thirty_days):
    """Without its number, a message to Singapore would be billed as one abroad."""
    with later(days=31):
        retention.erase(chunks=10)
        billing.charge_days(seconds=60)

    assert len(erased()) == 4
    assert list(Charge.objects.values_list("is_local", "sends")) == [(True, 4)]


# What systems send ---------------------------------------------------------------------------


@pytest.fixture
def api_email(officer):
    row = transactional.send_email(
        officer, recipient="mei@example.org", subject="Result", body="<p>Negative</p>"
    )
    TransactionalFile.objects.create(
        transactional=row, position=0, name="a.txt", content_type="text/plain", data=b"Negative"
    )
    return row


def test_the_text_of_an_email_of_the_api_is_erased_with_its_recipient(api_email, sandbox, officer):
    officer.agency.retention_days = 30
    officer.agency.save()
    send_chunk(None)

    with later(days=31):
        retention.erase(chunks=10)

    api_email.refresh_from_db()
    assert api_email.content == {}
    assert api_email.message.recipient == ""


def test_a_file_stays_until_its_email_has_left(api_email, sandbox):
    retention.erase_attached()
    assert TransactionalFile.objects.exists()

    send_chunk(None)
    retention.erase_attached()

    assert not TransactionalFile.objects.exists()
