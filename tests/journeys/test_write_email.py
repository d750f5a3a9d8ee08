import io
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.journeys import people

pytestmark = pytest.mark.journey

RESIDENTS = [
    ["siti@example.com", "Siti", "Clementi"],
    ["ravi@example.com", "Ravi", "Bedok"],
]


def new_email(page, name):
    """The address of a new email campaign, on the page where it is written."""
    page.goto("/campaigns/new")
    page.get_by_label("Campaign name").fill(name)
    page.get_by_label("Email", exact=True).check()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="Message", level=1)).to_be_visible()
    return re.sub(r"message$", "", page.url)


def picture():
    file = io.BytesIO()
    Image.new("RGB", (600, 300), "teal").save(file, "PNG")
    return {"name": "clinic.png", "mimeType": "image/png", "buffer": file.getvalue()}


def test_an_officer_writes_a_formatted_email_and_sees_it_as_each_recipient_will(
    open_page, officer_state
):
    page = open_page(state=officer_state)
    campaign = new_email(page, "Health screening for residents")
    text = page.get_by_role("textbox", name="Message")
    tools = page.get_by_role("toolbar", name="Formatting")
    # Until the editor is there, the textbox is a plain one that it is about to hide.
    expect(tools).to_be_visible()
    expect(text).to_be_editable()

    page.get_by_label("Subject").fill("Your screening at {{clinic}}")
    text.click()
    tools.get_by_label("Kind of paragraph").select_option("Title")
    expect(text).to_be_focused()
    text.press_sequentially("Dear {{name}}")
    text.press("Enter")
    text.press("Control+b")
    text.press_sequentially("You are due")
    text.press("Control+b")
    text.press_sequentially(" for a screening.")
    text.press("Enter")

    # A picture that does not say what it shows is refused; one that does goes into the text.
    tools.get_by_role("button", name="Picture…").click()
    dialog = page.get_by_role("dialog", name="Picture")
    dialog.get_by_label("Picture", exact=True).set_input_files(picture())
    dialog.get_by_role("button", name="Upload").click()
    expect(dialog.get_by_role("alert")).to_contain_text("what the picture shows")
    dialog.get_by_label("Picture", exact=True).set_input_files(picture())
    dialog.get_by_label("What it shows").first.fill("A clinic by the sea")
    dialog.get_by_role("button", name="Upload").click()
    dialog.get_by_role("button", name="Insert A clinic by the sea").click()
    expect(text.get_by_role("img", name="A clinic by the sea")).to_be_visible()

    # It saves by itself, and the preview follows.
    expect(page.locator("#message-state")).to_contain_text(re.compile(r"Saved \d\d:\d\d"))
    shown = page.frame_locator("#look iframe")
    expect(shown.get_by_role("heading", name="Dear [name]")).to_be_visible()
    expect(shown.get_by_text("You are due", exact=True)).to_have_css("font-weight", "700")
    image = shown.get_by_role("img", name="A clinic by the sea")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.naturalWidth") == 600

    # With a file, its columns can be chosen and any of its rows be looked at.
    page.goto(f"{campaign}upload")
    file = people.csv_file(["recipient", "name", "clinic"], RESIDENTS).encode()
    page.locator("input[type=file]").set_input_files(
        {"name": "residents.csv", "mimeType": "text/csv", "buffer": file}
    )
    page.get_by_role("button", name="Upload and check").click()
    expect(page).to_have_url(re.compile(r"/batches/batch_[^/]+$"))
    expect(page.get_by_text("Being checked")).to_have_count(0)
    page.goto(f"{campaign}message")
    expect(shown.get_by_role("heading", name="Dear Siti")).to_be_visible()
    page.get_by_role("link", name="Next row").click()
    expect(shown.get_by_role("heading", name="Dear Ravi")).to_be_visible()
    expect(page.locator("#look")).to_contain_text("Your screening at Bedok")
    text.press("Control+End")
    page.get_by_role("button", name="Insert {{clinic}}").click()
    expect(shown.get_by_text("Bedok", exact=True)).to_be_visible()

    # A keyword that the file has no column for is named.
    text.press_sequentially(" {{doctor}}")
    expect(page.locator("#look")).to_contain_text("residents.csv has no column for {{doctor}}")
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.locator("#look")).not_to_contain_text("has no column")


def test_two_windows_lose_nothing_of_each_other(open_page, officer_state):
    first = open_page(state=officer_state)
    campaign = new_email(first, "Two windows")
    second = open_page(state=officer_state)
    second.goto(f"{campaign}message")

    first.get_by_label("Subject").fill("From the first window")
    expect(first.locator("#message-state")).to_contain_text(re.compile(r"Saved \d\d:\d\d"))
    second.get_by_label("Subject").fill("From the second window")

    expect(second.locator("#message-state")).to_contain_text("Not saved")
    second.get_by_role("button", name="Show me both texts").click()
    expect(second.get_by_role("heading", name="There are two texts now")).to_be_visible()
    expect(second.get_by_text("From the first window")).not_to_have_count(0)
    expect(second.get_by_label("Subject")).to_have_value("From the second window")
    second.get_by_role("button", name="Save mine in place of theirs").click()
    expect(second.get_by_text("Saved.", exact=True)).to_be_visible()
    expect(second.get_by_label("Subject")).to_have_value("From the second window")


def test_html_that_the_editor_cannot_show_stays_as_it_is(open_page, officer_state):
    page = open_page(state=officer_state)
    campaign = new_email(page, "Written as HTML")
    page.get_by_role("button", name="HTML", exact=True).click()
    html = '<div>In a box</div><p style="text-align:center;color:red">In the middle</p>'
    page.get_by_label("Message", exact=True).fill(html)

    page.get_by_role("button", name="Editor", exact=True).click()
    expect(page.get_by_text("The editor cannot show all of this HTML: <div>")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    page.goto(f"{campaign}message")

    expect(page.get_by_label("Message", exact=True)).to_have_value(html)


def test_an_email_can_be_written_without_javascript(open_page, officer_state):
    page = open_page(state=officer_state, javascript=False)
    new_email(page, "Without JavaScript")

    page.get_by_label("Subject").fill("Hello {{name}}")
    page.get_by_label("Message", exact=True).fill(
        "<h1>Hello</h1><p onclick='x()'>Dear {{name}}</p><script>alert(1)</script>"
    )
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    expect(page.get_by_text("Removed a script.")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_value(
        "<h1>Hello</h1><p>Dear {{name}}</p>"
    )
    expect(
        page.frame_locator("#look iframe").get_by_text("Dear [name]", exact=True)
    ).to_be_visible()
    page.get_by_role("link", name="Pictures of your agency").click()
    page.get_by_label("Picture", exact=True).set_input_files(picture())
    page.get_by_label("What it shows").fill("A clinic")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("The picture is uploaded.")).to_be_visible()
    page.get_by_text("HTML of A clinic").first.click()
    expect(page.get_by_text('alt="A clinic" width="600"').first).to_be_visible()
