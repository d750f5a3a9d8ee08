"""Django's database sessions with their owner, address and device in columns.

The values live in the session's data; each save copies them, so a row is never half of two states.
"""

from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from postman.accounts import audit
from postman.accounts.models import Session, User

BEGAN_AT, SEEN_AT, IP, USER_AGENT = "began_at", "seen_at", "ip", "user_agent"


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def _validate_session_key(self, key: str) -> bool:
        """A cookie may hold anything; what PostgreSQL could not even look for is no key."""
        is_long_enough = super()._validate_session_key(key)  # type: ignore[misc]
        return is_long_enough and key.isascii() and key.isalnum()

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        row = cast(Session, super().create_model_instance(data))
        row.user_id = data.get(SESSION_KEY)
        row.ip = data.get(IP)
        row.user_agent = data.get(USER_AGENT, "")
        row.created_at = time_in(data, BEGAN_AT) or timezone.now()
        row.last_seen_at = time_in(data, SEEN_AT) or timezone.now()
        return row


def time_in(data: Any, key: str) -> datetime | None:
    value = data.get(key)
    return datetime.fromisoformat(value) if value else None


def live(user: User) -> QuerySet[Session]:
    """Where this person is signed in, the latest first."""
    now = timezone.now()
    idle_since = now - timedelta(seconds=settings.SESSION_IDLE_SECONDS)
    return user.sessions.filter(expire_date__gt=now, last_seen_at__gt=idle_since).order_by(
        "-last_seen_at", "session_key"
    )


def end(ending: QuerySet[Session], *, of: User, by: User) -> int:
    """Sign these out: their next request is an anonymous one."""
    with transaction.atomic():
        count, _ = ending.delete()
        if count:
            audit.record("sessions.ended", by=by, on=of, count=count)
    return count


def handle_of(session_key: str) -> str:
    """Names a session on a page without giving away the key that is its password."""
    return salted_hmac("accounts.session", session_key, algorithm="sha256").hexdigest()[:16]
