"""Messages of the load test site: taken, and never passed on (v2-sms §2, §12 Q33).

Nothing ever reports on a message, so it stays `sent`.
"""

from collections.abc import Sequence
from typing import Any

from campaigns import phone_numbers
from campaigns.email import addresses
from messaging.channels.base import (
    Accepted,
    Attempted,
    Callback,
    Event,
    Found,
    InvalidSignature,
    Outcome,
    Outgoing,
    OutgoingMail,
    OutgoingTemplate,
)


class Loadtest:
    """In place of every account: an agency's own is given to it and not used."""

    can_be_asked = False

    def __init__(self, **account: Any) -> None:
        pass

    def clean_recipient(self, value: str) -> str:
        return phone_numbers.clean_recipient(value)

    async def send(
        self, messages: Sequence[Outgoing | OutgoingMail | OutgoingTemplate]
    ) -> list[Outcome]:
        return [Accepted(f"loadtest-{message.attempt_id}") for message in messages]

    async def find(self, attempts: Sequence[Attempted]) -> list[Found]:
        return []

    async def close(self) -> None:
        pass

    def read_events(self, callback: Callback) -> list[Event]:
        raise InvalidSignature("nobody reports on the messages of a load test")


class LoadtestMail(Loadtest):
    def clean_recipient(self, value: str) -> str:
        return addresses.clean_recipient(value)
