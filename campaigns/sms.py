"""What an SMS is: its layout, its characters, its segments.

The composer in the browser computes the same live; the tables here are the one source for both.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

# Languages ---------------------------------------------------------------------------------

LANGUAGE_LABELS: Mapping[str, str] = MappingProxyType(
    {"english": "English", "chinese": "Chinese", "malay": "Malay", "tamil": "Tamil"}
)
LANGUAGES = tuple(LANGUAGE_LABELS)
# For the lang attribute, so that a screen reader speaks a text in its own language.
LANGUAGE_TAGS: Mapping[str, str] = MappingProxyType(
    {"english": "en", "chinese": "zh-Hans", "malay": "ms", "tamil": "ta"}
)

# Layout ------------------------------------------------------------------------------------

MAX_BODY = 1000  # characters after substitution, without header and footer
WARN_BODY = 320

FOOTERS: Mapping[str, str] = MappingProxyType(
    {
        "english": "Automated message from the Singapore Government. Do not reply.",
        "chinese": "这是新加坡政府发出的自动信息，请勿回复。",
        "malay": "Mesej automatik daripada Pemerintah Singapura. Jangan balas.",
        "tamil": "இது சிங்கப்பூர் அரசாங்கத்தின் தானியங்கிச் செய்தி. பதிலளிக்க வேண்டாம்.",
    }
)
TEST_NOTICE = "This is only a training message. Please ignore it."


def compose(header: str, body_text: str, language: str, notice: str = "") -> str:
    """The whole text a recipient sees around a body that has its values."""
    return wrap(header, body_text, FOOTERS[language], notice)


def wrap(header: str, body_text: str, footer: str, notice: str = "") -> str:
    """`compose` with the very footer that a template body was pinned with."""
    opening = f"{notice}\n\n" if notice else ""
    return f"{opening}{header}\n\n---\n\n{body_text}\n\n---\n\n{footer}"


# Characters --------------------------------------------------------------------------------

# GSM 03.38: the basic table in order of its codes, without the escape at 0x1B.
GSM_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Reached through the escape, so each counts as two.
GSM_EXTENSION = "\f^{}\\[~]|€"

# Refused in every language. All but the backtick are extension characters; what we offer in
# their place costs one.
BLOCKED: Mapping[str, str] = MappingProxyType(
    {
        "|": "/",
        "^": "",
        "€": "EUR",
        "{": "(",
        "}": ")",
        "[": "(",
        "]": ")",
        "~": "-",
        "\\": "/",
        "`": "'",
    }
)

# What word processors put in; one of these turns the whole message into UCS-2.
REPLACEMENTS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys("‘’‚‛′ʼ´", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000\t", " "),
        **dict.fromkeys("•·●▪‣", "-"),
        "…": "...",
        "⋯": "...",
        "×": "x",
        "÷": "/",
        "™": "(TM)",
        "®": "(R)",
        "©": "(C)",
        "½": "1/2",
        "¼": "1/4",
        "¾": "3/4",
        "°": " deg",
        "ç": "c",
        "\u2028": "\n",
        "\u2029": "\n",
        "→": "->",
        "≥": ">=",
        "≤": "<=",
    }
)

# Code points that phones draw as pictures (Unicode's Emoji property, less digits, letters'
# signs such as © and ™, arrows and the circled ideographs of Chinese text), with the marks
# that make pictures of other characters.
EMOJI_RANGES = (
    (0x20E3, 0x20E3),
    (0x231A, 0x231B),
    (0x2328, 0x2328),
    (0x23CF, 0x23CF),
    (0x23E9, 0x23F3),
    (0x23F8, 0x23FA),
    (0x25FD, 0x25FE),
    (0x2600, 0x2604),
    (0x260E, 0x260E),
    (0x2611, 0x2611),
    (0x2614, 0x2615),
    (0x2618, 0x2618),
    (0x261D, 0x261D),
    (0x2620, 0x2620),
    (0x2622, 0x2623),
    (0x2626, 0x2626),
    (0x262A, 0x262A),
    (0x262E, 0x262F),
    (0x2638, 0x263A),
    (0x2640, 0x2640),
    (0x2642, 0x2642),
    (0x2648, 0x2653),
    (0x265F, 0x2660),
    (0x2663, 0x2663),
    (0x2665, 0x2666),
    (0x2668, 0x2668),
    (0x267B, 0x267B),
    (0x267E, 0x267F),
    (0x2692, 0x2697),
    (0x2699, 0x2699),
    (0x269B, 0x269C),
    (0x26A0, 0x26A1),
    (0x26A7, 0x26A7),
    (0x26AA, 0x26AB),
    (0x26B0, 0x26B1),
    (0x26BD, 0x26BE),
    (0x26C4, 0x26C5),
    (0x26C8, 0x26C8),
    (0x26CE, 0x26CF),
    (0x26D1, 0x26D1),
    (0x26D3, 0x26D4),
    (0x26E9, 0x26EA),
    (0x26F0, 0x26F5),
    (0x26F7, 0x26FA),
    (0x26FD, 0x26FD),
    (0x2702, 0x2702),
    (0x2705, 0x2705),
    (0x2708, 0x270D),
    (0x270F, 0x270F),
    (0x2712, 0x2712),
    (0x2714, 0x2714),
    (0x2716, 0x2716),
    (0x271D, 0x271D),
    (0x2721, 0x2721),
    (0x2728, 0x2728),
    (0x2733, 0x2734),
    (0x2744, 0x2744),
    (0x2747, 0x2747),
    (0x274C, 0x274C),
    (0x274E, 0x274E),
    (0x2753, 0x2755),
    (0x2757, 0x2757),
    (0x2763, 0x2764),
    (0x2795, 0x2797),
    (0x27A1, 0x27A1),
    (0x27B0, 0x27B0),
    (0x27BF, 0x27BF),
    (0x2B1B, 0x2B1C),
    (0x2B50, 0x2B50),
    (0x2B55, 0x2B55),
    (0xFE0F, 0xFE0F),
    (0x1F000, 0x1FAFF),
    (0xE0020, 0xE007F),
)
# Nobody can see these: they hide, reorder, or were never text. Tab and line feed are text.
INVISIBLE_RANGES = (
    (0x00, 0x08),
    (0x0B, 0x1F),
    (0x7F, 0x9F),
    (0xAD, 0xAD),
    (0x061C, 0x061C),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFC),
    (0xFFFE, 0xFFFF),
)
# What is left of text that an earlier conversion broke: half a surrogate pair, a private-use
# code, or the question mark in a diamond.
BROKEN_RANGES = ((0xD800, 0xDFFF), (0xE000, 0xF8FF), (0xFFFD, 0xFFFD))
# Zero-width joiners are part of Indic spelling.
JOINERS = "\u200c\u200d"


def character_class(*ranges: tuple[int, int]) -> str:
    """The inside of a regular expression's [...] for these code points."""
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


