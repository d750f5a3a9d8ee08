"""The one gate of every page: which campaign is this person looking at, and in what role."""

import uuid
from typing import cast

from django.http import Http404, HttpRequest

from campaigns.models import Campaign, Channel, Membership, Role
from postman.accounts.models import Agency, User


def campaign_for(
    request: HttpRequest,
    campaign_id: uuid.UUID,
    *,
    owner: bool = False,
    channel: Channel | None = None,
) -> tuple[Campaign, Membership]:
    """The campaign and the asker's membership; Http404 where there is none (or no owner's right).

    Somebody else's campaign and one that does not exist look the same. A page that only campaigns
    of one channel have names that `channel`: the others have no such page.
    """
    membership = (
        Membership.objects.select_related("campaign__agency", "user")
        .filter(campaign_id=campaign_id, campaign__deleted_at=None)
        .filter(user=cast(User, request.user))
        .first()
    )
    if membership is None or (owner and membership.role != Role.OWNER):
        raise Http404("no such campaign")
    if channel and membership.campaign.channel != channel:
        raise Http404("a page of another channel")
    return membership.campaign, membership


def email_campaign_for(request: HttpRequest, campaign_id: uuid.UUID) -> tuple[Campaign, Membership]:
    """An email campaign whose message this person may write; Http404 for restricted members."""
    campaign, membership = campaign_for(request, campaign_id)
    if not campaign.is_email or membership.sees_only_own:
        raise Http404("no message to write")
    return campaign, membership


def agency_of_administrator(request: HttpRequest) -> Agency:
    """The agency whose administrator (PIC) this person is; Http404 for everybody else."""
    user = cast(User, request.user)
    if not user.is_agency_administrator or user.agency is None:
        raise Http404("no administrator of an agency")
    return user.agency


def agency_of_owner(request: HttpRequest) -> Agency:
    """The agency of an officer who owns one of its campaigns, or administers it; else Http404."""
    user = cast(User, request.user)
    if user.agency is None:
        raise Http404("no officer of an agency")
    own = Membership.objects.filter(user=user, role=Role.OWNER, campaign__deleted_at=None)
    if user.is_agency_administrator or own.filter(campaign__agency=user.agency).exists():
        return user.agency
    raise Http404("owns no campaign of the agency")


def billed_campaign_for(request: HttpRequest, campaign_id: uuid.UUID) -> Campaign:
    """A campaign whose bill this person may see: its owners, and the administrators of its agency,
    who also see those that were deleted (v2-sms §10A.10)."""
    user = cast(User, request.user)
    # Nothing is charged for the others.
    billed = Campaign.objects.select_related("agency").filter(channel=Channel.SMS)
    found = billed.filter(id=campaign_id).first()
    if found and user.is_agency_administrator and found.agency_id == user.agency_id:
        return found
    campaign, _ = campaign_for(request, campaign_id, owner=True)
    if campaign.channel != Channel.SMS:
        raise Http404("no bill of this channel")
    return campaign
