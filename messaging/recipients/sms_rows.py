"""Rows that become SMS: a phone number, a language, and what is to be filled in; each measured."""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, compress, repeat
from operator import add
from typing import Any

from campaigns import sms, templating
from messaging import pricing

from .columns import LANGUAGE, RECIPIENT, Header
from .rows import Reason, Row, number_of, reason, recipient_reason, rows_of


class SmsRows:
    """`template` maps each language of the campaign to its body. `clean_recipient` raises a
    ValueError with a sentence."""

    def __init__(
        self,
        *,
        template: Mapping[str, str],
        variables: Sequence[str],
        clean_recipient: Callable[[str], str],
        header: str,
        notice: str = "",
    ) -> None:
        self._variables = tuple(variables)
        self._clean_recipient = clean_recipient
        self._plans = _plans(template, self._variables, header, notice)
        self._tally: Counter[tuple[str, bool, int]] = Counter()
        self._repeats = _Repeats()
        self._values_have_unicode = False
        self.file_has_avoidable_expensive_character = False

    def take_header(self, cells: Sequence[str]) -> int:
        header = Header(cells, [RECIPIENT, LANGUAGE, *self._variables])
        self._recipient_at = header.place(RECIPIENT)
        self._language_at = header.place(LANGUAGE)
        self._pick = header.picker(self._variables)
        self._width = header.width
        return header.width

    # What was counted ----------------------------------------------------------------------

    @property
    def languages(self) -> dict[str, int]:
        """Good rows of each language of the campaign."""
        rows = dict.fromkeys((plan.language for plan in self._plans.values()), 0)
        for (language, _, _), count in self._tally.items():
            rows[language] += count
        return rows

    @property
    def segments(self) -> dict[str, dict[int, int]]:
        """How many rows have how many segments, for `local` and for `foreign` numbers."""
        counts: dict[str, Counter[int]] = {"local": Counter(), "foreign": Counter()}
        for (_, is_local, segments), count in self._tally.items():
            counts["local" if is_local else "foreign"][segments] += count
        return {place: dict(sorted(rows.items())) for place, rows in counts.items()}

    @property
    def segments_min(self) -> int:
        return min((segments for _, _, segments in self._tally), default=0)

    @property
    def segments_max(self) -> int:
        return max((segments for _, _, segments in self._tally), default=0)

    @property
    def segments_total(self) -> int:
        return sum(segments * count for (_, _, segments), count in self._tally.items())

    @property
    def cost_micros(self) -> int:
        return sum(
            count * pricing.price_micros(is_local, segments)
            for (_, is_local, segments), count in self._tally.items()
        )

    @property
    def duplicates(self) -> int:
        """Good rows whose recipient stands in an earlier row too."""
        return self._repeats.count()

    @property
    def file_has_unicode(self) -> bool:
        """Some message is sent in UCS-2, for its language or for one of its values."""
        return self._values_have_unicode or any(
            rows and not self._plans[language].is_gsm for language, rows in self.languages.items()
        )

    def summary(self) -> dict[str, Any]:
        return {
            "languages": self.languages,
            "segments": self.segments,
            "segments_min": self.segments_min,
            "segments_max": self.segments_max,
            "segments_total": self.segments_total,
            "cost_micros": self.cost_micros,
            "duplicates": self.duplicates,
            "file_has_unicode": self.file_has_unicode,
            "file_has_avoidable_expensive_character": self.file_has_avoidable_expensive_character,
        }

    # Many rows -----------------------------------------------------------------------------

    def plain(self, first: int, rows: Sequence[Sequence[str]]) -> list[Row]:
        width, language_at = self._width, self._language_at
        typed = [cells[language_at] if len(cells) == width else "" for cells in rows]
        good: list[Row] = []
        for spelling in set(typed) & self._plans.keys():
            here = [each == spelling for each in typed]
            numbers = compress(range(first, first + len(rows)), here)
            table = list(zip(*compress(rows, here), strict=True))
            good += self._plain_of(self._plans[spelling], numbers, table)
        good.sort(key=number_of)
        return good

    def _plain_of(
        self, plan: "_Plan", numbers: Iterator[int], table: list[tuple[str, ...]]
    ) -> list[Row]:
        recipients = [self._cleaned(typed) for typed in table[self._recipient_at]]
        columns = self._pick(table)
        segments = plan.segments(columns, len(recipients))
        rows = zip(*columns) if columns else [()] * len(recipients)  # noqa: B905 - all as long
        values = [dict(zip(self._variables, row)) for row in rows]  # noqa: B905 - as long, by pick
        if not (all(segments) and all(recipients)):
            are_good = [bool(n and each) for n, each in zip(segments, recipients, strict=True)]
            numbers = compress(numbers, are_good)
            recipients = list(compress(recipients, are_good))
            values = list(compress(values, are_good))
            segments = list(compress(segments, are_good))
        self._count(plan, recipients, segments)
        return rows_of(numbers, recipients, repeat(plan.language), values, segments)

    def _cleaned(self, typed: str) -> str:
        try:
            return self._clean_recipient(typed)
        except ValueError:
            return ""

    def _count(self, plan: "_Plan", recipients: Sequence[str], segments: Sequence[int]) -> None:
        are_local = [recipient[:2] == "65" for recipient in recipients]
        self._tally.update(zip(repeat(plan.language), are_local, segments))
        self._repeats.add(recipients)

    # One row -------------------------------------------------------------------------------

    def examine(self, number: int, cells: Sequence[str]) -> Row | list[Reason]:
        values = dict(zip(self._variables, self._pick(cells), strict=True))
        typed = cells[self._language_at]
        plan = self._plans.get(typed) or self._plans.get(typed.strip().lower())

        reasons = []
        recipient = cells[self._recipient_at]
        try:
            recipient = self._clean_recipient(recipient)
        except ValueError as invalid:
            reasons.append(recipient_reason(RECIPIENT, recipient, invalid))
        if plan is None:
            reasons.append(self._language_reason(typed))
        reasons += self._value_reasons(values, plan)
        if reasons or plan is None:
            return reasons
        segments = plan.exact_segments(values)
        self._count(plan, [recipient], [segments])
        return Row(number, recipient, plan.language, values, segments)

    def _language_reason(self, value: str) -> Reason:
        offered = ", ".join(dict.fromkeys(plan.language for plan in self._plans.values()))
        language = value.strip().lower()
        if not language:
            return reason(LANGUAGE, value, f"Enter a language: {offered}.", "language_blank")
        if language in sms.LANGUAGES:
            message = f"This campaign is not written in {sms.LANGUAGE_LABELS[language]}."
            return reason(LANGUAGE, value, f"{message} Use {offered}.", "language_unavailable")
        message = f"There is no language of this name. Use {offered}."
        return reason(LANGUAGE, value, message, "language_unknown")

    def _value_reasons(self, values: Mapping[str, str], plan: "_Plan | None") -> list[Reason]:
        language = plan.language if plan else ""
        reasons = []
        for name, value in values.items():
            if plan is None or plan.is_gsm:
                self._note_characters(value)
            reasons += [
                reason(name, value, message, code) for code, message in check_value(value, language)
            ]
        if plan and not reasons and (excess := plan.excess(values)):
            message = (
                f"The message is {excess:,} characters over the {sms.MAX_BODY:,} it may have "
                "with these values."
            )
            reasons.append(reason("", "", message, "body_too_long"))
        return reasons

    def _note_characters(self, value: str) -> None:
        if sms.encoding(value) == sms.UCS2:
            self._values_have_unicode = True
            if any(culprit.suggestion is not None for culprit in sms.culprits(value)):
                self.file_has_avoidable_expensive_character = True
        elif any(char in value for char in sms.GSM_EXTENSION):
            self.file_has_avoidable_expensive_character = True


