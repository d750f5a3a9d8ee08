"""Model instances out of a hand-written statement, where calls are so many that it matters.

Django needs longer to put a queryset into SQL than PostgreSQL to answer it.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Model

M = TypeVar("M", bound=Model)


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
