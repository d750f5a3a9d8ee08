import itertools
import threading
from datetime import timedelta

import psycopg
import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from campaigns.models import TwilioCredentials
from messaging import counters, receipts, tasks
from messaging.channels import twilio
from messaging.channels.base import DELIVERY_ERRORS, Accepted, Rejected, Throttled, Unavailable
from messaging.delivery import claiming, expanding, handing_over, leases, recording, starting
from messaging.delivery.changes import Change, apply
from messaging.delivery.pipeline import Pipeline, send_chunk
from messaging.models import Attempt, Batch, BatchStatus, Counter, Message, ProviderEvent
from messaging.sandbox.numbers import NUMBERS
from messaging.sending import deciding, singles
from tests.factories import CampaignFactory
from tests.messaging.builders import accepted_batch, csv_of, report, single, upload

pytestmark = pytest.mark.django_db


def counted(batch):
    return {status: n for status, n in batch.counts().items() if n}


def in_threads(count, work):
    """Run `work` in threads at once, each with its own database connection; its results."""
    results, barrier = [], threading.Barrier(count)

    def run():
        barrier.wait()
        try:
            results.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# --- From row to provider ---


def test_every_row_of_a_batch_is_handed_over_once(campaign, sandbox):
    batch = accepted_batch(campaign, 7)

    while send_chunk(batch.id):
        pass

    sent = sandbox.outbox(channel="sms")
    assert sorted(m["to"] for m in sent) == [f"+65812{n:05}" for n in range(7)]
    assert counted(batch) == {"total": 7, "sent": 7}
    assert Batch.objects.get().dispatched_at is not None


def test_the_text_that_leaves_is_the_text_that_is_shown(campaign, sandbox):
    message = single(campaign)

    send_chunk(None)

    [sent] = sandbox.outbox(to="6581230001")
    assert sent["text"] == message.full_message
    assert sent["text"].startswith(
        "Ministry of Health\n\n---\n\nDear Mei Ling, see you at Clementi Clinic.\n\n---\n\n"
    )


def test_the_attempt_is_committed_before_the_provider_is_called(campaign):
    message = single(campaign)

    [claimed] = claiming.claim(None)

    attempt = Attempt.objects.get()
    assert (claimed.attempt_id, attempt.status, attempt.number) == (attempt.id, "sending", 1)
    message.refresh_from_db()
    assert (message.status, message.attempts_made) == ("sending", 1)


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_take_the_same_message(campaign):
    batch = accepted_batch(campaign, 200)

    taken = in_threads(4, lambda: claiming.claim(batch.id, limit=60))

    ids = [claimed.attempt_id for chunk in taken for claimed in chunk]
    assert len(ids) == len(set(ids)) == 200


def test_a_chunk_is_not_waited_for_and_written_down_in_the_end(campaign, sandbox):
    batch = accepted_batch(campaign, 2)

    with Pipeline() as pipeline:
        pipeline.send_chunk(batch.id)
        meanwhile = batch.counts()

    assert (meanwhile["sending"], meanwhile["sent"]) == (2, 0)
    assert batch.counts()["sent"] == 2


def test_what_is_on_its_way_is_written_down_whatever_happens_meanwhile(campaign, sandbox):
    batch = accepted_batch(campaign, 2)

    with pytest.raises(RuntimeError), Pipeline() as pipeline:
        pipeline.send_chunk(batch.id)
        raise RuntimeError("the next claim failed")

    assert batch.counts()["sent"] == 2


def test_expanding_twice_makes_every_message_once(campaign):
    batch = deciding.send_batch(upload(campaign, csv_of(12)), by=campaign.creator)

    assert expanding.expand(batch.id) == 12
    assert expanding.expand(batch.id) == 0

    assert Message.objects.filter(batch=batch).count() == 12
    assert counted(batch) == {"total": 12, "created": 12}


@pytest.mark.django_db(transaction=True)
def test_expanding_at_once_makes_every_message_once(campaign, monkeypatch):
    monkeypatch.setattr(expanding, "CHUNK", 25)
    batch = deciding.send_batch(upload(campaign, csv_of(200)), by=campaign.creator)

    moved = in_threads(3, lambda: expanding.expand(batch.id))

    assert sum(moved) == Message.objects.filter(batch=batch).count() == 200
    expanding.expand(batch.id)
    assert Batch.objects.get().status == BatchStatus.ENQUEUED


# --- What the provider answers ---


def test_a_refusal_is_a_failure_with_the_code_of_v2_and_the_providers(campaign, sandbox):
    message = single(campaign)
    [claimed] = claiming.claim(None)

    recording.record([(claimed, Rejected("content_invalid", "Filtered", "30007"))])

    attempt = message.attempts.get()
    assert attempt.status == "failure"
    assert (attempt.error_code, attempt.provider_code) == ("content_invalid", "30007")
    message.refresh_from_db()
    assert message.status == "failure"