def check_value(value: str, language: str) -> list[tuple[str, str]]:
    """What is wrong with one variable's value, as (code, sentence): for a row, a form, the API."""
    if not value.strip():
        return [("value_blank", "Enter a value.")]
    faults = []
    if value != value.strip():
        faults.append(("value_spaces", "Remove the space at the beginning or end."))
    blocked = {found.char: found.message for found in sms.blocked_characters(value, language)}
    faults += [("value_blocked_character", message) for message in blocked.values()]
    return faults


# Rows against a template -------------------------------------------------------------------

_SEPARATOR = "\x1f"  # blocked in values
# Good in every language and most of what there is, so worth taking out before a closer look.
_ORDINARY = bytes({*range(0x20, 0x7F)} & {*map(ord, sms.GSM_BASIC)}) + _SEPARATOR.encode()
_spaces = re.compile(r"\s").findall

# Not blocked, and one UTF-16 unit each. Tabs stay out: they count as avoidable.
_UNBLOCKED_CLASS = rf"^{sms.BLOCKED_CLASS}\t" + sms.character_class((0x10000, 0x10FFFF))


def _joined(count: int, characters: str) -> Callable[[str], re.Match[str] | None]:
    """Are these so many values that each hold something, only such characters, and no space at
    either end? Counted, because a value may hold the separator itself."""
    value = rf"(?!\s)[{characters}]+(?<!\s)"
    return re.compile(_SEPARATOR.join([value] * count)).fullmatch


