"""Model instances out of a hand-written statement, where calls are so many that it matters.

Django needs longer to put a queryset into SQL than PostgreSQL to answer it.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper
from django.db.models import Model

M = TypeVar("M", bound=Model)


def prepared() -> CursorWrapper:
    """A cursor whose statements the server plans once for a connection, not for every call.

    For statements whose best plan is the same whatever is asked, by a key or of one row.
    """
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = ServerBindingCursor(connection.connection)  # type: ignore[call-arg]
        return connection._prepare_cursor(cursor)  # type: ignore[attr-defined, no-any-return]


class Columns(Generic[M]):
    """Columns of a model under an alias: all, or those of `names` (the others are deferred)."""

    def __init__(self, model: type[M], alias: str, *names: str) -> None:
        self.model = model
        fields = [f for f in model._meta.concrete_fields if not names or f.attname in names]
        self.names = [field.attname for field in fields]
        self.key = self.names.index(model._meta.pk.attname)
        self.sql = ", ".join(f'{alias}."{field.column}"' for field in fields)
        self.converters = [
            (place, convert)
            for place, field in enumerate(fields)
            for convert in field.get_db_converters(connection)
        ]

    def __str__(self) -> str:
        return self.sql

    def take(self, row: Iterator[Any]) -> M:
        """The instance in the next columns of the row."""
        return self._made_of(list(islice(row, len(self.names))))

    def take_if_any(self, row: Iterator[Any]) -> M | None:
        """`take` after an outer join: None where it found nothing."""
        values = list(islice(row, len(self.names)))
        return None if values[self.key] is None else self._made_of(values)

    def _made_of(self, values: list[Any]) -> M:
        for place, convert in self.converters:
            values[place] = convert(values[place], None, connection)
        return self.model.from_db(connection.alias, self.names, values)
