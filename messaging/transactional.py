"""Accept what a system sends with an account's key, one message a call (v1-backend §3.5).

Everything is checked before anything is stored: a call that is refused leaves no row.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from email.headerregistry import Address as Mailbox
from email.utils import parseaddr
from functools import lru_cache

from django.conf import settings
from django.db import transaction

from campaigns import programmatic, sms, sms_credentials, whatsapp
from campaigns.email import sanitising, senders
from campaigns.models import Campaign, Channel, TemplateBody, WhatsappTemplate
from campaigns.phone_numbers import InvalidRecipient, normalise
from messaging import tasks
from messaging.attachments import File
from messaging.models import Attempt, Message, Transactional, TransactionalFile
from postman.accounts.models import User
from postman.celery import ring_unless_unheard
from postman.errors import Refused
from postman.rows import Columns, prepared

# The main recipient among them.
MOST_ADDRESSES = 50
CLASSIFICATIONS = ("URGENT", "FOR_ACTION", "FOR_INFO")


def send_email(
    user: User,
    *,
    recipient: str,
    subject: str,
    body: str,
    from_: str = "",
    reply_to: str = "",
    cc: Sequence[str] = (),
    bcc: Sequence[str] = (),
    tag: str = "",
    classification: str = "",
    disable_tracking: bool = False,
    files: Sequence[File] = (),
) -> Transactional:
    """Accept one email; addresses are clean already. Raises Refused with one of v1's codes."""
    campaign = programmatic.campaign_of(user, Channel.EMAIL)
    if len(cc) + len(bcc) + 1 > MOST_ADDRESSES:
        raise Refused(
            f"Send to at most {MOST_ADDRESSES} addresses, cc and bcc included.",
            "too_many_recipients",
        )
    sender = _sender(user, from_)
    if files:
        check_may_attach(from_)
    _check_content(subject, body)
    suppressed = _suppressed([recipient, *cc, *bcc])
    if recipient in suppressed:
        raise Refused(
            "Blacklisted recipient: this address bounced or its owner reported us as spam.",
            "invalid_template",
        )
    content = {
        "from": sender,
        "subject": subject,
        "body": body,
        "reply_to": reply_to or user.email,
        "cc": [address for address in cc if address not in suppressed],
        "bcc": [address for address in bcc if address not in suppressed],
        "disable_tracking": disable_tracking,
    }
    with transaction.atomic() if files else nullcontext():
        row = _accept(
            campaign, user, recipient, content, tag=tag, classification=classification, files=files
        )
        if files:
            _keep_files(row, files, body)
    ring_unless_unheard(tasks.send_singles)
    return row


def _keep_files(row: Transactional, files: Sequence[File], body: str) -> None:
    # The body shows files as `cid:0`, `cid:1`… in the order in which they were sent.
    has_content_ids = 'src="cid:' in body or "src='cid:" in body
    TransactionalFile.objects.bulk_create(
        TransactionalFile(
            transactional=row,
            position=position,
            name=file.name,
            content_type=file.content_type,
            content_id=str(position) if has_content_ids else "",
            data=file.data,
        )
        for position, file in enumerate(files)
    )


def send_sms(user: User, *, recipient: str, body: str, label: str) -> Transactional:
    """Accept one SMS through the account's credentials with this label (v1-backend §3.7).

    Raises Refused with one of v1's codes.
    """
    programmatic.check_may_send(user, Channel.SMS)
    kept = sms_credentials.of(user).filter(campaign__name=label).first()
    if kept is None:
        raise Refused(
            "You have no SMS credentials with this label. See Settings, SMS credentials.",
            "invalid_credentials",
        )
    try:
        number = normalise(recipient, test_numbers=settings.POSTMAN_ENVIRONMENT == "test")
    except InvalidRecipient as invalid:
        raise Refused(invalid.message, "invalid_recipient") from None
    if not body.strip():
        raise Refused("The body is empty.", "api_validation")
    if len(body) > sms.MAX_BODY:
        raise Refused(f"The body is over {sms.MAX_BODY:,} characters.", "api_validation")
    row = _accept(
        kept.campaign, user, number, {"body": body, "label": label}, segments=sms.segments(body)
    )
    ring_unless_unheard(tasks.send_singles)
    return row


