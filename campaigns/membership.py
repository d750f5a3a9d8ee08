"""Who is in a campaign and in what role, and its end (v2-sms §10A.9, §10A.10)."""

from django.db import transaction
from django.utils import timezone

from campaigns.models import Campaign, Membership, Role
from postman.accounts import audit, officers
from postman.accounts.models import EmailDomain, User
from postman.errors import Refused


class NotAnOwner(Refused):
    """Whoever asks stopped being an owner, or the campaign is gone, since their page was opened."""

    code = "not_an_owner"


def hold_as_owner(campaign: Campaign, *, by: User) -> None:
    """Until the transaction ends, nobody else changes this campaign's settings.

    NotAnOwner unless `by` still owns it: two owners who remove each other at once both looked fine
    when their pages were opened. Sending goes on meanwhile (the lock leaves the key alone).
    """
    held = Campaign.objects.select_for_update(no_key=True).alive().filter(pk=campaign.pk)
    if not held.exists():
        raise NotAnOwner("This campaign was deleted.")
    if not Membership.objects.filter(campaign=campaign, user=by, role=Role.OWNER).exists():
        raise NotAnOwner("You are no longer an owner of this campaign.")


@transaction.atomic
def add_member(*, campaign: Campaign, email: str, role: str, by: User) -> Membership:
    """Let this person in, whether or not they have signed in before."""
    hold_as_owner(campaign, by=by)
    email = email.lower()
    _check_address(email, role)
    if Membership.objects.filter(campaign=campaign, user__email=email).exists():
        raise Refused(f"{email} is a member already.", "already_a_member")
    user = officers.arrive(email)
    membership = Membership.objects.create(campaign=campaign, user=user, role=role)
    audit.record("member.added", by=by, on=campaign, user=user.public_id, role=role)
    return membership


@transaction.atomic
def change_role(membership: Membership, *, role: str, by: User) -> None:
    membership = _held(membership, by=by)
    before = membership.role
    if role == before:
        return
    _check_address(membership.user.email, role)
    membership.role = role
    membership.save(update_fields=["role"])
    _check_an_owner_remains(membership.campaign)
    audit.record(
        "member.role_changed",
        by=by,
        on=membership.campaign,
        user=membership.user.public_id,
        before=before,
        role=role,
    )


@transaction.atomic
def remove_member(membership: Membership, *, by: User) -> None:
    """Takes effect at once: every page of theirs looks the membership up."""
    membership = _held(membership, by=by)
    campaign, user = membership.campaign, membership.user
    membership.delete()
    _check_an_owner_remains(campaign)
    audit.record("member.removed", by=by, on=campaign, user=user.public_id)


@transaction.atomic
def delete_campaign(campaign: Campaign, *, typed_name: str, by: User) -> None:
    """No page, key or batch of it works after this; the rows stay for the agency's records."""
    hold_as_owner(campaign, by=by)
    if typed_name.strip() != campaign.name:
        raise Refused("This is not the campaign's name. Type it exactly.", "name_differs")
    Campaign.objects.filter(pk=campaign.pk).update(deleted_at=timezone.now())
    keys, _ = campaign.api_keys.all().delete()
    audit.record("campaign.deleted", by=by, on=campaign, keys=keys)


def _held(membership: Membership, *, by: User) -> Membership:
    hold_as_owner(membership.campaign, by=by)
    if membership.user_id == by.pk:
        raise Refused("You cannot change your own role. Ask another owner.", "own_membership")
    fresh = Membership.objects.select_related("campaign", "user").filter(pk=membership.pk).first()
    if fresh is None:
        raise Refused("This person is no longer a member.", "not_a_member")
    return fresh


def _check_address(email: str, role: str) -> None:
    domain = EmailDomain.objects.best_match(email)
    if not officers.may_sign_in(email):
        raise Refused(
            f"{email} cannot sign in to Postman: only government addresses and those of its "
            "partners can.",
            "address_not_allowed",
        )
    if role == Role.OWNER and (domain is None or domain.members_only):
        raise Refused(
            f"{email} cannot be an owner: only gov.sg addresses can. Choose another role.",
            "owner_needs_gov_sg",
        )


def _check_an_owner_remains(campaign: Campaign) -> None:
    if not Membership.objects.filter(campaign=campaign, role=Role.OWNER).exists():
        raise Refused("At least one owner must remain.", "last_owner")
