"""Django's PostgreSQL engine, whose look at a kept connection costs no round trip."""

import select
from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def close_if_health_check_failed(self) -> None:
        """A server that stopped has said goodbye: only a connection that has news is asked."""
        if self.connection is not None and not _has_news(self.connection):
            return
        super().close_if_health_check_failed()


def _has_news(connection: Any) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
