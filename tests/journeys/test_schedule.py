from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from tests.journeys import people

pytestmark = pytest.mark.journey

SINGAPORE = ZoneInfo("Asia/Singapore")


def test_a_batch_is_scheduled_never_in_the_past_put_off_and_taken_back(product, sandbox, officer):
    mark = sandbox.mark()
    today = datetime.now(SINGAPORE)
    yesterday, tomorrow, later = (today + timedelta(days=days) for days in (-1, 1, 2))
    people.upload_and_review(officer, product.campaign, people.people_rows(3, 6591270000))

    schedule(officer, yesterday, "10:15", "Schedule")
    expect(officer.get_by_role("alert")).to_contain_text("That time has passed")
    expect(officer.get_by_label("Date", exact=True)).to_have_value(f"{yesterday:%Y-%m-%d}")
    expect(officer.get_by_label("Time (SGT)")).to_have_value("10:15")

    schedule(officer, tomorrow, "10:15", "Schedule")
    expect(officer.locator("p.lead")).to_contain_text(
        f"3 messages will be sent on {tomorrow.day} {tomorrow:%b %Y}, 10:15 am SGT"
    )

    schedule(officer, later, "14:30", "Reschedule")
    expect(officer.locator("p.lead")).to_contain_text(f"{later.day} {later:%b %Y}, 2:30 pm SGT")

    officer.get_by_role("button", name="Cancel the schedule").click()
    expect(officer.get_by_text("The schedule is cancelled.")).to_be_visible()
    expect(officer.get_by_role("button", name="Send 3 messages now")).to_be_visible()
    assert sandbox.accepted(after=mark) == []


def schedule(page, day, time, button):
    page.get_by_label("At another date and time").check()
    page.get_by_label("Date", exact=True).fill(f"{day:%Y-%m-%d}")
    page.get_by_label("Time (SGT)").fill(time)
    page.get_by_role("button", name=button, exact=True).click()
