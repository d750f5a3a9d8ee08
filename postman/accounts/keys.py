"""Keys with which systems speak for an officer's account (v1-backend §1.3)."""

import base64
import hashlib
import logging
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from postman.accounts import audit
from postman.accounts.models import AccountKey, Agency, User
from postman.errors import Refused
from postman.rows import Columns, prepared

logger = logging.getLogger(__name__)

# Days before the end at which the contacts are told; at the last two it is urgent.
REMINDERS = (28, 14, 3, 1)
URGENT = 3
MAX_KEYS = 20
MAX_CONTACTS = 10
SECRET_BYTES = 33
LAST_USED_PRECISION = timedelta(minutes=1)


@transaction.atomic
def create(user: User, *, label: str, contacts: Sequence[str]) -> tuple[AccountKey, str]:
    """A key and its secret, which nobody can read again after this call; raises Refused."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if user.keys.working(timezone.now()).count() >= MAX_KEYS:
        raise Refused(
            f"An account can have {MAX_KEYS} keys that work. Revoke one first.", "too_many_keys"
        )
    now = timezone.now()
    secret = _new_secret(user)
    key = AccountKey.objects.create(
        user=user,
        label=label,
        contacts=list(dict.fromkeys(contacts)),
        last_five=secret[-5:],
        secret_hash=hash_of(secret),
        created_at=now,
        expires_at=now + AccountKey.LIFE,
    )
    audit.record("account_key.created", by=user, on=key, last_five=key.last_five)
    return key, secret


def _new_secret(user: User) -> str:
    """As v1's: who, the version, and 264 random bits. The version tells the environments apart."""
    name = re.sub(r"[^a-z0-9]", "", user.email.partition("@")[0].lower())
    version = "v1" if settings.POSTMAN_ENVIRONMENT == "production" else "v1test"
    random = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    return f"{name}_{version}_{random}"


def hash_of(secret: str) -> str:
    """SHA-256: the secret has 264 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def find(secret: str) -> AccountKey | None:
    """The key whose secret this is, with its user and agency, if it works; looked up by hash.

    All in one statement, as every call of v1 begins with it.
    """
    now = timezone.now()
    key_columns, user, agency = _columns()
    with prepared() as cursor:
        cursor.execute(
            f"""
            SELECT {key_columns}, {user}, {agency}
            FROM accounts_accountkey key
            JOIN accounts_user caller ON caller.id = key.user_id
            LEFT JOIN accounts_agency agency ON agency.id = caller.agency_id
            WHERE key.secret_hash = %s AND key.revoked_at IS NULL AND key.expires_at > %s
                AND caller.is_active
            """,  # noqa: S608 - column names
            [hash_of(secret), now],
        )
        found = cursor.fetchone()
    if found is None:
        return None
    row = iter(found)
    key = key_columns.take(row)
    key.user = user.take(row)
    key.user.agency = agency.take_if_any(row)
    if key.last_used_at is None or key.last_used_at < now - LAST_USED_PRECISION:
        # To the minute, so that a busy key does not cost a write per call.
        AccountKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key


@lru_cache
def _columns() -> tuple[Columns[AccountKey], Columns[User], Columns[Agency]]:
    return Columns(AccountKey, "key"), Columns(User, "caller"), Columns(Agency, "agency")


@transaction.atomic
def revoke(key: AccountKey, *, by: User) -> bool:
    """The next call with it is refused. False where it was revoked already."""
    revoked = AccountKey.objects.filter(pk=key.pk, revoked_at=None).update(
        revoked_at=timezone.now()
    )
    if revoked:
        audit.record("account_key.revoked", by=by, on=key, last_five=key.last_five)
    return bool(revoked)


@transaction.atomic
def change_contacts(key: AccountKey, contacts: Sequence[str], *, by: User) -> None:
    AccountKey.objects.filter(pk=key.pk).update(contacts=list(dict.fromkeys(contacts)))
    audit.record("account_key.contacts_changed", by=by, on=key, contacts=len(contacts))


# Reminders -------------------------------------------------------------------------------------


def remind(now: datetime) -> int:
    """Tell the contacts of keys that are about to expire, at each of `REMINDERS` once.

    Open-ended, so that a day on which this did not run is made up for by the next; of several
    reminders that were missed only the latest is sent. Returns how many keys.
    """
    reminded = 0
    soon = AccountKey.objects.working(now).select_related("user")
    # By the day, whatever the hour: a key that ends at night is due in the morning as well.
    for key in soon.filter(expires_at__lte=now + timedelta(days=max(REMINDERS) + 1)):
        left = (timezone.localdate(key.expires_at) - timezone.localdate(now)).days
        due = min((days for days in REMINDERS if left <= days), default=None)
        if due is None or not _is_first(key, due):
            continue
        if _mail_reminder(key, left):
            reminded += 1
        else:
            AccountKey.objects.filter(pk=key.pk).update(reminded_days=key.reminded_days)
    return reminded


def _is_first(key: AccountKey, days: int) -> bool:
    """The change of the row is the lock: of two at once, one sends it."""
    not_yet = Q(reminded_days=None) | Q(reminded_days__gt=days)
    return bool(AccountKey.objects.filter(not_yet, pk=key.pk).update(reminded_days=days))


def _mail_reminder(key: AccountKey, days: int) -> bool:
    when = "today" if days <= 0 else "tomorrow" if days == 1 else f"in {days} days"
    urgent = "Urgent: " if days <= URGENT else ""
    context = {
        "key": key,
        "when": when,
        "is_last": days <= min(REMINDERS),
        "keys_url": settings.PUBLIC_URL + reverse("account-keys"),
    }
    mail = EmailMultiAlternatives(
        f"{urgent}your Postman API key “{key.label}” expires {when}",
        render_to_string("accounts/mails/key_expiry.txt", context),
        to=key.contacts or [key.user.email],
    )
    mail.attach_alternative(
        render_to_string("accounts/mails/key_expiry.html", context), "text/html"
    )
    try:
        mail.send()
    except (AnymailError, OSError) as error:
        # Its text would name the recipients.
        logger.error("a reminder of a key waits: %s for key %s", type(error).__name__, key.pk)
        return False
    return True
