import pytest
from playwright.sync_api import expect

from tests.journeys import people

pytestmark = pytest.mark.journey


def test_another_officer_sees_nothing_then_as_restricted_member_what_they_sent(
    product, browser, open_page, officer
):
    devi = "devi@moh.gov.sg"
    batch = people.upload_and_review(officer, product.campaign, people.people_rows(2, 6591290000))
    people.send_now(officer)
    people.wait_until_finished(officer)
    officer.get_by_role("link", name="See every message").click()
    officer.locator("main tbody a").first.click()
    expect(officer.get_by_role("heading", name="Message to")).to_be_visible()
    message = officer.url
    other = open_page(state=people.state_of(browser, product, devi))

    addresses = [product.campaign, f"{product.campaign}log.csv", batch, f"{batch}/log.csv", message]
    addresses += [f"{product.campaign}{part}" for part in ("batches", "stats", "compose", "upload")]
    addresses += [f"{product.campaign}template.csv", f"{product.campaign}settings"]
    assert [other.request.get(address).status for address in addresses] == [404] * len(addresses)
    other.goto(product.campaign)
    expect(other.get_by_role("heading", level=1)).to_have_text("Page not found")

    people.add_member(officer, product.campaign, devi, "Member Restricted")
    other.goto(f"{product.campaign}compose")
    other.get_by_label("Phone number").fill("91295001")
    people.fill_values(other, name="Devi", clinic="Clementi Clinic", date="3 Dec")
    other.get_by_role("button", name="Send").click()
    expect(people.fact(other, "Status")).to_have_text("Delivered")
    other.goto(product.campaign)
    expect(other.locator("main tbody tr")).to_have_count(1)
    expect(other.locator("main tbody tr")).to_contain_text("9129 5001")
    log = people.downloaded(other, "Download log (CSV)")
    assert [row[log[0].index("recipient")] for row in log[1:]] == ["6591295001"]
    hidden = [batch, f"{batch}/log.csv", message, f"{product.campaign}settings"]
    assert [other.request.get(address).status for address in hidden] == [404] * len(hidden)


def test_signing_out_everywhere_else_ends_the_session_of_the_other_browser(
    product, open_page, officer
):
    elsewhere = open_page()
    people.sign_in(elsewhere, product, product.officer)

    officer.goto("/account/sessions")
    officer.get_by_role("button", name="Sign out everywhere else").click()
    expect(officer.get_by_text("You are signed out everywhere but here.")).to_be_visible()

    elsewhere.reload()
    expect(elsewhere.get_by_role("heading", name="Sign in to Postman")).to_be_visible()
    officer.reload()
    expect(officer.get_by_role("row", name="this device")).to_be_visible()
