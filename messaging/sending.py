"""Accept: validate everything, one transaction, then ring for those who carry it out."""

import hashlib
import json
from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files import File
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.utils import timezone

from campaigns import plain_sms, sms, whatsapp
from campaigns.email import pinning
from campaigns.models import (
    Campaign,
    Channel,
    EmailDraft,
    TelegramDraft,
    TemplateBody,
    WhatsappBody,
    WhatsappTemplate,
)
from campaigns.phone_numbers import InvalidRecipient, clean_recipient, normalise
from campaigns.telegram import subscribers
from messaging import counters, ingest, readiness, reports, tasks
from messaging.models import (
    MAX_RETRIES,
    RETRYABLE_STATUSES,
    SENT_STATUSES,
    Batch,
    BatchStatus,
    EmailReport,
    EmailTest,
    Message,
    MessageQuerySet,
    StagedRow,
)
from messaging.recipients import check_value
from messaging.states import RETRIED, Status
from postman.accounts import audit
from postman.accounts.models import EmailDomain, User
from postman.celery import ring, ring_unless_unheard
from postman.errors import Refused
from postman.ids import new_id, now_ms
from postman.rows import prepared

LATEST_SCHEDULE = timedelta(days=365)
# For so long the provider is asked about an unheard outcome before an officer may decide on it.
DECIDED_AFTER = timedelta(minutes=20)


class InvalidMessage(Refused):
    """What is wrong with a single message: field → sentence (`recipient`, `values.name`…)."""

    code = "parameter_invalid"

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        super().__init__(" ".join(f"{field}: {fault}" for field, fault in faults.items()))


# --- One message ----------------------------------------------------------------------------------


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
    if not _store(message):
        earlier = Message.objects.filter(id=message.id, campaign=campaign, creator=creator).first()
        if earlier is None:
            raise IntegrityError("this id is somebody else's")
        return earlier
    ring_unless_unheard(tasks.send_singles)
    return message


def _store(message: Message) -> bool:
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
    template = _template_of(campaign, by=creator)
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
        if not _store(message):
            earlier = Message.objects.filter(id=id, campaign=campaign, creator=creator).first()
            if earlier is None:
                raise IntegrityError("this id is somebody else's")
            return earlier
        ring_unless_unheard(tasks.send_singles)
    return message


def _template_of(campaign: Campaign, *, by: User) -> WhatsappTemplate:
    """What a WhatsApp campaign sends; raises Refused where there is none, or not for this person."""
    template = whatsapp.chosen_in(campaign)
    if template is None:
        raise Refused("Choose a template first.", "template_not_chosen")
    whatsapp.check_granted(template, by)
    return template


# One person is not written to again before.
AGAIN_AFTER = timedelta(minutes=10)


def why_not_again(message: Message, now: datetime) -> str:
    """What keeps a WhatsApp message from being sent once more; empty if nothing does."""
    if message.is_erased:
        return "What this message said was erased, as its time was over."
    if message.status in (Status.CREATED, Status.ENQUEUED, Status.SENDING):
        return "This message is still on its way out."
    if message.attempts_made > MAX_RETRIES:
        return f"This message was sent again {MAX_RETRIES} times already. Send a new one."
    if now - message.updated_at < AGAIN_AFTER:
        minutes = AGAIN_AFTER.seconds // 60
        return f"It can be sent again {minutes} minutes after the last news of it."
    return ""


@transaction.atomic
def send_again(campaign: Campaign, message_id: UUID, *, reason: str, by: User) -> Message:
    """Send a WhatsApp message of this campaign once more, with the same values and passcode.

    Whatever became of it: an officer on the phone may be asked for it. Raises Refused.
    """
    _template_of_message(campaign, message_id, by=by)
    found = Message.objects.select_for_update(of=("self",)).filter(campaign=campaign, id=message_id)
    message = found.get()
    if fault := why_not_again(message, timezone.now()):
        raise Refused(fault, "cannot_be_sent_again")
    was, message.status, message.updated_at = message.status, Status.CREATED, now_ms()
    message.save(update_fields=["status", "updated_at"])
    _count_retried(campaign.id, message.batch_id, {was: 1})
    audit.record("message.sent_again", by=by, on=message, reason=reason, was=was)
    if message.batch_id:
        Batch.objects.filter(id=message.batch_id).update(**_ON_ITS_WAY)
        ring(tasks.send_batches)
    else:
        ring(tasks.send_singles)
    return message