class _Plan:
    """How long messages of one language get, worked out once instead of once a row."""

    def __init__(self, language: str, body: str, names: Sequence[str], frame: str) -> None:
        self.language = language
        self._template = templating.compile(body)
        self._names = names
        self._before, self._after = frame.split(_SEPARATOR)
        literals = "".join(self._template.literals)
        fixed = self._before + literals + self._after
        self._uses = [self._template.names.count(name) for name in names]
        self._encoding = sms.encoding(fixed)
        self.is_gsm = self._encoding == sms.GSM7
        # Lengths can stand for units only while every fixed character is one unit.
        is_simple = sms.units(fixed) == len(fixed)
        self._segments_of_length = {
            length: sms.segments_of(len(fixed) + length, self._encoding)
            for length in range(sms.MAX_BODY - len(literals) + 1 if is_simple else 0)
        }
        characters = sms.PLAIN_CLASS if self.is_gsm else _UNBLOCKED_CLASS
        self._are_plain = re.compile(f"[{characters}]*").fullmatch
        self._are_good = _joined(len(names), characters)

    def segments(self, columns: Sequence[Sequence[str]], rows: int) -> list[int]:
        """Segments of each row's message; 0 for a row whose values need a closer look."""
        lengths = [0] * rows
        for uses, column in zip(self._uses, columns, strict=True):
            lengths = list(map(add, lengths, map(uses.__mul__, map(len, column))))
        found = [self._segments_of_length.get(length, 0) for length in lengths]
        if self._are_all_good(columns):
            return found
        return [
            segments if self._are_good(_SEPARATOR.join(values)) else 0
            for segments, values in zip(found, zip(*columns, strict=True), strict=True)
        ]

    def _are_all_good(self, columns: Sequence[Sequence[str]]) -> bool:
        """What `_are_good` says of each row, in one look at all of them."""
        joined = _SEPARATOR.join(chain([""], *columns, [""]))
        if joined.count(_SEPARATOR) > sum(map(len, columns)) + 1:
            return False
        try:
            unusual = joined.encode().translate(None, _ORDINARY).decode()
        except UnicodeEncodeError:
            return False
        if not self._are_plain(unusual) or _SEPARATOR * 2 in joined:
            return False
        return not any(
            space + _SEPARATOR in joined or _SEPARATOR + space in joined
            for space in {" ", *_spaces(unusual)}
        )

    def exact_segments(self, values: Mapping[str, str]) -> int:
        return sms.segments(self._before + self._template.render(values) + self._after)

    def excess(self, values: Mapping[str, str]) -> int:
        return max(0, len(self._template.render(values)) - sms.MAX_BODY)


def _plans(
    template: Mapping[str, str], names: Sequence[str], header: str, notice: str
) -> dict[str, _Plan]:
    """A plan for each language, under the spellings that files mostly have."""
    plans: dict[str, _Plan] = {}
    for language, body in template.items():
        frame = sms.compose(header, _SEPARATOR, language, notice) if header else _SEPARATOR
        plan = _Plan(language, body, names, frame)
        plans |= dict.fromkeys((language, language.title(), language.upper()), plan)
    return plans


class _Repeats:
    """Count recipients that come again, in 10 MB for a million of them."""

    # One bit for each number that could be a Singapore mobile; the rest are sorted at the end.
    _FIRST, _LAST = 6_580_000_000, 6_599_999_999

    def __init__(self) -> None:
        self._seen = bytearray((self._LAST - self._FIRST) // 8 + 1)
        self._others = array("Q")
        self._local_repeats = 0

    def add(self, recipients: Sequence[str]) -> None:
        seen, first, size = self._seen, self._FIRST, self._LAST - self._FIRST + 1
        for recipient in map(int, recipients):
            place = recipient - first
            if 0 <= place < size:
                byte, bit = place >> 3, 1 << (place & 7)
                if seen[byte] & bit:
                    self._local_repeats += 1
                seen[byte] |= bit
            else:
                self._others.append(recipient)

    def count(self) -> int:
        others = sorted(self._others)
        again = sum(map(int.__eq__, others, others[1:]))
        return self._local_repeats + again
