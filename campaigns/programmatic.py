"""Where the messages of an account's own API calls belong: a campaign on no list, without members.

So they have what every message has: an agency, its suppressions, its retention and its bill.
"""

from functools import lru_cache

from campaigns import creation
from campaigns.models import Campaign, Channel
from postman.accounts.models import Agency, User
from postman.errors import Refused
from postman.rows import Columns, prepared

NAME = "API calls"


def check_may_send(user: User, channel: Channel) -> Agency:
    """The agency that the account sends for.

    Raises Refused, code `unauthorized`, for an account of none, and where it may not.
    """
    if user.agency is None:
        raise Refused(
            "This account belongs to no agency yet. Ask your agency administrator to have it added.",
            "unauthorized",
        )
    if reason := creation.why_not_by(user, channel):
        raise Refused(reason, "unauthorized")
    return user.agency


def campaign_of(user: User, channel: Channel, *, name: str = NAME) -> Campaign:
    """Made at the first call, and anew for an account that has moved to another agency.

    Raises Refused as `check_may_send` does.
    """
    agency = check_may_send(user, channel)
    if campaign := _made_earlier(user, agency, channel, name):
        return campaign
    campaign, _ = Campaign.objects.get_or_create(
        creator=user,
        agency=agency,
        channel=channel,
        name=name,
        is_programmatic=True,
        deleted_at=None,
    )
    return campaign


def _made_earlier(user: User, agency: Agency, channel: Channel, name: str) -> Campaign | None:
    """Looked up by every call that sends."""
    with prepared() as cursor:
        cursor.execute(
            f"""
            SELECT {_columns()} FROM campaigns_campaign campaign
            WHERE creator_id = %s AND agency_id = %s AND channel = %s AND name = %s
                AND is_programmatic AND deleted_at IS NULL
            """,  # noqa: S608 - column names
            [user.id, agency.id, channel.value, name],
        )
        found = cursor.fetchone()
    return _columns().take(iter(found)) if found else None


@lru_cache
def _columns() -> Columns[Campaign]:
    return Columns(Campaign, "campaign")
