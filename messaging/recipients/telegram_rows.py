"""Rows that become messages of a Telegram bot: a phone number, and what is to be filled in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .columns import RECIPIENT, Header
from .rows import Reason, Row, reason, recipient_reason


class TelegramRows:
    """`variables` are the keywords of the message, in lower case. `clean_recipient` raises a
    ValueError with a sentence; `length_of` tells how long a row's message is.

    Other columns may stand in the file; what they hold is not kept. A cell may be blank.
    """

    def __init__(
        self,
        *,
        variables: Sequence[str],
        clean_recipient: Callable[[str], str],
        length_of: Callable[[Mapping[str, str], str], int],
        most: int,
    ) -> None:
        self._variables = tuple(variables)
        self._clean_recipient = clean_recipient
        self._length_of = length_of
        self._most = most
        self._seen: set[int] = set()
        self._duplicates = self._longest = 0

    def take_header(self, cells: Sequence[str]) -> int:
        header = Header(cells, [RECIPIENT, *self._variables], may_have_others=True)
        wanted = {RECIPIENT, *self._variables}
        self._ignored = [name for name in header.names if name and name not in wanted]
        self._recipient_at = header.place(RECIPIENT)
        self._pick = header.picker(self._variables)
        return header.width

    def summary(self) -> dict[str, Any]:
        return {
            "columns_ignored": self._ignored,
            "duplicates": self._duplicates,
            "longest": self._longest,
        }

    def plain(self, first: int, rows: Sequence[Sequence[str]]) -> list[Row]:
        """None: at thirty messages a second, sending takes far longer than looking at each."""
        return []

    def examine(self, number: int, cells: Sequence[str]) -> Row | list[Reason]:
        values = dict(zip(self._variables, self._pick(cells), strict=True))
        reasons = [
            reason(name, value, "Remove the zero byte: this cell is damaged.", "value_zero_byte")
            for name, value in values.items()
            if "\0" in value
        ]
        typed = cells[self._recipient_at]
        try:
            recipient = self._clean_recipient(typed)
        except ValueError as invalid:
            return [recipient_reason(RECIPIENT, typed, invalid), *reasons]
        length = self._length_of(values, recipient)
        if length > self._most:
            message = (
                f"The message has {length:,} characters with these values, and Telegram takes "
                f"{self._most:,}."
            )
            reasons.append(reason("", "", message, "body_too_long"))
        if reasons:
            return reasons
        self._longest = max(self._longest, length)
        self._duplicates += int(recipient) in self._seen
        self._seen.add(int(recipient))
        return Row(number, recipient, "", values, 1)
