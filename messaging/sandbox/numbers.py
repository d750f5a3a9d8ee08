"""Recipients that do not just receive: one table drives the behaviour and the page."""

from dataclasses import dataclass
from typing import Literal

Behaviour = Literal[
    "refused", "undelivered", "failed", "sent_only", "silent", "stuck", "read", "fate"
]

TWILIO_MESSAGES = {
    20003: "Authenticate",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    20503: "Service unavailable. Please try again in a moment.",
    21211: "Invalid 'To' Phone Number",
    21408: "Permission to send an SMS has not been enabled for the region of the 'To' number",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21609: "The 'StatusCallback' URL is not a valid URL.",
    21610: "Attempt to send to unsubscribed recipient",
    21612: "Message cannot be sent with the current combination of 'To' and 'From' parameters",
    21614: "'To' number is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit.",
    21701: "The Messaging Service does not exist",
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30036: "Validity period expired",
}


@dataclass(frozen=True, slots=True)
class Number:
    """A number with a behaviour. `fate` numbers meet what the control API can give every call."""

    to: str
    behaviour: Behaviour
    code: int
    meaning: str
    fate: str = ""


NUMBERS = (
    Number("+6581110001", "refused", 21211, "Not a phone number"),
    Number("+6581110002", "refused", 21614, "Not a mobile number"),
    Number("+6581110003", "refused", 21408, "No permission to send to this region"),
    Number("+6581110004", "refused", 21610, "The recipient has unsubscribed"),
    Number("+6581110005", "refused", 21612, "No route from this sender to this number"),
    Number("+6581110011", "undelivered", 30003, "Phone off or out of coverage"),
    Number("+6581110012", "undelivered", 30004, "Blocked by the operator"),
    Number("+6581110013", "undelivered", 30005, "The operator does not know the number"),
    Number("+6581110014", "undelivered", 30006, "A landline, or an operator out of reach"),
    Number("+6581110015", "undelivered", 30007, "Filtered for its content"),
    Number("+6581110016", "undelivered", 30008, "Failed for a reason nobody gives"),
    Number("+6581110017", "failed", 30036, "Waited longer than it was valid"),
    Number("+6581110018", "failed", 30001, "Too many messages were waiting"),
    Number("+6581110021", "sent_only", 0, "Sent, and never heard of again"),
    Number("+6581110022", "silent", 0, "Delivered, but no status callback ever comes"),
    Number("+6581110023", "stuck", 0, "Taken, then stays queued without a status callback"),
    Number("+6581110031", "fate", 20429, "Always told to slow down (HTTP 429)", "429"),
    Number("+6581110032", "fate", 20500, "The provider always breaks (HTTP 500)", "5xx"),
    Number("+6581110033", "fate", 0, "Taken, but the connection drops before the answer", "lost"),
    Number("+60123110001", "refused", 21408, "Malaysia: no permission to send to this region"),
    Number("+60123110002", "undelivered", 30005, "Malaysia: the operator does not know it"),
)
BY_NUMBER = {number.to: number for number in NUMBERS}


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address whose part before the @ decides what Amazon SES answers or reports.

    `error` and `message` are SES's words: of an answer with that `status`, or of an event. With a
    label (`bounce+1@`) it is the same mailbox, as in SES's own simulator.
    """

    local_part: str
    behaviour: Literal[
        "refused", "bounce", "complaint", "virus", "delayed", "opens", "silent", "fate"
    ]
    meaning: str
    error: str = ""
    message: str = ""
    status: int = 0
    fate: str = ""


MAILBOXES = (
    Mailbox(
        *("rejected", "refused", "Refused at once (HTTP 400)"),
        *("MessageRejected", "Email address is not verified.", 400),
    ),
    Mailbox(
        *("throttled", "refused", "Always told to slow down (HTTP 429)"),
        *("TooManyRequestsException", "Maximum sending rate exceeded.", 429),
    ),
    Mailbox(
        *("bounce", "bounce", "Bounces for good: no such mailbox"),
        *("Permanent/General", "5.1.1 user unknown"),
    ),
    Mailbox(
        *("suppressionlist", "bounce", "Bounces for good: on the list of SES itself"),
        *("Permanent/OnAccountSuppressionList", "5.1.0 on the account suppression list"),
    ),
    Mailbox(
        *("softbounce", "bounce", "Bounces for now: the mailbox is full"),
        *("Transient/MailboxFull", "4.2.2 mailbox full"),
    ),
    Mailbox("complaint", "complaint", "Delivered, then reported as spam", "abuse"),
    Mailbox("notspam", "complaint", "Delivered, then taken out of the spam folder", "not-spam"),
    Mailbox("virus", "virus", "Taken, then rejected for what it holds", "Reject", "Bad content"),
    Mailbox("delayed", "delayed", "Delivered after a delay", "MailboxFull"),
    Mailbox("opens", "opens", "Delivered and opened"),
    Mailbox("silent", "silent", "Taken, and no event ever comes"),
    Mailbox("lost", "fate", "Taken, but the connection drops before the answer", fate="lost"),
    Mailbox(
        *("broken", "fate", "SES always breaks (HTTP 500)"),
        *("InternalServiceErrorException", "Internal failure."),
        fate="5xx",
    ),
)
BY_LOCAL_PART = {mailbox.local_part: mailbox for mailbox in MAILBOXES}


def mailbox_of(address: str) -> Mailbox | None:
    local_part = address.rpartition("@")[0].rpartition("<")[2]
    return BY_LOCAL_PART.get(local_part.partition("+")[0].lower())


# Of WhatsApp: what it answers about these numbers, or reports.
WHATSAPP_NUMBERS = (
    Number("+6581120001", "refused", 131026, "Not on WhatsApp"),
    Number("+6581120002", "refused", 132000, "The template has another number of values"),
    Number("+6581120003", "refused", 132015, "The template is paused"),
    Number("+6581120011", "failed", 131026, "Taken, then cannot be reached on WhatsApp"),
    Number("+6581120012", "failed", 131049, "Taken, then spared one message too many"),
    Number("+6581120021", "sent_only", 0, "Sent, and never heard of again"),
    Number("+6581120022", "silent", 0, "Delivered, but no webhook ever comes"),
    Number("+6581120024", "read", 0, "Delivered and read"),
    Number("+6581120031", "fate", 130429, "Always told to slow down", "429"),
    Number("+6581120032", "fate", 131000, "WhatsApp always breaks (HTTP 500)", "5xx"),
    Number("+6581120033", "fate", 0, "Taken, but the connection drops before the answer", "lost"),
    Number("+6581120034", "refused", 131056, "Too many messages to this one person"),
)
WHATSAPP_BY_NUMBER = {number.to: number for number in WHATSAPP_NUMBERS}

# Of Telegram: what it answers a bot that writes to these people, who may subscribe all the same.
TELEGRAM_NUMBERS = (
    Number("+6581130001", "refused", 403, "Has blocked the bot"),
    Number("+6581130002", "refused", 400, "Telegram does not find the chat"),
    Number("+6581130031", "fate", 429, "Always told to slow down", "429"),
    Number("+6581130032", "fate", 500, "Telegram always breaks (HTTP 500)", "5xx"),
    Number("+6581130033", "fate", 0, "Taken, but the connection drops before the answer", "lost"),
)
TELEGRAM_BY_NUMBER = {number.to: number for number in TELEGRAM_NUMBERS}
