"""Pages by key: the next page begins where this one ended, so page 10,000 costs what page 1 does."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.http import QueryDict

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Order:
    """A unique order that an index serves, and how a row's place in it is written in an address."""

    fields: tuple[str, ...]
    descending: bool
    write: Callable[[Any], str]
    read: Callable[[str], tuple[Any, ...]]  # raises ValueError or OverflowError

    def sort(self, rows: QuerySet[Any], *, backwards: bool = False) -> QuerySet[Any]:
        sign = "-" if self.descending != backwards else ""
        return rows.order_by(*(sign + field for field in self.fields))

    def beyond(
        self, rows: QuerySet[Any], place: tuple[Any, ...], *, backwards: bool = False
    ) -> QuerySet[Any]:
        lookup = TupleLessThan if self.descending != backwards else TupleGreaterThan
        return rows.filter(lookup(Tuple(*map(F, self.fields)), place))


def _write_time(row: Any) -> str:
    return f"{(row.created_at - _EPOCH) // timedelta(milliseconds=1)}.{row.pk.hex}"


def _read_time(text: str) -> tuple[datetime, uuid.UUID]:
    milliseconds, _, identity = text.partition(".")
    return _EPOCH + timedelta(milliseconds=int(milliseconds)), uuid.UUID(identity)


def _read_row(text: str) -> tuple[int]:
    if not 0 <= int(text) < 2**31:
        raise ValueError
    return (int(text),)


NEWEST_FIRST = Order(("created_at", "id"), True, _write_time, _read_time)
BY_ROW = Order(("row",), False, lambda message: str(message.row), _read_row)


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Rows, and the places where the pages beside this one are cut (empty for none).

    `newer` and `older` are named for lists of the newest first; by row they mean back and on.
    """

    rows: Sequence[Any]
    newer: str
    older: str


def page_of(rows: QuerySet[Any], asked: QueryDict, order: Order, *, size: int) -> KeyPage:
    """The page that the address asks for: `?older=<place>`, `?newer=<place>`, or the first.

    A place that cannot be read is as good as none. Where less than a page comes before it, the
    first page is shown whole.
    """
    newer, older = _place(order, asked.get("newer")), _place(order, asked.get("older"))
    if newer:
        above = order.sort(order.beyond(rows, newer, backwards=True), backwards=True)
        found = list(above[: size + 1])
        if len(found) > size:
            return _page(found[:size][::-1], order, has_newer=True, has_older=True)
        older = None
    if older:
        rows = order.beyond(rows, older)
    found = list(order.sort(rows)[: size + 1])
    return _page(found[:size], order, has_newer=bool(older), has_older=len(found) > size)


def _page(rows: list[Any], order: Order, *, has_newer: bool, has_older: bool) -> KeyPage:
    newer = order.write(rows[0]) if rows and has_newer else ""
    older = order.write(rows[-1]) if rows and has_older else ""
    return KeyPage(rows, newer, older)


def _place(order: Order, text: str | None) -> tuple[Any, ...] | None:
    try:
        return order.read(text) if text else None
    except (ValueError, OverflowError):
        return None
