import pytest
from playwright.sync_api import expect

from tests.journeys import people

pytestmark = pytest.mark.journey

ABROAD = "60123456789"
UNKNOWN = "6581110013"


def test_a_newcomer_signs_in_writes_a_campaign_and_sends_it_to_sixty_people(
    product, sandbox, open_page, officer
):
    newcomer = "wei.ming@health.gov.sg"
    page = open_page()
    mark = sandbox.mark()
    people.ask_for_code(page, product, newcomer)
    people.give_code(page, "ZZZZZZ")
    expect(page.get_by_role("alert")).to_contain_text("You have 3 tries left")
    people.give_code(page, people.code_mailed(product, newcomer, after=mark).lower())
    expect(page.get_by_role("heading", name="Campaigns", level=1)).to_be_visible()

    # A colleague with the right to do so lets the newcomer create campaigns.
    officer.goto(f"/admin/accounts/user/?q={newcomer}")
    officer.get_by_role("link", name=newcomer).click()
    officer.get_by_label("Can create campaigns").check()
    officer.get_by_role("button", name="Save", exact=True).click()
    expect(officer.get_by_text("was changed successfully")).to_be_visible()

    page.reload()
    page.get_by_role("link", name="+ Create campaign").click()
    page.get_by_label("Campaign name").fill("Flu vaccination")
    page.get_by_label("SMS").check()
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Member of Public").check()
    page.get_by_role("button", name="Next").click()

    # The composer counts while it is typed; what cannot be sent is named, and refused.
    english = page.get_by_role("region", name="English")
    english.get_by_label("Message in English").fill("Dear {{name}}, your flu jab costs €5.")
    expect(english.get_by_text("Replace € (euro sign) with EUR.")).to_be_visible()
    page.get_by_role("button", name="Create campaign").click()
    expect(page.get_by_role("alert")).to_contain_text("€")
    english.get_by_label("Message in English").fill("Dear {{name}}, your flu jab is on {{date}}.")
    expect(english.get_by_text("characters, without variables")).to_have_text(
        "27 of 1,000 characters, without variables"
    )
    expect(english.get_by_text("for each recipient")).to_have_text(
        "At least 1 segment for each recipient"
    )
    expect(english.get_by_text("GSM-7")).to_have_text("Plain characters (GSM-7)")
    page.get_by_role("button", name="+ Chinese").click()
    chinese = page.get_by_role("tabpanel", name="Chinese")
    chinese.get_by_label("Message in Chinese").fill("{{name}}，请于{{date}}接种流感疫苗。")
    expect(chinese.get_by_text("UCS-2")).to_have_text(
        "Unicode characters (UCS-2): 67 to a segment instead of 153"
    )
    page.get_by_role("button", name="Create campaign").click()
    expect(page.get_by_text("“Flu vaccination” is created.")).to_be_visible()
    campaign = page.url.removeprefix(product.base_url)

    # A file with errors: each is told with its row, on the page and in a file to correct.
    header = ("recipient", "language", "name", "date")
    bad = [
        ["6591230001", "english", "Aisyah", "3 Dec"],
        ["12345", "english", "Bala", "3 Dec"],
        ["6591230003", "french", "Chloé", "3 Dec"],
        ["6591230004", "english", "", "3 Dec"],
    ]
    people.upload(page, campaign, people.csv_file(header, bad))
    expect(page.get_by_text("3 of 4 rows have errors")).to_be_visible()
    told = page.get_by_role("region", name="Rows with errors").get_by_role("row").all_inner_texts()
    assert [line.split()[:2] for line in told[1:]] == [
        ["3", "recipient"],
        ["4", "language"],
        ["5", "name"],
    ]
    report = people.downloaded(page, "Download all rows with errors (CSV)")
    assert [row[report[0].index("recipient")] for row in report[1:]] == [row[0] for row in bad[1:]]
    assert all(row[report[0].index("Error Reason")] for row in report[1:])

    # The right one, uploaded from that very page: 60 rows, one of them abroad, one repeated, one
    # to a number that the operator does not know.
    good = [
        [str(6591240000 + n), ("english", "chinese")[n % 2], f"P{n}", "3 Dec"] for n in range(57)
    ]
    good += [[number, "english", "Last", "3 Dec"] for number in (ABROAD, good[0][0], UNKNOWN)]
    people.choose_file(page, people.csv_file(header, good), "right.csv")
    expect(page.get_by_text("Every row is right.")).to_be_visible()
    expect(people.fact(page, "Messages")).to_have_text("60")
    expect(people.fact(page, "Languages")).to_have_text("English: 32, Chinese: 28")
    cost = page.get_by_role("region", name="Cost")
    expect(cost.get_by_role("row", name="Singapore numbers")).to_contain_text("59")
    expect(cost.get_by_role("row", name="Foreign numbers")).to_contain_text("1")
    expect(cost.get_by_role("row", name="Total")).to_contain_text("SGD 2.94")
    expect(page.get_by_text("1 row repeats a phone number")).to_be_visible()
    preview = page.locator("#preview")
    expect(preview).to_contain_text("Dear P0, your flu jab is on 3 Dec.")
    preview.get_by_role("link", name="Next").click()
    expect(preview).to_contain_text("P1，请于3 Dec接种流感疫苗。")
    preview.get_by_role("link", name="Previous").click()
    expect(preview).to_contain_text("Dear P0, your flu jab is on 3 Dec.")

    # Sent; the page follows by itself, and its numbers add up whenever one looks.
    sandbox.control(latency_ms=300)
    mark = sandbox.mark()
    people.send_now(page)
    people.record_counts(page)
    people.wait_until_finished(page)
    observed = page.evaluate("window.observed")
    assert len(observed) > 1
    assert {numbers.pop("Total") for numbers in observed} == {60}
    assert {sum(numbers.values()) for numbers in observed} == {60}
    assert observed[-1] == {"Delivered": 59, "Pending": 0, "Failed": 1}

    # The one that failed says why, in a sentence.
    page.get_by_role("link", name="1 Failed").click()
    page.get_by_role("row", name="8111 0013").get_by_role("link").first.click()
    expect(page.get_by_role("region", name="Attempts")).to_contain_text(
        "The operator does not know this number."
    )

    page.goto(campaign)
    log = people.downloaded(page, "Download log (CSV)")
    assert sorted(row[log[0].index("recipient")] for row in log[1:]) == sorted(r[0] for r in good)
    taken = sandbox.accepted(after=mark)
    assert sorted(entry["to"] for entry in taken) == sorted(f"+{row[0]}" for row in good)
    assert len({entry["status_callback"] for entry in taken}) == 60
