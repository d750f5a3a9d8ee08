"""Try a message out before anybody else gets it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from campaigns.email import pinning
from campaigns.models import EmailDraft, TelegramDraft
from campaigns.phone_numbers import InvalidRecipient, normalise
from campaigns.telegram import subscribers
from messaging import readiness, tasks
from messaging.models import Batch, BatchStatus, EmailTest, Message, StagedRow
from postman.accounts import audit
from postman.accounts.models import EmailDomain, User
from postman.celery import ring
from postman.errors import Refused

from .singles import store

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
    if not store(message):
        earlier = Message.objects.filter(id=id, campaign=batch.campaign_id, creator=by).first()
        if earlier is None:
            raise Refused("Open the page of the file again.", "id_taken")
        return earlier
    audit.record("telegram.tested", by=by, on=batch, row=row.row)
    ring(tasks.send_singles)
    return message
