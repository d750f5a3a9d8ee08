"""Recipients who want no more emails, and officers who look after the list of them."""

import pytest
from playwright.sync_api import expect

from tests.journeys import people
from tests.journeys.test_every_page import Looks

pytestmark = pytest.mark.journey

TEST_LINK = "/u/test"


@pytest.fixture
def looks():
    looks = Looks()
    yield looks
    assert looks.faults == []


def import_file(page, header, *rows):
    content = people.csv_file(header, rows).encode()
    file = {"name": "people.csv", "mimeType": "text/csv", "buffer": content}
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Add these addresses").click()


def test_the_unsubscribe_page_can_be_used_by_everybody_in_each_language(looks, open_page):
    page = open_page()
    for name in ("English", "中文", "Bahasa Melayu", "தமிழ்"):
        page.goto(TEST_LINK)
        if name != "English":
            page.get_by_role("link", name=name).click()
            expect(page.get_by_role("link", name="English")).to_be_visible()
        looks.at(page)
        page.locator("main form button").click()
        expect(page.locator("main fieldset")).to_be_visible()
        looks.at(page)
    looks.at(page, "/u/forged")


def test_without_javascript_one_unsubscribes_says_why_and_takes_it_back(open_page):
    page = open_page(javascript=False, width=320)
    page.goto(TEST_LINK)

    page.get_by_role("button", name="Unsubscribe").click()
    expect(page.get_by_role("heading", name="You are unsubscribed")).to_be_visible()
    page.get_by_role("button", name="Send answer").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose a reason")
    page.get_by_label("I never signed up for these emails").check()
    page.get_by_role("button", name="Send answer").click()
    expect(page.get_by_text("Thank you for telling us why.")).to_be_visible()
    page.get_by_role("button", name="Get emails again").click()
    expect(page.get_by_role("heading", name="Stop emails from")).to_be_visible()


def test_an_officer_imports_finds_and_takes_off_addresses(looks, officer):
    officer.goto("/agency/suppressions")
    looks.at(officer)
    officer.get_by_role("link", name="Import a CSV file").click()
    import_file(officer, ["recipient"], ["mei at example.org"])
    expect(officer.get_by_role("alert")).to_contain_text("Nothing was added")
    looks.at(officer)
    import_file(
        officer, ["recipient", "note"], ["Mei@example.org", "moved"], ["ravi@example.org", ""]
    )
    expect(officer.get_by_text("2 addresses added.")).to_be_visible()

    officer.get_by_role("searchbox", name="Email address").fill("mei@example.org")
    officer.get_by_role("button", name="Search").click()
    expect(officer.get_by_role("cell", name="moved")).to_be_visible()
    looks.at(officer)
    officer.get_by_role("link", name="Remove mei@example.org").click()
    looks.at(officer)
    officer.get_by_role("button", name="Remove from the list").click()
    expect(officer.get_by_text("mei@example.org is taken off the list.")).to_be_visible()
