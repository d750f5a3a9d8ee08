"""Rows that become WhatsApp messages: a phone number, a language where there are several, and what
fills the template's gaps."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .columns import LANGUAGE, RECIPIENT, Header
from .rows import Reason, Row, reason, recipient_reason


class WhatsappRows:
    """`bodies` maps each code of a language to its text, `languages` every spelling of a language
    to its code. `complete` adds to the values of a row what nobody types; `fault_of_value` and
    `fault_of_text` say why WhatsApp would not take them."""

    def __init__(
        self,
        *,
        bodies: Mapping[str, str],
        languages: Mapping[str, str],
        variables: Sequence[str],
        clean_recipient: Callable[[str], str],
        complete: Callable[[Mapping[str, str]], dict[str, str]],
        fault_of_value: Callable[[str], str],
        fault_of_text: Callable[[str, Mapping[str, str]], str],
    ) -> None:
        self._bodies = bodies
        self._languages = languages
        self._variables = tuple(variables)
        self._clean_recipient = clean_recipient
        self._complete = complete
        self._fault_of_value = fault_of_value
        self._fault_of_text = fault_of_text
        self._tally: Counter[str] = Counter()
        self._seen: set[int] = set()
        self._duplicates = 0

    def take_header(self, cells: Sequence[str]) -> int:
        self._is_multilingual = len(self._bodies) > 1
        wanted = [RECIPIENT, *([LANGUAGE] if self._is_multilingual else []), *self._variables]
        header = Header(cells, wanted)
        self._recipient_at = header.place(RECIPIENT)
        self._language_at = header.place(LANGUAGE) if self._is_multilingual else -1
        self._pick = header.picker(self._variables)
        return header.width

    def summary(self) -> dict[str, Any]:
        return {
            "languages": {code: self._tally[code] for code in self._bodies},
            "duplicates": self._duplicates,
        }

    def plain(self, first: int, rows: Sequence[Sequence[str]]) -> list[Row]:
        """None: at a hundred messages a second, sending takes far longer than looking at each."""
        return []

    def examine(self, number: int, cells: Sequence[str]) -> Row | list[Reason]:
        reasons: list[Reason] = []
        recipient = cells[self._recipient_at]
        try:
            recipient = self._clean_recipient(recipient)
        except ValueError as invalid:
            reasons.append(recipient_reason(RECIPIENT, recipient, invalid))
        code = self._code_in(cells, reasons)
        values = dict(zip(self._variables, map(str.strip, self._pick(cells)), strict=True))
        for name, value in values.items():
            if fault := self._fault_of_value(value):
                is_blank = not value.strip()
                reasons.append(
                    reason(name, value, fault, "value_blank" if is_blank else "value_refused")
                )
        if reasons:
            return reasons
        complete = self._complete(values)
        if fault := self._fault_of_text(self._bodies[code], complete):
            return [reason("", "", fault, "message_too_long")]
        self._tally[code] += 1
        self._duplicates += hash(recipient) in self._seen
        self._seen.add(hash(recipient))
        return Row(number, recipient, code, complete, 1)

    def _code_in(self, cells: Sequence[str], reasons: list[Reason]) -> str:
        """The language of the row; where it has none, that is added to the reasons."""
        if not self._is_multilingual:
            return next(iter(self._bodies))
        typed = cells[self._language_at]
        code = self._languages.get(typed.strip().lower(), "")
        if code in self._bodies:
            return code
        names = {code: name for name, code in self._languages.items() if name != code.lower()}
        offered = ", ".join(names[code].capitalize() for code in self._bodies)
        is_blank = not typed.strip()
        message = f"{'Enter' if is_blank else 'Use'} one of: {offered}."
        reasons.append(
            reason(LANGUAGE, typed, message, "language_blank" if is_blank else "language_unknown")
        )
        return ""
