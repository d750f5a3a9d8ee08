"""Rows that become SMS of v1's kind: a number, and whatever columns the text names."""

from collections.abc import Callable, Sequence
from typing import Any

from campaigns import sms

from .columns import RECIPIENT, Header
from .rows import Reason, Row, reason, recipient_reason
from .sms_rows import SmsRows


class PlainSmsRows(SmsRows):
    """One text without header and footer. As v1 had it, values may be blank and hold any character,
    and columns that nothing uses may stand in the file."""

    def __init__(
        self,
        *,
        body: str,
        language: str,
        variables: Sequence[str],
        clean_recipient: Callable[[str], str],
    ) -> None:
        super().__init__(
            template={language: body},
            variables=variables,
            clean_recipient=clean_recipient,
            header="",
        )
        self._plan = self._plans[language]
        self._columns: list[str] = []

    def take_header(self, cells: Sequence[str]) -> int:
        header = Header(cells, [RECIPIENT, *self._variables], may_have_others=True)
        self._columns = [name for name in header.names if name]
        self._recipient_at = header.place(RECIPIENT)
        self._pick = header.picker(self._variables)
        self._width = header.width
        return header.width

    def summary(self) -> dict[str, Any]:
        return super().summary() | {"columns": self._columns}

    def plain(self, first: int, rows: Sequence[Sequence[str]]) -> list[Row]:
        """None: an account sends far fewer in a second than can be looked at one by one."""
        return []

    def examine(self, number: int, cells: Sequence[str]) -> Row | list[Reason]:
        values = dict(zip(self._variables, self._pick(cells), strict=True))
        reasons = []
        recipient = cells[self._recipient_at]
        try:
            recipient = self._clean_recipient(recipient)
        except ValueError as invalid:
            reasons.append(recipient_reason(RECIPIENT, recipient, invalid))
        reasons += [
            reason(name, value, "Remove the zero byte: this cell is damaged.", "value_zero_byte")
            for name, value in values.items()
            if "\0" in value
        ]
        if excess := self._plan.excess(values):
            message = (
                f"The message is {excess:,} characters over the {sms.MAX_BODY:,} it may have "
                "with these values."
            )
            reasons.append(reason("", "", message, "body_too_long"))
        if reasons:
            return reasons
        segments = self._plan.exact_segments(values)
        if not segments:
            return [reason("", "", "With these values nothing is left to send.", "body_blank")]
        self._count(self._plan, [recipient], [segments])
        return Row(number, recipient, self._plan.language, values, segments)
