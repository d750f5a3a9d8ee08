import re

import pytest
from playwright.sync_api import expect

from tests.journeys import people
from tests.journeys.test_every_page import Looks

pytestmark = pytest.mark.journey

HEADER = ("recipient", "name", "clinic", "more_link")
LINK = "https://www.health.gov.sg/talks"
BODY = (
    "<h2>Dear {{name}}</h2><p>We look forward to seeing you at <strong>{{clinic}}</strong>.</p>"
    "<p>{{more_link}}</p>"
)


def test_an_officer_writes_an_email_tests_it_and_sends_it_to_a_list(product, sandbox, officer):
    page, looks = officer, Looks()
    page.goto("/campaigns/new")
    page.get_by_label("Campaign name").fill("Health talks")
    page.get_by_label("Email", exact=True).check()
    page.get_by_role("button", name="Next").click()

    # The message, in the source view, which works without a script too.
    expect(page.get_by_role("link", name="Message")).to_have_attribute("aria-current", "step")
    campaign = page.url.removeprefix(product.base_url).removesuffix("message")
    page.get_by_label("From name").fill("Clementi Polyclinic")
    page.get_by_label("Subject").fill("{{name}}, your visit to {{clinic}}")
    page.get_by_role("button", name="HTML", exact=True).click()
    page.locator("textarea#id_html").fill(BODY)
    page.get_by_role("button", name="Save and go on").click()

    rows = [[f"person{n}@example.org", f"Person {n}", "Bedok", LINK] for n in range(20)]
    rows += [
        [f"{box}@example.org", box.title(), "Yishun", LINK]
        for box in ("bounce", "softbounce", "complaint", "opens", "rejected")
    ]
    expect(page.get_by_role("heading", name="Upload recipients")).to_be_visible()
    page.get_by_label("CSV file").set_input_files(
        {
            "name": "talks.csv",
            "mimeType": "text/csv",
            "buffer": people.csv_file(HEADER, rows).encode(),
        }
    )
    page.get_by_role("button", name="Upload and check").click()

    # Nobody may send what nobody has looked at.
    expect(page.get_by_text("Nobody has tested this message yet.")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Send "))).to_be_hidden()
    looks.at(page)
    page.get_by_role("link", name="Send a test message").click()
    page.get_by_label("Send it to").fill("somebody@example.org")
    page.get_by_role("button", name="Send test message").click()
    expect(page.get_by_role("alert")).to_contain_text("officers only")
    looks.at(page)
    mark = sandbox.mark()
    page.get_by_label("Send it to").fill(product.officer)
    page.get_by_label("Row of the file").fill("4")
    page.get_by_role("button", name="Send test message").click()
    expect(page.get_by_text("The message as it is now was tested.")).to_be_visible()
    looks.at(page)
    (test,) = sandbox.outbox(to=product.officer, channel="email", after=mark)
    assert test["subject"] == "[TEST] Person 2, your visit to Bedok"

    # The review: who gets what, as it will look.
    page.get_by_role("link", name="review and send it").click()
    expect(people.fact(page, "Recipients")).to_have_text("25")
    expect(people.fact(page, "From")).to_contain_text("Clementi Polyclinic")
    email = page.frame_locator("iframe.email-frame")
    expect(email.get_by_role("heading", name="Dear Person 0")).to_be_visible()
    page.get_by_role("link", name="Next").click()
    expect(email.get_by_role("heading", name="Dear Person 1")).to_be_visible()
    looks.at(page)

    # Sent to everybody on the list, once each, with their own values.
    mark = sandbox.mark()
    page.get_by_role("button", name="Send 25 emails now").click()
    people.wait_until_finished(page)
    expect(page.get_by_role("link", name="Bounced (hard)")).to_contain_text("1")
    looks.at(page)
    mails = sandbox.outbox(channel="email", after=mark, limit=100)
    assert sorted(mail["to"] for mail in mails) == sorted(
        row[0] for row in rows if row[0] != "rejected@example.org"
    )
    (mail,) = [mail for mail in mails if mail["to"] == "person7@example.org"]
    assert mail["subject"] == "Person 7, your visit to Bedok"
    assert "Clementi Polyclinic" in mail["from"]
    assert LINK in mail["html"]
    assert LINK in mail["text"]

    # Each number leads to its recipients, and each of them to what happened.
    page.goto(f"{campaign}stats")
    looks.at(page)
    page.get_by_role("link", name="Bounced (hard)").click()
    page.get_by_role("link", name="bounce@example.org", exact=True).click()
    expect(page.get_by_text("The address does not exist").first).to_be_visible()
    looks.at(page)
    page.goto(campaign)
    expect(page.locator("main tbody tr")).to_have_count(25)
    looks.at(page)

    page.goto(f"{campaign}stats")
    report = people.downloaded(page, "Download with the columns of the file")
    by_name = {row[report[0].index("recipient")]: row for row in report[1:]}
    assert len(by_name) == 25
    assert by_name["complaint@example.org"][1] == "Reported as spam"
    assert by_name["person3@example.org"][report[0].index("clinic")] == "Bedok"
    for part in ("batches", "settings", "settings/members"):
        looks.at(page, f"{campaign}{part}")
    looks.at(page, "/campaigns/")
    assert looks.faults == []
