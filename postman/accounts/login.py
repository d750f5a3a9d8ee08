"""Signing in: ask for a code, give it back.

Every address is treated alike up to the mailbox: the code's row is made and its tries are counted
whether or not the address may sign in, and only the worker that mails the code decides.
"""

from datetime import timedelta
from math import ceil

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from postman.accounts import audit, codes, officers, tasks
from postman.accounts.models import LoginCode, User
from postman.celery import ring
from postman.errors import Refused

VALID_FOR = timedelta(minutes=10)
RESEND_AFTER = timedelta(seconds=30)
TRIES = 4


class TooSoon(Refused):
    code = "code_requested_too_soon"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"A code was mailed moments ago. You can ask for another in {_seconds(seconds)}."
        )
        self.seconds = seconds


class WrongCode(Refused):
    code = "wrong_code"

    def __init__(self, tries_left: int) -> None:
        tries = "1 try" if tries_left == 1 else f"{tries_left} tries"
        super().__init__(f"That is not the code we mailed last. You have {tries} left.")
        self.tries_left = tries_left


class NoTriesLeft(Refused):
    code = "no_tries_left"

    def __init__(self) -> None:
        super().__init__(f"After {TRIES} wrong tries this code no longer works. Ask for a new one.")


class ExpiredCode(Refused):
    code = "expired_code"

    def __init__(self) -> None:
        super().__init__("This code has expired or was used already. Ask for a new one.")


def request_code(email: str, *, ip: str) -> LoginCode:
    """Have a code mailed to this address, if it may sign in; whether it may is not told."""
    with transaction.atomic():
        _one_at_a_time(email)
        if seconds := seconds_until_resend(email):
            raise TooSoon(seconds)
        now = timezone.now()
        row = LoginCode.objects.create(
            email=email, ip=ip, created_at=now, expires_at=now + VALID_FOR, tries_left=TRIES
        )
        ring(tasks.mail_code, str(row.id))
    return row


def seconds_until_resend(email: str) -> int:
    newest = _newest(email)
    if newest is None:
        return 0
    return max(0, ceil((newest.created_at + RESEND_AFTER - timezone.now()).total_seconds()))


def redeem(email: str, code: str) -> User:
    """The user of this address, in exchange for the newest code mailed to it."""
    row = _spend_try(email)
    if not codes.matches(code, row.id, row.code_hash):
        raise _wrong(row)
    with transaction.atomic():
        if not _unused(row).update(used_at=timezone.now()) or not officers.may_sign_in(email):
            raise ExpiredCode
        user = officers.arrive(email)
        audit.record("login.succeeded", by=user, on=user, code=str(row.id))
    return user


def _one_at_a_time(email: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"login {email}"])


def _newest(email: str) -> LoginCode | None:
    return LoginCode.objects.filter(email=email).order_by("-created_at", "-id").first()


def _unused(row: LoginCode) -> QuerySet[LoginCode]:
    return LoginCode.objects.filter(pk=row.pk, used_at=None)


def _spend_try(email: str) -> LoginCode:
    """Take a try off the newest code before anything is compared, so that parallel guesses all count."""
    row = _newest(email)
    if row is None or row.used_at or row.expires_at <= timezone.now():
        raise ExpiredCode
    # Others only ever lower the number, so going down from what was read meets it or finds zero.
    for left in range(row.tries_left, 0, -1):
        if _unused(row).filter(tries_left=left).update(tries_left=left - 1):
            row.tries_left = left - 1
            return row
    raise NoTriesLeft


def _wrong(row: LoginCode) -> WrongCode | NoTriesLeft:
    """Note the failure; the guess that took the last try has the owner warned."""
    user = User.objects.filter(email=row.email).first()
    with transaction.atomic():
        audit.record(
            "login.failed" if row.tries_left else "login.locked",
            by=None,
            on=user,
            address=_pseudonym(row.email),
            code=str(row.id),
        )
        if row.tries_left:
            return WrongCode(row.tries_left)
        ring(tasks.mail_warning, str(row.id))
        return NoTriesLeft()


def _pseudonym(email: str) -> str:
    """Tells one address from another in the log without naming it."""
    return salted_hmac("accounts.audit", email, algorithm="sha256").hexdigest()[:16]


def _seconds(count: int) -> str:
    return "1 second" if count == 1 else f"{count} seconds"
