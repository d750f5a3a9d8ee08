"""Django's PostgreSQL engine, whose look at a kept connection costs no round trip."""

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus
from psycopg.types.datetime import TimestamptzLoader


class DatabaseWrapper(base.DatabaseWrapper):
    def create_cursor(self, name: str | None = None) -> Any:
        return in_utc(super().create_cursor(name))

    def is_usable(self) -> bool:
        """A server that stopped has said goodbye: only a connection that has news is asked.

        One that failed is given up. Its plans may be the reason: a migration changed a column.
        """
        if self.connection is None or self.connection.closed or self.errors_occurred:
            return False
        if self.connection.info.transaction_status == TransactionStatus.INERROR:
            return False
        return not _has_news(self.connection) or super().is_usable()


def in_utc(cursor: Any) -> Any:
    """Have it read moments by psycopg's own code, in C: our connections speak UTC.

    Django's is for any time zone, and takes each moment apart in Python.
    """
    cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
    return cursor


def _has_news(connection: Any) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
