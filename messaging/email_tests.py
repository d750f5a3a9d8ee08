"""Send officers the email they are about to send to others, by the way that the others' will take.

A test is no message: nothing of it is counted, reported or retried. Whoever looked at one in their
own mailbox may send what they looked at (`readiness`).
"""

import logging
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from campaigns.email import pinning
from campaigns.models import EmailDraft
from campaigns.templating import MissingValue
from messaging import composing, unsubscribing
from messaging.channels.base import (
    ERRORS,
    Accepted,
    Outcome,
    OutgoingMail,
    Rejected,
    Throttled,
    Unavailable,
)
from messaging.models import EmailTest, StagedRow
from messaging.providers import EMAIL_ACCOUNT, channel_of, wait_for

logger = logging.getLogger(__name__)

CHUNK = 50
MARK = "[TEST] "
LEASE: timedelta = settings.SEND_LEASE
HOLD = timedelta(seconds=5)
# Whoever asked for it has stopped waiting by then.
GIVEN_UP_AFTER = timedelta(minutes=10)


def send_waiting() -> int:
    """Send a chunk of the tests that wait; returns how many. Of two at once, each has its own."""
    tests = _claim()
    mails = {test.id: mail for test in tests if (mail := _mail_of(test))}
    known: dict[UUID, Outcome] = {
        test.id: Rejected("server_unknown_error") for test in tests if test.id not in mails
    }
    if mails:
        sent = wait_for(channel_of(EMAIL_ACCOUNT).send(list(mails.values())))
        known |= dict(zip(mails, sent, strict=True))
    for test in tests:
        _record(test, known[test.id])
    return len(tests)


def sweep() -> int:
    """Tests whose process died: they may have left, and nobody heard."""
    lost = EmailTest.objects.filter(
        outcome=EmailTest.Outcome.SENDING, lease_until__lt=timezone.now()
    )
    return lost.update(outcome=EmailTest.Outcome.UNKNOWN)


@transaction.atomic
def _claim() -> list[EmailTest]:
    now = timezone.now()
    due = EmailTest.objects.due(now).select_for_update(of=("self",), skip_locked=True)
    tests = list(due.select_related("template_body__email").order_by("id")[:CHUNK])
    EmailTest.objects.filter(id__in=[test.id for test in tests]).update(
        outcome=EmailTest.Outcome.SENDING, lease_until=now + LEASE
    )
    return tests


def _mail_of(test: EmailTest) -> OutgoingMail | None:
    """As the recipient in that row will get it, but for its way out; None where it cannot be made."""
    row = StagedRow.objects.filter(batch=test.batch_id, row=test.row).first()
    if row is None:
        return None
    email = test.template_body.email
    composed = pinning.composed(email, test.template_body.body)
    try:
        mail = composing.mail(email, composed, row.recipient, row.values, unsubscribing.test_url())
    except (MissingValue, ValueError) as error:
        logger.error("test %s was not put together: %s", test.id, type(error).__name__)
        return None
    subject = f"{MARK}{mail.subject}" if test.is_marked else mail.subject
    # Nobody's opening it is to be counted.
    return OutgoingMail(test.id, test.recipient, replace(mail, subject=subject, tracks_opens=False))


@transaction.atomic
def _record(test: EmailTest, outcome: Outcome) -> None:
    kinds = EmailTest.Outcome
    mine = EmailTest.objects.filter(id=test.id, outcome=kinds.SENDING)
    match outcome:
        case Accepted():
            if mine.update(outcome=kinds.SENT):
                _note_tested(test)
        case Rejected(code):
            known = code if code in ERRORS else "mail_rejected"
            mine.update(outcome=kinds.FAILED, error_code=known)
        case Throttled() | Unavailable():
            now = timezone.now()
            if now - test.created_at > GIVEN_UP_AFTER:
                mine.update(outcome=kinds.FAILED, error_code="server_unknown_error")
            else:
                mine.update(outcome=kinds.WAITING, due_at=now + HOLD)
        case _:
            mine.update(outcome=kinds.UNKNOWN)


def _note_tested(test: EmailTest) -> None:
    """The draft was tested as it stood then; one that was edited since is to be tested again."""
    EmailDraft.objects.filter(
        Q(tested_version=None) | Q(tested_version__lte=test.version), campaign=test.campaign_id
    ).update(tested_version=test.version, tested_at=timezone.now(), tested_by_id=test.creator_id)