def _template_of_message(campaign: Campaign, message_id: UUID, *, by: User) -> None:
    body = WhatsappBody.objects.select_related("source").filter(
        body__in=Message.objects.filter(campaign=campaign, id=message_id).values("template_body")
    )
    found = body.first()
    if found is None:
        raise Refused("This campaign has no such message.", "not_found")
    whatsapp.check_granted(found.source, by)


# --- Try again ------------------------------------------------------------------------------------


@transaction.atomic
def retry_message(campaign: Campaign, message_id: UUID | None, *, by: User) -> Message:
    """Send a failed message once more, under the same id (v2-sms §4.2); raises Refused.

    The row's lock makes a retry that is asked for twice at once happen once.
    """
    _check_kept(campaign, by=by)
    found = Message.objects.select_for_update(of=("self",)).select_related("batch")
    message = found.filter(campaign=campaign, id=message_id).first() if message_id else None
    is_ours_to_retry = message is not None and (message.batch is None or message.batch.is_retryable)
    if message is None or not is_ours_to_retry or message.status not in RETRIED:
        raise Refused(
            "This campaign has no such message, or it has not failed.",
            "message_not_found_or_retry_message_not_in_failure_status",
        )
    if not message.can_retry:
        raise Refused(
            f"This message was retried {MAX_RETRIES} times already. Send a new one.",
            "too_many_message_attempts_error",
        )
    was, message.status, message.updated_at = message.status, Status.CREATED, now_ms()
    message.save(update_fields=["status", "updated_at"])
    _count_retried(campaign.id, message.batch_id, {was: 1})
    audit.record("message.retried", by=by, on=message)
    if message.batch_id:
        Batch.objects.filter(id=message.batch_id).update(**_ON_ITS_WAY)
        ring(tasks.send_batches)
    else:
        ring(tasks.send_singles)
    return message


def retry_batch(campaign: Campaign, batch_id: UUID | None, *, by: User) -> int:
    """Send the failed messages of a batch once more, those that may be (v2-sms §4.6).

    Returns how many; raises Refused. Of two at once, the second finds nothing that failed.
    """
    _check_kept(campaign, by=by)
    batch = Batch.objects.filter(campaign=campaign, id=batch_id).first() if batch_id else None
    if batch is None or not batch.is_retryable:
        raise Refused(
            "This campaign has no such batch, or its messages are still being made.",
            "batch_not_found_or_is_not_retryable",
        )
    if Message.objects.filter(batch=batch, status=Status.CREATED).exists():
        Batch.objects.filter(id=batch.id, status__in=RETRYABLE_STATUSES).update(
            status=BatchStatus.ENQUEUING_FAILED, updated_at=now_ms()
        )
        raise Refused(
            "Some messages of this batch wait to be sent. Retry once they have been.",
            "unresolved_batch_messages",
        )
    with transaction.atomic():
        failed = Message.objects.filter(
            batch=batch, attempts_made__lte=MAX_RETRIES, recipient__gt=""
        )
        by_status = {
            str(status): failed.filter(status=status).update(
                status=Status.CREATED, updated_at=now_ms()
            )
            for status in RETRIED
        }
        retried = sum(by_status.values())
        if not retried:
            raise Refused(
                "No message of this batch failed and may be retried.",
                "no_failed_batch_messages_to_retry",
            )
        _count_retried(campaign.id, batch.id, by_status)
        Batch.objects.filter(id=batch.id).update(
            status=BatchStatus.ENQUEUED, updated_at=now_ms(), **_ON_ITS_WAY
        )
        audit.record("batch.retried", by=by, on=batch, messages=retried)
        ring(tasks.send_batches)
    return retried


