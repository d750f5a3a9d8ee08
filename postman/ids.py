"""Ids: UUIDv7 in the database (they sort by time), `campaign_<uuid>` wherever a person sees them."""

import uuid
from datetime import datetime

from django.db import models
from django.utils import timezone
from uuid_utils import uuid7 as quick_uuid7
from uuid_utils.compat import uuid7


def new_id() -> uuid.UUID:
    return uuid7()


def new_ids(count: int) -> list[str]:
    """Many at once, each greater than the one before it, as text for a statement."""
    return [str(quick_uuid7()) for _ in range(count)]


def first_id_of(moment: datetime) -> uuid.UUID:
    """No id that was made at this moment or later is less: ids hold their time, so their index is
    one of times as well."""
    milliseconds = int(moment.timestamp() * 1000)
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62)


def now_ms() -> datetime:
    """The time to the millisecond: all that the API shows, so that a cursor made of it is exact."""
    now = timezone.now()
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def parse_public_id(value: str, prefix: str) -> uuid.UUID | None:
    """`campaign_<uuid>` → UUID; None where it is anything else."""
    head, _, tail = value.partition("_")
    if head != prefix or len(tail) != 36:
        return None
    try:
        found = uuid.UUID(tail)
    except ValueError:
        return None
    # Python also takes other scripts' digits, and hyphens anywhere.
    return found if str(found) == tail else None


class PublicIdModel(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    id_prefix: str

    class Meta:
        abstract = True

    @property
    def public_id(self) -> str:
        return f"{self.id_prefix}_{self.id}"


class PublicIdConverter:
    """URL part such as `campaign_0190…`; anything else does not match, so it is a 404."""

    prefix: str
    regex = "[a-z]+_[0-9a-f-]{36}"

    def to_python(self, value: str) -> uuid.UUID:
        found = parse_public_id(value, self.prefix)
        if found is None:
            raise ValueError
        return found

    def to_url(self, value: uuid.UUID | str) -> str:
        return f"{self.prefix}_{value}"


class CampaignId(PublicIdConverter):
    prefix = "campaign"


class BatchId(PublicIdConverter):
    prefix = "batch"


class MessageId(PublicIdConverter):
    prefix = "message"
