"""Every page can be used by everybody: axe finds nothing, and nothing scrolls sideways."""

import re
from datetime import datetime, timedelta

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tests.journeys import people

pytestmark = pytest.mark.journey

WIDTHS = (1280, 360, 320)
RUN_AXE = """async () => {
    const found = await axe.run({resultTypes: ["violations"], preload: false});
    return found.violations;
}"""
NOWHERE = "/campaigns/campaign_00000000-0000-0000-0000-000000000000/"


class Looks:
    """What is wrong with the pages looked at, so that one run names all of it."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def at(self, page: Page, address: str = "") -> None:
        if address:
            page.goto(address)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            across = page.evaluate("document.documentElement.scrollWidth")
            if across > width:
                self._note(page, width, f"scrolls sideways to {across}")
        page.evaluate(AXE_SCRIPT)
        for width in (320, 1280):  # not 360 as well: axe takes its time
            page.set_viewport_size({"width": width, "height": 900})
            for violation in page.evaluate(RUN_AXE):
                places = [node["target"] for node in violation["nodes"][:3]]
                self._note(page, width, f"{violation['id']} at {places}")

    def _note(self, page: Page, width: int, what: str) -> None:
        self.faults.append(f"{page.title()} ({page.url}), {width} px: {what}")


@pytest.fixture
def looks():
    looks = Looks()
    yield looks
    assert looks.faults == []


def test_the_pages_of_signing_in(product, looks, open_page):
    page = open_page()
    looks.at(page, "/login")
    page.get_by_role("button", name="Mail me a code").click()
    expect(page.get_by_role("alert")).to_be_visible()
    looks.at(page)
    people.ask_for_code(page, product, "lee@health.gov.sg")
    looks.at(page)
    people.give_code(page, "ZZZZZZ")
    expect(page.get_by_role("alert")).to_be_visible()
    looks.at(page)


def test_the_pages_of_a_person_without_rights(product, looks, open_page):
    page = open_page()
    people.sign_in(page, product, "may@edu.sg")
    looks.at(page)
    looks.at(page, "/campaigns/new")
    looks.at(page, NOWHERE)


def test_the_pages_of_a_whatsapp_campaign(looks, officer):
    campaign = people.whatsapp_campaign(officer, "Calls to look at", "One person")
    looks.at(officer)
    officer.get_by_role("button", name="Send", exact=True).click()
    expect(officer.get_by_role("alert")).to_be_visible()
    looks.at(officer)
    officer.get_by_label("Mobile number").fill("81239999")
    officer.get_by_label("Name of the recipient").fill("Mei Ling")
    officer.get_by_label("When the officer will call").fill("at 3 pm")
    officer.get_by_role("button", name="Send", exact=True).click()
    expect(officer.get_by_role("heading", name="What happened")).to_be_visible()
    message = officer.url
    looks.at(officer)
    for address in (f"{message}/again", campaign, f"{campaign}upload", f"{campaign}template"):
        looks.at(officer, address)
    header = "recipient,language,recipient_name,officer_name,officer_designation,agency,when"
    people.upload(officer, campaign, f"{header}\n81239998,English,Mei,Tan,Nurse,MOH,today\n")
    expect(officer.get_by_text("Every row is right.")).to_be_visible()
    looks.at(officer)
    people.send_now(officer)
    expect(officer.get_by_role("heading", name="Sending")).to_be_hidden()
    looks.at(officer)
    people.upload(officer, campaign, "recipient,name\n1,x\n")
    expect(officer.get_by_text("This file cannot be used.")).to_be_visible()
    looks.at(officer)
    for part in ("stats", "batches", "?search=nobody", "settings"):
        looks.at(officer, f"{campaign}{part}")


def test_the_pages_of_a_telegram_campaign(product, looks, officer):
    looks.at(officer, "/settings/telegram")
    officer.get_by_role("button", name="Verify and add").click()
    expect(officer.get_by_role("alert")).to_be_visible()
    looks.at(officer)
    officer.get_by_role("link", name="QR code and words for letters of demo-bot").click()
    looks.at(officer)
    looks.at(officer, "/campaigns/new/telegram?name=Looks")
    officer.get_by_label("Campaign name").fill("Looks of a bot")
    officer.get_by_label(re.compile("^demo-bot")).check()
    officer.get_by_role("button", name="Create campaign").click()
    message = officer.get_by_role("textbox", name="Message")
    expect(message).to_be_visible()
    looks.at(officer)
    message.fill("Dear {{name}}, {{no such")
    officer.get_by_role("button", name="Save and go on").click()
    expect(officer.get_by_role("alert")).to_be_visible()
    looks.at(officer)
    message.fill("Dear <b>{{name}}</b>, see you.")
    officer.get_by_role("button", name="Save and go on").click()
    expect(officer.get_by_role("heading", name="Upload it")).to_be_visible()
    looks.at(officer)
    campaign = officer.url.rpartition("/")[0] + "/"
    people.upload(officer, campaign, "recipient,name\n12,Mei\n")
    expect(officer.get_by_text("1 of 1 row has errors")).to_be_visible()
    looks.at(officer)
    people.upload(officer, campaign, "recipient,name\n81230101,Mei\n81390101,Ravi\n")
    expect(officer.get_by_text("1 of 2 cannot be reached yet.")).to_be_visible()
    officer.get_by_role("button", name="Send a test").click()
    expect(officer.get_by_role("alert")).to_be_visible()
    looks.at(officer)
    with product.paused("bulk"):
        people.send_now(officer)
        officer.get_by_role("button", name="Stop sending").click()
        expect(officer.get_by_role("button", name="Resume sending")).to_be_visible()
        looks.at(officer)
        officer.get_by_role("link", name="Cancel the rest").click()
        looks.at(officer)
        officer.go_back()
        officer.get_by_role("button", name="Resume sending").click()
    people.wait_until_finished(officer)
    expect(officer.get_by_text("Why 1 failed")).to_be_visible()
    looks.at(officer)
    officer.get_by_role("link", name="See who they are").click()
    expect(officer.locator("main tbody tr")).to_have_count(1)
    looks.at(officer)
    officer.get_by_role("row", name="8139 0101").get_by_role("link").first.click()
    expect(officer.get_by_role("region", name="Attempts")).to_be_visible()
    looks.at(officer)
    for part in ("telegram", "batches", "batches?search=nothing", "stats"):
        looks.at(officer, f"{campaign}{part}")


def test_the_pages_of_creating_a_campaign(product, looks, officer):
    looks.at(officer, "/campaigns/new")
    officer.get_by_role("button", name="Next").click()
    expect(officer.get_by_role("alert")).to_be_visible()
    looks.at(officer)
    officer.get_by_label("Campaign name").fill("Dengue")
    officer.get_by_label("SMS").check()
    officer.get_by_role("button", name="Next").click()
    officer.get_by_label("Internal Staff").check()
    looks.at(officer)
    officer.get_by_label("Member of Public").check()
    officer.get_by_role("button", name="Next").click()
    officer.get_by_label("Message in English").fill("{{Name}}, it’s €5 – see 😀 and {{date}}")
    officer.get_by_role("button", name="Create campaign").click()
    expect(officer.get_by_role("alert")).to_be_visible()
    looks.at(officer)
    officer.get_by_label("Message in English").fill("{{name}}, empty your vases.")
    officer.get_by_role("button", name="+ Tamil").click()
    expect(officer.get_by_role("tab", name="Tamil")).to_be_visible()
    looks.at(officer)
    looks.at(officer, "/campaigns/")


def test_the_pages_of_a_campaign(product, looks, officer):
    for part in ("", "batches", "stats", "stats?by=day", "upload", "?search=00000000"):
        looks.at(officer, f"{product.campaign}{part}")
    looks.at(officer, f"{product.campaign}compose")
    officer.get_by_role("button", name="Send").click()
    expect(officer.get_by_role("alert")).to_be_visible()
    looks.at(officer)
    for part in ("", "/members", "/delete"):
        looks.at(officer, f"{product.campaign}settings{part}")
    officer.goto(f"{product.campaign}settings/integrations")
    officer.get_by_role("button", name="+ Create API key").click()
    expect(officer.get_by_text("Copy it now")).to_be_visible()
    looks.at(officer)
    looks.at(officer, "/account/sessions")


def test_the_pages_of_email_senders(product, sandbox, looks, officer):
    looks.at(officer, "/settings/")
    looks.at(officer, "/settings/senders")
    officer.get_by_role("button", name="Add domain").click()
    expect(officer.get_by_role("alert")).to_be_visible()
    looks.at(officer)
    officer.get_by_label("Domain", exact=True).fill("health.gov.sg")
    officer.get_by_role("button", name="Add domain").click()
    expect(officer.get_by_text("4 of 4 required records are not found yet")).to_be_visible()
    domain = officer.url
    officer.get_by_text("All records as text").click()
    looks.at(officer)
    sandbox.publish(officer.locator("pre.zone").inner_text())
    officer.get_by_role("button", name="Check again").click()
    expect(officer.get_by_text("emails can be sent.")).to_be_visible()
    looks.at(officer)
    officer.goto("/settings/senders")
    officer.get_by_role("button", name="Use my address").click()
    expect(officer.get_by_text("is added.")).to_be_visible()
    looks.at(officer, "/settings/senders")
    officer.get_by_role("link", name="Change display name").click()
    looks.at(officer)
    looks.at(officer, f"{domain}/remove")
    officer.get_by_role("button", name="Remove").click()
    expect(officer.get_by_text("health.gov.sg is removed.")).to_be_visible()


@pytest.mark.parametrize("whose", ["a campaign", "an account"])
def test_the_pages_of_webhooks(product, sandbox, looks, officer, whose):
    sandbox.control(webhooks={"status": 500})
    page = f"{product.campaign if whose == 'a campaign' else '/'}settings/webhooks"
    looks.at(officer, page)
    officer.get_by_label("Address of your server").fill("ftp://health.gov.sg")
    officer.get_by_role("button", name="Add webhook").click()
    expect(officer.get_by_role("alert")).to_be_visible()
    looks.at(officer)
    officer.get_by_label("Address of your server").fill(f"{sandbox.url}/webhooks/demo")
    officer.get_by_role("button", name="Add webhook").click()
    expect(officer.get_by_text("Copy it now")).to_be_visible()
    looks.at(officer)
    officer.get_by_role("button", name="Send a test event").click()
    expect(officer.get_by_role("region", name="Tries")).to_contain_text("HTTP 500")
    looks.at(officer)
    looks.at(officer, f"{sandbox.url}/webhooks")
    looks.at(officer, page)
    for link, says in (("Log", "HTTP 500"), ("Change secret", "24 hours"), ("Delete", "dropped")):
        officer.goto(page)
        officer.get_by_role("link", name=link).click()
        expect(officer.get_by_text(says).first).to_be_visible()
        looks.at(officer)
    officer.get_by_role("button", name="Delete webhook").click()
    expect(officer.get_by_text("is deleted.")).to_be_visible()


def test_the_pages_of_an_agencys_administrator(product, looks, officer):
    for page in ("/agency/", "/agency/?q=nothing", "/agency/officers", "/agency/billing"):
        looks.at(officer, page)
    looks.at(officer, f"{product.campaign}billing")


def test_the_page_of_a_batch_in_each_of_its_states(product, sandbox, looks, officer):
    campaign = product.campaign
    people.upload(officer, campaign, people.csv_file(("recipient", "language"), [["1", "x"]]))
    expect(officer.get_by_text("This file cannot be used.")).to_be_visible()
    looks.at(officer)
    bad = people.csv_file(people.APPOINTMENTS, [["12345", "french", "", "A “clinic”", "3 Dec"]])
    people.upload(officer, campaign, bad)
    expect(officer.get_by_text("1 of 1 row has errors")).to_be_visible()
    looks.at(officer)

    rows = people.people_rows(5, 6591400000)
    for number in ("60123456789", rows[0][0], "6581110013", "6581110033"):
        rows.append([number, "malay", "Aisyah", "Clementi — Clinic", "3 Dec"])
    with product.paused("bulk"):
        people.upload(officer, campaign, people.csv_file(people.APPOINTMENTS, rows))
        expect(officer.get_by_role("heading", name="Checking every row")).to_be_visible()
        looks.at(officer)
    expect(officer.get_by_text("Every row is right.")).to_be_visible()
    looks.at(officer)

    later = datetime.now() + timedelta(days=2)
    officer.get_by_label("At another date and time").check()
    officer.get_by_label("Date", exact=True).fill(f"{later:%Y-%m-%d}")
    officer.get_by_label("Time (SGT)").fill("23:30")
    officer.get_by_role("button", name="Schedule", exact=True).click()
    expect(officer.get_by_role("button", name="Cancel the schedule")).to_be_visible()
    looks.at(officer)

    with product.paused("bulk"):
        people.send_now(officer)
        expect(officer.get_by_role("heading", name="Sending")).to_be_visible()
        looks.at(officer)
    expect(officer.get_by_role("heading", name="Sending")).to_be_hidden()
    expect(officer.get_by_role("link", name=re.compile("^1 Failed"))).to_be_visible()
    looks.at(officer)
    done = officer.url

    officer.get_by_role("link", name="See every message").click()
    expect(officer.locator("main tbody tr")).to_have_count(9)
    looks.at(officer)
    for row in ("8111 0013", "8111 0033"):
        officer.get_by_role("row", name=row).get_by_role("link").first.click()
        expect(officer.get_by_role("region", name="Attempts")).to_be_visible()
        looks.at(officer)
        officer.go_back()
    looks.at(officer, done)
    looks.at(officer, f"{campaign}batches")


def test_the_pages_of_writing_an_email(looks, officer):
    officer.goto("/campaigns/new")
    officer.get_by_label("Campaign name").fill("Looks of an email")
    officer.get_by_label("Email", exact=True).check()
    officer.get_by_role("button", name="Next").click()
    editor = officer.get_by_role("textbox", name="Message")
    expect(editor).to_be_editable()
    looks.at(officer)
    message = officer.url
    tools = officer.get_by_role("toolbar", name="Formatting")
    editor.click()
    tools.get_by_role("button", name="Table").click()
    expect(tools.get_by_role("button", name="Header row")).to_be_visible()
    for heading in ("Day", "Time", "Place"):
        editor.press_sequentially(heading)
        editor.press("Tab")
    officer.get_by_label("Subject").fill("LOOK AT {{this thing}}")
    expect(officer.get_by_text("cannot be a keyword").first).to_be_visible()
    looks.at(officer)
    for name in ("Link", "Picture"):
        tools.get_by_role("button", name=f"{name}…").click()
        expect(officer.get_by_role("dialog", name=name)).to_be_visible()
        looks.at(officer)
        officer.keyboard.press("Escape")
    looks.at(officer, f"{message}?width=text")
    officer.locator("#id_version").evaluate("version => { version.value = 1; }")
    officer.get_by_label("Subject").fill("Another")
    officer.get_by_role("button", name="Save", exact=True).click()
    expect(officer.get_by_role("heading", name="There are two texts now")).to_be_visible()
    looks.at(officer)
    officer.get_by_role("button", name="HTML", exact=True).click()
    officer.get_by_label("Message", exact=True).fill("<div>A box</div><script>x()</script>")
    officer.get_by_role("button", name="Editor", exact=True).click()
    looks.at(officer)
    officer.get_by_role("button", name="Save mine in place of theirs").click()
    expect(officer.get_by_text("Removed a script.")).to_be_visible()
    looks.at(officer, f"{message}/images")
    officer.get_by_role("button", name="Upload").click()
    expect(officer.get_by_role("alert")).to_be_visible()
    looks.at(officer)
    looks.at(officer, "/agency/logo")


def test_the_back_office_and_the_outbox(product, sandbox, looks, officer):
    looks.at(officer, "/admin/")
    looks.at(officer, f"{sandbox.url}/")
