"""Amazon SES: what becomes of an accepted email, in the events that it publishes.

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

from __future__ import annotations

import email.utils
import hashlib
import zlib
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from . import constants
from .numbers import Mailbox, mailbox_of
from .sns import message_id

_SENDING_ACCOUNT = "000000000001"


class Event(NamedTuple):
    """One event, and the recipients that it is about."""

    kind: str
    recipients: tuple[str, ...]
    mailbox: Mailbox | None = None

    @property
    def status(self) -> str:
        """What the outbox shows then; nothing where the email is where it was."""
        return _STATUSES.get(self.kind, "")


_STATUSES = {
    "Send": "sent",
    "Delivery": "delivered",
    "Open": "opened",
    "Bounce": "bounced",
    "Complaint": "complained",
    "Reject": "rejected",
}


def events_of(entry: dict[str, Any], share_opened: float) -> list[Event]:
    """All that will be told of this email: nothing unless it came with a configuration set."""
    if not entry.get("configuration_set"):
        return []
    recipients = tuple(recipients_of(entry))
    by_behaviour: dict[str, list[tuple[str, Mailbox | None]]] = {}
    for recipient in recipients:
        mailbox = mailbox_of(recipient)
        by_behaviour.setdefault(mailbox.behaviour if mailbox else "", []).append(
            (recipient, mailbox)
        )
    if "silent" in by_behaviour:
        return []
    if "virus" in by_behaviour:
        return [Event("Send", recipients), Event("Reject", recipients)]
    events = [Event("Send", recipients)]
    for recipient, mailbox in by_behaviour.get("delayed", []):
        events.append(Event("DeliveryDelay", (recipient,), mailbox))
    bounced = by_behaviour.get("bounce", [])
    delivered = tuple(r for r in recipients if r not in [b for b, _ in bounced])
    if delivered:
        events.append(Event("Delivery", delivered))
    events += [Event("Bounce", (recipient,), mailbox) for recipient, mailbox in bounced]
    if delivered and _is_opened(entry, recipients[0], share_opened):
        events.append(Event("Open", recipients))
    for recipient, mailbox in by_behaviour.get("complaint", []):
        events.append(Event("Complaint", (recipient,), mailbox))
    return events


def recipients_of(entry: dict[str, Any]) -> list[str]:
    found: list[str] = entry.get("recipients") or entry["to"].split(", ")
    return found


def _is_opened(entry: dict[str, Any], recipient: str, share: float) -> bool:
    """The same people open always, so that a test sees the same each time."""
    if entry["configuration_set"] != constants.SES_CONFIGURATION_SET or not entry["html"]:
        return False
    mailbox = mailbox_of(recipient)
    if mailbox and mailbox.behaviour == "opens":
        return True
    return not mailbox and zlib.crc32(recipient.encode()) / 2**32 < share


def notification(entry: dict[str, Any], event: Event) -> tuple[str, str]:
    """The text that SNS carries, and the id it carries it under."""
    now = _written(datetime.now(UTC))
    field, about = _about(entry, event, now)
    text = orjson.dumps({"eventType": event.kind, "mail": _mail(entry), field: about}).decode()
    return text, message_id(entry["sid"], event.kind, *event.recipients)


def _mail(entry: dict[str, Any]) -> dict[str, Any]:
    source = entry["from"]
    address = email.utils.parseaddr(source)[1]
    recipients = recipients_of(entry)
    headers = {"From": source, "To": recipients[0], "Subject": entry["subject"]}
    tags = {name: [value] for name, value in entry["tags"].items()}
    return {
        "timestamp": _written(datetime.fromtimestamp(entry["at"], UTC)),
        "source": source,
        "sourceArn": f"arn:aws:ses:{constants.AWS_REGION}:{_SENDING_ACCOUNT}:identity/{address}",
        "sendingAccountId": _SENDING_ACCOUNT,
        "messageId": entry["sid"],
        "destination": recipients,
        "headersTruncated": False,
        "headers": [{"name": name, "value": value} for name, value in headers.items()],
        "commonHeaders": {
            "from": [source],
            "to": recipients[:1],
            "messageId": entry["sid"],
            "subject": entry["subject"],
        },
        "tags": {
            "ses:configuration-set": [entry["configuration_set"]],
            "ses:from-domain": [address.rpartition("@")[2]],
            "ses:caller-identity": ["sandbox"],
            **tags,
        },
    }


def _about(entry: dict[str, Any], event: Event, now: str) -> tuple[str, dict[str, Any]]:
    recipients, mailbox = list(event.recipients), event.mailbox
    feedback = {"timestamp": now, "feedbackId": _feedback_id(entry, event)}
    match event.kind:
        case "Delivery":
            return "delivery", {
                "timestamp": now,
                "processingTimeMillis": 546,
                "recipients": recipients,
                "smtpResponse": f"250 2.6.0 Message received for {recipients[0]}",
                "reportingMTA": "a1-1.smtp-out.amazonses.com",
            }
        case "Bounce":
            assert mailbox is not None
            kind, _, subtype = mailbox.error.partition("/")
            return "bounce", feedback | {
                "bounceType": kind,
                "bounceSubType": subtype,
                "bouncedRecipients": [
                    {
                        "emailAddress": recipient,
                        "action": "failed",
                        "status": mailbox.message[:5],
                        "diagnosticCode": f"smtp; 550 {mailbox.message} <{recipient}>",
                    }
                    for recipient in recipients
                ],
                "reportingMTA": "dns; a1-1.smtp-out.amazonses.com",
            }
        case "Complaint":
            assert mailbox is not None
            return "complaint", feedback | {
                "complainedRecipients": [{"emailAddress": recipient} for recipient in recipients],
                "complaintFeedbackType": mailbox.error,
                "userAgent": "Sandbox Feedback Loop",
                "arrivalDate": now,
            }
        case "DeliveryDelay":
            assert mailbox is not None
            return "deliveryDelay", {
                "timestamp": now,
                "delayType": mailbox.error,
                "expirationTime": now,
                "delayedRecipients": [
                    {"emailAddress": recipient, "status": "4.4.1"} for recipient in recipients
                ],
            }
        case "Open":
            return "open", {
                "timestamp": now,
                "ipAddress": "192.0.2.1",
                "userAgent": "Mozilla/5.0 (sandbox)",
            }
        case "Reject":
            return "reject", {"reason": "Bad content"}
        case _:
            return "send", {}


def _feedback_id(entry: dict[str, Any], event: Event) -> str:
    about = "/".join((entry["sid"], event.kind, *event.recipients))
    digest = hashlib.sha256(about.encode()).hexdigest()
    return f"{digest[:16]}-{digest[16:24]}-{digest[24:28]}-{digest[28:32]}-{digest[32:44]}-000000"


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"
