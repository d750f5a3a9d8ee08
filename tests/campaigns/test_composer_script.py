"""The composer in the browser says what the server will say."""

import random
import shutil
from collections.abc import Iterator

import pytest
from django.conf import settings
from playwright.sync_api import Page, sync_playwright

from campaigns import sms, templating
from campaigns.templatetags.postman import sms_tables

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHARACTERS = "abc A1@Δ\n{}[]|€^~\\`’–…é中ä한ﬁá°½™çÇ\u200b\u200d\u0301\ufffd\ue000😀🇸"
COMPOSER = """
  <div data-composer data-language="english" data-header="Ministry of Health">
    <textarea data-composer-body></textarea>
    <p data-composer-count></p><p data-composer-segments></p><p data-composer-encoding></p>
    <div data-composer-problems></div>
    <button type="button" data-composer-replace hidden>Replace</button>
    <p data-composer-preview></p>
    <input name="values.clinic">
  </div>
"""

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    script = (settings.BASE_DIR / "static" / "js" / "composer.js").read_text()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_page()
        page.set_content(sms_tables() + COMPOSER)
        page.add_script_tag(content=script)
        yield page
        browser.close()


def test_it_counts_as_the_server_does(page):
    draw = random.Random(2)
    texts = ["".join(draw.choices(CHARACTERS, k=length)) for length in range(0, 330, 3)]
    texts += ["a" * n for n in (160, 161, 306, 307)] + ["中" * n for n in (70, 71, 134, 135)]
    texts += ["a" * 152 + "€" + "a" * 20, "中" * 66 + "😀" + "中" * 10]

    counted = page.evaluate("texts => texts.map((text) => PostmanSms.measure(text))", texts)

    assert counted == [
        {
            "characters": measure.characters,
            "units": measure.units,
            "encoding": measure.encoding,
            "segments": measure.segments,
        }
        for measure in map(sms.measure, texts)
    ]


@pytest.mark.parametrize("language", ["english", "tamil"])
def test_it_blocks_what_the_server_blocks(page, language):
    characters = [
        *map(chr, (*range(0x20, 0x3000), *range(0xE000, 0x10000), *range(0x1F000, 0x1FB00)))
    ]

    blocked = page.evaluate(
        "([characters, language]) => characters.filter((c) => PostmanSms.isBlocked(c, language))",
        [characters, language],
    )

    assert blocked == [char for char in characters if sms.blocked_characters(char, language)]


def test_it_writes_instead_what_the_server_would(page):
    culprits = sms.culprits("".join(map(chr, (*range(0x20, 0x2100), *range(0xFB00, 0xFE00)))))
    sendable = [one for one in culprits if not sms.blocked_characters(one.char, "english")]

    written = page.evaluate(
        "chars => chars.map((char) => PostmanSms.replacement(char))", [one.char for one in sendable]
    )

    assert written == [one.suggestion for one in sendable]


@pytest.mark.parametrize(
    "body",
    ["Hi {{name}}, {{ clinic }}.", "{{Name}} {{1a}} {{a b}} {{}}", "{{ {{x}} }}", "{{recipient}}"],
)
def test_it_finds_the_faults_of_a_template_where_the_server_does(page, body):
    pieces = page.evaluate("body => PostmanSms.read(body)", body)

    assert [
        (piece["at"], piece["at"] + len(piece["text"]))
        for piece in pieces
        if piece["kind"] == "fault"
    ] == [(fault.start, fault.end) for fault in templating.check_template(body)]


def test_it_previews_the_whole_message_with_the_values_typed(page):
    page.fill("textarea", "See you at {{clinic}}.")
    page.fill("[name='values.clinic']", "Bedok")

    shown = page.text_content("[data-composer-preview]")

    assert shown == sms.compose("Ministry of Health", "See you at Bedok.", "english")


def test_plain_characters_replace_the_others_and_can_be_taken_back(page):
    page.fill("textarea", "It’s {cash} – {{clinic}}")
    page.click("[data-composer-replace]")

    assert page.input_value("textarea") == "It's (cash) - {{clinic}}"
    assert page.is_hidden("[data-composer-replace]")
    assert page.text_content("[data-composer-problems]") == ""

    page.keyboard.press("Control+z")

    assert page.input_value("textarea") == "It’s {cash} – {{clinic}}"


def test_a_text_that_is_too_long_says_by_how_much(page):
    page.fill("textarea", "x" * 1002)

    assert page.text_content("[data-composer-problems]").strip() == (
        "Shorten the text by 2 characters: 1,000 is the most."
    )
