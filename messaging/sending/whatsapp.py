"""Accept one message in the words of a template that WhatsApp has approved."""

from collections.abc import Mapping
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from campaigns import whatsapp
from campaigns.models import Campaign, WhatsappTemplate
from campaigns.phone_numbers import InvalidRecipient, normalise
from messaging import tasks
from messaging.models import Message
from postman.accounts.models import User
from postman.celery import ring_unless_unheard
from postman.errors import Refused

from .singles import InvalidMessage, store


def send_whatsapp(
    *,
    campaign: Campaign,
    creator: User,
    recipient: str,
    language: str,
    values: Mapping[str, str],
    id: UUID,  # noqa: A002
) -> Message:
    """Accept one message in the words of the campaign's template; raises InvalidMessage, Refused.

    `language`: WhatsApp's code of it. `id`: as for `send_message`. Its passcode is made here.
    """
    template = template_of(campaign, by=creator)
    faults: dict[str, str] = {}
    try:
        recipient = normalise(recipient, test_numbers=settings.POSTMAN_ENVIRONMENT == "test")
    except InvalidRecipient as invalid:
        faults["recipient"] = invalid.message
    text = template.body_in.get(language)
    if text is None:
        faults["language"] = f"Choose one of: {', '.join(template.body_in)}."
    given = {name: values.get(name, "").strip() for name in whatsapp.typed_params(template)}
    wrong = {f"values.{name}": whatsapp.fault_of_value(value) for name, value in given.items()}
    faults |= {path: fault for path, fault in wrong.items() if fault}
    if faults or text is None:
        raise InvalidMessage(faults)
    complete = whatsapp.with_passcode(template, given)
    if fault := whatsapp.fault_of_text(text, complete):
        raise InvalidMessage({"values": fault})
    with transaction.atomic():
        message = Message(
            id=id,
            campaign=campaign,
            template_body=whatsapp.pin(campaign, template, language, by=creator),
            creator=creator,
            recipient=recipient,
            values=complete,
            segments=1,
        )
        if not store(message):
            earlier = Message.objects.filter(id=id, campaign=campaign, creator=creator).first()
            if earlier is None:
                raise IntegrityError("this id is somebody else's")
            return earlier
        ring_unless_unheard(tasks.send_singles)
    return message


def template_of(campaign: Campaign, *, by: User) -> WhatsappTemplate:
    """What a WhatsApp campaign sends; raises Refused where there is none, or not for this person."""
    template = whatsapp.chosen_in(campaign)
    if template is None:
        raise Refused("Choose a template first.", "template_not_chosen")
    whatsapp.check_granted(template, by)
    return template
