import pytest
from playwright.sync_api import expect

from messaging.sandbox import constants
from tests.journeys import people

pytestmark = pytest.mark.journey


def test_an_agencys_own_twilio_account_is_checked_kept_secret_and_sends(product, sandbox, officer):
    page = officer
    page.goto("/campaigns/new")
    page.get_by_label("Campaign name").fill("Ward rosters")
    page.get_by_label("SMS").check()
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Internal Staff").check()
    page.get_by_label("Account SID").fill(constants.STAFF_ACCOUNT_SID)
    page.get_by_label("API Key SID").fill(constants.STAFF_API_KEY_SID)
    page.get_by_label("Messaging Service SID").fill(constants.STAFF_MESSAGING_SERVICE_SID)
    page.get_by_label("Auth Token").fill(constants.STAFF_AUTH_TOKEN)
    page.get_by_label("Expected Sender Name").fill("MOH Wards")

    page.get_by_label("API Secret").fill("not-the-secret")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("alert")).to_contain_text("Twilio does not accept this API Secret")
    expect(page.get_by_label("API Secret")).to_have_value("")
    assert "not-the-secret" not in page.content()

    page.get_by_label("API Secret").fill(constants.STAFF_API_SECRET)
    page.get_by_label("Auth Token").fill(constants.STAFF_AUTH_TOKEN)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_label("Message in English")).to_be_visible()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_label("Account SID")).to_have_value(constants.STAFF_ACCOUNT_SID)
    for secret in (constants.STAFF_API_SECRET, constants.STAFF_AUTH_TOKEN):
        assert secret not in page.content()

    page.get_by_role("button", name="Next").click()
    page.get_by_label("Message in English").fill("{{name}}, your roster is out.")
    page.get_by_role("button", name="Create campaign").click()
    expect(page.get_by_text("Internal Staff | MOH Wards")).to_be_visible()
    campaign = page.url

    mark = sandbox.mark()
    page.goto(f"{campaign}compose")
    page.get_by_label("Phone number").fill("91280001")
    people.fill_values(page, name="Siti")
    page.get_by_role("button", name="Send").click()
    # Its receipts are signed with that account's own token, or it would stay "Sent".
    expect(people.fact(page, "Status")).to_have_text("Delivered")
    (taken,) = sandbox.accepted(after=mark)
    assert taken["account"] == constants.STAFF_ACCOUNT_SID
