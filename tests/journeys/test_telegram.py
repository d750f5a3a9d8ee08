"""A Telegram campaign from its bot to the report on the last of a thousand recipients."""

import re

import pytest
from playwright.sync_api import expect

from tests.journeys import people
from tests.journeys.test_keyboard import tab_to

pytestmark = pytest.mark.journey

# Of the sandbox any bot has a token of this form.
BOT, TOKEN = 710000077, "710000077:" + "a" * 35
# Who has subscribed to the demo's bot, and so is known to Telegram; and who never has.
KNOWN, UNKNOWN = 6581230000, 6581390000
TEXT = "Dear {{name}},\n\nsee you at {{clinic}}."


def rows(count, first):
    return [[str(first + n), f"Person {n}", f"Clinic {n % 7}", "note"] for n in range(count)]


def add_bot(page, label, token):
    page.goto("/settings/")
    page.get_by_role("link", name="Telegram bots").click()
    page.get_by_label("Label").fill(label)
    page.get_by_label("Bot token").fill(token)
    page.get_by_role("button", name="Verify and add").click()


def test_an_officer_adds_a_bot_and_reaches_whoever_has_subscribed(officer, sandbox):
    add_bot(officer, "journey-bot", "700000009:revoked" + "a" * 30)
    expect(officer.get_by_role("alert")).to_contain_text("Telegram does not know a bot")
    expect(officer.get_by_label("Label")).to_have_value("journey-bot")
    officer.get_by_label("Bot token").fill(TOKEN)
    officer.get_by_role("button", name="Verify and add").click()
    expect(officer.get_by_text("Nobody has subscribed yet.")).to_be_visible()
    expect(officer.get_by_role("img", name="QR code")).to_be_visible()

    assert sandbox.write_to_bot(BOT, "6591234567", "/start subscribe") == 200
    assert sandbox.write_to_bot(BOT, "6591234567", "share") == 200
    officer.reload()
    expect(officer.get_by_text("1 person has subscribed.")).to_be_visible()


def test_a_file_of_a_thousand_reaches_its_subscribers_and_tells_of_the_others(officer, sandbox):
    mark = sandbox.mark()
    officer.goto("/campaigns/new")
    officer.get_by_label("Campaign name").fill("Flu season by bot")
    officer.get_by_label("Telegram", exact=True).check()
    officer.get_by_role("button", name="Next").click()
    officer.get_by_label(re.compile("^demo-bot")).check()
    officer.get_by_role("button", name="Create campaign").click()
    message = officer.get_by_role("textbox", name="Message")
    message.fill("x" * 4100)
    officer.get_by_role("button", name="Save and go on").click()
    expect(officer.get_by_role("alert")).to_contain_text("Take out 4.")
    message.fill(TEXT)
    officer.get_by_role("button", name="Save and go on").click()
    expect(officer.get_by_role("heading", name="Upload it")).to_be_visible()

    file = [*rows(995, KNOWN), *rows(5, UNKNOWN)]
    people.choose_file(officer, people.csv_file(("recipient", "name", "clinic", "notes"), file))
    expect(officer.get_by_text("Every row is right.")).to_be_visible()
    expect(officer.get_by_text("5 of 1,000 cannot be reached yet.")).to_be_visible()
    batch = officer.url
    officer.get_by_label("Your phone number").fill("9000 0000")
    officer.get_by_role("button", name="Send a test").click()
    expect(officer.get_by_role("alert")).to_contain_text("has not subscribed")
    officer.get_by_label("Your phone number").fill("8123 0999")
    officer.get_by_role("button", name="Send a test").click()
    expect(people.fact(officer, "Status")).to_have_text("Delivered")
    officer.get_by_role("link", name="Back to people.csv").click()

    people.send_now(officer)
    expect(officer.get_by_role("heading", name="Sending")).to_be_visible()
    people.wait_until_finished(officer)
    expect(officer.locator("#batch-status")).to_have_text("Completed")
    assert people.counts(officer) == {"Delivered": 995, "Pending": 0, "Failed": 5, "Total": 1000}
    sent = sandbox.outbox(channel="telegram", after=mark, limit=1000)
    texts = {entry["to"]: entry["text"] for entry in sent}
    assert len(sent) == len(texts) == 996  # one of them the test
    assert texts["+6581230003"] == "Dear Person 3,\n\nsee you at Clinic 3."
    report = people.downloaded(officer, "Download with the columns of the file")
    failed = [row for row in report if row[1] == "Failed"]
    assert (len(report), report[0][:4]) == (1001, ["recipient", "status", "errorCode", "updatedAt"])
    assert [(row[0], row[2]) for row in failed] == [(str(UNKNOWN + n), "1") for n in range(5)]
    assert officer.url == batch
    officer.get_by_role("link", name="See who they are").click()
    expect(officer.get_by_text("This number is not linked to a bot")).to_have_count(5)


def test_with_the_keyboard_alone_one_writes_in_bold_and_saves(officer):
    officer.goto("/campaigns/new/telegram")
    tab_to(officer, "Campaign name")
    officer.keyboard.type("By keyboard")
    officer.get_by_label(re.compile("^demo-bot")).focus()
    officer.keyboard.press("Space")
    tab_to(officer, "Create campaign")
    officer.keyboard.press("Enter")
    expect(officer.get_by_role("textbox", name="Message")).to_be_visible()

    tab_to(officer, "Bold")
    officer.keyboard.press("Space")
    officer.keyboard.type("Hello {{name}}")
    tab_to(officer, "Save")
    officer.keyboard.press("Enter")

    expect(officer.get_by_text("Saved.", exact=True)).to_be_visible()
    expect(officer.locator(".phone-chat b")).to_have_text("Hello {{name}}")


def test_without_javascript_a_file_is_sent_and_its_end_is_seen(open_page, officer_state):
    page = open_page(state=officer_state, javascript=False)
    page.goto("/campaigns/new/telegram")
    page.get_by_label("Campaign name").fill("Without a script")
    page.get_by_label(re.compile("^demo-bot")).check()
    page.get_by_role("button", name="Create campaign").click()
    page.get_by_role("textbox", name="Message").fill("Dear {{name}}")
    page.get_by_role("button", name="Save and go on").click()
    people.choose_file(page, "recipient,name\n81230201,Mei\n81390201,Ravi\n")
    expect(page.get_by_text("1 of 2 cannot be reached yet.")).to_be_visible()

    people.send_now(page)
    people.wait_until_finished(page)

    assert people.counts(page) == {"Delivered": 1, "Pending": 0, "Failed": 1, "Total": 2}
    expect(page.get_by_role("link", name="Download report")).to_be_visible()
