"""Fill `{{ keyword }}` in an officer's email, each value made safe for where it stands.

As in `campaigns.templating` there are no expressions and no second pass. What differs is v1's: a
name has no case, a blank value is nothing, and a name that ends in `_url` or `_link` is a link.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape, unescape
from urllib.parse import quote

from campaigns.templating import MissingValue, suggest_name

__all__ = ["CompiledTemplate", "Fault", "MissingValue", "check", "compile", "variables"]

# The one keyword that must not be blank.
RECIPIENT = "recipient"
# Where a password-protected email leads.
PROTECTED_LINK = "protectedlink"

KEYWORD = r"\{\{(?:\s|&nbsp;)*[A-Za-z0-9_]+(?:\s|&nbsp;)*\}\}"
is_lone_keyword = re.compile(KEYWORD).fullmatch

_keyword = re.compile(r"\{\{([^{}]*)\}\}")
_braces = re.compile(r"(\{\{\{+)[^{}]*\}*|\{\{([^{}]*)\}\}|\{\{|\}\}")
_is_name = re.compile(r"[A-Za-z0-9_]+").fullmatch
_is_link_name = re.compile(rf".*_(?:url|link)|{PROTECTED_LINK}").fullmatch

# Nobody can see these, and in a header or an address they end, hide or reorder what follows.
# Line feed and tab are text.
_CONTROLS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\ud800-\udfff"
)
_controls = re.compile(f"[{_CONTROLS}]")

_ADDRESS_TAIL = r"""[^\s<>"'`\\{}|^]+"""
_is_web_address = re.compile(rf"https?://(?![/?#]){_ADDRESS_TAIL}", re.IGNORECASE).fullmatch
_is_link_target = re.compile(
    rf"(?:https?://(?![/?#])|mailto:|tel:){_ADDRESS_TAIL}", re.IGNORECASE
).fullmatch

# In cleaned HTML every tag is whole and every attribute in double quotes.
_tag = re.compile(r"""<(/?)([a-zA-Z][^\s/>]*)((?:[^<>"']++|"[^"]*+"|'[^']*+')*+)>""")
_attribute = re.compile(r"""\s+([^\s"'<>/=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


# What is wrong -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in `text[start:end]`, in words for its author."""

    start: int
    end: int
    code: str
    message: str


def check(text: str) -> list[Fault]:
    """Everything in braces that is no keyword, in order of position."""
    faults = [_fault(found) for found in _braces.finditer(text)]
    return [fault for fault in faults if fault]


def _fault(found: re.Match[str]) -> Fault | None:
    if found[1]:
        return _at(
            found, "triple_braces", "Write two braces on each side of a keyword, as in {{name}}."
        )
    if found[0] == "{{":
        return _at(found, "unclosed_braces", "Close this keyword with }} after its name.")
    if found[0] == "}}":
        return _at(found, "unopened_braces", "Open this keyword with {{ before its name.")
    name = _inside(found[2])
    if not name:
        return _at(found, "blank_keyword", "Write a name between the braces, as in {{name}}.")
    if _is_name(name):
        return None
    return _at(found, *_illegal(name))


def _illegal(name: str) -> tuple[str, str]:
    """The fault's code and words for a name that is none."""
    shown = " ".join(unescape(re.sub(r"<[^>]*>", "", name)).split())
    if "<" in name and _is_name(shown):
        return "formatted_keyword", (
            f"The formatting changes in the middle of {{{{{shown}}}}}. Type the keyword again, "
            "or format all of it."
        )
    if name[0] in "#^/>!&=":
        return "unknown_marker", (
            f"“{name[0]}” has no meaning here: there are no conditions, loops or comments. "
            "Write a plain keyword, as in {{name}}."
        )
    rule = f"“{shown}” cannot be a keyword: use letters, digits and underscores only."
    suggestion = suggest_name(shown)
    advice = f"{rule} Try {{{{{suggestion}}}}}." if suggestion else rule
    return "illegal_keyword", advice


def _at(found: re.Match[str], code: str, message: str) -> Fault:
    return Fault(found.start(), found.end(), code, message)


def _inside(braces: str) -> str:
    # Editors write a space that must not break as an entity.
    return braces.replace("&nbsp;", " ").strip()


def variables(*texts: str) -> list[str]:
    """The keywords of an email, in lower case, in order of first appearance."""
    return list(dict.fromkeys(name for text in texts for _, name, _ in _occurrences(text)))


def _occurrences(text: str) -> Iterator[tuple[int, str, int]]:
    """(start, name, end) of each keyword; braces around anything else are text."""
    for found in _keyword.finditer(text):
        name = _inside(found[1])
        if _is_name(name):
            yield found.start(), name.lower(), found.end()


# What stands where a keyword stood ------------------------------------------------------------


def without_controls(value: str) -> str:
    return _controls.sub(" ", value) if _controls.search(value) else value


def as_text(value: str) -> str:
    """A value among the text of an HTML body. The lines of an address stay lines."""
    escaped = escape(without_controls(value).strip().replace("\t", " "))
    return escaped.replace("\n", "<br>") if "\n" in escaped else escaped


def as_attribute(value: str) -> str:
    return escape(" ".join(without_controls(value).split()))


def as_link_target(value: str) -> str:
    """The whole of a link's address: no address at all, unless it leads where a link may lead."""
    address = value.strip()
    if not _is_link_target(address) or _controls.search(address):
        return ""
    return f' href="{escape(address)}"'


def as_image_source(value: str) -> str:
    address = value.strip()
    if not _is_web_address(address) or _controls.search(address):
        return ""
    return f' src="{escape(address)}"'


def as_part_of_address(value: str) -> str:
    """A value within an address written by the officer, which it cannot lead elsewhere."""
    return quote(without_controls(value).strip(), safe="@")


def as_nothing(value: str) -> str:
    return ""


def as_plain_text(value: str) -> str:
    return without_controls(value).strip()


def as_plain_target(value: str) -> str:
    """The address behind a link's words, and no empty brackets where there is none."""
    address = as_plain_text(value)
    return f" ({address})" if address else ""


class _AsLink:
    """A value that is an address, to be clicked. Anything else is text."""

    def __init__(self, style: str) -> None:
        style = f' style="{escape(style)}"' if style else ""
        self._anchor = f'<a{style} href="%s" target="_blank" rel="noopener noreferrer">%s</a>'

    def __call__(self, value: str) -> str:
        address = value.strip()
        if not _is_web_address(address) or _controls.search(address):
            return as_text(value)
        address = escape(address)
        return self._anchor % (address, address)


Filling = Callable[[str], str]

# Compiled ------------------------------------------------------------------------------------


class _Form:
    """A text taken apart once, with how each of its keywords is filled."""

    __slots__ = ("_format", "_slots")

    def __init__(self, pieces: Iterable[tuple[str, str, Filling | None]]) -> None:
        slots: dict[tuple[str, Filling], str] = {}
        format_ = []
        for literal, name, filling in pieces:
            format_.append(literal.replace("%", "%%"))
            if filling:
                format_.append(f"%({slots.setdefault((name, filling), str(len(slots)))})s")
        self._format = "".join(format_)
        self._slots = [(key, name, filling) for (name, filling), key in slots.items()]

    def fill(self, values: Mapping[str, str]) -> dict[str, str]:
        return {key: filling(_value(values, name)) for key, name, filling in self._slots}

    def put(self, filled: dict[str, str]) -> str:
        # Interpolation runs in C and looks at the format only, so it is one pass by nature.
        return self._format % filled

    def render(self, values: Mapping[str, str]) -> str:
        return self.put(self.fill(values))


def _value(values: Mapping[str, str], name: str) -> str:
    value = values.get(name)
    if value is None:
        value = next((value for key, value in values.items() if key.lower() == name), "")
    if name == RECIPIENT and not value.strip():
        raise MissingValue(name)
    return value


class CompiledTemplate:
    """One text of an email, taken apart once and put together for each recipient.

    The same object renders as HTML, as one plain line (subject) and as plain lines, since only its
    owner knows which of them the text is. HTML must have been cleaned.
    """

    __slots__ = ("_html", "_plain", "_text", "variables")

    def __init__(self, text: str, link_style: str = "") -> None:
        self.variables = variables(text)
        self._text = _Form(_text_pieces(text))
        self._plain = _Form(_plain_pieces(text))
        self._html = _Form(_html_pieces(text, _AsLink(link_style)))

    def render_html(self, values: Mapping[str, str]) -> str:
        return self._html.render(values)

    def merge_html(self, values: Mapping[str, str]) -> tuple[str, Collection[str]]:
        """The HTML, and what stands in it where keywords stood, for who looks at it again."""
        filled = self._html.fill(values)
        return self._html.put(filled), filled.values()

    def render_text(self, values: Mapping[str, str]) -> str:
        """One line of plain text: nothing in a value can start another line, so no other header."""
        return " ".join(without_controls(self._text.render(values)).split())

    def render_plain(self, values: Mapping[str, str]) -> str:
        """Plain text of many lines."""
        return self._plain.render(values)


# `compile` as in `re.compile`: the module is the namespace.
@lru_cache(maxsize=1024)
def compile(text: str, link_style: str = "") -> CompiledTemplate:  # noqa: A001
    return CompiledTemplate(text, link_style)


def _text_pieces(text: str) -> Iterator[tuple[str, str, Filling | None]]:
    done = 0
    for start, name, end in _occurrences(text):
        yield text[done:start], name, str
        done = end
    yield text[done:], "", None


def _plain_pieces(text: str) -> Iterator[tuple[str, str, Filling | None]]:
    done = 0
    for start, name, end in _occurrences(text):
        if done <= start - 2 and text[start - 2 : start] == " (" and text[end : end + 1] == ")":
            yield text[done : start - 2], name, as_plain_target
            done = end + 1
        else:
            in_address = _is_within_address(text, max(0, start - _LONGEST_ADDRESS), start)
            yield text[done:start], name, as_part_of_address if in_address else as_plain_text
            done = end
    yield text[done:], "", None


_LONGEST_ADDRESS = 2000
_is_within_address = re.compile(r".*(?:https?://|mailto:|tel:)\S+", re.DOTALL).fullmatch


def _html_pieces(html: str, as_link: Filling) -> Iterator[tuple[str, str, Filling | None]]:
    places = _Places(html)
    done = 0
    for start, name, end in _occurrences(html):
        place = places.of(start, end)
        if place.filling is as_text and _is_link_name(name) and not places.is_within_a_link(start):
            place = replace(place, filling=as_link)
        yield html[done : place.start], name, place.filling
        done = place.end
    yield html[done:], "", None


@dataclass(frozen=True, slots=True)
class _Place:
    """What a value replaces, and how."""

    start: int
    end: int
    filling: Filling


class _Places:
    """Where in cleaned HTML something stands."""

    def __init__(self, html: str) -> None:
        self._html = html
        self._tags = list(_tag.finditer(html))
        self._starts = [tag.start() for tag in self._tags]
        self._links = [tag for tag in self._tags if tag[2].lower() == "a"]
        self._link_starts = [tag.start() for tag in self._links]

    def is_within_a_link(self, position: int) -> bool:
        """A link within a link would end the outer one."""
        before = bisect_left(self._link_starts, position)
        return before > 0 and not self._links[before - 1][1]

    def of(self, start: int, end: int) -> _Place:
        before = bisect_left(self._starts, start)
        if not before or self._tags[before - 1].end() < end:
            return _Place(start, end, as_text)
        tag = self._tags[before - 1]
        for attribute in _attribute.finditer(self._html, tag.start(3), tag.end(3)):
            group = 2 if attribute[2] is not None else 3
            if attribute.start(group) <= start and end <= attribute.end(group):
                is_whole = (attribute.start(group), attribute.end(group)) == (start, end)
                return _in_attribute(attribute, start, end, is_whole=is_whole)
        return _Place(start, end, as_nothing)


def _in_attribute(attribute: re.Match[str], start: int, end: int, *, is_whole: bool) -> _Place:
    name = attribute[1].lower()
    if name == "style":
        return _Place(start, end, as_nothing)
    if name not in _WHOLE_ADDRESSES:
        return _Place(start, end, as_attribute)
    if not is_whole:
        return _Place(start, end, as_part_of_address)
    # With the space before it, so that nothing is left of an address that is none.
    return _Place(attribute.start(), attribute.end(), _WHOLE_ADDRESSES[name])


_WHOLE_ADDRESSES = {"href": as_link_target, "src": as_image_source}
