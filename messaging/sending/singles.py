"""Accept one message."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError

from campaigns import sms
from campaigns.models import Campaign, TemplateBody
from campaigns.phone_numbers import InvalidRecipient, clean_recipient
from messaging import tasks
from messaging.models import Message
from messaging.recipients import check_value
from postman.accounts.models import User
from postman.celery import ring_unless_unheard
from postman.errors import Refused
from postman.ids import new_id
from postman.rows import prepared


class InvalidMessage(Refused):
    """What is wrong with a single message: field → sentence (`recipient`, `values.name`…)."""

    code = "parameter_invalid"

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        super().__init__(" ".join(f"{field}: {fault}" for field, fault in faults.items()))


def send_message(
    *,
    campaign: Campaign,
    creator: User,
    recipient: Any,
    language: Any,
    values: Any,
    via_api: bool = False,
    id: UUID | None = None,  # noqa: A002
) -> Message:
    """Accept one message for sending at once; raises InvalidMessage with every fault.

    `id`: the caller's own for this send. A second call with it answers with the first message, so
    a form that is submitted twice sends once.
    """
    body = _check_message(campaign, recipient, language, values)
    message = Message(
        id=id or new_id(),
        campaign=campaign,
        template_body=body,
        creator=creator,
        via_api=via_api,
        recipient=recipient,
        values=values,
        segments=sms.segments(body.full_message(values)),
    )
    if not store(message):
        earlier = Message.objects.filter(id=message.id, campaign=campaign, creator=creator).first()
        if earlier is None:
            raise IntegrityError("this id is somebody else's")
        return earlier
    ring_unless_unheard(tasks.send_singles)
    return message


def store(message: Message) -> bool:
    """Add the message and its counters, by one statement that is its own transaction.

    False where its id is taken.
    """
    with prepared() as cursor:
        cursor.execute(
            """
            WITH accepted AS (
                INSERT INTO messaging_message (
                    id, campaign_id, template_body_id, creator_id, via_api, recipient, values,
                    segments, status, attempts_made, created_at, updated_at
                )
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'created', 0, %s, %s)
                ON CONFLICT (id) DO NOTHING RETURNING campaign_id, created_at
            )
            INSERT INTO messaging_counter (campaign_id, hour, status, n)
            SELECT campaign_id, date_trunc('hour', created_at), counted.status, 1
            FROM accepted, (VALUES ('total'), ('created')) AS counted (status)
            """,
            [
                message.id,
                message.campaign_id,
                message.template_body_id,
                message.creator_id,
                message.via_api,
                message.recipient,
                json.dumps(message.values),
                message.segments,
                message.created_at,
                message.updated_at,
            ],
        )
        return bool(cursor.rowcount)


def _check_message(campaign: Campaign, recipient: Any, language: Any, values: Any) -> TemplateBody:
    faults: dict[str, str] = {}
    try:
        check_recipient(recipient)
    except InvalidRecipient as invalid:
        faults["recipient"] = invalid.message
    body = campaign.bodies.get(language) if isinstance(language, str) else None
    if body is None:
        faults["language"] = f"Choose one of: {', '.join(campaign.bodies)}."
    elif not body.header:
        faults["language"] = "This campaign is sent by files and v1's API only."
    value_faults = _check_values(campaign.variables, values, body.language if body else "")
    faults |= value_faults
    if body and not value_faults and len(body.render(values)) > sms.MAX_BODY:
        faults["values"] = f"With these values the message is over {sms.MAX_BODY:,} characters."
    if faults or body is None:
        raise InvalidMessage(faults)
    return body


def check_recipient(recipient: Any) -> str:
    """The number in its one form (v2-sms §6.8); raises InvalidRecipient."""
    if not isinstance(recipient, str):
        raise InvalidRecipient("type", "Send the phone number as a string of digits.")
    return clean_recipient(recipient, test_numbers=settings.POSTMAN_ENVIRONMENT == "test")


def _check_values(names: list[str], values: Any, language: str) -> dict[str, str]:
    """One non-empty string for each variable, and nothing else (v2-sms §4.1, Q8, Q9)."""
    if not isinstance(values, dict):
        return {"values": "Send an object with one string for each variable."}
    faults = {
        f"values.{name}": "The template has no such variable."
        for name in values.keys() - set(names)
    }
    for name in names:
        value = values.get(name)
        if not isinstance(value, str):
            faults[f"values.{name}"] = "Send a non-empty string."
        elif wrong := check_value(value, language):
            faults[f"values.{name}"] = " ".join(sentence for _, sentence in wrong)
    return faults
