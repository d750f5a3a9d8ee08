"""A WhatsApp campaign from its template to the last of a thousand recipients."""

import pytest
from playwright.sync_api import expect

from tests.journeys import people

pytestmark = pytest.mark.journey

COLUMNS = (
    *("recipient", "language", "recipient_name", "officer_name"),
    *("officer_designation", "agency", "when"),
)


def rows(count, first):
    rest = ["Tan Mei Fong", "Care Officer", "Ministry of Health", "on Friday"]
    return [
        [str(first + n), ("English", "chinese")[n % 2], f"Person {n}", *rest] for n in range(count)
    ]


def test_one_person_reads_the_passcode_that_the_officer_sees(officer, sandbox):
    mark = sandbox.mark()
    people.whatsapp_campaign(officer, "A call ahead", "One person")

    officer.get_by_label("Name of the recipient").fill("Mei Ling")
    officer.get_by_label("When the officer will call").fill("at 3 pm")
    expect(officer.locator("[data-whatsapp-preview]")).to_contain_text("Dear Mei Ling")
    officer.get_by_role("button", name="Send", exact=True).click()
    expect(officer.get_by_role("alert")).to_contain_text("Enter the recipient’s mobile number.")
    officer.get_by_label("Mobile number").fill("8112 0024")
    officer.get_by_role("button", name="Send", exact=True).click()

    expect(officer.get_by_role("heading", name="Message to +65 8112 0024")).to_be_visible()
    expect(officer.get_by_text("The recipient opened the chat, with receipts on.")).to_be_visible()
    [out] = sandbox.outbox(to="6581120024", channel="whatsapp", after=mark)
    assert people.fact(officer, "Passcode").locator("code").inner_text() == out["parameters"][-1]


def test_a_file_of_a_thousand_reaches_everybody_once(officer, sandbox):
    mark = sandbox.mark()
    campaign = people.whatsapp_campaign(officer, "Calls of the week", "Many people")

    people.upload(officer, campaign, people.csv_file(COLUMNS, rows(1000, 6581300000)))
    expect(officer.get_by_text("Every row is right.")).to_be_visible()
    people.send_now(officer)
    people.wait_until_finished(officer)

    assert people.counts(officer)["Delivered"] == 1000
    sent = sandbox.outbox(channel="whatsapp", after=mark, limit=1000)
    assert len({entry["to"] for entry in sent}) == len(sent) == 1000
    assert sandbox.summary()["same_callback"] == 0
    officer.goto(campaign)
    officer.get_by_label("Name or phone number").fill("Person 99")
    expect(officer.locator("tbody tr")).to_have_count(11)
