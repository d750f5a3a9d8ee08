"""A real Chromium and the running product, both for all journeys; a fresh window for each."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from tests.journeys import people
from tests.journeys.product import Product
from tests.messaging.sandbox.process import SandboxProcess

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 45_000  # milliseconds: a busy machine is slow, not wrong

OpenPage = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        reason = f"no browser for the journeys: install {' or '.join(PROGRAMS)}"
        is_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
        (pytest.fail if is_ci else pytest.skip)(reason)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def product(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    product = Product(tmp_path_factory.mktemp("product"))
    product.start()
    try:
        yield product
    finally:
        left = product.stop()
    assert left == [], "the demo left processes behind"


@pytest.fixture
def sandbox(product: Product) -> Iterator[SandboxProcess]:
    """The demo's providers; their manners are reset afterwards, their log is kept."""
    yield product.sandbox
    product.sandbox.forget_manners()


@pytest.fixture
def open_page(browser: Browser, product: Product) -> Iterator[OpenPage]:
    """Open a window on the product: `open_page(state=…, javascript=False)`.

    At the end none of these windows may have complained: no script error, nothing that the
    Content-Security-Policy stopped, nothing that was not found.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(state: Any = None, javascript: bool = True, width: int = 1280) -> Page:
        context = browser.new_context(
            base_url=product.base_url,
            storage_state=state,
            java_script_enabled=javascript,
            viewport={"width": width, "height": 900},
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: _note(message, complaints))
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _note(message: ConsoleMessage, complaints: list[str]) -> None:
    """Chromium also complains of pages of ours that are refusals, with their status."""
    is_file = "/static/" in message.location["url"]
    is_answer = message.text.startswith("Failed to load resource: the server responded")
    if message.type in ("error", "warning") and (is_file or not is_answer):
        complaints.append(f"{message.location['url']}: {message.text}")


@pytest.fixture(scope="package")
def officer_state(browser: Browser, product: Product) -> Any:
    """The cookies of the demo's officer, signed in once: a code can be had every 30 seconds."""
    return people.state_of(browser, product, product.officer)


@pytest.fixture
def officer(open_page: OpenPage, officer_state: Any) -> Page:
    """A window of the demo's officer, an administrator of agency and site."""
    return open_page(state=officer_state)
