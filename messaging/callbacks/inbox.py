"""Store reports that come in at the same moment with one statement and one commit.

Two reports come for every message sent, thousands a second. Each caller still hears of success only
once its own report is committed.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import DataError

from messaging import delivery
from messaging.channels.base import Event


@dataclass(slots=True, eq=False)
class _Ticket:
    provider: str
    attempt_id: UUID
    event: Event
    is_done: bool = False
    error: Exception | None = None


_waiting: list[_Ticket] = []
_turn = threading.Lock()


def keep(provider: str, attempt_id: UUID, event: Event) -> None:
    """Store one report. Whoever gets the turn stores those of all who wait for it meanwhile."""
    ticket = _Ticket(provider, attempt_id, event)
    _waiting.append(ticket)
    with _turn:
        if not ticket.is_done:
            _store_all()
    if ticket.error:
        raise ticket.error


def _store_all() -> None:
    tickets = _waiting[:]
    del _waiting[: len(tickets)]
    try:
        _store(tickets)
    except DataError:
        # One of them is not fit to be stored, and only that one may suffer for it.
        for ticket in tickets:
            _store_alone(ticket)
    except Exception as error:
        for ticket in tickets:
            ticket.error = error
    for ticket in tickets:
        ticket.is_done = True


def _store(tickets: Sequence[_Ticket]) -> None:
    delivery.keep_events([(t.provider, t.attempt_id, t.event) for t in tickets])


def _store_alone(ticket: _Ticket) -> None:
    try:
        _store([ticket])
    except Exception as error:
        ticket.error = error
