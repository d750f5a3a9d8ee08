import itertools

import pytest

from messaging.delivery import claiming
from messaging.delivery.changes import Change, apply
from messaging.models import Attempt, Message
from messaging.states import FAULTY, Status, advance, release
from tests.messaging.builders import single

pytestmark = pytest.mark.django_db


def set_status(message, status):
    error = "recipient_invalid" if status in FAULTY else ""
    message.attempts.update(status=status, error_code=error)
    Message.objects.filter(id=message.id).update(status=status)


@pytest.mark.parametrize("status", Status.values)
def test_the_database_advances_as_the_state_machine_does(campaign, status):
    message = single(campaign)
    [claimed] = claiming.claim(None)

    for reported in Status.values:
        set_status(message, status)
        apply(
            [
                Change(
                    claimed.attempt_id,
                    reported,
                    error_code="recipient_invalid" if reported in FAULTY else "",
                )
            ]
        )

        message.refresh_from_db()
        assert message.status == message.attempts.get().status == advance(status, reported)


@pytest.mark.parametrize("status", Status.values)
def test_the_database_releases_as_the_state_machine_does(campaign, status):
    message = single(campaign)
    [claimed] = claiming.claim(None)
    set_status(message, status)

    apply([Change(claimed.attempt_id, Status.ENQUEUED, released=True)])

    assert message.attempts.get().status == release(status)


@pytest.mark.parametrize(
    "status", sorted(set(Status.values) - {"opened", "soft_bounced", "bounced", "complained"})
)
def test_nothing_moves_an_sms_that_has_ended(status):
    assert advance("success", status) == "success"
    assert advance("failure", status) == "failure"


def test_what_comes_after_delivery_counts_for_an_email_in_whatever_order_it_is_heard():
    assert advance("success", "opened") == "opened"
    assert advance("opened", "success") == "opened"
    assert advance("opened", "bounced") == advance("bounced", "opened") == "bounced"
    assert advance("bounced", "complained") == advance("complained", "bounced") == "complained"


def test_of_many_reports_on_one_attempt_the_furthest_counts_whatever_their_order(campaign):
    message = single(campaign)
    [claimed] = claiming.claim(None)
    reports = [
        Change(claimed.attempt_id, Status.SENT, reference="SM1"),
        Change(claimed.attempt_id, Status.SENT_TO_TELCO),
        Change(claimed.attempt_id, Status.SUCCESS),
    ]

    for order in itertools.permutations(reports):
        set_status(message, "sending")
        Attempt.objects.update(reference="", delivered_at=None)
        apply(order)

        attempt = message.attempts.get()
        assert (attempt.status, attempt.reference) == ("success", "SM1")
        assert attempt.delivered_at is not None


def test_a_late_report_on_the_first_try_does_not_speak_for_the_second(campaign):
    message = single(campaign)
    [first] = claiming.claim(None)
    apply([Change(first.attempt_id, Status.FAILURE, "recipient_unavailable")])
    Message.objects.update(status="created")
    claiming.claim(None)

    apply([Change(first.attempt_id, Status.SUCCESS)])

    message.refresh_from_db()
    assert message.status == "sending"
    assert [a.status for a in message.attempts.order_by("number")] == ["failure", "sending"]
