"""The one gate of every page: which campaign is this person looking at, and in what role."""

import uuid
from typing import cast

from django.http import Http404, HttpRequest

from campaigns.models import Campaign, Membership, Role
from postman.accounts.models import User


def campaign_for(
    request: HttpRequest, campaign_id: uuid.UUID, *, owner: bool = False
) -> tuple[Campaign, Membership]:
    """The campaign and the asker's membership; Http404 where there is none (or no owner's right).

    Somebody else's campaign and one that does not exist look the same.
    """
    membership = (
        Membership.objects.select_related("campaign__agency", "user")
        .filter(campaign_id=campaign_id, campaign__deleted_at=None)
        .filter(user=cast(User, request.user))
        .first()
    )
    if membership is None or (owner and membership.role != Role.OWNER):
        raise Http404("no such campaign")
    return membership.campaign, membership