def test_what_the_provider_did_not_take_is_tried_again_as_the_same_attempt(campaign, sandbox):
    sandbox.control(down=True)
    batch = accepted_batch(campaign, 3)
    send_chunk(batch.id)
    assert counted(batch) == {"total": 3, "enqueued": 3}
    assert not Batch.objects.being_sent(timezone.now()).exists()

    sandbox.control(down=False)
    later = timezone.now() + recording.HOLD
    assert Batch.objects.being_sent(later).exists()
    Message.objects.update(due_at=None)
    send_chunk(batch.id)

    assert counted(batch) == {"total": 3, "sent": 3}
    assert [a.number for a in Attempt.objects.all()] == [1, 1, 1]
    assert len(sandbox.outbox(channel="sms")) == 3


def test_a_lost_answer_is_unknown_and_never_sent_again(campaign, sandbox):
    sandbox.control(rate_lost=1.0)
    batch = accepted_batch(campaign, 2)
    send_chunk(batch.id)
    sandbox.control(rate_lost=0.0)

    assert send_chunk(batch.id) == 0

    assert counted(batch) == {"total": 2, "unknown": 2}
    assert len(sandbox.outbox(channel="sms")) == 2


@pytest.mark.parametrize(
    ("asked", "given"),
    [(None, 5), (30, 30), (0.1, 1), (300, 300), (86_401, 86_400), (1e300, 86_400)],
)
def test_a_provider_that_asks_for_patience_gets_it_within_reason(campaign, asked, given):
    batch = accepted_batch(campaign, 1)
    [claimed] = claiming.claim(batch.id)

    with time_machine.travel(claimed.lease_until, tick=False):
        recording.record([(claimed, Throttled(asked))])

    batch.refresh_from_db()
    message = Message.objects.get()
    patience = timedelta(seconds=given)
    assert message.status == "enqueued"
    assert message.due_at == batch.hold_until == claimed.lease_until + patience


def test_the_longest_patience_asked_for_counts_whatever_is_heard_after_it(campaign):
    batch = accepted_batch(campaign, 2)
    first, second = claiming.claim(batch.id)

    with time_machine.travel(first.lease_until, tick=False):
        recording.record([(first, Throttled(300))])
        recording.record([(second, Unavailable())])

    batch.refresh_from_db()
    assert batch.hold_until == first.lease_until + timedelta(seconds=300)


def test_an_outage_of_three_hours_fails_nothing(campaign, sandbox):
    batch = accepted_batch(campaign, 5)
    password = single(campaign, "6591234567")
    sandbox.control(down=True)
    began = timezone.now()
    for minutes in range(0, 180, 20):
        with time_machine.travel(began + timedelta(minutes=minutes)):
            tasks.send_batches()
            tasks.send_singles()
    assert set(Message.objects.values_list("status", flat=True)) == {"enqueued"}

    sandbox.control(down=False)
    with time_machine.travel(began + timedelta(minutes=181)):
        tasks.send_batches()
        tasks.send_singles()

    assert counted(batch) == {"total": 5, "sent": 5}
    password.refresh_from_db()
    assert password.status == "sent"
    assert set(Attempt.objects.values_list("number", flat=True)) == {1}
    assert len(sandbox.outbox(channel="sms")) == 6


def test_an_attempt_whose_process_died_becomes_unknown(campaign):
    message = single(campaign)
    claiming.claim(None)
    Attempt.objects.update(lease_until=timezone.now())

    assert leases.sweep() == 1

    message.refresh_from_db()
    assert message.status == "unknown"
    assert claiming.claim(None) == []


def test_a_process_that_says_it_twice_does_not_free_what_another_has_claimed(campaign):
    """Its first word was heard, but it never learned so; meanwhile the message was sent on."""
    single(campaign)
    [first] = claiming.claim(None)
    recording.record([(first, Unavailable())])
    Message.objects.update(due_at=None)
    Attempt.objects.update(lease_until=None)
    with time_machine.travel(timezone.now() + timedelta(seconds=6)):
        [second] = claiming.claim(None)

    recording.record([(first, Unavailable())])

    assert first.attempt_id == second.attempt_id
    assert Attempt.objects.get().status == "sending"
    assert claiming.claim(None) == []


def test_a_sweep_does_not_speak_for_a_claim_it_did_not_see(campaign):
    single(campaign)
    [claimed] = claiming.claim(None)
    stale = claimed.lease_until - timedelta(seconds=60)

    apply([Change(claimed.attempt_id, "unknown", lease_until=stale)])

    assert Attempt.objects.get().status == "sending"