_EMOJI = character_class(*EMOJI_RANGES)
_INVISIBLE = character_class(*INVISIBLE_RANGES)
_BROKEN = character_class(*BROKEN_RANGES)
BLOCKED_CLASS = re.escape("".join(BLOCKED)) + _EMOJI + _INVISIBLE + _BROKEN
# One septet each and nothing to say about them: most values of most messages.
PLAIN_CLASS = re.escape(GSM_BASIC.replace("\r", ""))

_is_emoji = re.compile(f"[{_EMOJI}]").fullmatch
_is_invisible = re.compile(f"[{_INVISIBLE}]").fullmatch
_is_broken = re.compile(f"[{_BROKEN}]").fullmatch
_find_blocked = re.compile(f"[{BLOCKED_CLASS}]").finditer
_is_gsm_basic = re.compile(f"[{re.escape(GSM_BASIC)}]*").fullmatch
_is_gsm = re.compile(f"[{re.escape(GSM_BASIC + GSM_EXTENSION)}]*").fullmatch
_find_not_gsm = re.compile(f"[^{re.escape(GSM_BASIC + GSM_EXTENSION)}]").finditer


@dataclass(frozen=True, slots=True)
class Blocked:
    """A character that may not be sent, and what to write instead (nothing: take it out)."""

    char: str
    position: int
    name: str
    suggestion: str

    @property
    def message(self) -> str:
        if self.suggestion:
            return f"Replace {self.name} with {self.suggestion}."
        if _is_broken(self.char):
            return f"Replace {self.name} with what was meant."
        return f"Remove {self.name}."