@transaction.atomic
def resend_unknown(messages: MessageQuerySet, *, by: User, on: Batch | Message) -> int:
    """Send messages with an unheard outcome once more, as an officer decided; returns how many.

    Each gets a new attempt; what is heard of the old one stays with it. Raises Refused where there
    is none, or all of them may still be told of.
    """
    _check_kept(on.campaign, by=by)
    unknown = messages.filter(
        status=Status.UNKNOWN, attempts_made__lte=MAX_RETRIES, recipient__gt=""
    )
    long_ago = timezone.now() - DECIDED_AFTER
    now = now_ms()
    chosen = list(
        unknown.filter(updated_at__lt=long_ago)
        .select_for_update(of=("self",))
        .order_by("id")
        .values_list("id", "campaign_id", "batch_id")
    )
    if not chosen:
        raise Refused(
            "There is nothing to decide yet: what became of them may still be heard. What is not "
            f"heard after {DECIDED_AFTER.seconds // 60} minutes can be sent again."
            if unknown.exists()
            else "The outcome of every message is known by now.",
            "nothing_to_decide",
        )
    ids = [message_id for message_id, *_ in chosen]
    Message.objects.filter(id__in=ids).update(status=Status.CREATED, updated_at=now)
    for (campaign_id, batch_id), number in Tally((c, b) for _, c, b in chosen).items():
        counters.add(
            campaign_id, batch_id, {Status.UNKNOWN.value: -number, Status.CREATED.value: number}
        )
        if batch_id:
            Batch.objects.filter(id=batch_id).update(**_ON_ITS_WAY)
    audit.record("unknown.resent", by=by, on=on, messages=len(ids))
    ring(tasks.send_batches)
    ring(tasks.send_singles)
    return len(ids)


def _check_kept(campaign: Campaign, *, by: User) -> None:
    """Raise Refused where what the campaign is sent by was taken away since it was first sent."""
    if campaign.is_whatsapp:
        _template_of(campaign, by=by)
    elif campaign.channel == Channel.SMS:
        plain_sms.check_sender(campaign)


# Some of its messages wait to be handed over, and nobody has stopped them.
_ON_ITS_WAY: dict[str, None] = {
    "dispatched_at": None,
    "stopped_at": None,
    "cancelled_at": None,
    "halted_at": None,
}


def _count_retried(campaign_id: UUID, batch_id: UUID | None, was: Mapping[str, int]) -> None:
    changes = {status: -number for status, number in was.items()}
    counters.add(campaign_id, batch_id, {**changes, Status.CREATED.value: sum(was.values())})


# --- A file ---------------------------------------------------------------------------------------


def accept_upload(*, campaign: Campaign, creator: User, upload: UploadedFile) -> Batch:
    """Keep the file and have it checked in the background; raises Refused."""
    if campaign.is_whatsapp:
        _template_of(campaign, by=creator)
    batch = _kept(campaign, creator, upload)
    with transaction.atomic():
        batch.save(force_insert=True)
        audit.record("batch.uploaded", by=creator, on=batch, bytes=batch.file_bytes)
        ring(tasks.check_upload, str(batch.id))
    return batch


def accept_stored(
    *,
    campaign: Campaign,
    creator: User,
    id: UUID,  # noqa: A002
    stored: str,
    name: str,
) -> Batch:
    """As `accept_upload`, of a file that was put into the storage of batches as `stored`."""
    batch = Batch(id=id, campaign=campaign, creator=creator, original_file_name=name[-255:])
    batch.file.name = stored
    _check_file(campaign, name, batch.file.size)
    batch.file_bytes = batch.file.size
    with batch.file.open("rb") as file:
        batch.file_sha256 = _sha256(file)
    with transaction.atomic():
        batch.save(force_insert=True)
        audit.record("batch.uploaded", by=creator, on=batch, bytes=batch.file_bytes)
        ring(tasks.check_upload, str(batch.id))
    return batch


def send_file(*, campaign: Campaign, creator: User, upload: UploadedFile) -> Batch:
    """Check a file of the API's here and now, and send it where every row is right (v2-sms §4.5).

    The batch is `invalid` where one is not, and nothing of it is sent. Raises Refused for a file
    that cannot be read as recipients at all.
    """
    batch = _kept(campaign, creator, upload)
    batch.via_api = True
    # All or nothing: no worker may take it for a file that waits to be checked, and a call that is
    # cut off leaves none that somebody might send beside the client's second try.
    with transaction.atomic():
        batch.save(force_insert=True)
        audit.record("batch.uploaded", by=creator, on=batch, bytes=batch.file_bytes)
        ingest.check(batch.id)
        batch.refresh_from_db()
        if batch.status == BatchStatus.READY:
            send_batch(batch, by=creator)
    if batch.file_fault:
        raise Refused(batch.file_fault["message"], "parameter_invalid")
    return batch


