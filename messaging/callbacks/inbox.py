"""Store reports that come in at the same moment with one statement and one commit.

Two reports come for every message sent, thousands a second. Each caller still hears of success only
once its own report is committed.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import DataError

from messaging import receipts
from messaging.channels.base import Event


@dataclass(slots=True, eq=False)
class _Ticket:
    provider: str
    attempt_id: UUID
    event: Event
    # Free when called. A bare lock: an Event is made of several, and costs as much as the rest.
    turn: threading.Lock = field(default_factory=threading.Lock)
    is_stored: bool = False
    error: Exception | None = None


_mutex = threading.Lock()
_waiting: list[_Ticket] = []
_somebody_stores = False


def keep(provider: str, attempt_id: UUID, event: Event) -> None:
    """Store one report. One caller at a time stores those of all who wait meanwhile, its own
    among them, and then calls the next."""
    global _somebody_stores
    ticket = _Ticket(provider, attempt_id, event)
    ticket.turn.acquire()
    with _mutex:
        _waiting.append(ticket)
        must_wait, _somebody_stores = _somebody_stores, True
    if must_wait:
        ticket.turn.acquire()
    if not ticket.is_stored:
        _store_all_and_call_the_next()
    if ticket.error:
        raise ticket.error


def _store_all_and_call_the_next() -> None:
    global _somebody_stores
    with _mutex:
        tickets = _waiting[:]
        _waiting.clear()
    try:
        _store_each_as_it_can(tickets)
    finally:
        with _mutex:
            following = _waiting[0] if _waiting else None
            _somebody_stores = following is not None
        for ticket in tickets:
            ticket.is_stored = True
            ticket.turn.release()
        if following:
            following.turn.release()


def _store_each_as_it_can(tickets: Sequence[_Ticket]) -> None:
    try:
        receipts.keep_events([(t.provider, t.attempt_id, t.event) for t in tickets])
    except DataError as error:
        # One of them is not fit to be stored, and only that one may suffer for it.
        if len(tickets) == 1:
            tickets[0].error = error
            return
        for ticket in tickets:
            _store_each_as_it_can([ticket])
    except Exception as error:
        for ticket in tickets:
            ticket.error = error
