"""The mails of signing in. What waits to be mailed is a row, so a lost task costs seconds."""

import logging
import uuid
from datetime import datetime, timedelta
from math import ceil

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import Q, QuerySet
from django.template.loader import render_to_string
from django.utils import timezone

from postman.accounts import codes, officers
from postman.accounts.models import LoginCode

logger = logging.getLogger(__name__)

# Longer than the provider's client tries for.
LEASE = timedelta(seconds=60)
# Younger rows are left to the task that was sent for them.
PATIENCE = timedelta(seconds=2)
KEPT_FOR = timedelta(days=1)


def mail_code(code_id: uuid.UUID | str) -> None:
    """Make the code, keep its hash, mail it once; at the second run nothing happens.

    A code that could not be mailed stays unmailed, and the next sweep makes a new one.
    """
    now = timezone.now()
    if not _waiting(now).filter(pk=code_id).update(mailing_until=now + LEASE):
        return
    row = LoginCode.objects.get(pk=code_id)
    wanted = _is_newest(row) and officers.may_sign_in(row.email)
    if wanted and not _mail_new_code(row, now):
        row.mailing_until = None
    else:
        row.mailed_at = timezone.now()
    row.save(update_fields=["mailing_until", "mailed_at"])


def _mail_new_code(row: LoginCode, now: datetime) -> bool:
    """The code's hash is stored before the code leaves, so that no mailbox holds one that fails."""
    code = codes.new_code()
    row.code_hash = codes.hash_of(code, row.id)
    row.save(update_fields=["code_hash"])
    minutes = ceil((row.expires_at - now).total_seconds() / 60)
    # In the subject too, for those who read it off a locked telephone (v1 did so).
    return _mail(row, "code", f"{code} is your Postman sign-in code", code=code, minutes=minutes)


def mail_warning(code_id: uuid.UUID | str) -> None:
    """Tell the owner of an address that all tries at a code mailed to it were wrong."""
    spent = _to_be_warned_of().filter(pk=code_id)
    if not spent.update(warned_at=timezone.now()):
        return
    row = LoginCode.objects.get(pk=code_id)
    if not officers.may_sign_in(row.email):
        return
    if not _mail(row, "warning", "Wrong sign-in codes were tried for your Postman account"):
        LoginCode.objects.filter(pk=row.pk).update(warned_at=None)


def mail_what_waits() -> None:
    now = timezone.now()
    for row in _waiting(now).filter(created_at__lt=now - PATIENCE).order_by("created_at", "id"):
        mail_code(row.pk)
    for row in _to_be_warned_of().filter(expires_at__gt=now).order_by("created_at", "id"):
        mail_warning(row.pk)


def _waiting(now: datetime) -> QuerySet[LoginCode]:
    return LoginCode.objects.filter(
        Q(mailing_until=None) | Q(mailing_until__lt=now), mailed_at=None, expires_at__gt=now
    )


def _to_be_warned_of() -> QuerySet[LoginCode]:
    return LoginCode.objects.filter(tries_left=0, used_at=None, warned_at=None)


def _is_newest(row: LoginCode) -> bool:
    return not LoginCode.objects.filter(email=row.email, created_at__gt=row.created_at).exists()


def _mail(row: LoginCode, template: str, subject: str, **context: object) -> bool:
    context |= {"ip": row.ip, "asked_at": row.created_at, "site": settings.PUBLIC_URL}
    mail = EmailMultiAlternatives(
        subject, render_to_string(f"accounts/mails/{template}.txt", context), to=[row.email]
    )
    mail.attach_alternative(
        render_to_string(f"accounts/mails/{template}.html", context), "text/html"
    )
    try:
        mail.send()
    except (AnymailError, OSError) as error:
        # Its text would name the recipient.
        logger.error("a mail of signing in waits: %s for code %s", type(error).__name__, row.pk)
        return False
    return True


def forget_old_codes() -> None:
    LoginCode.objects.filter(expires_at__lt=timezone.now() - KEPT_FOR).delete()