def _kept(campaign: Campaign, creator: User, upload: UploadedFile) -> Batch:
    """The file where it is kept, and its batch, which is not stored yet; raises Refused."""
    name = upload.name or "recipients.csv"
    size = upload.size or 0
    _check_file(campaign, name, size)
    batch = Batch(
        campaign=campaign,
        creator=creator,
        original_file_name=name[-255:],
        file_bytes=size,
        file_sha256=_sha256(upload),
    )
    batch.file.save(f"{batch.public_id}.csv", upload, save=False)
    return batch


def _check_file(campaign: Campaign, name: str, size: int) -> None:
    if campaign.is_protected:
        raise Refused(
            "The recipients of a password-protected email are uploaded on its own page, where "
            "your browser encrypts them.",
            "campaign_is_protected",
        )
    if not name.lower().endswith(".csv"):
        raise Refused("Choose a file whose name ends in .csv.", "parameter_invalid")
    if size > settings.BATCH_BYTES_LIMIT:
        raise Refused(
            "The file is larger than 40 MB. Split it into smaller ones.", "parameter_invalid"
        )
    if not size:
        raise Refused("The file is empty.", "parameter_invalid")


def _sha256(upload: File) -> str:
    digest = hashlib.sha256()
    for part in upload.chunks():
        digest.update(part)
    upload.seek(0)
    return digest.hexdigest()


# --- A test of an email ---------------------------------------------------------------------------

MAX_TESTERS = 10
TESTS_AN_HOUR = 50


@transaction.atomic
def send_test(
    batch: Batch, *, row: int, recipients: Sequence[str], by: User, is_marked: bool = True
) -> list[EmailTest]:
    """Send officers the email of one row, as the draft has it now; raises Refused.

    Colleagues only, and not many: it is no way around suppression, counts and review.
    """
    recipients = list(dict.fromkeys(address.lower() for address in recipients))
    strangers = [each for each in recipients if not EmailDomain.objects.best_match(each)]
    if strangers:
        raise Refused(
            f"A test message goes to officers only, and {strangers[0]} is no officer's address.",
            "tester_not_an_officer",
        )
    if not recipients or len(recipients) > MAX_TESTERS:
        raise Refused(
            f"Give between one and {MAX_TESTERS} addresses.", "number_of_testers_out_of_range"
        )
    # Two at once must not both find room: the officer's row makes them take turns.
    User.objects.select_for_update(no_key=True).get(id=by.id)
    an_hour_ago = timezone.now() - timedelta(hours=1)
    lately = EmailTest.objects.filter(creator=by, created_at__gt=an_hour_ago).count()
    if lately + len(recipients) > TESTS_AN_HOUR:
        raise Refused(
            f"You can send {TESTS_AN_HOUR} test messages in an hour. Try again later.",
            "too_many_tests",
        )
    locked = EmailDraft.objects.select_for_update(of=("self",), no_key=True)
    draft = locked.select_related("campaign__agency").get(campaign=batch.campaign_id)
    if batch.status != BatchStatus.READY or not batch.staged_rows.filter(row=row).exists():
        raise Refused("This file no longer waits to be sent, or has no such row.", "no_such_row")
    readiness.check_content(draft, batch)
    body = pinning.pin(batch.campaign)
    tests = EmailTest.objects.bulk_create(
        EmailTest(
            campaign_id=batch.campaign_id,
            batch=batch,
            row=row,
            template_body=body,
            version=draft.version,
            creator=by,
            recipient=recipient,
            is_marked=is_marked,
        )
        for recipient in recipients
    )
    audit.record(
        "email.tested", by=by, on=batch, version=draft.version, row=row, testers=len(recipients)
    )
    ring(tasks.send_email_tests)
    return tests


# --- A test of a bot's message --------------------------------------------------------------------


