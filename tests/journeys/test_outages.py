"""What runs is killed at the worst moment. Nobody gets a message twice, and each has an end."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.journeys import people
from tests.journeys.product import until

pytestmark = pytest.mark.journey


def test_while_the_database_is_away_pages_say_so_and_then_the_session_goes_on(product, officer):
    officer.goto(product.campaign)

    product.kill("postgres")
    answers = []

    def look():
        answers.append(officer.request.get(product.campaign))
        return answers[-1].ok

    until("the pages to be back", look)
    assert {answer.status for answer in answers} <= {200, 503}
    for answer in answers[:-1]:
        assert "Nothing that was accepted is lost" in answer.text()
    officer.reload()
    expect(officer.get_by_role("heading", level=1)).to_have_text("Appointment reminders")
    product.wait_until_ready()


def test_a_batch_survives_the_death_of_its_broker(product, sandbox, officer):
    rows = people.people_rows(300, 6591310000)
    people.upload_and_review(officer, product.campaign, rows)
    mark = sandbox.mark()
    sandbox.control(latency_ms=400)

    people.send_now(officer)
    product.kill("valkey")

    people.wait_until_finished(officer)
    assert people.counts(officer) == {"Delivered": 300, "Pending": 0, "Failed": 0, "Total": 300}
    taken = sandbox.accepted(after=mark)
    assert sorted(entry["to"] for entry in taken) == [f"+{row[0]}" for row in rows]
    assert len({entry["status_callback"] for entry in taken}) == 300
    product.wait_until_ready()


def test_what_a_dead_worker_had_in_hand_is_never_sent_twice(product, sandbox, officer):
    rows = people.people_rows(600, 6591320000)
    batch = people.upload_and_review(officer, product.campaign, rows)
    mark = sandbox.mark()
    sandbox.control(latency_ms=1500)

    people.send_now(officer)
    until("the first to be taken", lambda: sandbox.accepted(after=mark))
    product.kill("bulk")

    # What it had not in hand is sent by its successor; what it had, by nobody.
    # (How much that was depends on how busy the machine is: it may have been everything.)
    until("all to be taken in hand", lambda: product.waiting_of(batch) == 0)
    until("no more to be sent", lambda: is_quiet(sandbox, mark))
    assert sandbox.flush(60) == 0
    product.let_leases_run_out()
    expect(officer.get_by_text(re.compile(r"\d+ messages: outcome unknown\."))).to_be_visible()
    taken = sandbox.accepted(after=mark)
    delivered = len(taken)
    until("every receipt to be seen", lambda: people.counts(officer)["Delivered"] == delivered)
    assert people.counts(officer) == {
        "Delivered": delivered,
        "Pending": 0,
        "Failed": 0,
        "Outcome unknown": 600 - delivered,
        "Total": 600,
    }
    assert len({entry["to"] for entry in taken}) == delivered
    assert sandbox.summary()["same_callback"] == 0


def is_quiet(sandbox, mark):
    """Whether for twice its latency nothing reached the provider."""
    before = len(sandbox.accepted(after=mark))
    time.sleep(3)
    return len(sandbox.accepted(after=mark)) == before
