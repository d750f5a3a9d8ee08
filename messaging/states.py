"""The one state machine of an attempt, mirrored by its message (v2-sms §5). Pure.

    created → enqueued → sending → sent → sent_to_telco → success
                            │        │         │
                            │        └─────────┴────────→ failure
                            ├→ failure   the provider refused, or the fault was ours
                            ├→ enqueued  the provider certainly did not take it: tried again
                            └→ unknown   nobody heard the outcome: never resent by itself;
                                         any later report moves it on

    created, enqueued → cancelled            an officer stopped the batch and cancelled the rest
    created, enqueued → suppressed           its recipient is not to be written to

An email goes on, as what comes after delivery counts too:

    success → opened → soft_bounced → bounced → complained


A report only ever moves an attempt forward; what comes late or twice changes nothing. A retry is a
new attempt, and only it brings a message back to `created`.
"""

from django.db.models import TextChoices


class Status(TextChoices):
    CREATED = "created", "Pending"
    ENQUEUED = "enqueued", "Pending"
    SENDING = "sending", "Pending"
    UNKNOWN = "unknown", "Outcome unknown"
    CANCELLED = "cancelled", "Cancelled"
    SENT = "sent", "Sent"
    SENT_TO_TELCO = "sent_to_telco", "Sent to telco"
    SUCCESS = "success", "Delivered"
    FAILURE = "failure", "Failed"
    SUPPRESSED = "suppressed", "Suppressed"
    OPENED = "opened", "Opened"
    SOFT_BOUNCED = "soft_bounced", "Bounced (soft)"
    BOUNCED = "bounced", "Bounced"
    COMPLAINED = "complained", "Reported as spam"


RANK = {
    Status.CREATED: 0,
    Status.ENQUEUED: 1,
    Status.SENDING: 2,
    Status.UNKNOWN: 3,
    Status.CANCELLED: 3,
    Status.SUPPRESSED: 3,
    Status.SENT: 4,
    Status.SENT_TO_TELCO: 5,
    Status.SUCCESS: 6,
    Status.FAILURE: 6,
    Status.OPENED: 7,
    Status.SOFT_BOUNCED: 8,
    Status.BOUNCED: 9,
    Status.COMPLAINED: 10,
}
WAITING = (Status.CREATED, Status.ENQUEUED)
TERMINAL = (
    Status.SUCCESS,
    Status.FAILURE,
    Status.CANCELLED,
    Status.SUPPRESSED,
    Status.OPENED,
    Status.SOFT_BOUNCED,
    Status.BOUNCED,
    Status.COMPLAINED,
)
# These and only these have a delivery error.
FAULTY = (Status.FAILURE, Status.SOFT_BOUNCED, Status.BOUNCED, Status.COMPLAINED)
# May be sent once more, where a person or a client asks for it.
RETRIED = (Status.FAILURE, Status.SOFT_BOUNCED)
# Of these the provider is asked what became, once it has been silent for too long.
ASKED_ABOUT = (Status.UNKNOWN, Status.SENT)
# What webhooks are told of, besides what an account's call ends as before it leaves (suppressed).
TOLD = (
    Status.SENT,
    Status.SENT_TO_TELCO,
    Status.SUCCESS,
    Status.FAILURE,
    Status.OPENED,
    Status.SOFT_BOUNCED,
    Status.BOUNCED,
    Status.COMPLAINED,
)
# What a page adds up, in this order; together they are all messages.
PAGE_GROUPS = {
    "pending": (Status.CREATED, Status.ENQUEUED, Status.SENDING),
    "sent": (Status.SENT, Status.SENT_TO_TELCO),
    "delivered": (Status.SUCCESS, Status.OPENED, Status.COMPLAINED),
    "failed": (Status.FAILURE, Status.SOFT_BOUNCED, Status.BOUNCED),
    "unknown": (Status.UNKNOWN,),
    "cancelled": (Status.CANCELLED,),
    "suppressed": (Status.SUPPRESSED,),
}
# What the report of emails tells apart. Its numbers do not add up: who opened an email got it, and
# whoever got it was sent it.
EMAIL_GROUPS = {
    "pending": PAGE_GROUPS["pending"],
    "left": (
        Status.SENT,
        Status.SENT_TO_TELCO,
        Status.SUCCESS,
        Status.OPENED,
        Status.SOFT_BOUNCED,
        Status.BOUNCED,
        Status.COMPLAINED,
    ),
    "sent": PAGE_GROUPS["sent"],
    "delivered": PAGE_GROUPS["delivered"],
    "opened": (Status.OPENED,),
    "failed": PAGE_GROUPS["failed"],
    "bounced": (Status.BOUNCED,),
    "soft_bounced": (Status.SOFT_BOUNCED,),
    "refused": (Status.FAILURE,),
    "complained": (Status.COMPLAINED,),
    "suppressed": PAGE_GROUPS["suppressed"],
    "unknown": PAGE_GROUPS["unknown"],
    "cancelled": PAGE_GROUPS["cancelled"],
}


def advance(current: str, reported: str) -> str:
    """Where an attempt stands after a report: further on, or where it was."""
    return reported if RANK[Status(reported)] > RANK[Status(current)] else current


def release(current: str) -> str:
    """After the provider certainly did not take it: back to waiting, unless a report came first.

    Also from `unknown`: whoever made the call was only late to say what came of it.
    """
    return Status.ENQUEUED.value if current in (Status.SENDING, Status.UNKNOWN) else current


def in_api(status: str) -> str:
    """The seven states of v2, which knows none of the others.

    An attempt with an unheard outcome is still being handed over; a message that was cancelled
    will not arrive.
    """
    return _IN_API.get(status, status)


_IN_API = {
    Status.UNKNOWN.value: Status.SENDING.value,
    Status.CANCELLED.value: Status.FAILURE.value,
    Status.SUPPRESSED.value: Status.FAILURE.value,
    Status.OPENED.value: Status.SUCCESS.value,
    Status.SOFT_BOUNCED.value: Status.FAILURE.value,
    Status.BOUNCED.value: Status.FAILURE.value,
    Status.COMPLAINED.value: Status.SUCCESS.value,
}
