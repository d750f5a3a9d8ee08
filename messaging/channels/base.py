"""How a message leaves the house: what every channel takes, answers and reports.

Nothing here knows our models or a provider.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol
from uuid import UUID

# What is sent ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One attempt to be made; its id is what the provider's reports come back with."""

    attempt_id: UUID
    recipient: str
    text: str
    callback_url: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along. With a `content_id` the HTML may show it (`cid:…`)."""

    name: str
    content_type: str
    data: bytes = field(repr=False)
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """An email as its recipients get it, complete: nothing is added to it on the way out."""

    sender: str  # a mailbox: Name <address>
    subject: str
    html: str
    text: str
    reply_to: str = ""
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    tracks_opens: bool = True


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """One attempt at an email; its id is what the provider's reports come back with."""

    attempt_id: UUID
    recipient: str
    mail: Mail


@dataclass(frozen=True, slots=True)
class TemplateMessage:
    """A message in words that the provider has approved: their name, and what fills their gaps."""

    name: str
    language: str  # the provider's code of it
    parameters: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class OutgoingTemplate:
    """One attempt at such a message; its id is what the provider's reports come back with."""

    attempt_id: UUID
    recipient: str
    template: TemplateMessage


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message into a chat of a bot's, in the HTML that its provider knows."""

    chat_id: int
    html: str = field(repr=False)
    token: str = field(repr=False)  # what the bot speaks with


@dataclass(frozen=True, slots=True)
class OutgoingChat:
    """One attempt at such a message."""

    attempt_id: UUID
    recipient: str
    message: ChatMessage


# What came of it ---------------------------------------------------------------------------
# The difference that matters: after Throttled and Unavailable the provider certainly does not
# have the message and it may be sent again; after Unknown only the provider can say.


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has it, under this reference. `is_final`: it tells nothing more of a message
    that it took, so this is the end of it."""

    reference: str
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider refused it for good. `detail` may hold the recipient: never log it.

    `code` is a delivery error of ours, `provider_code` the provider's own.
    """

    code: str
    detail: str = ""
    provider_code: str = ""


@dataclass(frozen=True, slots=True)
class Throttled:
    """Not taken: too many at once. `retry_after` in seconds, if the provider said.

    `is_personal`: too many to this recipient; those to others need not wait.
    """

    retry_after: float | None = None
    is_personal: bool = False


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Not taken: the provider could not be reached or said it is down."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request went out and no clear answer came back: it may have been taken."""

    detail: str = ""


Outcome = Accepted | Rejected | Throttled | Unavailable | Unknown


# What became of it later -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt we lost sight of. `reference` is known when only its reports stayed away."""

    attempt_id: UUID
    recipient: str
    text: str
    attempted_at: datetime
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A message of the provider's. `status`: of the attempt, empty where its state says nothing of
    one; `error_code` is a delivery error of ours, `provider_code` the provider's own."""

    reference: str
    created_at: datetime
    status: str
    error_code: str = ""
    provider_code: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Every message of the provider's that may be this attempt, oldest first.

    The same text to the same number looks the same to a provider, so take out the references
    that other attempts hold before believing one. None at all means that it was never taken, if
    enough time has passed for the provider's list to show it.
    """

    attempt_id: UUID
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """A provider's report on one message; `kind` and `code` are the provider's own words."""

    provider_event_id: str
    reference: str
    attempt_id: UUID | None
    kind: str
    code: str
    raw: Mapping[str, Any] = field(repr=False)
    at: datetime


@dataclass(frozen=True, slots=True)
class Callback:
    """A call of a provider's: the whole address it called, and of what it sent those parts by which
    its channel knows it and reads it."""

    url: str
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    signature: str = ""
    body: bytes = field(default=b"", repr=False)


class InvalidSignature(Exception):
    """A report that the provider did not sign: nothing in it may be believed."""


class NotNow(Exception):
    """Whether a report is the provider's cannot be told at the moment: let it come again."""


class Channel(Protocol):
    can_be_asked: bool  # whether `find` ever answers; if not, only reports tell what became of it

    def clean_recipient(self, value: str) -> str:
        """The address in the one form we store, or ValueError with a sentence."""
        ...

    async def send(self, messages: Sequence[Any]) -> Sequence[Outcome]:
        """Hand over all of them; one outcome each, in the same order. Never raises."""
        ...

    async def find(self, attempts: Sequence[Attempted]) -> Sequence[Found]:
        """Ask the provider about attempts; those it could not be asked about are left out."""
        ...

    async def close(self) -> None:
        """Let go of connections; it may be used again."""
        ...

    def read_events(self, callback: Callback) -> list[Event]:
        """What a callback reports; InvalidSignature if it is not the provider's, or NotNow."""
        ...


