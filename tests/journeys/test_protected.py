"""A password-protected email, from an officer's file to what a recipient reads.

Between the two browsers nobody may learn what it says: the database, the logs and every request are
searched for it.
"""

import base64
import json
import re
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, Request, expect
from psycopg import sql

from tests.journeys import people
from tests.journeys.product import Product, until
from tests.journeys.test_every_page import Looks

pytestmark = pytest.mark.journey

ROWS = 40
RESULT = "zebra-finding"  # in what each page says, with the row's number
PASSWORD = "walrus-secret"  # in each password
WRITTEN = "giraffe-paragraph"  # in the text that is the same for all
TEXT = f"Dear {{{{name}}}},\n\nYour result is {{{{result}}}}.\n\nA {WRITTEN} for everybody."
ONLY_TO_THE_READERS = (RESULT, PASSWORD, WRITTEN)


def password_of(number: int) -> str:
    return f"{PASSWORD} {number:03}"


def file_of(count: int) -> str:
    header = ("recipient", "password", "name", "result")
    rows = [
        [f"patient{n}@example.com", password_of(n), f"Patient {n}", f"{RESULT}-{n}"]
        for n in range(count)
    ]
    return people.csv_file(header, rows)


class Overheard:
    """Every request of a page, as text."""

    def __init__(self, page: Page) -> None:
        self.requests: list[str] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        body = (request.post_data_buffer or b"").decode(errors="replace")
        self.requests.append(f"{request.method} {request.url} {request.headers} {body}")

    @property
    def text(self) -> str:
        return "\n".join(self.requests)


@pytest.fixture
def looks() -> Any:
    looks = Looks()
    yield looks
    assert looks.faults == []


def test_what_an_officer_protects_only_its_recipient_reads(
    product: Product, officer: Page, open_page: Any, looks: Looks
) -> None:
    sender = Overheard(officer)
    campaign = protected_campaign(officer)
    write_notice(officer, campaign)

    officer.goto(f"{campaign}secure")
    looks.at(officer)
    officer.get_by_label("Text of the secure page").fill(TEXT)
    choose(officer, file_of(ROWS).replace(password_of(7), "short"))
    expect(officer.get_by_text("Row 9: the password has fewer than 8 characters.")).to_be_visible()
    choose(officer, file_of(ROWS))
    expect(officer.get_by_text(f"Every row is right: {ROWS} recipients.")).to_be_visible()
    expect(officer.get_by_text(f"Your result is {RESULT}-0.")).to_be_visible()
    looks.at(officer)
    officer.get_by_label("Hint about the password").fill("The code on your appointment card")
    officer.get_by_label("Capital letters and spaces").check()
    officer.get_by_role("button", name="Encrypt and upload").click()
    expect(officer).to_have_url(re.compile(r"/batches/batch_[^/]+$"))
    batch = officer.url

    send_test(officer, batch)
    link = links_of(send(officer, product, batch, rows=ROWS))["patient3@example.com"]

    reader = open_page(width=320)
    recipient = Overheard(reader)
    reader.goto(link)
    looks.at(reader)
    expect(reader.get_by_text("The code on your appointment card")).to_be_visible()
    open_with(reader, "not the password")
    expect(reader.get_by_role("alert")).to_contain_text("You can try 9 more times")
    looks.at(reader)
    open_with(reader, password_of(3).upper().replace(" ", ""))
    expect(reader.get_by_text(f"Your result is {RESULT}-3.")).to_be_visible()
    looks.at(reader)

    officer.goto(f"{batch}/secure?state=opened")
    expect(officer.get_by_role("rowheader", name="patient3@example.com")).to_be_visible()
    looks.at(officer)
    stored, logs = everything_stored(product), product.output.read_text()
    asked = sender.text + recipient.text
    assert "patient3@example.com" in stored and "patient3@example.com" in asked
    assert "verifier" in asked and "/p/" in logs + stored
    for words in ONLY_TO_THE_READERS:
        for disguise in disguises_of(words):
            assert disguise not in stored
            assert disguise not in logs
            assert disguise not in asked


