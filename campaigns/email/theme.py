"""The frame around an email's body, and the plain-text twin of the whole.

A frame is made once for a pinned body: the styles are inlined in the body too, and what is left
for each message is to put its own body and its own unsubscribe link between three strings.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from string import Template

import lxml.html
from css_inline import CSSInliner
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.html_engine import Inscriptis
from inscriptis.model.config import ParserConfig

from campaigns.email import sanitising
from campaigns.email.keywords import without_controls

# Pinned with each body. A new look is a new file beside the old one, which mails that were sent
# with it are still shown in.
THEME_VERSION = 1

# Mail that Gmail clips at about 102 KB hides its end, the unsubscribe link with it.
WARN_SIZE = 100 * 1024
MAX_SIZE = 1024 * 1024

MAX_PREHEADER = 150
LINK_STYLE = "color:#0b57b5;text-decoration:underline;word-break:break-word"

MASTHEAD = "An official email of the Singapore Government"
CONFIDENTIALITY = (
    "This email is meant only for the person it is addressed to. If it reached you by mistake, "
    "please delete it and do not pass it on."
)

# An address that no officer's text can hold in this place: the last link of the mail.
_UNSUBSCRIBE = "https://unsubscribe.invalid/"
# What follows the preheader in an inbox's list would be the masthead; this keeps it out.
_PREHEADER_PADDING = "\u034f\u200c\u00a0" * 40

_inliner = CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
_text_config = ParserConfig(
    css=CSS_PROFILES["strict"],
    display_images=True,
    table_cell_separator=" | ",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the frame says of its sender."""

    agency_name: str
    logo_url: str = ""
    has_masthead: bool = False
    footer: tuple[str, ...] = ()  # lines of the agency's own: its address, its hotline
    can_unsubscribe: bool = True
    lang: str = "en"
    theme_version: int = THEME_VERSION


@dataclass(frozen=True, slots=True)
class Shell:
    """A frame with its holes, and the body with its styles inlined and its keywords unfilled."""

    body: str
    _opening: str
    _upper: str
    _lower: str
    _closing: str
    _text_footer: str
    can_unsubscribe: bool

    def html(self, body_html: str, unsubscribe_url: str, preheader: str = "") -> str:
        """The whole mail. The body is trusted to have been cleaned; the rest is text."""
        link = escape(unsubscribe_url) if self.can_unsubscribe else ""
        return (
            f"{self._opening}{escape(preheader)}{self._upper}{body_html}{self._lower}{link}"
            f"{self._closing}"
        )

    def text(self, body_text: str, unsubscribe_url: str) -> str:
        unsubscribe = f"\nUnsubscribe: {unsubscribe_url}" if self.can_unsubscribe else ""
        return f"{body_text}\n\n{self._text_footer}{unsubscribe}\n"


def build(body_html: str, facts: Facts) -> Shell:
    """The frame for a body that has been cleaned. Takes milliseconds: keep what it returns."""
    page = _inliner.inline(
        _layout(facts.theme_version).substitute(
            lang=_shown(facts.lang),
            title=_shown(facts.agency_name),
            link_style=LINK_STYLE,
            preheader_padding=_PREHEADER_PADDING,
            masthead=_masthead(facts),
            logo=_logo(facts),
            body=body_html,
            footer=_footer(facts),
        )
    )
    opening, _, rest = page.partition("<!--preheader-->")
    upper, _, rest = rest.partition("<!--body-->")
    body, _, lower = rest.rpartition("<!--/body-->")
    closing = ""
    if facts.can_unsubscribe:
        lower, _, closing = lower.rpartition(_UNSUBSCRIBE)
    return Shell(
        body=sanitising.clean(body).html,  # as the cleaner writes it, so that it finds no change
        _opening=opening,
        _upper=upper,
        _lower=lower,
        _closing=closing,
        _text_footer="\n".join(["--", *_footer_lines(facts)]),
        can_unsubscribe=facts.can_unsubscribe,
    )


@lru_cache
def _layout(version: int) -> Template:
    return Template((Path(__file__).parent / "themes" / f"{version}.html").read_text())


def _shown(text: str) -> str:
    return escape(without_controls(text))


def _masthead(facts: Facts) -> str:
    return f'<tr><td class="masthead">{MASTHEAD}</td></tr>\n' if facts.has_masthead else ""


def _logo(facts: Facts) -> str:
    if not facts.logo_url:
        return ""
    # Outlook takes the height from the attribute; the width follows from the picture.
    return (
        f'<tr><td class="logo"><img class="logo-image" src="{_shown(facts.logo_url)}" '
        f'alt="{_shown(facts.agency_name)}" height="64"></td></tr>\n'
    )


def _footer_lines(facts: Facts) -> list[str]:
    lines = [f"Sent by {facts.agency_name} through Postman.", *facts.footer, CONFIDENTIALITY]
    return [without_controls(line) for line in lines]


def _footer(facts: Facts) -> str:
    lines = [f'<p class="footer-line">{escape(line)}</p>' for line in _footer_lines(facts)]
    if facts.can_unsubscribe:
        lines.append(
            f'<p class="footer-line"><a class="footer-link" href="{_UNSUBSCRIBE}">Unsubscribe</a> '
            f"from emails like this one.</p>"
        )
    return "".join(lines)


# Plain text ----------------------------------------------------------------------------------


def plain_text(html: str, *, with_addresses: bool = True) -> str:
    """Cleaned HTML for people and programs that read none. Keywords stay keywords."""
    tree = lxml.html.fromstring(f"<html><body>{html}</body></html>")
    if with_addresses:
        for link in tree.iter("a"):
            _show_address(link)
    for block in tree.xpath(
        "//table[not(ancestor::table)] | //*[self::ul or self::ol][not(ancestor::li)]"
    ):
        _set_apart(block)
    for first in tree.xpath("//ol[@start]/li[1]"):
        first.set("value", first.getparent().get("start"))  # the converter heeds this one alone
    lines = [line.rstrip() for line in Inscriptis(tree, _text_config).get_text().splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def _show_address(link: lxml.html.HtmlElement) -> None:
    """Write where a link leads behind its words, unless they say so themselves."""
    address = _bare(link.get("href", ""))
    if address and _bare(link.text_content()) != address:
        link.tail = f" ({address}){link.tail or ''}"


def _set_apart(block: lxml.html.HtmlElement) -> None:
    """Blank lines around what the converter gives none."""
    frame = lxml.html.Element("figure")
    frame.tail, block.tail = block.tail, None
    block.addprevious(frame)
    frame.append(block)


def _bare(address: str) -> str:
    address = re.sub(r"\{\{\s*(\w+)\s*\}\}", r"{{\1}}", address.strip())
    return address if "{{" in address else re.sub(r"^(?:mailto|tel):", "", address)


def opening(html: str) -> str:
    """The first words of a body, for a preheader where none was written."""
    text = " ".join(plain_text(html, with_addresses=False).split())
    if len(text) <= MAX_PREHEADER:
        return text
    cut = text[: MAX_PREHEADER + 1].rsplit(" ", 1)[0]
    # A keyword is whole or not there.
    return cut[: cut.rfind("{{")].rstrip() if cut.rfind("{{") > cut.rfind("}}") else cut


def size(html: str) -> int:
    """Bytes, as mail apps count."""
    return len(html.encode())