@dataclass(frozen=True, slots=True)
class Culprit:
    """A character that turns the message into UCS-2; `suggestion` is None where none will do."""

    char: str
    position: int
    count: int
    name: str
    suggestion: str | None


def blocked_characters(text: str, language: str) -> list[Blocked]:
    """Every character that may not be sent in this language, in order of position."""
    allowed = JOINERS if language == "tamil" else ""
    return [
        Blocked(found[0], found.start(), character_name(found[0]), BLOCKED.get(found[0], ""))
        for found in _find_blocked(text.replace("\r\n", " \n"))
        if found[0] not in allowed
    ]


def character_name(char: str) -> str:
    """How to speak of one character to somebody who cannot see or type it."""
    code = f"U+{ord(char):04X}"
    if _is_broken(char):
        return f"a damaged character ({code})"
    name = unicodedata.name(char, "").lower()
    if _is_emoji(char):
        return f"the emoji {char} ({name or code})"
    if unicodedata.category(char) in ("Cc", "Cf", "Cn"):
        return f"an invisible character ({name or code})"
    return f"{char} ({name or code})"


# Segments ----------------------------------------------------------------------------------

GSM7 = "GSM-7"
UCS2 = "UCS-2"
# Units in a message of one segment, and in each segment of a longer one (the rest of which
# holds the header that joins them).
SEGMENT_UNITS: Mapping[str, tuple[int, int]] = MappingProxyType({GSM7: (160, 153), UCS2: (70, 67)})


@dataclass(frozen=True, slots=True)
class Measure:
    """A text as it is carried and billed."""

    characters: int
    units: int  # septets in GSM-7, UTF-16 code units in UCS-2
    encoding: str
    segments: int
    culprits: tuple[Culprit, ...]


def encoding(text: str) -> str:
    return GSM7 if _is_gsm(text) else UCS2


def units(text: str) -> int:
    """The length that segments are counted in."""
    return sum(_unit_costs(text))


def segments(text: str) -> int:
    """How many SMS this text is sent and billed as."""
    if _is_gsm_basic(text):
        return segments_of(len(text), GSM7)
    single, joined = SEGMENT_UNITS[encoding(text)]
    costs = list(_unit_costs(text))
    return 1 if sum(costs) <= single else _pack(costs, joined)


def segments_of(units: int, encoding: str) -> int:
    """Segments of a text in which every character is one unit."""
    single, joined = SEGMENT_UNITS[encoding]
    return 1 if units <= single else -(-units // joined)


def measure(text: str) -> Measure:
    return Measure(
        characters=len(text),
        units=units(text),
        encoding=encoding(text),
        segments=segments(text),
        culprits=culprits(text),
    )


def culprits(text: str) -> tuple[Culprit, ...]:
    """The characters that force UCS-2, each once, in order of first appearance."""
    positions: dict[str, list[int]] = {}
    for found in _find_not_gsm(text):
        positions.setdefault(found[0], []).append(found.start())
    return tuple(
        Culprit(char, where[0], len(where), character_name(char), replacement(char))
        for char, where in positions.items()
    )


def replacement(char: str) -> str | None:
    """What to write in GSM-7 for a character outside it: nothing for an invisible one, None if
    there is no equal."""
    if char in REPLACEMENTS:
        return REPLACEMENTS[char]
    if _is_invisible(char):
        return ""
    plain = unicodedata.normalize("NFKC", char)
    if plain != char and _is_gsm_basic(plain):
        return plain
    letter = unicodedata.normalize("NFD", char)[0]
    return letter if letter != char and letter.isascii() else None


def _unit_costs(text: str) -> Iterator[int]:
    """Units of each character; one that costs two is never split between segments."""
    if _is_gsm(text):
        return (2 if char in GSM_EXTENSION else 1 for char in text)
    return (2 if char > "\uffff" else 1 for char in text)


def _pack(costs: list[int], size: int) -> int:
    segments, room = 1, size
    for cost in costs:
        if cost > room:
            segments, room = segments + 1, size
        room -= cost
    return segments
