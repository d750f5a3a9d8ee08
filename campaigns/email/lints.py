"""Advice on an email before it is sent. Nothing of it keeps the email from being sent."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import lxml.html

from campaigns.email import keywords, theme

MAX_SUBJECT_WORDS = 10
_GOVERNMENT_HOST = re.compile(r"(?:.+\.)?gov\.sg", re.IGNORECASE).fullmatch
_SHORTEST_SHOUT = 4  # letters: an agency's or a form's initials are no shouting


@dataclass(frozen=True, slots=True)
class Lint:
    """Something to look at again; `field` is where its author can mend it."""

    field: str  # "subject" or "body"
    code: str
    message: str


def lints(subject: str, html: str) -> list[Lint]:
    """Advice on a subject and a cleaned body, the subject's first."""
    body = lxml.html.fromstring(f"<html><body>{html}</body></html>")
    return [
        *_on_subject(subject),
        *_on_text(body),
        *_on_images(body),
        *_on_links(body),
        *_on_size(html),
    ]


def _on_subject(subject: str) -> list[Lint]:
    found = []
    written = re.sub(keywords.KEYWORD, " ", subject)
    if not subject.strip():
        return [Lint("subject", "missing_subject", "Write a subject: it decides who opens this.")]
    letters = [char for char in written if char.isalpha()]
    if len(letters) >= _SHORTEST_SHOUT and all(char.isupper() for char in letters):
        found.append(
            Lint("subject", "shouting", "Capitals throughout look like shouting, and like spam.")
        )
    elif "!!" in written:
        found.append(
            Lint("subject", "shouting", "One exclamation mark is enough; more look like spam.")
        )
    words = len(re.sub(keywords.KEYWORD, "keyword", subject).split())
    if words > MAX_SUBJECT_WORDS:
        found.append(
            Lint(
                "subject",
                "long_subject",
                f"The subject has {words} words. Phones show about {MAX_SUBJECT_WORDS}.",
            )
        )
    return found


def _on_text(body: lxml.html.HtmlElement) -> list[Lint]:
    if body.text_content().strip():
        return []
    return [
        Lint(
            "body",
            "missing_text",
            "There is no text. People whose mail app hides images, or who listen to it, get nothing.",
        )
    ]


def _on_images(body: lxml.html.HtmlElement) -> list[Lint]:
    without_words = [image for image in body.iter("img") if not (image.get("alt") or "").strip()]
    if not without_words:
        return []
    count = len(without_words)
    images = "One image has" if count == 1 else f"{count} images have"
    return [
        Lint(
            "body",
            "image_without_alt",
            f"{images} no description. Say what it shows, for those who do not see it.",
        )
    ]


def _on_links(body: lxml.html.HtmlElement) -> list[Lint]:
    links = list(body.iter("a"))
    found = []
    hosts = dict.fromkeys(_host(link.get("href", "")) for link in links)
    strange = [host for host in hosts if host and not _GOVERNMENT_HOST(host)]
    if strange:
        found.append(
            Lint(
                "body",
                "link_outside_government",
                f"People are told to trust links to gov.sg. Outside it: {', '.join(strange)}.",
            )
        )
    if any(not (link.get("href") or "").strip() for link in links):
        found.append(
            Lint("body", "link_without_target", "A link leads nowhere. Give it an address.")
        )
    return found


def _host(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "") if address.startswith("http") else ""
    except ValueError:  # brackets that are no IPv6 address
        return address


def _on_size(html: str) -> list[Lint]:
    if theme.size(html) < theme.WARN_SIZE:
        return []
    return [
        Lint(
            "body",
            "large",
            "This is over 100 KB. Gmail cuts such mails off, with the unsubscribe link at their end.",
        )
    ]
