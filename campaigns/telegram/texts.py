"""What may stand in a message of Telegram's: a few tags, and line breaks as they are typed.

https://core.telegram.org/bots/api#html-style

`clean` runs on save, `render` on each message. Keywords are those of emails (`email.keywords`): a
value is made safe for where it stands, and what then stands there is cleaned once more.
"""

import re
from collections.abc import Mapping
from html import unescape

import nh3

from campaigns.email import keywords

# Of the text as it is read, in the units that Telegram counts: UTF-16.
WARN_LENGTH = 3000
MAX_LENGTH = 4096

# v1's list, and `br`; Telegram knows neither that nor `p`, so both become line breaks.
_TAGS = {"b", "i", "u", "s", "strike", "del", "p", "pre", "code", "a", "br"}
# What editors and people write for the same.
_SAME_AS = {"strong": "b", "em": "i", "ins": "u"}
_TAGS_WITHOUT_TEXT = {"script", "style", "title", "iframe", "template", "noscript", "textarea"}

_ADDRESS_TAIL = r"""[^\s<>"'`\\^|]+"""
_is_link_target = re.compile(
    rf"(?:https?://(?![/?#])|tg://){_ADDRESS_TAIL}", re.IGNORECASE
).fullmatch
_is_language = re.compile(r"language-[\w+#-]{1,30}").fullmatch
_same = re.compile(rf"<(/?)({'|'.join(_SAME_AS)})\b", re.IGNORECASE)
_line_break = re.compile(r"<br\s*/?>\n?")
_between_paragraphs = re.compile(r"</p>\s*(?:<p>)?")
_link_to_nowhere = re.compile(r"<a>(.*?)</a>", re.DOTALL)
_tag = re.compile(r"<[^>]*>")
_plain_ampersand = re.compile(r"&amp;(?!#?\w+;)")


def clean(text: str) -> str:
    """The text with nothing in it but what Telegram shows; clean text stays as it is."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _same.sub(lambda found: f"<{found[1]}{_SAME_AS[found[2].lower()]}", text)
    cleaned = nh3.clean(
        keywords.without_controls(text),
        tags=_TAGS,
        clean_content_tags=_TAGS_WITHOUT_TEXT,
        attributes={"a": {"href"}, "code": {"class"}},
        attribute_filter=_attribute,
        url_schemes={"http", "https", "tg"},
        link_rel=None,
    )
    cleaned = _line_break.sub("\n", cleaned)
    cleaned = _between_paragraphs.sub("\n\n", cleaned).replace("<p>", "")
    cleaned = _link_to_nowhere.sub(r"\1", cleaned)
    # Telegram knows four named characters, and this is none of them.
    return cleaned.replace("&nbsp;", "\u00a0").strip()


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return value if _is_language(value) else None
    value = value.strip()
    if keywords.is_lone_keyword(value) or _is_link_target(value):
        return value
    return None


def as_typed(text: str) -> str:
    """Clean text for its author: an ampersand that means nothing else stands as it was typed."""
    return _plain_ampersand.sub("&", text)


def variables(text: str) -> list[str]:
    """The keywords, without `recipient`, which every row has."""
    return [name for name in keywords.variables(text) if name != keywords.RECIPIENT]


def render(text: str, values: Mapping[str, str], recipient: str) -> str:
    """One person's message, as Telegram gets it."""
    return clean(keywords.compile(text).render_html({**values, "recipient": recipient}))


def visible(html: str) -> str:
    """What of clean text is read: neither tags nor the addresses of links."""
    return unescape(_tag.sub("", html))


def length(html: str) -> int:
    """Of the text that is read, as Telegram counts it."""
    return len(visible(html).encode("utf-16-le", "surrogatepass")) // 2


def faults_of(text: str) -> list[str]:
    """Everything that keeps this text from being sent, in sentences; empty if nothing does."""
    if not visible(text).strip():
        return ["Write the message."]
    faults = [fault.message for fault in keywords.check(text)]
    used = length(text)
    if used > MAX_LENGTH:
        faults.append(
            f"The message has {used:,} characters, and Telegram takes {MAX_LENGTH:,}. "
            f"Take out {used - MAX_LENGTH:,}."
        )
    return faults