def test_a_process_slower_than_its_lease_may_still_say_that_nothing_was_sent(campaign):
    single(campaign)
    [claimed] = claiming.claim(None)
    with time_machine.travel(claimed.lease_until + timedelta(seconds=1)):
        assert leases.sweep() == 1
        recording.record([(claimed, Unavailable())])

    assert Attempt.objects.get().status == "enqueued"


def test_an_unknown_attempt_is_settled_by_its_receipt(campaign):
    message = single(campaign)
    claiming.claim(None)
    Attempt.objects.update(lease_until=timezone.now())
    leases.sweep()

    report(message.attempts.get(), "delivered")
    receipts.apply_events()

    message.refresh_from_db()
    assert message.status == "success"


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_gets_messages_back_is_sent_on(campaign):
    batch = accepted_batch(campaign, 2)
    claimed = claiming.claim(batch.id)
    assert send_chunk(batch.id) == 0
    assert Batch.objects.get().dispatched_at is not None

    recording.record([(c, Unavailable()) for c in claimed])

    assert Batch.objects.being_sent(timezone.now() + recording.HOLD).exists()


@pytest.mark.django_db(transaction=True)
def test_outcomes_are_not_lost_when_the_database_is_away_for_a_moment(campaign, sandbox, settings):
    """The connection is cut after the provider has taken the messages and before they are noted."""
    batch = accepted_batch(campaign, 3)
    claimed = claiming.claim(batch.id)
    results = handing_over.hand_over(claimed).results()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    with psycopg.connect(**_as_administrator()) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])

    recording.record_whatever_happens(results)

    assert counted(batch) == {"total": 3, "sent": 3}


def _as_administrator():
    return {
        name: value
        for name, value in connection.get_connection_params().items()
        if name in ("host", "port", "user", "password", "dbname")
    }


def test_every_delivery_error_can_be_met_in_the_demo():
    met = {twilio.ERRORS[str(number.code)][1] for number in NUMBERS if number.code}

    assert met >= set(DELIVERY_ERRORS)


def test_a_message_that_cannot_be_put_together_fails_alone(campaign, sandbox, caplog):
    broken, good = single(campaign), single(campaign, "6581230002")
    Message.objects.filter(id=broken.id).update(values={"name": "Mei Ling"})

    send_chunk(None)

    broken.refresh_from_db()
    good.refresh_from_db()
    assert (broken.status, good.status) == ("failure", "sent")
    assert broken.attempts.get().error_code == "server_unknown_error"
    assert [m["to"] for m in sandbox.outbox(channel="sms")] == ["+6581230002"]
    assert "Mei Ling" not in caplog.text


def test_an_account_that_cannot_be_used_holds_up_nobody_else(campaign, officer, sandbox):
    other = CampaignFactory(creator=officer, bodies={"english": "{{name}} {{clinic}}"})
    TwilioCredentials.objects.create(
        campaign=other, api_secret="a secret", verified_at=timezone.now()
    )
    with connection.cursor() as cursor:
        cursor.execute("UPDATE campaigns_twiliocredentials SET api_secret = 'of another key'")
    waiting, good = single(other), single(campaign, "6581230002")

    send_chunk(None)

    waiting.refresh_from_db()
    good.refresh_from_db()
    assert (waiting.status, good.status) == ("enqueued", "sent")


@pytest.mark.django_db(transaction=True)
def test_an_outcome_that_cannot_be_stored_costs_nobody_else_theirs(campaign):
    batch = accepted_batch(campaign, 3)
    first, second, third = claiming.claim(batch.id)

    recording.record_whatever_happens(
        [(first, Accepted("SM1")), (second, Accepted("x" * 129)), (third, Accepted("SM3"))]
    )

    assert counted(batch) == {"total": 3, "sent": 2, "sending": 1}


# --- Receipts ---


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["queued", "sent", "delivered", "delivered"]))
)
def test_receipts_in_any_order_end_the_same(campaign, order):
    message = single(campaign)
    [claimed] = claiming.claim(None)
    recording.record([(claimed, Accepted("SM1"))])

    for status in order:
        assert report(message.attempts.get(), status) == 204
        receipts.apply_events()

    message.refresh_from_db()
    assert message.status == "success"
    assert Counter.objects.grouped() == {
        "total": 1, "pending": 0, "sent": 0, "delivered": 1, "failed": 0, "unknown": 0, "cancelled": 0, "suppressed": 0,
    }  # fmt: skip


def test_a_receipt_that_overtakes_the_answer_is_not_undone_by_it(campaign):
    message = single(campaign)
    [claimed] = claiming.claim(None)

    report(message.attempts.get(), "delivered")
    receipts.apply_events()
    recording.record([(claimed, Accepted("SM77"))])

    attempt = message.attempts.get()
    assert (attempt.status, attempt.reference) == ("success", f"SM{attempt.id.hex}")