def test_wrong_passwords_lock_a_page_and_its_sender_sends_it_again_or_withdraws_it(
    product: Product, officer: Page, open_page: Any, looks: Looks
) -> None:
    campaign = protected_campaign(officer)
    write_notice(officer, campaign)
    batch = upload(officer, campaign, rows=1)
    send_test(officer, batch)
    link = links_of(send(officer, product, batch, rows=1))["patient0@example.com"]
    reader = open_page(width=320)
    reader.goto(link)
    product.forget_delays(of_tries=9)

    open_with(reader, "not the password")
    expect(reader.get_by_role("heading", name="This message is locked")).to_be_visible()
    looks.at(reader)
    until(
        "the sender to be told",
        lambda: [
            mail
            for mail in product.sandbox.outbox(to=product.officer, channel="email")
            if mail["subject"].startswith("Secure page locked")
        ],
    )

    officer.goto(f"{batch}/secure?state=locked")
    mark = product.sandbox.mark()
    officer.get_by_role("button", name="Send again").click()
    expect(officer.get_by_text("The email is sent again")).to_be_visible()
    until("the email to arrive again", lambda: links_of(mails_since(product, mark)))
    reader.goto(link)
    open_with(reader, password_of(0))
    expect(reader.get_by_text(f"Your result is {RESULT}-0.")).to_be_visible()

    officer.goto(f"{batch}/secure")
    officer.get_by_role("link", name="Withdraw the page of patient0@example.com").click()
    looks.at(officer)
    officer.get_by_role("button", name="Withdraw").click()
    expect(officer.get_by_text("1 page is withdrawn.")).to_be_visible()
    reader.goto(link)
    expect(reader.get_by_role("heading", name="The sender withdrew this message")).to_be_visible()


def test_a_browser_that_cannot_decrypt_says_what_it_takes(open_page: Any, officer: Page) -> None:
    campaign = protected_campaign(officer)
    write_notice(officer, campaign)
    page = open_page(javascript=False, state=officer.context.storage_state())

    page.goto(f"{campaign}secure")

    expect(page.locator("noscript p")).to_be_visible()
    expect(page.get_by_label("Text of the secure page")).to_be_hidden()


# The officer ----------------------------------------------------------------------------------


def protected_campaign(page: Page) -> str:
    """Its address."""
    page.goto("/campaigns/new")
    page.get_by_label("Campaign name").fill("Test results")
    page.get_by_label("Password-protected email").check()
    page.get_by_role("button", name="Next").click()
    expect(page).to_have_url(re.compile(r"/campaigns/campaign_"))
    return re.findall(r"(/campaigns/campaign_[^/]+/)", page.url)[0]


def write_notice(page: Page, campaign: str) -> None:
    page.goto(f"{campaign}message")
    page.get_by_label("Subject").fill("Your test results")
    page.get_by_role("button", name="HTML", exact=True).click()
    page.locator("textarea[name=html]").fill("<p>They are ready: {{protectedlink}}</p>")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#message-state")).to_contain_text("Saved")


def upload(page: Page, campaign: str, rows: int) -> str:
    """The address of the batch, which is ready."""
    page.goto(f"{campaign}secure")
    page.get_by_label("Text of the secure page").fill(TEXT)
    choose(page, file_of(rows))
    page.get_by_role("button", name="Encrypt and upload").click()
    expect(page).to_have_url(re.compile(r"/batches/batch_[^/]+$"))
    return page.url


def choose(page: Page, text: str) -> None:
    file = {"name": "patients.csv", "mimeType": "text/csv", "buffer": text.encode()}
    page.get_by_label("CSV file").set_input_files(file)


def send_test(page: Page, batch: str) -> None:
    page.goto(f"{batch}/test")
    page.get_by_role("button", name="Send test message").click()
    expect(page.get_by_text(re.compile("^Tested by"))).to_be_visible()


def send(page: Page, product: Product, batch: str, rows: int) -> list[dict[str, Any]]:
    """The mails that leave."""
    mark = product.sandbox.mark()
    page.goto(batch)
    page.get_by_role("button", name=re.compile("^Send .* now$")).click()
    return until(
        "the emails to arrive",
        lambda: len(found := mails_since(product, mark)) == rows and found,
    )


def mails_since(product: Product, mark: int) -> list[dict[str, Any]]:
    found = product.sandbox.outbox(channel="email", after=mark, limit=1000)
    return [mail for mail in found if mail["to"].startswith("patient")]


def links_of(mails: list[dict[str, Any]]) -> dict[str, str]:
    """Recipient → where their email leads."""
    return {
        mail["to"]: re.findall(r"http://[^\s\"<>]+/p/[0-9a-f-]{36}", mail["html"])[0]
        for mail in mails
    }


# The recipient --------------------------------------------------------------------------------


def open_with(page: Page, password: str) -> None:
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Open message").click()


# The thief ------------------------------------------------------------------------------------


def everything_stored(product: Product) -> str:
    """Every column of every row of the product's database, bytes in hex."""
    urls = json.loads((product.directory / "run" / "urls.json").read_text())
    with psycopg.connect(urls["DATABASE_URL"]) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        rows = [
            row
            for (table,) in tables
            for (row,) in connection.execute(
                sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
            )
        ]
    return "\n".join(rows)


def disguises_of(words: str) -> list[str]:
    """As they are, in hex, and in base64 wherever they begin."""
    raw = words.encode()
    within = [
        base64.b64encode(bytes(before) + raw).decode()[skipped:-4]
        for before, skipped in ((0, 0), (1, 2), (2, 3))
    ]
    return [words, raw.hex(), *within]
