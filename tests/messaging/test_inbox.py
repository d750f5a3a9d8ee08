import threading
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import DataError, connection

from messaging.callbacks import inbox
from messaging.channels.base import Event
from messaging.models import ProviderEvent


def event(name, code=""):
    return Event(name, "SM1", None, "sent", code, {}, datetime.now(UTC))


@pytest.mark.django_db(transaction=True)
def test_reports_that_come_at_once_are_all_kept_and_each_once():
    barrier = threading.Barrier(16)

    def come(number):
        barrier.wait()
        try:
            for n in range(20):
                inbox.keep("twilio", uuid4(), event(f"{number}-{n}"))
                inbox.keep("twilio", uuid4(), event("the same for all"))
        finally:
            connection.close()

    threads = [threading.Thread(target=come, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ProviderEvent.objects.count() == 16 * 20 + 1


@pytest.mark.django_db
def test_a_report_that_cannot_be_stored_is_not_said_to_be():
    with pytest.raises(Exception, match="value too long"):
        inbox.keep("twilio", uuid4(), event("x" * 200))


@pytest.mark.django_db(transaction=True)
def test_only_the_one_that_cannot_be_stored_suffers_for_it():
    """All of them are stored together, the bad one among them."""
    outcomes, barrier = {}, threading.Barrier(8)

    def come(number):
        barrier.wait()
        try:
            inbox.keep("twilio", uuid4(), event("x" * 200 if number == 3 else str(number)))
            outcomes[number] = "stored"
        except DataError:
            outcomes[number] = "refused"
        finally:
            connection.close()

    threads = [threading.Thread(target=come, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == {number: "refused" if number == 3 else "stored" for number in range(8)}
    assert ProviderEvent.objects.count() == 7
