"""Put a message together as its recipient gets it: a pinned body, and one person's values.

Nothing of it is stored, as it can always be put together again, byte for byte.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from uuid import UUID

from campaigns import passcodes
from campaigns.email import pinning, sanitising, senders, theme
from campaigns.email.composing import Composed
from campaigns.models import Channel, EmailBody, TemplateBody, WhatsappBody
from campaigns.telegram import texts
from messaging import unsubscribing
from messaging.channels.base import Attachment, Mail, TemplateMessage
from messaging.models import Transactional

logger = logging.getLogger(__name__)


def content(
    kind: Channel, body_id: UUID, campaign_id: UUID, recipient: str, values: Mapping[str, str]
) -> str | Mail | TemplateMessage:
    """What is sent; raises `MissingValue` of the channel's own templating, or KeyError."""
    if kind == Channel.WHATSAPP:
        return template_message(body_id, values)
    if kind == Channel.TELEGRAM:
        return texts.render(_body(body_id).body, values, recipient)
    if kind != Channel.EMAIL:
        return _body(body_id).full_message(values)
    email, composed = _email(body_id)
    return mail(email, composed, recipient, values, unsubscribing.url_of(campaign_id, recipient))


def own_contents(message_ids: Sequence[UUID]) -> dict[UUID, str | Mail]:
    """Message → what is sent, of messages whose text is their own; a faulty one is left out."""
    if not message_ids:
        return {}
    found = Transactional.objects.filter(message__in=message_ids).prefetch_related("files")
    contents = {}
    for row in found:
        try:
            contents[row.message_id] = _own_content(row)
        except Exception as error:
            # All single messages are claimed together: one must not keep every other from leaving.
            # Its text may hold personal data.
            logger.error("a call's message was not put together: %s", type(error).__name__)
    return contents


def _own_content(row: Transactional) -> str | Mail:
    content = row.content
    if row.channel != Channel.EMAIL:
        return str(content["body"])
    html = sanitising.clean(content["body"]).html
    return Mail(
        sender=content["from"],
        subject=content["subject"],
        html=html,
        text=theme.plain_text(html),
        reply_to=content["reply_to"],
        cc=tuple(content["cc"]),
        bcc=tuple(content["bcc"]),
        attachments=tuple(
            Attachment(file.name, file.content_type, bytes(file.data), file.content_id)
            for file in row.files.all()
        ),
        tracks_opens=not content["disable_tracking"],
    )


def mail(
    email: EmailBody,
    composed: Composed,
    recipient: str,
    values: Mapping[str, str],
    unsubscribe_url: str,
) -> Mail:
    """One person's email, with an address at which they can say: no more."""
    parts = composed.mail_parts({**values, "recipient": recipient}, unsubscribe_url)
    return Mail(
        sender=_mailbox(email.from_name, email.from_address),
        subject=parts.subject,
        html=parts.html,
        text=parts.text,
        reply_to=email.reply_to,
        headers={
            "List-Unsubscribe": f"<{unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        tracks_opens=email.tracks_opens,
    )


@lru_cache(maxsize=256)
def _mailbox(name: str, address: str) -> str:
    return senders.header(name, address)


def template_message(body_id: UUID, values: Mapping[str, str]) -> TemplateMessage:
    """One person's message in the words of a template of WhatsApp's."""
    body, values = _whatsapp(body_id), passcodes.opened(values)
    return TemplateMessage(
        body.label, body.language_code, tuple(values[param] for param in body.params)
    )


@lru_cache(maxsize=256)
def _whatsapp(body_id: UUID) -> WhatsappBody:
    return WhatsappBody.objects.get(body=body_id)


@lru_cache(maxsize=256)
def _body(body_id: UUID) -> TemplateBody:
    """Bodies never change, so a process may remember them."""
    return TemplateBody.objects.get(id=body_id)


@lru_cache(maxsize=256)
def _email(body_id: UUID) -> tuple[EmailBody, Composed]:
    email = EmailBody.objects.select_related("body").get(body=body_id)
    return email, pinning.composed(email, email.body.body)
