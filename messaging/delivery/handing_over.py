"""Hand what was claimed to its providers."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from django.conf import settings

from messaging.channels.base import (
    DELIVERY_ERRORS,
    ChatMessage,
    Mail,
    Outcome,
    Outgoing,
    OutgoingChat,
    OutgoingMail,
    OutgoingTemplate,
    Rejected,
    TemplateMessage,
    Unavailable,
)
from messaging.providers import account_of, callback_url, channel_of, start

from .claiming import Claimed

logger = logging.getLogger(__name__)

TEST_NUMBERS = {error.test_number: error.code for error in DELIVERY_ERRORS.values()}


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A chunk that was handed over."""

    known: list[tuple[Claimed, Outcome]]  # without asking a provider
    sent: list[Claimed]
    answers: Future[list[Outcome]]

    def results(self) -> list[tuple[Claimed, Outcome]]:
        """Wait until something is known of each."""
        return [*self.known, *zip(self.sent, self.answers.result(), strict=True)]


def hand_over(claimed: Sequence[Claimed]) -> UnderWay:
    """Start to send all of the chunk at once, each campaign through its own account."""
    known: list[tuple[Claimed, Outcome]] = []
    by_campaign = defaultdict(list)
    for message in claimed:
        if message.content is None:
            known.append((message, Rejected("server_unknown_error")))
        elif isinstance(message.content, Rejected):
            known.append((message, message.content))
        elif error := _simulated(message.recipient):
            known.append((message, Rejected(error)))
        else:
            by_campaign[message.campaign_id].append(message)
    sends, sent = [], []
    for campaign_id, messages in by_campaign.items():
        try:
            account = account_of(campaign_id)
            channel = channel_of(account)
        except Exception:
            # Nothing has left yet, so they wait; the others of the chunk must not wait with them.
            logger.exception("the account of campaign %s cannot be used", campaign_id)
            known += [(m, Unavailable("account")) for m in messages]
            continue
        sends.append(channel.send([_outgoing(account, message) for message in messages]))
        sent += messages
    return UnderWay(known, sent, start(_all_at_once(sends)))


def _outgoing(
    account: str, message: Claimed
) -> Outgoing | OutgoingMail | OutgoingTemplate | OutgoingChat:
    if isinstance(message.content, Mail):
        return OutgoingMail(message.attempt_id, message.recipient, message.content)
    if isinstance(message.content, TemplateMessage):
        return OutgoingTemplate(message.attempt_id, message.recipient, message.content)
    if isinstance(message.content, ChatMessage):
        return OutgoingChat(message.attempt_id, message.recipient, message.content)
    assert not isinstance(message.content, Rejected)  # which nobody hands over
    return Outgoing(
        message.attempt_id,
        message.recipient,
        message.content or "",
        callback_url(account, message.attempt_id),
    )


async def _all_at_once(sends: Sequence[Awaitable[Sequence[Outcome]]]) -> list[Outcome]:
    """No account waits for a slow one, as the lease of all of them runs."""
    return [outcome for outcomes in await asyncio.gather(*sends) for outcome in outcomes]


def _simulated(recipient: str) -> str:
    """The delivery error that this number stands for in the test environment (v2-sms §8.3)."""
    return TEST_NUMBERS.get(recipient, "") if settings.POSTMAN_ENVIRONMENT == "test" else ""
