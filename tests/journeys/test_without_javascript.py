import re

import pytest
from playwright.sync_api import expect

from tests.journeys import people

pytestmark = pytest.mark.journey


def test_without_javascript_one_signs_in_sends_one_message_and_a_file_and_sees_the_end(
    product, sandbox, open_page, officer
):
    nurul = "nurul@health.gov.sg"
    people.add_member(officer, product.campaign, nurul, "Member")
    page = open_page(javascript=False)
    mark = sandbox.mark()

    people.sign_in(page, product, nurul)
    page.get_by_role("link", name="Appointment reminders").click()
    page.get_by_text("Compose", exact=True).click()
    page.get_by_role("link", name="For a single recipient").click()
    page.get_by_label("Phone number").fill("9125 0001")
    people.fill_values(page, name="Nurul", clinic="Clementi Clinic", date="3 Dec")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="Message to +65 9125 0001")).to_be_visible()
    # Where nothing runs in the page, the page asks to be loaded again after a while.
    expect(people.fact(page, "Status")).to_have_text("Delivered")

    page.get_by_role("link", name="Appointment reminders").click()
    page.get_by_text("Compose", exact=True).click()
    page.get_by_role("link", name="For multiple recipients").click()
    people.choose_file(
        page, people.csv_file(people.APPOINTMENTS, people.people_rows(20, 6591260000))
    )
    expect(page.get_by_text("Every row is right.")).to_be_visible()
    people.send_now(page)
    people.wait_until_finished(page)
    assert people.counts(page) == {"Delivered": 20, "Pending": 0, "Failed": 0, "Total": 20}
    assert len(sandbox.accepted(after=mark)) == 21

    page.goto("/account/sessions")
    expect(page.get_by_role("row", name=re.compile("this device"))).to_be_visible()
    page.locator("summary", has_text=nurul).click()
    page.get_by_role("button", name="Sign out").last.click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
