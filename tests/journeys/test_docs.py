import json

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.journey


@pytest.mark.parametrize("width", [1280, 360])
def test_a_developer_reads_the_api_and_tries_it_with_a_key(product, open_page, width):
    page = open_page(width=width)
    page.goto("/docs")

    page.get_by_role("button", name="Authorize").click()
    page.get_by_label("auth-bearer-value").fill(product.facts["api_key"])
    page.get_by_role("button", name="Apply credentials").click()
    page.locator(".btn-done").click()
    operation = page.locator("#operations-Messages-sendMessage")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("[data-param-name=campaignId] input").fill(product.facts["campaign_id"])
    operation.locator("textarea").fill(
        json.dumps(
            {
                "recipient": "6581230001",
                "language": "english",
                "values": product.facts["values"],
            }
        )
    )
    operation.get_by_role("button", name="Execute").click()

    answer = operation.locator(".live-responses-table")
    expect(answer.locator("tbody .response-col_status")).to_contain_text("201")
    expect(answer).to_contain_text('"latestStatus": "created"')
    assert page.evaluate("document.documentElement.scrollWidth") == width