@transaction.atomic
def send_bot_test(batch: Batch, *, recipient: str, by: User, id: UUID) -> Message:  # noqa: A002
    """Send the message of the file's first row to a number that has subscribed; raises Refused.

    It is a message as any other, so that its outcome stands where the others' stand. `id`: as for
    `send_message`.
    """
    try:
        phone = normalise(recipient, test_numbers=settings.POSTMAN_ENVIRONMENT == "test")
    except InvalidRecipient as invalid:
        raise Refused(invalid.message, "recipient_invalid") from None
    bot = TelegramDraft.objects.select_related("bot").get(campaign=batch.campaign_id).bot
    if subscribers.reached(bot.pk, [phone]).get(phone, subscribers.UNKNOWN).chat_id is None:
        raise Refused(
            f"This number has not subscribed to {bot}. Open {bot.invite_url} on its phone first.",
            "not_subscribed",
        )
    row = StagedRow.objects.filter(batch=batch).order_by("row").first()
    if row is None:
        raise Refused("Nothing of this file waits to be sent any more.", "no_such_row")
    # Two at once must not both find room: the officer's row makes them take turns.
    User.objects.select_for_update(no_key=True).get(id=by.id)
    lately = Message.objects.filter(
        campaign=batch.campaign_id,
        creator=by,
        batch=None,
        created_at__gt=timezone.now() - timedelta(hours=1),
    )
    if lately.count() >= TESTS_AN_HOUR:
        raise Refused(
            f"You can send {TESTS_AN_HOUR} test messages in an hour. Try again later.",
            "too_many_tests",
        )
    message = Message(
        id=id,
        campaign=batch.campaign,
        template_body=row.template_body,
        creator=by,
        recipient=phone,
        values=row.values,
        segments=1,
    )
    if not _store(message):
        earlier = Message.objects.filter(id=id, campaign=batch.campaign_id, creator=by).first()
        if earlier is None:
            raise Refused("Open the page of the file again.", "id_taken")
        return earlier
    audit.record("telegram.tested", by=by, on=batch, row=row.row)
    ring(tasks.send_singles)
    return message


# --- A report of emails ---------------------------------------------------------------------------


@transaction.atomic
def order_report(
    campaign: Campaign, batch: Batch | None, *, by: User, with_values: bool = False
) -> EmailReport:
    """Have the report of a file (without one, of all) made in the background; raises Refused."""
    reports.check_kept(campaign, batch)
    User.objects.select_for_update(no_key=True).get(id=by.id)
    if EmailReport.objects.filter(campaign=campaign, creator=by, made_at=None).exists():
        raise Refused(
            "Another report of this campaign is being made for you. Wait for its mail.",
            "report_under_way",
        )
    report = EmailReport.objects.create(
        campaign=campaign, batch=batch, creator=by, with_values=with_values
    )
    audit.record("report.ordered", by=by, on=batch or campaign, with_values=with_values)
    ring(tasks.make_reports)
    return report


# --- A batch --------------------------------------------------------------------------------------


@transaction.atomic
def send_batch(batch: Batch, *, by: User, reviewed: int | None = None) -> Batch:
    """Send all of it now; raises Refused where it is not waiting for that word.

    Of an email, `reviewed` is the version of the draft that the officer looked at before: where
    somebody has changed it since, nothing is sent.
    """
    if batch.campaign.is_whatsapp:
        _template_of(batch.campaign, by=by)
    _move(
        batch,
        (BatchStatus.READY, BatchStatus.SCHEDULED),
        BatchStatus.ENQUEUING,
        accepted_at=now_ms(),
        **_text_of(batch, reviewed),
    )
    audit.record("batch.accepted", by=by, on=batch, messages=batch.total_messages)
    ring(tasks.expand, str(batch.id))
    return batch


@transaction.atomic
def schedule_batch(batch: Batch, *, at: datetime, by: User, reviewed: int | None = None) -> Batch:
    """Send it at `at`, which must be in the future and within a year; again to reschedule.

    An email is pinned now, so that what was reviewed is what leaves (`reviewed`: as for sending).
    """
    now = timezone.now()
    if at <= now:
        raise Refused("This time has passed. Choose a later one.", "schedule_in_the_past")
    if at > now + LATEST_SCHEDULE:
        raise Refused("Choose a time within a year from now.", "schedule_too_far")
    if batch.campaign.is_whatsapp:
        _template_of(batch.campaign, by=by)
    _move(
        batch,
        (BatchStatus.READY, BatchStatus.SCHEDULED),
        BatchStatus.SCHEDULED,
        scheduled_at=at,
        **_text_of(batch, reviewed),
    )
    audit.record("batch.scheduled", by=by, on=batch, at=at.isoformat())
    return batch


