"""Claim, hand over, write down: chunk after chunk."""

from collections import deque
from typing import Self
from uuid import UUID

from . import claiming, ending, recording
from .handing_over import UnderWay, hand_over

# How many chunks a process has on their way at once: while one is with the provider, the next is
# claimed and the one before is written down.
CHUNKS_AT_ONCE = 2


def send_chunk(batch_id: UUID | None) -> int:
    """Claim a chunk of one lane, hand it over, write down what came of it; returns its size."""
    with Pipeline() as pipeline:
        return pipeline.send_chunk(batch_id)


class Pipeline:
    """Sends chunks without waiting for each; left by `with`, it has written all of them down."""

    def __init__(self) -> None:
        self._under_way: deque[UnderWay] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> None:
        try:
            while self._under_way:
                self._write_down_the_oldest()
        finally:
            if self._under_way:
                self.finish()

    def send_chunk(self, batch_id: UUID | None) -> int:
        """Claim a chunk of one lane and hand it over; returns its size."""
        claimed = claiming.claim(batch_id)
        if claimed:
            self._under_way.append(hand_over(claimed))
            if len(self._under_way) == CHUNKS_AT_ONCE:
                self._write_down_the_oldest()
            return len(claimed)
        if batch_id is None:
            return 0
        cancelled = ending.cancel_chunk(batch_id)
        if not cancelled:
            ending.mark_dispatched(batch_id)
        return cancelled

    def _write_down_the_oldest(self) -> None:
        recording.record_whatever_happens(self._under_way.popleft().results())
