"""What may stand in an email: an allow-list of tags, attributes and styles.

v1's list, and of our own `thead` and `hr` (both inert), spans and scope on `th` (tables that
screen readers can read) and `lang` (a second language that they can speak). Of v1's we refuse what a mail cannot use or should not hold: relative and
ftp addresses, images within the text (`data:`, which most mail apps do not show), and pictures in
styles.

`clean` runs on save, `clean_merged` on each message once its values stand in it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape, unescape
from typing import TypeVar

import nh3

from campaigns.email.keywords import KEYWORD, is_lone_keyword

T = TypeVar("T")

# Allowed -------------------------------------------------------------------------------------


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STYLED_TAGS = _words(
    "span b strong i em u ins br p ul ol li h1 h2 h3 h4 h5 h6 table tr th td sup caption a img hr"
)
TAGS = _STYLED_TAGS | {"div", "thead", "tbody", "mark"}
# Their content is no text for a reader, so it goes with them.
_TAGS_WITHOUT_TEXT = _words(
    "script style title template noscript noembed noframes iframe object embed applet audio video "
    "canvas svg math select textarea"
)
_TAGS_THAT_END_BY_THEMSELVES = _words(
    "area base br col embed hr img input link meta param source track wbr "
    "p li td th tr tbody thead tfoot caption colgroup dt dd option optgroup"
)
_OWN_ATTRIBUTES = {
    "ol": {"start", "type"},
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height", "data-link"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
ATTRIBUTES: dict[str, set[str]] = {
    tag: {"lang"} | ({"style"} if tag in _STYLED_TAGS else set()) | _OWN_ATTRIBUTES.get(tag, set())
    for tag in TAGS
}
# Ours to set, whatever was written: a link opens beside the mail and learns nothing of it.
_LINK_TARGET = {"a": {"target": "_blank"}}
_LINK_REL = "noopener noreferrer"

STYLE_PROPERTIES = _words(
    "background-color border border-bottom border-bottom-color border-bottom-style "
    "border-bottom-width border-collapse border-color border-left border-left-color "
    "border-left-style border-left-width border-radius border-right border-right-color "
    "border-right-style border-right-width border-spacing border-style border-top "
    "border-top-color border-top-style border-top-width border-width caption-side color direction "
    "display empty-cells font font-family font-size font-stretch font-style font-variant "
    "font-weight height letter-spacing line-height list-style-position list-style-type margin "
    "margin-bottom margin-left margin-right margin-top max-height max-width min-height min-width "
    "overflow-wrap padding padding-bottom padding-left padding-right padding-top table-layout "
    "text-align text-align-last text-decoration text-decoration-color text-decoration-line "
    "text-decoration-style text-indent text-transform vertical-align white-space width word-break "
    "word-spacing word-wrap"
)
# Shorthands that may hold a picture, and the part of them that may stay.
_SHORTHANDS = {"background": "background-color", "list-style": "list-style-type"}

_LINK_SCHEMES = ("http", "https", "mailto", "tel")
_IMAGE_SCHEMES = ("http", "https", "cid")

_ADDRESS_CHARACTER = r"""[^\s<>"'`\\{}\x00-\x20]"""
# A keyword may stand within an address once it is settled where the address leads.
_is_web_address = re.compile(
    rf"https?://[^\s<>\"'`\\{{}}/?#\x00-\x20]++(?:[/?#](?:{_ADDRESS_CHARACTER}|{KEYWORD})*+)?",
    re.IGNORECASE,
).fullmatch
_is_contact = re.compile(
    rf"(?:mailto|tel):(?:{_ADDRESS_CHARACTER}|{KEYWORD})++", re.IGNORECASE
).fullmatch
_is_content_id = re.compile(r"cid:[\w.@+-]+", re.IGNORECASE).fullmatch

_STYLE_FUNCTIONS = r"(?:rgb|rgba|hsl|hsla)\([\d\s.,%/]*\)"
# Colours, lengths, names and quoted names of fonts. No backslash, so no escapes; no function but
# colours', so no addresses and no scripts; no negative length, so nothing moves over our frame.
_is_style_value = re.compile(
    rf"""(?:{_STYLE_FUNCTIONS}|"[\w ,.-]*+"|'[\w ,.-]*+'|\#[0-9a-f]{{3,8}}\b|[a-z][a-z-]*+"""
    r"""|\+?[\d.]++[a-z%]*+|[\s,/!])++""",
    re.IGNORECASE,
).fullmatch
_is_colour = re.compile(rf"(?:{_STYLE_FUNCTIONS}|#[0-9a-f]{{3,8}}|[a-z]+)", re.I).fullmatch
_is_name = re.compile(r"[a-z-]+", re.IGNORECASE).fullmatch
_style_comment = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_PATTERNS = {
    "lang": re.compile(r"[a-zA-Z]{2,8}(?:-[a-zA-Z0-9]{1,8}){0,3}").fullmatch,
    "start": re.compile(r"-?\d{1,6}").fullmatch,
    "type": re.compile(r"[1aAiI]").fullmatch,
    "width": re.compile(r"\d{1,5}(?:\.\d+)?(?:px|%)?").fullmatch,
    "height": re.compile(r"\d{1,5}(?:\.\d+)?(?:px|%)?").fullmatch,
    "colspan": re.compile(r"\d{1,3}").fullmatch,
    "rowspan": re.compile(r"\d{1,3}").fullmatch,
    "scope": re.compile(r"(?:col|row)(?:group)?").fullmatch,
}

# How often a browser's reading of its own writing is written again, until it stays the same.
_MAX_PASSES = 8
# Of elements within elements. Far more than any letter needs, and far less than what parsers of
# mails, ours too, stumble over.
MAX_DEPTH = 100
# Longer than any address that mail apps and browsers open.
MAX_ATTRIBUTE = 2000
_TOO_DEEP = f"Kept the words alone: the layout was nested more than {MAX_DEPTH} levels deep."


@dataclass(frozen=True, slots=True)
class Cleaned:
    html: str
    removed: list[str]  # plain sentences on what was taken away, for the author


def clean(html: str) -> Cleaned:
    """The email as it may be stored. Cleaning it again changes nothing."""
    html = _not_text.sub("", html)
    found = _Inventory(html)
    if found.deepest > MAX_DEPTH:
        return Cleaned(_text_alone(html), [_TOO_DEEP])
    cleaned = _settled(html)
    kept = _Inventory(cleaned)
    if kept.deepest > MAX_DEPTH:
        return Cleaned(_text_alone(html), [_TOO_DEEP])
    return Cleaned(cleaned, _removed(found, kept))


# Controls and halves of characters: no two parsers of mails agree on them.
_not_text = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def _settled(html: str) -> str:
    """Cleaned until another pass finds nothing to change: what a mail app makes of it is then what
    was looked at here."""
    for _ in range(_MAX_PASSES):
        again = _not_text.sub("", _strict.clean(html))  # they may be written as &#1;
        if again == html:
            return html
        html = again
    return _text_alone(html)


def _text_alone(html: str) -> str:
    """The words of markup that is nobody's letter."""
    words = " ".join(unescape(_any_tag.sub(" ", html)).split())
    return _strict.clean(escape(words))


_any_tag = re.compile(r"<[^<>]*>?")


def is_blank(html: str) -> bool:
    """Whether an email of this would show nothing: no word and no picture stays when it is cleaned."""
    words = _not_text.sub("", unescape(_words_alone.clean(_not_text.sub("", html))))
    return not words.strip() and "<img" not in clean(html).html


def clean_merged(html: str) -> str:
    """The email of one recipient, cleaned again with their values in it.

    The template was cleaned and the values escaped, so this finds nothing unless one of those is
    wrong. It is far faster than `clean`, as no attribute comes back to Python.
    """
    merged = _merged.clean(_not_text.sub("", html))
    return _strict_merged.clean(merged) if _is_doubtful(merged) else merged


def are_inert(filled: Iterable[str]) -> bool:
    """Whether these strings, put where keywords stood in cleaned HTML, are certain to leave it
    clean: then `clean_merged` would find nothing, and need not be asked."""
    return all(map(_is_inert, filled))


# Nothing in these opens a tag, closes an attribute or runs, wherever it stands.
_INERT_REST = (
    r"""[^<>"'&`\x00-\x1f]*+(?:(?:&(?:amp|lt|gt|quot|\#x27);|<br>)[^<>"'&`\x00-\x1f]*+)*+"""
)
_INERT = r"(?!\s*(?:javascript|vbscript|data|file|blob|feed|view-source|jar)\s*:)" + _INERT_REST
_is_inert = re.compile(
    rf"""{_INERT}| (?:href|src)="(?:https?://|mailto:|tel:){_INERT_REST}\""""
    rf"""|<a(?: style="[\w:;\#-]*+")? href="https?://{_INERT_REST}" target="_blank" """
    rf"""rel="{_LINK_REL}">{_INERT}</a>""",
    re.IGNORECASE,
).fullmatch


# Styles that only the slow cleaner can judge: those with an escape, a negative length, or a
# function but colours'.
_is_doubtful = re.compile(
    r"""style="[^"(\\-]*+(?:(?:-(?![\d.])|(?:(?<=rgb)|(?<=rgba)|(?<=hsl)|(?<=hsla))\([^()"\\]*+\))"""
    r"""[^"(\\-]*+)*+[(\\-]"""
).search


# Attributes ----------------------------------------------------------------------------------


def _attribute(tag: str, name: str, value: str) -> str | None:
    """The value an attribute may have, or None if it must go."""
    if len(value) > MAX_ATTRIBUTE:
        return None
    if name == "style":
        return "; ".join(_allowed_declarations(value)) or None
    if name in ("href", "src", "data-link"):
        return None if _address_fault(name, value) else _address(value)
    if name in _PATTERNS:
        return value if _PATTERNS[name](value.strip()) else None
    return value


def _address(value: str) -> str:
    """Without the spaces around and within that browsers forgive and mail apps do not."""
    value = value.strip()
    return value if is_lone_keyword(value) else re.sub(r" (?![^{]*\}\})", "%20", value)


def _address_fault(name: str, value: str) -> str:
    """Why an address may not stay, as the end of a sentence; blank if it may."""
    if len(value) > MAX_ATTRIBUTE and not value.startswith("data:"):
        return f"is longer than {MAX_ATTRIBUTE:,} characters"
    address = _address(value)
    if is_lone_keyword(address) or _is_web_address(address):
        return ""
    scheme = _scheme(address)
    if name == "src":
        if _is_content_id(address):
            return ""
        if scheme == "data":
            return "is part of the text itself (data:), which most mail apps do not show: upload it"
        return "does not have a full address that starts with https://"
    if _is_contact(address):
        return ""
    if "{{" in address:
        return "has a keyword where it decides whom the link leads to"
    if scheme in ("", *_LINK_SCHEMES):
        return "does not have a full address that starts with https://, mailto: or tel:"
    return f"starts with {scheme}:, and only https://, http://, mailto: and tel: may"


def _scheme(address: str) -> str:
    found = re.match(r"([a-z][a-z0-9+.-]{0,20}):", re.sub(r"[\x00-\x20]", "", address), re.I)
    return found[1].lower() if found else ""


def _allowed_declarations(style: str) -> Iterator[str]:
    for name, value in _declarations(style):
        allowed = _allowed_declaration(name, value)
        if allowed:
            yield allowed


def _allowed_declaration(name: str, value: str) -> str:
    if name in _SHORTHANDS:
        may_stay = _is_colour if name == "background" else _is_name
        return f"{_SHORTHANDS[name]}: {value}" if may_stay(value) else ""
    if name not in STYLE_PROPERTIES or not _is_style_value(value):
        return ""
    return f"{name}: {value}"


def _declarations(style: str) -> Iterator[tuple[str, str]]:
    for declaration in _style_comment.sub("", style).split(";"):
        name, colon, value = declaration.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


_cleaner = partial(
    nh3.Cleaner,
    tags=set(TAGS),
    clean_content_tags=set(_TAGS_WITHOUT_TEXT),
    attributes={**ATTRIBUTES, "*": set()},  # the library would let others pass on every tag
    set_tag_attribute_values=_LINK_TARGET,
    link_rel=_LINK_REL,
    url_schemes={*_LINK_SCHEMES, *_IMAGE_SCHEMES},
    filter_style_properties=set(STYLE_PROPERTIES | _SHORTHANDS.keys()),
)
_strict = _cleaner(attribute_filter=_attribute)
_strict_merged = _cleaner(attribute_filter=_attribute, url_relative="deny")
_merged = _cleaner(url_relative="deny")
_words_alone = nh3.Cleaner(tags=set(), clean_content_tags=set(_TAGS_WITHOUT_TEXT))


# What was taken away -------------------------------------------------------------------------


def _removed(found: "_Inventory", kept: "_Inventory") -> list[str]:
    return [
        *_sentences(found.tags - kept.tags, _tag_sentence),
        *_sentences(found.attributes, _attribute_sentence),
        *_sentences(found.addresses, _address_sentence),
        *_sentences(found.styles, _style_sentence),
    ]


class _Inventory:
    """What an HTML text holds, and what of that may not stay. For telling, never for deciding.

    A reader of its own, as `html.parser` takes the square of the time for some texts.
    """

    def __init__(self, html: str) -> None:
        self.tags: Counter[str] = Counter()
        self.attributes: Counter[tuple[str, str]] = Counter()
        self.addresses: Counter[tuple[str, str]] = Counter()
        self.styles: Counter[str] = Counter()
        self.deepest = 0
        self._depth = 0
        self._open: Counter[str] = Counter()
        self._skipped = ""
        self._skipped_depth = 0
        for found in _some_tag.finditer(_without_comments(html)):
            slash, tag, attributes = found.groups()
            look = self._look_at_end if slash else self._look_at_start
            look(tag.lower(), attributes)

    def _look_at_start(self, tag: str, attributes: str) -> None:
        if self._skipped:
            self._skipped_depth += tag == self._skipped
            return
        self.tags[tag] += 1
        if tag not in _TAGS_THAT_END_BY_THEMSELVES:
            self._open[tag] += 1
            self._depth += 1
            self.deepest = max(self.deepest, self._depth)
        if tag in TAGS:
            for name, *values in _some_attribute.findall(attributes):
                self._look_at(tag, name.lower(), unescape("".join(values)))
        elif tag in _TAGS_WITHOUT_TEXT and tag not in _TAGS_THAT_END_BY_THEMSELVES:
            self._skipped, self._skipped_depth = tag, 1

    def _look_at_end(self, tag: str, attributes: str) -> None:
        if self._skipped:
            self._skipped_depth -= tag == self._skipped
            if not self._skipped_depth:
                self._skipped = ""
        elif self._open[tag]:
            self._open[tag] -= 1
            self._depth -= 1

    def _look_at(self, tag: str, name: str, value: str) -> None:
        if name not in ATTRIBUTES[tag]:
            if (tag, name) not in (("a", "target"), ("a", "rel")):
                self.attributes[tag, name] += 1
        elif name == "style":
            for property_, given in _declarations(value):
                self.styles[property_] += not _allowed_declaration(property_, given)
        elif name in ("href", "src", "data-link"):
            fault = _address_fault(name, value)
            self.addresses[name, fault] += bool(fault)
        elif _attribute(tag, name, value) is None:
            self.attributes[tag, name] += 1


# Neither ever looks past the next <, so that no text takes long.
_some_tag = re.compile(r"""<(/?)([a-zA-Z][^\s/<>]*+)((?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)""")
_some_attribute = re.compile(
    r"""([^\s"'<>/=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'<>=`]++)))?"""
)


def _without_comments(html: str) -> str:
    pieces, end = [], 0
    while (start := html.find("<!--", end)) >= 0:
        pieces.append(html[end:start])
        end = html.find("-->", start)
        if end < 0:
            return "".join(pieces)
        end += 3
    return "".join([*pieces, html[end:]])


def _sentences(counted: Counter[T], sentence: Callable[[T, int], str]) -> list[str]:
    return [sentence(what, count) for what, count in counted.items() if count > 0]


_TAG_WORDS = {
    "script": "a script",
    "style": "a style sheet",
    "form": "a form",
    "iframe": "an embedded page",
    "video": "a video",
    "audio": "a sound",
    "svg": "a drawing (svg)",
    "font": "old font markup (font); its text stays",
}


def _tag_sentence(tag: str, count: int) -> str:
    words = _TAG_WORDS.get(
        tag, f"the tag <{tag}>" + ("" if tag in _TAGS_WITHOUT_TEXT else "; its text stays")
    )
    return f"Removed {words}{_times(count)}."


def _attribute_sentence(what: tuple[str, str], count: int) -> str:
    tag, name = what
    if name.startswith("on"):
        return f"Removed a script ({name}) on <{tag}>{_times(count)}."
    return f"Removed the attribute {name} of <{tag}>{_times(count)}."


def _address_sentence(what: tuple[str, str], count: int) -> str:
    name, fault = what
    thing = "the image" if name == "src" else "the target of a link"
    return f"Removed {thing}{_times(count)}: it {fault}."


def _style_sentence(name: str, count: int) -> str:
    return f"Removed the style {name}{_times(count)}."


def _times(count: int) -> str:
    return "" if count == 1 else f" ({count} times)"
