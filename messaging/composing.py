"""Put a message together as its recipient gets it: a pinned body, and one person's values.

Nothing of it is stored, as it can always be put together again, byte for byte.
"""

from collections.abc import Mapping
from functools import lru_cache
from uuid import UUID

from campaigns.models import Channel, TemplateBody
from messaging.channels.base import Mail


def content(
    kind: Channel, body_id: UUID, campaign_id: UUID, recipient: str, values: Mapping[str, str]
) -> str | Mail:
    """What is sent; raises `MissingValue` of the channel's own templating."""
    return _body(body_id).full_message(values)


@lru_cache(maxsize=256)
def _body(body_id: UUID) -> TemplateBody:
    """Bodies never change, so a process may remember them."""
    return TemplateBody.objects.get(id=body_id)
