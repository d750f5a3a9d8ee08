"""What v1 says of a message: its words for where it stands, and its codes for what went wrong.

Whoever reads a message and whoever is told of it are told the same (v1-web-app §21.3, §22).
"""

from collections.abc import Mapping

from campaigns.models import Channel
from messaging.states import Status

Words = Mapping[str, tuple[Status, ...]]

# What waits to be handed over is accepted: the call's answer says so.
_ACCEPTED = (
    Status.CREATED,
    Status.ENQUEUED,
    Status.SENDING,
    Status.UNKNOWN,
    Status.SENT,
)
# v1's statuses → ours.
EMAIL: Words = {
    "UNSENT": (Status.FAILURE, Status.SUPPRESSED, Status.CANCELLED),
    "ACCEPTED": _ACCEPTED,
    "SENT": (Status.SENT_TO_TELCO,),
    "DELIVERED": (Status.SUCCESS,),
    "OPENED": (Status.OPENED,),
    "BOUNCED": (Status.BOUNCED, Status.SOFT_BOUNCED),
    "COMPLAINT": (Status.COMPLAINED,),
}
SMS: Words = {
    "UNSENT": (Status.SUPPRESSED, Status.CANCELLED),
    "ACCEPTED": _ACCEPTED,
    "SENT": (Status.SENT_TO_TELCO,),
    "DELIVERED": (Status.SUCCESS, Status.OPENED),
    "ERROR": (Status.FAILURE,),
}
# That somebody deleted a message afterwards we do not follow.
GOVSG: Words = {
    "UNSENT": (Status.SUPPRESSED, Status.CANCELLED),
    "ACCEPTED": _ACCEPTED,
    "SENT": (Status.SENT_TO_TELCO,),
    "DELIVERED": (Status.SUCCESS,),
    "READ": (Status.OPENED,),
    "ERROR": (Status.FAILURE,),
    # A failure, too: of a number that is not on WhatsApp.
    "INVALID_RECIPIENT": (),
    "DELETED": (),
}
CHANNELS = {Channel.EMAIL.value: "email", Channel.SMS.value: "sms", Channel.WHATSAPP.value: "govsg"}

_STATUS_OF = {
    channel.value: {str(ours): theirs for theirs, group in words.items() for ours in group}
    for channel, words in (
        (Channel.EMAIL, EMAIL),
        (Channel.SMS, SMS),
        (Channel.WHATSAPP, GOVSG),
    )
}
_BOUNCES = {Status.BOUNCED.value: "Hard bounce", Status.SOFT_BOUNCED.value: "Soft bounce"}


def status_of(channel: str, status: str, error_code: str = "") -> str:
    """v1's status of a message in this state of ours, with this delivery error."""
    is_of_number = channel == Channel.WHATSAPP and error_code == "recipient_invalid"
    if is_of_number and status == Status.FAILURE:
        return "INVALID_RECIPIENT"
    return _STATUS_OF[channel][status]


def error_of(
    channel: str, status: str, error_code: str = "", provider_code: str = ""
) -> tuple[str | None, str | None]:
    """v1's error code and sub type (v1-web-app §22.2); only emails have sub types."""
    if channel == Channel.EMAIL:
        return _error_of_email(status, error_code, provider_code)
    if channel == Channel.WHATSAPP and status != Status.FAILURE:
        return None, None
    return provider_code or error_code or None, None


def _error_of_email(
    status: str, error_code: str, provider_code: str
) -> tuple[str | None, str | None]:
    if status == Status.SUPPRESSED:
        return "Error 400: Blacklisted recipient", None
    if not error_code:
        return None, None
    first, _, sub_type = provider_code.partition("/")
    if status == Status.COMPLAINED:
        return first or "complaint", sub_type or None
    return _BOUNCES.get(status, error_code), sub_type or None
