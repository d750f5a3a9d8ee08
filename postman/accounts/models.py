"""Who you are: agencies, the mail domains that make an officer one of theirs, and what they did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dateutil.relativedelta import relativedelta
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from postman.ids import PublicIdModel, new_id

# Reports, bills and questions about a message come in for some days.
SHORTEST_RETENTION_DAYS = 7


class Agency(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(
        max_length=60, help_text="Stands at the top of every SMS of this agency (v2-sms §6.3)."
    )
    retention_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(SHORTEST_RETENTION_DAYS)],
        help_text="Recipients and values of a message are erased so many days after it was "
        "accepted. Empty: they are kept, those of email campaigns for 30 days.",
    )
    logo_key = models.CharField(
        max_length=40,
        blank=True,
        db_default="",
        editable=False,
        help_text="The picture at the top of its emails (`campaigns.models.Image`).",
    )
    # Which channels its officers may use: names as in `campaigns.models.Channel`.
    may_use_sms = models.BooleanField("SMS", default=True, db_default=True)
    may_use_email = models.BooleanField("email", default=True, db_default=True)
    may_use_telegram = models.BooleanField("Telegram", default=False, db_default=False)
    may_use_whatsapp = models.BooleanField("WhatsApp", default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "agencies"
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(retention_days=None)
                | models.Q(retention_days__gte=SHORTEST_RETENTION_DAYS),
                name="retention_leaves_time_for_reports",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def may_use(self, channel: str) -> bool:
        """Whether it may start anything new on this channel; what it has there goes on."""
        return bool(getattr(self, f"may_use_{channel}"))


class EmailDomainQuerySet(models.QuerySet["EmailDomain"]):
    def best_match(self, email: str) -> EmailDomain | None:
        """The most specific domain that admits this address, or None."""
        host = email.rpartition("@")[2].lower()
        labels = host.split(".")
        parents = [".".join(labels[start:]) for start in range(1, len(labels))]
        rows = self.filter(
            models.Q(domain=host) | models.Q(domain__in=parents, includes_subdomains=True)
        )
        return max(rows, key=lambda row: len(row.domain), default=None)  # type: ignore[misc]


class EmailDomain(models.Model):
    """Addresses that may sign in (v2-sms §10A.1)."""

    domain = models.CharField(max_length=253, unique=True, help_text="Lower case, without the @.")
    agency = models.ForeignKey(
        Agency, models.PROTECT, null=True, blank=True, related_name="domains"
    )
    includes_subdomains = models.BooleanField(default=False)
    members_only = models.BooleanField(
        default=False, help_text="May be a member of campaigns, never own or create one."
    )

    objects = EmailDomainQuerySet.as_manager()

    class Meta:
        ordering = ["domain"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(domain=Lower("domain")) & ~models.Q(domain__startswith="@"),
                name="domains_are_lower_case_and_bare",
            )
        ]

    def __str__(self) -> str:
        return self.domain


class UserManager(BaseUserManager["User"]):
    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:
        return self.create(email=email.lower(), is_staff=True, is_superuser=True, **extra)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin, PublicIdModel):
    """An officer. There is no password: signing in is by a mailed code."""

    id_prefix = "user"

    password = None  # type: ignore[assignment]
    email = models.EmailField(unique=True)
    agency = models.ForeignKey(Agency, models.PROTECT, null=True, related_name="users")
    can_create_campaigns = models.BooleanField(default=False)
    is_agency_administrator = models.BooleanField(
        "agency administrator (PIC)",
        default=False,
        help_text="Grants the right to create campaigns; sees the agency's deleted campaigns.",
    )
    calls_per_second = models.PositiveSmallIntegerField(
        default=10,
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="API calls of the account in any one second (/v1). Empty: no limit.",
    )
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("may open the admin site", default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()

    USERNAME_FIELD = "email"

    class Meta:
        ordering = ["email"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="emails_are_lower_case"
            )
        ]

    def __str__(self) -> str:
        return self.email

    def has_usable_password(self) -> bool:
        return False


class Session(AbstractBaseSession):
    """Django's session with its owner in a column, so that a person can see and end theirs."""

    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="sessions")
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)

    objects = BaseSessionManager["Session"]()  # type: ignore[misc]

    @classmethod
    def get_session_store_class(cls) -> Any:
        from postman.accounts.sessions import SessionStore  # the engine imports this model

        return SessionStore


class LoginCode(models.Model):
    """One mailed code. It is made by the task that mails it, so no other place ever held it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(db_index=True)
    code_hash = models.CharField(max_length=64, blank=True)
    ip = models.GenericIPAddressField()
    created_at = models.DateTimeField(default=timezone.now)
    # While a worker holds it, no other mails it; one that dies leaves a lease that runs out.
    mailing_until = models.DateTimeField(null=True)
    # Also set where the address may not sign in, so that nobody looks at the row again.
    mailed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    tries_left = models.PositiveSmallIntegerField()
    used_at = models.DateTimeField(null=True)
    warned_at = models.DateTimeField(null=True, help_text="When its owner was told of wrong tries.")

    class Meta:
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=models.Q(mailed_at=None),
                name="codes_waiting_to_be_mailed",
            )
        ]

    def __str__(self) -> str:
        return f"code of {self.created_at:%Y-%m-%d %H:%M}"


class AuditEvent(models.Model):
    """Who did what to which object, from where. Rows are added and never changed (a trigger says so)."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now)
    actor = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=60, blank=True)
    ip = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["object_type", "object_id", "-id"], name="audit_of_an_object"),
            models.Index(fields=["actor", "-id"], name="audit_of_an_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"


class AccountKeyQuerySet(models.QuerySet["AccountKey"]):
    def working(self, now: datetime) -> AccountKeyQuerySet:
        return self.filter(revoked_at=None, expires_at__gt=now)


class AccountKey(models.Model):
    """A key with which a system speaks for an officer's account (/v1). Its secret is not stored.

    Several at once, so that one can take another's place without a moment in which none works.
    """

    LIFE = relativedelta(months=6)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="keys")
    label = models.CharField(max_length=255)
    last_five = models.CharField(max_length=5)
    secret_hash = models.CharField(max_length=64, unique=True)
    # Whom to tell that it is about to expire; addresses, at least one.
    contacts = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    # Of the reminders that its contacts got, the last: so many days before.
    reminded_days = models.PositiveSmallIntegerField(null=True)

    objects = AccountKeyQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["expires_at"],
                condition=models.Q(revoked_at=None),
                name="keys_about_to_expire",
            )
        ]

    def __str__(self) -> str:
        return f"…{self.last_five}"

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()
