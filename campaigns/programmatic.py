"""Where the messages of an account's own API calls belong: a campaign on no list, without members.

So they have what every message has: an agency, its suppressions, its retention and its bill.
"""

from campaigns import creation
from campaigns.models import Campaign, Channel
from postman.accounts.models import User
from postman.errors import Refused

NAME = "API calls"


def campaign_of(user: User, channel: Channel, *, name: str = NAME) -> Campaign:
    """Made at the first call; raises Refused, code `unauthorized`, for an account of no agency."""
    if user.agency is None:
        raise Refused(
            "This account belongs to no agency yet. Ask your agency administrator to have it added.",
            "unauthorized",
        )
    if reason := creation.why_not_by(user, channel):
        raise Refused(reason, "unauthorized")
    campaign, _ = Campaign.objects.get_or_create(
        creator=user,
        channel=channel,
        name=name,
        is_programmatic=True,
        deleted_at=None,
        defaults={"agency": user.agency},
    )
    return campaign
