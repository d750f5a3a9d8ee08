"""Lists of v1: limit and offset, filters and sorting (v1-backend §3.6, v1-web-app §20.8).

`after` is ours (B-API-6): by offset, a list that grows shows the same message on two pages.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.http import QueryDict
from django.utils.dateparse import parse_date, parse_datetime

from messaging.api.v1.errors import Invalid
from messaging.models import Attempt, Transactional
from postman.errors import Refused

DEFAULT_LIMIT = 10
OPERATORS = ("gt", "gte", "lt", "lte")
FIELDS = {"created_at": "created_at", "updated_at": "message__updated_at"}
# A `+` that was not encoded arrives as a space.
_SORT = re.compile(r"([+\- ]?)(created_at|updated_at)")


class Asked:
    """What a list's query asks for; raises Invalid with everything that is wrong with it."""

    def __init__(
        self,
        query: QueryDict,
        *,
        max_limit: int,
        statuses: Mapping[str, Sequence[str] | Q],
        has_tags: bool = False,
    ) -> None:
        self._query = query
        self._faults: dict[str, str] = {}
        self.limit = self._number("limit", DEFAULT_LIMIT, 1, max_limit)
        self.offset = self._number("offset", 0, 0, 2**31 - 1)
        self.after = self._id("after")
        if self.after is not None and "offset" in query:
            self._faults["after"] = "Give either after or offset."
        self.order = self._order()
        self.filter = self._created() & self._status(statuses)
        if has_tags and (tag := self._one("tag")):
            if len(tag) > 255:
                self._faults["tag"] = "A tag has at most 255 characters."
            self.filter &= Q(tag=tag)
        self.excludes_params = self._flag("exclude_params")
        known = {"limit", "offset", "after", "sort_by", "status", "exclude_params"} | (
            {"tag"} if has_tags else set()
        )
        for name in query.keys() - known - {f"created_at[{op}]" for op in OPERATORS}:
            self._faults[name[:50]] = "Unknown parameter."
        if self._faults:
            raise Invalid(self._faults)

    def of(self, rows: QuerySet[Transactional]) -> tuple[list[Transactional], bool]:
        """This page of the rows, and whether there is more."""
        found = rows if self.after is None else self._beyond(rows, self.after)
        ordered = found.filter(self.filter).order_by(*self.order)
        page = list(ordered[self.offset : self.offset + self.limit + 1])
        return page[: self.limit], len(page) > self.limit

    def _beyond(self, rows: QuerySet[Transactional], number: int) -> QuerySet[Transactional]:
        """Those that follow this one: none is passed over or shown twice as others are added."""
        fields = [name.removeprefix("-") for name in self.order]
        place = rows.filter(pk=number).values_list(*fields).first()
        if place is None:
            raise Invalid({"after": "There is no such message."})
        lookup = TupleLessThan if self.order[0].startswith("-") else TupleGreaterThan
        return rows.filter(lookup(Tuple(*map(F, fields)), place))

    def _id(self, name: str) -> int | None:
        value = self._one(name)
        if not value:
            return None
        if not (value.isascii() and value.isdigit() and len(value) < 19):
            self._faults[name] = "Give the id of a message."
            return None
        return int(value)

    def _one(self, name: str) -> str:
        """PostgreSQL has no word for NUL, and nothing stored holds one."""
        values = self._query.getlist(name)
        if len(values) > 1:
            self._faults[name] = "Give this parameter once."
        value = values[0] if values else ""
        if values and not value:
            self._faults[name] = "Give a value, or leave this parameter out."
        if "\0" in value:
            self._faults[name] = "Take out the NUL character."
            return ""
        return value

    def _number(self, name: str, default: int, least: int, most: int) -> int:
        value = self._one(name)
        if not value:
            return default
        if not (value.isascii() and value.isdigit() and least <= int(value[:12]) <= most):
            self._faults[name] = f"Give a whole number from {least} to {most}."
            return default
        return int(value)

    def _flag(self, name: str) -> bool:
        value = self._one(name).lower()
        if value not in ("", "true", "false"):
            self._faults[name] = "Give true or false."
        return value == "true"

    def _order(self) -> list[str]:
        value = self._one("sort_by") or "created_at"
        match = _SORT.fullmatch(value)
        if match is None:
            self._faults["sort_by"] = (
                "Give created_at or updated_at, with + before it for the oldest first "
                "or - for the newest first."
            )
            return ["-created_at", "-id"]
        sign = "" if match[1] in ("+", " ") else "-"
        return [f"{sign}{FIELDS[match[2]]}", f"{sign}id"]

    def _status(self, statuses: Mapping[str, Sequence[str] | Q]) -> Q:
        value = self._one("status").upper()
        if not value:
            return Q()
        if value not in statuses:
            self._faults["status"] = f"Give one of: {', '.join(statuses)}."
            return Q()
        wanted = statuses[value]
        return wanted if isinstance(wanted, Q) else Q(message__status__in=wanted)

    def _created(self) -> Q:
        found = Q()
        for operator in OPERATORS:
            name = f"created_at[{operator}]"
            if value := self._one(name):
                moment = moment_of(value)
                if moment is None:
                    self._faults[name] = "Give a time such as 2026-01-31T09:00:00Z."
                else:
                    found &= Q(**{f"created_at__{operator}": moment})
        return found


def moment_of(value: str) -> datetime | None:
    """ISO 8601, in UTC where it does not say."""
    try:
        # A `+` before the zone that was not encoded arrives as a space.
        moment = parse_datetime(re.sub(r" (\d\d:?\d\d)$", r"+\1", value))
        if moment is None and (day := parse_date(value)):
            moment = datetime(day.year, day.month, day.day)
    except ValueError:
        return None
    if moment is None:
        return None
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        return None


def iso(moment: datetime | None) -> str | None:
    """`2025-02-01T01:00:00.000Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer(rows: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    return {"has_more": has_more, "data": rows}


def number_of(text: str) -> int:
    """The id in an address; one that nothing can have where it is none. Raises Refused."""
    if not (text.isascii() and text.isdigit()):
        raise Refused("id: Give the number of a message.", "api_validation")
    return int(text) if len(text) < 19 else -1


def latest_attempts(rows: list[Transactional]) -> dict[Any, Attempt]:
    """Message → its latest try, in one query."""
    found = Attempt.objects.filter(message__in=[row.message_id for row in rows]).order_by("number")
    return {attempt.message_id: attempt for attempt in found}
