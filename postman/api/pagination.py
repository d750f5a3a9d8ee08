"""Pages of the v2 API by key (v2-sms §7): newest first, exact while rows are being added."""

import base64
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan

from postman.errors import Refused

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 1000
LONGEST_CURSOR = 200


@dataclass(frozen=True, slots=True)
class Order:
    """Newest first by fields that one index serves, and how a row's place stands in a cursor.

    A cursor is `[createdAt, last]` (v2-sms §7): `last` tells apart what came in one moment.
    """

    fields: tuple[str, ...]
    last: Callable[[Any], str | int]
    place: Callable[[datetime, Any], tuple[Any, ...]]  # raises ValueError, AttributeError

    def sort(self, rows: QuerySet[Any], *, backwards: bool = False) -> QuerySet[Any]:
        return rows.order_by(*(field if backwards else f"-{field}" for field in self.fields))

    def beyond(
        self, rows: QuerySet[Any], place: tuple[Any, ...], *, backwards: bool = False
    ) -> QuerySet[Any]:
        lookup = TupleGreaterThan if backwards else TupleLessThan
        return rows.filter(lookup(Tuple(*map(F, self.fields)), place))

    def write(self, row: Any) -> str:
        place = [row.created_at.isoformat(timespec="milliseconds"), self.last(row)]
        return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()

    def read(self, name: str, text: str) -> tuple[Any, ...]:
        try:
            if len(text) > LONGEST_CURSOR:
                raise ValueError
            created_at, last = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
            moment = datetime.fromisoformat(created_at)
            if moment.tzinfo is None:
                raise ValueError
            # PostgreSQL knows fewer offsets than Python.
            return self.place(moment.astimezone(UTC), last)
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            raise _invalid(
                f"`{name}` is not a cursor of ours: send one as `pageData` gave it."
            ) from None


def _row_number(last: Any) -> int:
    if type(last) is not int or not 0 <= last < 2**31:
        raise ValueError
    return last


NEWEST_FIRST = Order(
    ("created_at", "id"), lambda row: str(row.id), lambda moment, last: (moment, uuid.UUID(last))
)
# All messages of a batch share one moment, and their rows follow each other.
LAST_ROW_FIRST = Order(("row",), lambda message: message.row, lambda _, last: (_row_number(last),))


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Any]
    order: Order
    has_next: bool
    has_previous: bool

    @property
    def data(self) -> dict[str, Any]:
        """`pageData`: cursors are null on an empty page."""
        return {
            "hasNextPage": self.has_next,
            "hasPreviousPage": self.has_previous,
            "startCursor": self.order.write(self.rows[0]) if self.rows else None,
            "endCursor": self.order.write(self.rows[-1]) if self.rows else None,
        }


def page_of(rows: QuerySet[Any], asked: Mapping[str, str], order: Order = NEWEST_FIRST) -> Page:
    """The page that `limit`, `after` and `before` ask for; raises Refused (`parameter_invalid`).

    `created_at` is stored to the millisecond, so a cursor made of what the API shows is exact. A
    walk with `after` shows what stood there at its start once each, whatever is added meanwhile.
    One with `before` does not promise to meet all that comes: a message has its place from when it
    was accepted, and may be committed after a younger one was shown.
    """
    limit = _limit(asked.get("limit"))
    after, before = asked.get("after"), asked.get("before")
    if after and before:
        raise _invalid("Send either `after` or `before`, not both.")
    if before:
        above = order.beyond(rows, order.read("before", before), backwards=True)
        found = list(order.sort(above, backwards=True)[: limit + 1])
        shown, more = found[:limit][::-1], len(found) > limit
        has_next = bool(shown) and _is_any_beyond(rows, order, shown[-1])
        return Page(shown, order, has_next=has_next, has_previous=more)
    below = order.beyond(rows, order.read("after", after)) if after else rows
    found = list(order.sort(below)[: limit + 1])
    shown, more = found[:limit], len(found) > limit
    has_previous = bool(after and shown) and _is_any_beyond(rows, order, shown[0], backwards=True)
    return Page(shown, order, has_next=more, has_previous=has_previous)


def _is_any_beyond(rows: QuerySet[Any], order: Order, row: Any, *, backwards: bool = False) -> bool:
    """Asked in order, for without it PostgreSQL may read the table from its start."""
    place = tuple(getattr(row, field) for field in order.fields)
    nearest = order.sort(order.beyond(rows, place, backwards=backwards), backwards=backwards)
    return bool(nearest.prefetch_related(None).values_list("pk")[:1])


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise _invalid(f"`limit` must be a whole number from 1 to {LARGEST_LIMIT}.")
    limit = int(text)
    if not 1 <= limit <= LARGEST_LIMIT:
        raise _invalid(f"`limit` must be a whole number from 1 to {LARGEST_LIMIT}.")
    return limit


def _invalid(message: str) -> Refused:
    return Refused(message, "parameter_invalid")
