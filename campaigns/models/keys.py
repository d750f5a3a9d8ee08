"""What opens the API to a campaign's clients: keys, and where they may be used from."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from datetime import date
from functools import lru_cache

from django.conf import settings
from django.db import models
from django.utils import timezone

from campaigns.addresses import AddressField
from postman.accounts.models import User
from postman.ids import new_id
from postman.rows import Columns, prepared

from .campaigns import Campaign

MAX_API_KEYS = 3
MAX_ALLOWED_ADDRESSES = 20


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def find(self, secret: str, *, address: str | None = None) -> ApiKey | None:
        """The key whose secret this is, with its campaign and creator; may `address` use it?

        Looked up by hash, so no comparison leaks its time. All in one statement, as every call of
        the API begins with it.
        """
        key, campaign, creator = _key_columns()
        with prepared() as cursor:
            cursor.execute(
                f"""
                SELECT {key}, {campaign}, {creator}, EXISTS (
                    SELECT FROM campaigns_allowedaddress
                    WHERE campaign_id = campaign.id AND address >>= %s::inet
                )
                FROM campaigns_apikey key
                JOIN campaigns_campaign campaign ON campaign.id = key.campaign_id
                JOIN accounts_user creator ON creator.id = key.creator_id
                WHERE key.secret_hash = %s AND campaign.deleted_at IS NULL
                """,  # noqa: S608 - column names
                [address, hash_key(secret)],
            )
            found = cursor.fetchone()
        if found is None:
            return None
        row = iter(found)
        api_key = key.take(row)
        api_key.campaign, api_key.creator = campaign.take(row), creator.take(row)
        (api_key.is_called_from_allowed_address,) = row
        return api_key


@lru_cache
def _key_columns() -> tuple[Columns[ApiKey], Columns[Campaign], Columns[User]]:
    return Columns(ApiKey, "key"), Columns(Campaign, "campaign"), Columns(User, "creator")


class ApiKey(models.Model):
    """One of at most three keys of a campaign (v2-sms §3). The secret itself is not stored."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="api_keys")
    label = models.CharField(max_length=50, blank=True)
    shown = models.CharField(max_length=20, help_text="Prefix and first five characters.")
    secret_hash = models.CharField(max_length=64, unique=True)
    creator = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True)
    expires_on = models.DateField(null=True, help_text="The last day it works, in Singapore.")

    objects = ApiKeyQuerySet.as_manager()

    is_called_from_allowed_address = False  # `find` tells

    def __str__(self) -> str:
        return f"{self.shown}…"

    @property
    def is_expired(self) -> bool:
        return self.expires_on is not None and self.expires_on < timezone.localdate()

    @property
    def fault(self) -> str:
        """Why it opens nothing though it exists; empty while it works.

        It is the campaign's key and outlives its creator's part in the campaign. But an account
        is closed for a cause, which must not leave a door open that its owner knows.
        """
        if self.is_expired:
            return "This API key has expired."
        if not self.creator.is_active:
            return "This API key was created by someone whose account is closed."
        return ""

    @classmethod
    def issue(
        cls,
        *,
        campaign: Campaign,
        creator: User,
        label: str = "",
        expires_on: date | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which nobody can read again after this call."""
        secret = settings.API_KEY_PREFIX + secrets.token_urlsafe(32)
        key = cls.objects.create(
            campaign=campaign,
            creator=creator,
            label=label,
            expires_on=expires_on,
            shown=secret[: len(settings.API_KEY_PREFIX) + 5],
            secret_hash=hash_key(secret),
        )
        return key, secret


def hash_key(secret: str) -> str:
    """SHA-256: the secret has 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


class AllowedAddress(models.Model):
    """Where the campaign's keys may be used from: an address, IPv4 or IPv6 (v2-sms §3).

    Or a range, where an admin opened the campaign to them (`may_allow_ranges`), as v2 did not.
    """

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="allowed_addresses")
    address = AddressField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "address"], name="an_address_is_allowed_once_per_campaign"
            )
        ]

    def __str__(self) -> str:
        return self.address

    @property
    def extent(self) -> str:
        """The first and the last address of a range; empty for a single one."""
        network = ipaddress.ip_network(self.address)
        return f"{network[0]} to {network[-1]}" if network.num_addresses > 1 else ""

    def covers(self, address: str) -> bool:
        return ipaddress.ip_address(address) in ipaddress.ip_network(self.address)