class InvalidParams(Refused):
    """What a call gives does not fill its template: field → sentence."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(" ".join(faults.values()), "api_validation")
        self.faults = dict(faults)


def send_whatsapp(
    user: User,
    *,
    recipient: str,
    template_id: int,
    params: Mapping[str, str],
    language_code: str = whatsapp.ENGLISH,
) -> Transactional:
    """Accept one message in the words of a template that was granted to the account (§3.8).

    Params that the template does not know are passed over. Raises Refused with one of v1's codes.
    """
    campaign = programmatic.campaign_of(user, Channel.WHATSAPP)
    template = whatsapp.granted_to(user).filter(pk=template_id).first()
    if template is None:
        raise Refused("There is no such template, or it is not granted to you.", "not_found")
    text = template.body_in.get(language_code)
    if text is None:
        available = ", ".join(template.body_in)
        raise InvalidParams({"language_code": f"This template is available in: {available}."})
    values = _fill(template, params, text)
    try:
        number = normalise(recipient, test_numbers=settings.POSTMAN_ENVIRONMENT == "test")
    except InvalidRecipient as invalid:
        raise Refused(invalid.message, "invalid_recipient") from None
    content: dict[str, object] = {
        "template_id": str(template.pk),
        "params": dict(params),
        "language_code": language_code,
    }
    with transaction.atomic():
        body = whatsapp.pin(campaign, template, language_code, by=user)
        row = _accept(campaign, user, number, content, body=body, values=values)
    ring_unless_unheard(tasks.send_singles)
    return row


def _fill(template: WhatsappTemplate, params: Mapping[str, str], text: str) -> dict[str, str]:
    """The values of the template's params, each of them fit for WhatsApp."""
    if params and not template.params:
        raise InvalidParams({"params": "This template has no params."})
    if missing := [name for name in template.params if not params.get(name, "").strip()]:
        raise InvalidParams({"params": f"Give a value for: {', '.join(missing)}."})
    values = {name: params[name] for name in template.params}
    faults = {f"params.{name}": whatsapp.fault_of_value(v) for name, v in values.items()}
    if faults := {path: fault for path, fault in faults.items() if fault}:
        raise InvalidParams(faults)
    if fault := whatsapp.fault_of_text(text, values):
        raise InvalidParams({"params": fault})
    return values


def _accept(
    campaign: Campaign,
    user: User,
    recipient: str,
    content: dict[str, object],
    *,
    segments: int = 1,
    tag: str = "",
    classification: str = "",
    files: Sequence[File] = (),
    body: TemplateBody | None = None,
    values: Mapping[str, str] | None = None,
) -> Transactional:
    """Store message, counters and what v1 tells of it, by one statement: its own transaction."""
    message = Message(
        campaign=campaign,
        template_body=body,
        creator=user,
        via_api=True,
        recipient=recipient,
        values=values or {},
        segments=segments,
    )
    row = Transactional(
        message=message,
        user=user,
        channel=campaign.channel,
        tag=tag,
        classification=classification,
        content=content,
        attachments=[file.facts for file in files] or None,
        attachment_bytes=sum(len(file.data) for file in files),
        created_at=message.created_at,
    )
    with prepared() as cursor:
        cursor.execute(
            """
            WITH accepted AS (
                INSERT INTO messaging_message (
                    id, campaign_id, template_body_id, creator_id, via_api, recipient, values,
                    segments, status, attempts_made, created_at, updated_at
                )
                VALUES (%s, %s, %s, %s, true, %s, %s, %s, 'created', 0, %s, %s)
                RETURNING id, campaign_id, creator_id, created_at
            ), counted AS (
                INSERT INTO messaging_counter (campaign_id, hour, status, n)
                SELECT campaign_id, date_trunc('hour', created_at), counted.status, 1
                FROM accepted, (VALUES ('total'), ('created')) AS counted (status)
            )
            INSERT INTO messaging_transactional (
                message_id, user_id, channel, tag, classification, content, attachments,
                attachment_bytes, created_at
            )
            SELECT id, creator_id, %s, %s, %s, %s, %s, %s, created_at FROM accepted
            RETURNING id
            """,
            [
                message.id,
                campaign.id,
                message.template_body_id,
                user.id,
                recipient,
                json.dumps(message.values),
                segments,
                message.created_at,
                message.updated_at,
                row.channel,
                tag,
                classification,
                json.dumps(content),
                json.dumps(row.attachments) if files else None,
                row.attachment_bytes,
            ],
        )
        (row.pk,) = cursor.fetchone()
    return row