def test_a_failure_after_success_changes_nothing(campaign):
    message = single(campaign)
    claiming.claim(None)
    attempt = message.attempts.get()

    report(attempt, "delivered")
    receipts.apply_events()
    report(attempt, "undelivered", "30003")
    receipts.apply_events()

    message.refresh_from_db()
    attempt.refresh_from_db()
    assert (message.status, attempt.error_code) == ("success", "")


def test_an_undelivered_message_says_why(campaign):
    message = single(campaign)
    claiming.claim(None)

    report(message.attempts.get(), "undelivered", "30003")
    receipts.apply_events()

    attempt = message.attempts.get()
    assert (attempt.status, attempt.error_code) == ("failure", "recipient_unavailable")


def test_a_report_that_twilio_did_not_sign_is_refused(campaign, caplog):
    message = single(campaign)
    claiming.claim(None)

    assert report(message.attempts.get(), "delivered", token="somebody else") == 403

    assert not ProviderEvent.objects.exists()
    assert "refused" in caplog.text


def test_a_report_to_an_address_we_did_not_give_out_is_refused(campaign, client):
    message = single(campaign)
    claiming.claim(None)

    answer = client.post(f"/callbacks/twilio/gov/{message.attempts.get().id}/{'0' * 32}", {})

    assert answer.status_code == 403


def test_a_doubled_report_counts_once(campaign):
    message = single(campaign)
    claiming.claim(None)
    attempt = message.attempts.get()

    report(attempt, "sent")
    report(attempt, "sent")

    assert ProviderEvent.objects.count() == 1


# --- Counters ---


def test_folding_changes_no_sum(campaign, sandbox):
    batch = accepted_batch(campaign, 5)
    send_chunk(batch.id)
    before = Counter.objects.filter(campaign=campaign).by_status()

    counters.fold()
    counters.fold()

    assert Counter.objects.filter(campaign=campaign).by_status() == before
    assert Counter.objects.filter(batch=batch, status="sent").count() == 1


# --- Schedules ---


@pytest.mark.django_db(transaction=True)
def test_a_scheduled_batch_starts_once_with_many_beats(campaign):
    batch = upload(campaign, csv_of(3))
    at = timezone.now() + timedelta(hours=1)
    deciding.schedule_batch(batch, at=at, by=campaign.creator)
    assert starting.start_due_batches() == []
    Batch.objects.update(scheduled_at=timezone.now())

    started = in_threads(4, starting.start_due_batches)

    assert sorted(map(len, started)) == [0, 0, 0, 1]
    expanding.expand(batch.id)
    assert Message.objects.count() == 3


def test_a_deleted_campaign_starts_nothing(campaign):
    batch = upload(campaign, csv_of(3))
    at = timezone.now() + timedelta(hours=1)
    deciding.schedule_batch(batch, at=at, by=campaign.creator)
    Batch.objects.update(scheduled_at=timezone.now())
    campaign.deleted_at = timezone.now()
    campaign.save()

    assert starting.start_due_batches() == []


# --- The test environment ---


@pytest.mark.parametrize(
    ("number", "error"),
    [
        ("6511111111", "recipient_invalid"),
        ("6511112222", "recipient_unavailable"),
        ("6511113333", "content_invalid"),
        ("6511114444", "routing_error"),
        ("6511115555", "message_expired"),
        ("6511119999", "delivery_unknown_error"),
        ("6522222222", "server_unknown_error"),
    ],
)
def test_magic_numbers_fail_as_published_on_the_test_site(campaign, settings, number, error):
    settings.POSTMAN_ENVIRONMENT = "test"
    message = single(campaign, number)

    send_chunk(None)

    assert message.attempts.get().error_code == error


def test_a_magic_number_is_just_an_invalid_one_in_production(campaign):
    with pytest.raises(singles.InvalidMessage):
        single(campaign, "6511111111")


# Counters that drifted -----------------------------------------------------------------------


def test_counters_that_are_true_are_left_alone(campaign, sandbox):
    batch = accepted_batch(campaign, 3)
    single(campaign)
    send_chunk(batch.id)
    rows = Counter.objects.count()

    assert counters.mend(campaign.id, batch.id) == {}
    assert counters.mend(campaign.id, None) == {}
    assert Counter.objects.count() == rows


def test_counters_that_drifted_are_mended_and_the_fault_is_told(campaign, caplog):
    batch = accepted_batch(campaign, 3)
    counters.add(campaign.id, batch.id, {"created": -1, "success": 5})

    tasks.check_counters()

    assert counted(batch) == {"total": 3, "created": 3}
    assert "were off" in caplog.text


def test_a_lane_is_compared_once_a_day(campaign):
    batch = accepted_batch(campaign, 3)
    tasks.check_counters()
    counters.add(campaign.id, batch.id, {"success": 5})

    tasks.check_counters()

    assert counted(batch)["success"] == 5
