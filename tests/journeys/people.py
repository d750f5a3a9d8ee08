"""What people do at the screen. Each of these ends on the page that it leads to."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from tests.journeys.product import Product, until

FINISHED = 90_000


def state_of(browser: Browser, product: Product, email: str) -> Any:
    """The cookies of this person, after signing in."""
    context = browser.new_context(base_url=product.base_url)
    context.set_default_timeout(FINISHED)
    page = context.new_page()
    sign_in(page, product, email)
    state = context.storage_state()
    context.close()
    return state


def sign_in(page: Page, product: Product, email: str) -> None:
    mark = product.sandbox.mark()
    ask_for_code(page, product, email)
    give_code(page, code_mailed(product, email, after=mark))
    expect(page.get_by_role("heading", name="Campaigns", level=1)).to_be_visible()


def ask_for_code(page: Page, product: Product, email: str) -> None:
    product.wait_until_code_may_be_asked(email)
    page.goto("/login")
    page.get_by_label("Your government email address").fill(email)
    page.get_by_role("button", name="Mail me a code").click()
    expect(page.get_by_role("heading", name="Enter your code")).to_be_visible()


def give_code(page: Page, code: str) -> None:
    page.get_by_label("Sign-in code").fill(code)
    page.get_by_role("button", name="Sign in").click()


def code_mailed(product: Product, email: str, *, after: int) -> str:
    mails = until(
        f"a code for {email}",
        lambda: product.sandbox.outbox(to=email, channel="email", after=after),
    )
    return re.findall(r"[A-Z2-7]{6}", mails[-1]["subject"])[0]


def add_member(page: Page, campaign: str, email: str, role: str) -> None:
    page.goto(f"{campaign}settings/members")
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Role", exact=True).select_option(role)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text(f"{email} is added as {role}.")).to_be_visible()


def whatsapp_campaign(page: Page, name: str, receivers: str) -> str:
    """A new campaign with the demo's template; its address. Ends where its messages are filled in."""
    page.goto("/campaigns/new")
    page.get_by_label("Campaign name").fill(name)
    page.get_by_label("WhatsApp", exact=True).check()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="Choose a template")).to_be_visible()
    page.get_by_label("Before an officer calls").check()
    page.get_by_label(receivers).check()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Template: Before an officer calls")).to_be_visible()
    return page.url.rpartition("/")[0] + "/"


def fill_values(page: Page, **values: str) -> None:
    for name, value in values.items():
        page.get_by_label(f"{{{{{name}}}}}", exact=True).fill(value)


def csv_file(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue()


def people_rows(count: int, first: int = 6590000000) -> list[list[str]]:
    """Rows for the campaign that the demo begins with."""
    return [
        [str(first + n), "english", f"Person {n}", "Clementi Clinic", "3 Dec"] for n in range(count)
    ]


APPOINTMENTS = ("recipient", "language", "name", "clinic", "date")


def upload(page: Page, campaign: str, text: str, name: str = "people.csv") -> None:
    """Ends on the batch's page, while it is being checked or after."""
    page.goto(f"{campaign}upload")
    choose_file(page, text, name)


def choose_file(page: Page, text: str, name: str = "people.csv") -> None:
    file = {"name": name, "mimeType": "text/csv", "buffer": text.encode()}
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Upload and check").click()
    expect(page).to_have_url(re.compile(r"/batches/batch_[^/]+$"))


def upload_and_review(page: Page, campaign: str, rows: Iterable[Sequence[Any]]) -> str:
    """The address of a batch that is ready to be sent."""
    upload(page, campaign, csv_file(APPOINTMENTS, rows))
    expect(page.get_by_text("Every row is right.")).to_be_visible()
    return page.url


def send_now(page: Page) -> None:
    page.get_by_role("button", name=re.compile(r"^Send [\d,]+ messages? now$")).click()
    expect(page.locator("#batch-progress")).to_be_visible()


def wait_until_finished(page: Page) -> None:
    """The page of a batch finds it out by itself."""
    expect(page.get_by_role("heading", name="Finished")).to_be_visible(timeout=FINISHED)


def counts(page: Page) -> dict[str, int]:
    """The numbers under the bar, by their labels."""
    return page.evaluate(COUNTS)


COUNTS = """() => Object.fromEntries([...document.querySelectorAll("main .legend > div")].map(
    (pair) => [pair.querySelector("dt").innerText.trim(),
               Number(pair.querySelector("dd").textContent.match(/[\\d,]+/)[0].replaceAll(",", ""))]))"""


def record_counts(page: Page) -> None:
    """From now on `window.observed` takes the numbers down whenever the page changes."""
    page.evaluate(f"""() => {{
        window.observed = [];
        const note = () => window.observed.push(({COUNTS})());
        note();
        const changes = {{childList: true, subtree: true}};
        new MutationObserver(note).observe(document.querySelector("main"), changes);
    }}""")


def fact(page: Page, name: str) -> Locator:
    """What stands beside this name in a list of facts."""
    return page.locator("dt", has_text=re.compile(f"^{name}$")).locator(
        "xpath=following-sibling::dd[1]"
    )


def downloaded(page: Page, link: str) -> list[list[str]]:
    """Click the link and read the CSV file that it gives."""
    with page.expect_download() as download:
        page.get_by_role("link", name=link).first.click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    return list(csv.reader(io.StringIO(text)))