def find(user: User, channel: Channel, number: int) -> tuple[Transactional, Attempt | None] | None:
    """What this account sent under this number, with its message, and the latest try at it.

    In one statement, as clients ask this again and again until their message has arrived.
    """
    row, message, attempt = _columns()
    with prepared() as cursor:
        cursor.execute(
            f"""
            SELECT {row}, {message}, {attempt}
            FROM messaging_transactional sent
            JOIN messaging_message message ON message.id = sent.message_id
            LEFT JOIN messaging_attempt attempt
                ON attempt.message_id = message.id AND attempt.number = message.attempts_made
            WHERE sent.id = %s AND sent.user_id = %s AND sent.channel = %s
            """,  # noqa: S608 - column names
            [number, user.id, channel.value],
        )
        found = cursor.fetchone()
    if found is None:
        return None
    values = iter(found)
    sent = row.take(values)
    sent.message = message.take(values)
    return sent, attempt.take_if_any(values)


@lru_cache
def _columns() -> tuple[Columns[Transactional], Columns[Message], Columns[Attempt]]:
    return (
        Columns(Transactional, "sent"),
        Columns(Message, "message"),
        Columns(Attempt, "attempt"),
    )


def check_may_attach(from_: str) -> None:
    """Raise Refused where the sender is the one that everybody shares: it carries no files."""
    if _own_address(from_) == "":
        raise Refused(
            "Files can be attached only to emails from an address of your own. "
            "See Settings, Email senders.",
            "unauthorized",
        )


def _own_address(from_: str) -> str:
    """The address it is from; empty where that is the default one, by whichever of its names."""
    address = parseaddr(from_)[1]
    defaults = (senders.default().address, *settings.OTHER_DEFAULT_SENDERS)
    return "" if address in defaults else address


def _sender(user: User, from_: str) -> str:
    """The mailbox it is from; the name is the caller's to choose (v1 adds no “via” here)."""
    if not from_:
        return settings.DEFAULT_FROM_EMAIL
    address = _own_address(from_)
    found = senders.check_usable(address, user) if address else senders.default()
    name = _name(parseaddr(from_)[0]) or found.name
    # As it is answered too: names in other scripts are encoded only when they leave.
    return str(Mailbox(name, addr_spec=found.address))


def _name(text: str) -> str:
    """Any name that cannot be taken for another address; raises Refused."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if len(name) > senders.MAX_NAME_LENGTH or not name.isprintable() or _reads_as_address(name):
        raise Refused(
            f"Give a name of at most {senders.MAX_NAME_LENGTH} characters, "
            "without @, < or > and without invisible characters.",
            "invalid_from_address",
        )
    return name


_reads_as_address = re.compile(r"[@＠<>]|=\?").search


def _check_content(subject: str, body: str) -> None:
    if not subject.strip() or sanitising.is_blank(body):
        raise Refused(
            "The subject or the body is empty once what emails may not hold is taken out of it.",
            "invalid_template",
        )


def _suppressed(addresses: Sequence[str]) -> set[str]:
    """Those that nobody may write to: unsubscribing is from campaigns, not from these."""
    with prepared() as cursor:
        cursor.execute(
            """
            SELECT recipient FROM messaging_suppression
            WHERE recipient = ANY(%s) AND agency_id IS NULL AND lifted_at IS NULL
            """,
            [list(addresses)],
        )
        return {recipient for (recipient,) in cursor.fetchall()}
