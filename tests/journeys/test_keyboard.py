import pytest
from playwright.sync_api import Page, expect

from tests.journeys import people

pytestmark = pytest.mark.journey


def test_with_the_keyboard_alone_one_signs_in_and_sends_a_message(
    product, sandbox, open_page, officer
):
    kumar = "kumar@health.gov.sg"
    people.add_member(officer, product.campaign, kumar, "Member")
    page = open_page()
    mark = sandbox.mark()

    page.goto("/login")
    tab_to(page, "Your government email address")
    page.keyboard.type(kumar)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Enter your code")).to_be_visible()
    tab_to(page, "Sign-in code")
    page.keyboard.type(people.code_mailed(product, kumar, after=mark))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Campaigns", level=1)).to_be_visible()

    tab_to(page, "Appointment reminders")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Appointment reminders")).to_be_visible()
    tab_to(page, "Compose")
    page.keyboard.press("Space")
    tab_to(page, "For a single recipient")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Compose an individual message")).to_be_visible()
    values = {"name": "Kumar", "clinic": "Clementi Clinic", "date": "3 Dec"}
    tab_to(page, "Phone number")
    page.keyboard.type("91300001")
    for name, value in values.items():
        tab_to(page, f"{{{{{name}}}}}")
        page.keyboard.type(value)
    tab_to(page, "Send")
    page.keyboard.press("Space")

    expect(people.fact(page, "Status")).to_have_text("Delivered")
    assert [entry["to"] for entry in sandbox.accepted(after=mark)] == ["+6591300001"]


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control of this name has the focus, and can be seen to have it."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(NAME_OF_FOCUSED) == name:
            assert page.evaluate(IS_FOCUS_SEEN), f"nothing shows that {name} has the focus"
            return
    raise AssertionError(f"Tab never came to {name}")


NAME_OF_FOCUSED = """() => {
    const focused = document.activeElement;
    return (focused.labels?.[0] || focused).innerText.trim();
}"""
IS_FOCUS_SEEN = """() => {
    const style = getComputedStyle(document.activeElement);
    const box = document.activeElement.getBoundingClientRect();
    const isMarked = style.outlineStyle !== "none" || style.boxShadow !== "none";
    return isMarked && box.bottom > 0 && box.top < innerHeight;
}"""
