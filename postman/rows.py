"""Model instances out of a hand-written statement, where calls are so many that it matters.

Django needs longer to put a queryset into SQL than PostgreSQL to answer it.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper
from django.db.models import Model
from django.db.models.base import ModelState

from postman.database.base import in_utc

M = TypeVar("M", bound=Model)


def prepared() -> CursorWrapper:
    """A cursor whose statements the server plans once for a connection, not for every call.

    For statements whose best plan is the same whatever is asked, by a key or of one row.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]
    database.close_if_health_check_failed()
    database.ensure_connection()
    with database.wrap_database_errors:
        cursor = in_utc(ServerBindingCursor(database.connection))  # type: ignore[call-arg]
        return database._prepare_cursor(cursor)  # type: ignore[no-any-return]


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
        # As `Model.from_db` makes it, but for signals that nobody listens to.
        instance = self.model.__new__(self.model)
        instance.__dict__.update(zip(self.names, values, strict=True))
        instance._state = state = ModelState()
        state.adding, state.db = False, DEFAULT_DB_ALIAS
        return instance
