"""Pages of the v2 API by key (v2-sms §7): newest first, exact while rows are being added."""

import base64
import binascii
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan

from postman.errors import Refused

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 1000
LONGEST_CURSOR = 200

_KEY = Tuple(F("created_at"), F("id"))

Place = tuple[datetime, uuid.UUID]


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Any]
    has_next: bool
    has_previous: bool

    @property
    def data(self) -> dict[str, Any]:
        """`pageData`: cursors are null on an empty page."""
        return {
            "hasNextPage": self.has_next,
            "hasPreviousPage": self.has_previous,
            "startCursor": write_cursor(self.rows[0]) if self.rows else None,
            "endCursor": write_cursor(self.rows[-1]) if self.rows else None,
        }


def page_of(rows: QuerySet[Any], asked: Mapping[str, str]) -> Page:
    """The page that `limit`, `after` and `before` ask for; raises Refused (`parameter_invalid`).

    `created_at` is stored to the millisecond, so a cursor made of what the API shows is exact.
    """
    limit = _limit(asked.get("limit"))
    after, before = asked.get("after"), asked.get("before")
    if after and before:
        raise _invalid("Send either `after` or `before`, not both.")
    if before:
        above = rows.filter(TupleGreaterThan(_KEY, read_cursor("before", before)))
        found = list(above.order_by("created_at", "id")[: limit + 1])
        shown, more = found[:limit][::-1], len(found) > limit
        return Page(shown, has_next=_is_any_below(rows, shown), has_previous=more)
    if after:
        below = rows.filter(TupleLessThan(_KEY, read_cursor("after", after)))
    else:
        below = rows
    found = list(below.order_by("-created_at", "-id")[: limit + 1])
    shown, more = found[:limit], len(found) > limit
    return Page(shown, has_next=more, has_previous=bool(after) and _is_any_above(rows, shown))


def _is_any_above(rows: QuerySet[Any], shown: Sequence[Any]) -> bool:
    return bool(shown) and rows.filter(TupleGreaterThan(_KEY, _place(shown[0]))).exists()


def _is_any_below(rows: QuerySet[Any], shown: Sequence[Any]) -> bool:
    return bool(shown) and rows.filter(TupleLessThan(_KEY, _place(shown[-1]))).exists()


def _place(row: Any) -> Place:
    return row.created_at, row.id


def write_cursor(row: Any) -> str:
    place = [row.created_at.isoformat(timespec="milliseconds"), str(row.id)]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def read_cursor(name: str, text: str) -> Place:
    try:
        if len(text) > LONGEST_CURSOR:
            raise ValueError
        created_at, identity = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
        moment = datetime.fromisoformat(created_at)
        if moment.tzinfo is None:
            raise ValueError
        return moment, uuid.UUID(identity)
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise _invalid(
            f"`{name}` is not a cursor of ours: send one as `pageData` gave it."
        ) from None


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
