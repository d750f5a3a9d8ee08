"""How fast each account of a provider may be given messages, in segments: what it bills and limits.

A token bucket per account in PostgreSQL, so that all workers share it and a flushed Redis frees
nobody. Whoever claims messages pays for them in the same transaction.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate

from django.db import connection

from messaging.providers import rate_of

# How much of a second's allowance may leave in one go, and the least that must: a long message.
BURST = timedelta(milliseconds=100)
LARGEST_MESSAGE = 20


def take(account: str, segments: Sequence[int], *, now: datetime, borrow: timedelta) -> int:
    """How many of these messages, in their order, may leave now; they are paid for.

    `borrow`: how far ahead of its allowance this lane may go. A batch may not (zero), so it waits
    while those that are more urgent use what there is.
    """
    rate = rate_of(account)
    if rate is None or not segments:
        return len(segments)
    full_at = _locked(account, now)
    tokens = _capacity(rate) - (full_at - now).total_seconds() * rate
    allowed = tokens + rate * borrow.total_seconds()
    affordable = [total for total in accumulate(segments) if total <= allowed]
    if affordable:
        _pay(account, full_at + timedelta(seconds=affordable[-1] / rate))
    return len(affordable)


def leave_alone(account: str, until: datetime) -> None:
    """Give it nothing before then: its bucket stays empty. Lanes that may borrow come as much
    earlier as they may. An account that nobody limits has no bucket."""
    rate = rate_of(account)
    if rate is not None:
        _locked(account, until + timedelta(seconds=_capacity(rate) / rate))


def _capacity(rate: float) -> float:
    return max(LARGEST_MESSAGE, rate * BURST.total_seconds())


def _locked(account: str, now: datetime) -> datetime:
    """When the account's bucket will be full; until commit nobody else can take from it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO messaging_pace (account, full_at) VALUES (%s, %s)
            ON CONFLICT (account) DO UPDATE
            SET full_at = GREATEST(messaging_pace.full_at, excluded.full_at)
            RETURNING full_at
            """,
            [account, now],
        )
        return cursor.fetchone()[0]


def _pay(account: str, full_at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_pace SET full_at = %s WHERE account = %s", [full_at, account]
        )