# Why a message was not delivered -----------------------------------------------------------

RetryAdvice = Literal["no", "yes", "maybe"]


@dataclass(frozen=True, slots=True)
class DeliveryError:
    """One of the reasons that officers and API clients are told, whatever the provider."""

    type: str
    code: str
    sentence: str
    advice: str
    retry: RetryAdvice
    is_charged: bool
    test_number: str


def _by_code(*errors: DeliveryError) -> Mapping[str, DeliveryError]:
    return MappingProxyType({error.code: error for error in errors})


DELIVERY_ERRORS = _by_code(
    DeliveryError(
        type="delivery_error",
        code="recipient_invalid",
        sentence="The operator does not know this number.",
        advice="Check the number, or ask the recipient for a new one.",
        retry="no",
        is_charged=True,
        test_number="6511111111",
    ),
    DeliveryError(
        type="delivery_error",
        code="recipient_unavailable",
        sentence="The phone could not be reached: it may be off, out of coverage or faulty.",
        advice="Retry later, or reach the recipient another way.",
        retry="yes",
        is_charged=True,
        test_number="6511112222",
    ),
    DeliveryError(
        type="delivery_error",
        code="content_invalid",
        sentence="The message was stopped because of what it says or how it is encoded.",
        advice="Change the text and send a new message.",
        retry="no",
        is_charged=True,
        test_number="6511113333",
    ),
    DeliveryError(
        type="delivery_error",
        code="routing_error",
        sentence="No network could carry the message to this number.",
        advice="Check the number and retry once; if it fails again, contact support.",
        retry="maybe",
        is_charged=True,
        test_number="6511114444",
    ),
    DeliveryError(
        type="delivery_error",
        code="message_expired",
        sentence="The message could not be delivered in time and has expired.",
        advice="Retry if the message still matters. Never resend a one-time password.",
        retry="maybe",
        is_charged=True,
        test_number="6511115555",
    ),
    DeliveryError(
        type="delivery_error",
        code="delivery_unknown_error",
        sentence="The message was not delivered, and the network did not say why.",
        advice="Retry; if it fails again, contact support.",
        retry="maybe",
        is_charged=False,
        test_number="6511119999",
    ),
    DeliveryError(
        type="server_error",
        code="server_unknown_error",
        sentence="A fault on our side kept the message from being sent.",
        advice="Retry; if it fails again, contact support.",
        retry="maybe",
        is_charged=False,
        test_number="6522222222",
    ),
)

# What else can become of an email: it has no operators, but servers and people that refuse it.
MAIL_ERRORS = _by_code(
    DeliveryError(
        type="delivery_error",
        code="hard_bounce",
        sentence="The address does not exist, or its server refuses it for good.",
        advice="Remove the address, or ask the recipient for another. It is suppressed from now on.",
        retry="no",
        is_charged=False,
        test_number="",
    ),
    DeliveryError(
        type="delivery_error",
        code="soft_bounce",
        sentence="The mailbox could not take the email now: it may be full, away or too busy.",
        advice="Retry later.",
        retry="yes",
        is_charged=False,
        test_number="",
    ),
    DeliveryError(
        type="delivery_error",
        code="complaint",
        sentence="It was delivered, and the recipient reported it as spam.",
        advice="Send this person nothing more. The address is suppressed from now on.",
        retry="no",
        is_charged=False,
        test_number="",
    ),
    DeliveryError(
        type="delivery_error",
        code="mail_rejected",
        sentence="The mail service refused this email: its content or sender is not accepted.",
        advice="Check the sender, the text and its links, and send a new message.",
        retry="no",
        is_charged=False,
        test_number="",
    ),
    DeliveryError(
        type="delivery_error",
        code="mail_address_invalid",
        sentence="This is not an address that email can be sent to.",
        advice="Correct the address and send a new message.",
        retry="no",
        is_charged=False,
        test_number="",
    ),
)

ERRORS = MappingProxyType({**DELIVERY_ERRORS, **MAIL_ERRORS})
