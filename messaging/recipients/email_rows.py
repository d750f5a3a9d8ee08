"""Rows that become emails: an address, and whatever the message is filled in with."""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import compress, repeat
from typing import Any, TypeVar

from campaigns.email import addresses

from .columns import RECIPIENT, Header
from .rows import Reason, Row, reason, recipient_reason, rows_of

# More is a file gone wrong, not what one person is told.
LONGEST_VALUE = 10_000
EXAMPLES = 5

_Cell = TypeVar("_Cell")

_is_keyword = re.compile(r"[a-z0-9_]+").fullmatch


class EmailRows:
    """`variables` are the keywords of the message, in lower case, without `recipient`.

    Other columns may stand in the file: the message may be changed to use them while it waits, so
    they are kept like the keywords'. Those whose names could not be keywords never can be used, so
    what stands in them is not kept. Whatever its name, a column is a value and nothing else.
    """

    def __init__(self, variables: Sequence[str]) -> None:
        self._variables = tuple(variables)
        self._names: list[str] = []
        self._ignored: list[str] = []
        self._blank: Counter[str] = Counter()
        self._repeats = _Repeats()
        self._roles = _Finds()
        self._typos = _Finds()

    def take_header(self, cells: Sequence[str]) -> int:
        header = Header(cells, [RECIPIENT, *self._variables], may_have_others=True)
        others = [name for name in header.names if name and name != RECIPIENT]
        self._names = [name for name in others if _is_keyword(name)]
        self._ignored = [name for name in others if not _is_keyword(name)]
        self._recipient_at = header.place(RECIPIENT)
        self._pick = header.picker(self._names)
        self._width = header.width
        return header.width

    def summary(self) -> dict[str, Any]:
        return {
            "columns": [RECIPIENT, *self._names],
            "columns_ignored": self._ignored,
            "duplicates": self._repeats.count(),
            "blank": {name: self._blank[name] for name in self._names if self._blank[name]},
            "role_addresses": self._roles.as_json(),
            "typos": self._typos.as_json(),
        }

    # Many rows -----------------------------------------------------------------------------

    def plain(self, first: int, rows: Sequence[Sequence[str]]) -> list[Row]:
        numbers: Sequence[int] = range(first, first + len(rows))
        if set(map(len, rows)) != {self._width}:
            are_whole = [len(cells) == self._width for cells in rows]
            numbers, rows = _those(are_whole, numbers), _those(are_whole, rows)
            if not rows:
                return []
        table: list[Sequence[str]] = list(zip(*rows, strict=True))
        recipients = addresses.clean_many(table[self._recipient_at])
        if not (all(recipients) and _are_plain(table)):
            are_good = [
                bool(recipient) and _are_plain([cells])
                for recipient, cells in zip(recipients, rows, strict=True)
            ]
            numbers, recipients = _those(are_good, numbers), _those(are_good, recipients)
            table = [_those(are_good, column) for column in table]
        columns = self._pick(table)
        self._count(numbers, recipients, columns)
        picked = zip(*columns) if columns else repeat((), len(numbers))  # noqa: B905 - all as long
        values = [dict(zip(self._names, cells)) for cells in picked]  # noqa: B905 - as long, by pick
        return rows_of(numbers, recipients, repeat(""), values, repeat(1))

    def _count(
        self, numbers: Sequence[int], recipients: Sequence[str], columns: Iterable[Sequence[str]]
    ) -> None:
        self._repeats.add(recipients)
        for name, column in zip(self._names, columns, strict=True):
            if blank := list(map(str.strip, column)).count(""):
                self._blank[name] += blank
        joined = "\n".join(recipients)
        parts = joined.replace("@", "\n").split("\n")
        names, domains = parts[::2], parts[1::2]
        if addresses.may_hold_roles(names, joined):
            for number, recipient in zip(numbers, recipients, strict=True):
                if addresses.is_role(recipient):
                    self._roles.add(number, f"{recipient.partition('@')[0]}@")
        if slips := set(filter(addresses.meant_domain, set(domains))):
            for number, domain in zip(numbers, domains, strict=True):
                if domain in slips:
                    self._typos.add(number, domain, addresses.meant_domain(domain))

    # One row -------------------------------------------------------------------------------

    def examine(self, number: int, cells: Sequence[str]) -> Row | list[Reason]:
        values = dict(zip(self._names, self._pick(cells), strict=True))
        reasons = []
        recipient = cells[self._recipient_at]
        try:
            recipient = addresses.clean_recipient(recipient)
        except ValueError as invalid:
            reasons.append(recipient_reason(RECIPIENT, recipient, invalid))
        for name, value in values.items():
            reasons += [reason(name, value, *fault) for fault in _faults_of(value)]
        if reasons:
            return reasons
        self._count([number], [recipient], [[value] for value in values.values()])
        return Row(number, recipient, "", values, 1)


def _those(are_good: Sequence[bool], cells: Iterable[_Cell]) -> list[_Cell]:
    return list(compress(cells, are_good))


def _are_plain(table: Sequence[Sequence[str]]) -> bool:
    """Is there nothing in these cells that a row is looked at more closely for?"""
    joined = "".join(map("".join, table))
    if "\r" in joined or "\0" in joined:
        return False
    if not joined.isascii():
        try:
            joined.encode()  # which undecodable bytes do not survive
        except UnicodeEncodeError:
            return False
    return max(max(map(len, column)) for column in table) <= LONGEST_VALUE


def _faults_of(value: str) -> list[tuple[str, str]]:
    """What is wrong with a value, as (sentence, code). It may be blank: that renders as nothing."""
    faults = []
    if "\0" in value:
        message = "Remove the zero byte: this cell is damaged."
        faults.append((message, "value_zero_byte"))
    if len(value) > LONGEST_VALUE:
        message = f"Shorten this to {LONGEST_VALUE:,} characters: it has {len(value):,}."
        faults.append((message, "value_too_long"))
    return faults


class _Finds:
    """How many there are of something odd, and a few of them. By row, not by address: who is
    looked for is found in the file, and what is kept here is nobody's data."""

    def __init__(self) -> None:
        self._count = 0
        self._examples: list[dict[str, Any]] = []

    def add(self, row: int, found: str, meant: str = "") -> None:
        self._count += 1
        if len(self._examples) < EXAMPLES:
            example = {"row": row, "found": found}
            self._examples.append(example | {"meant": meant} if meant else example)

    def as_json(self) -> dict[str, Any]:
        return {"count": self._count, "examples": self._examples}


class _Repeats:
    """Count recipients that come again, in 9 bytes for each row: 9 MB for a million.

    Known by 64 bits of their hash, which differs from process to process, so nobody can make up
    addresses that are taken for each other; that two of a million are is a chance of 1 in 37
    million. Counting them takes the memory of one part's set, 1 to 2 MB for a million.
    """

    _PARTS = 64

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(self._PARTS)]

    def add(self, recipients: Iterable[str]) -> None:
        appends = [part.append for part in self._parts]
        last = self._PARTS - 1
        for known_by in map(hash, recipients):
            appends[known_by & last](known_by)

    def count(self) -> int:
        return sum(len(part) - len(set(part)) for part in self._parts)