def _text_of(batch: Batch, reviewed: int | None) -> dict[str, TemplateBody]:
    """The text of an email, pinned; nothing where a schedule has pinned it, or it always was.

    Raises Refused where the draft is not ready, not tested, or not what was reviewed.
    """
    if batch.campaign.is_telegram:
        readiness.check_text(batch)
        return {}
    if not batch.campaign.is_email:
        plain_sms.check_sender(batch.campaign)
        return {}
    stored = Batch.objects.select_for_update(no_key=True).get(id=batch.id)
    if stored.template_body_id or stored.status not in (BatchStatus.READY, BatchStatus.SCHEDULED):
        return {}
    # Locked, so that nobody saves another text between this look at it and its pinning.
    locked = EmailDraft.objects.select_for_update(of=("self",), no_key=True)
    draft = locked.select_related("campaign__agency").get(campaign=batch.campaign_id)
    if reviewed is not None and reviewed != draft.version:
        raise readiness.NotReady(
            "The message was changed after you looked at it. Here is how it is now: look it over "
            "again.",
            "draft_changed",
        )
    readiness.check_content(draft, stored)
    readiness.check_tested(draft)
    return {"template_body": pinning.pin(batch.campaign)}


@transaction.atomic
def unschedule_batch(batch: Batch, *, by: User) -> Batch:
    """Back to review, as long as it has not started."""
    _move(batch, (BatchStatus.SCHEDULED,), BatchStatus.READY, scheduled_at=None, template_body=None)
    audit.record("batch.unscheduled", by=by, on=batch)
    return batch


@transaction.atomic
def stop_batch(batch: Batch, *, by: User) -> Batch:
    """Let no more of it leave: from here on nothing is claimed, at most a chunk is in flight.

    Raises Refused where all of it has left, or it is stopped already.
    """
    _decide(batch, {"stopped_at": None, "dispatched_at": None}, stopped_at=now_ms())
    audit.record("batch.stopped", by=by, on=batch)
    return batch


@transaction.atomic
def resume_batch(batch: Batch, *, by: User) -> Batch:
    """Go on where it was stopped."""
    _decide(batch, _STOPPED, stopped_at=None, halted_at=None)
    audit.record("batch.resumed", by=by, on=batch)
    ring(tasks.send_batches)
    return batch


@transaction.atomic
def cancel_batch(batch: Batch, *, by: User) -> Batch:
    """Of a stopped batch, cancel for good whatever has not left (`ending.cancel_chunk`)."""
    _decide(batch, _STOPPED, cancelled_at=now_ms())
    audit.record("batch.cancelled", by=by, on=batch)
    ring(tasks.send_batches)
    return batch


_STOPPED = {"stopped_at__isnull": False, "cancelled_at": None, "dispatched_at": None}


def _decide(batch: Batch, where: Mapping[str, Any], **facts: Any) -> None:
    mine = Batch.objects.of_living_campaigns().filter(id=batch.id, status__in=SENT_STATUSES)
    decided = mine.filter(**where).update(updated_at=now_ms(), **facts)
    batch.refresh_from_db()
    if not decided:
        raise Refused(
            "This can no longer be done: somebody else decided on this batch, or all of its "
            "messages have left.",
            "batch_moved_on",
        )


@transaction.atomic
def check_again(batch: Batch, *, by: User) -> Batch:
    """Check the file anew, with the message as it is by now; raises Refused."""
    _move(batch, (BatchStatus.READY,), BatchStatus.UPLOADED, summary={}, rows_checked=0)
    audit.record("batch.checked_again", by=by, on=batch)
    ring(tasks.check_upload, str(batch.id))
    return batch


@transaction.atomic
def discard_batch(batch: Batch, *, by: User) -> Batch:
    """Throw an unsent upload away, its rows and its files with it."""
    _move(
        batch,
        (BatchStatus.READY, BatchStatus.SCHEDULED, BatchStatus.INVALID),
        BatchStatus.DISCARDED,
        scheduled_at=None,
        first_faults=[],
    )
    StagedRow.objects.filter(batch=batch)._raw_delete("default")
    for stored in (batch.file, batch.report):
        if stored.name:
            transaction.on_commit(partial(stored.storage.delete, stored.name))
    audit.record("batch.discarded", by=by, on=batch)
    return batch


def _move(
    batch: Batch, allowed: tuple[BatchStatus, ...], status: BatchStatus, **facts: Any
) -> None:
    """The status change is the lock: of two at once, one finds the batch already moved."""
    mine = Batch.objects.of_living_campaigns().filter(id=batch.id, status__in=allowed)
    moved = mine.update(status=status, updated_at=now_ms(), **facts)
    batch.refresh_from_db()
    if not moved:
        raise Refused(
            f"This batch is now “{batch.get_status_display()}”, so this can no longer be done.",
            "batch_moved_on",
        )
