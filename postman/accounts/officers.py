"""Who may sign in, and which agency a newcomer belongs to."""

from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from postman.accounts import audit
from postman.accounts.models import Agency, EmailDomain, User
from postman.errors import Refused


def may_sign_in(email: str) -> bool:
    """A user already known stays so whatever becomes of the domain, until they are deactivated."""
    user = User.objects.filter(email=email).first()
    if user:
        return user.is_active
    return EmailDomain.objects.best_match(email) is not None


def arrive(email: str) -> User:
    """The user of this address, made on first arrival; the right to create campaigns is granted later."""
    user = User.objects.filter(email=email).first()
    if user is None:
        user, _ = User.objects.get_or_create(email=email, defaults={"agency": agency_of(email)})
    return user


def agency_of(email: str) -> Agency | None:
    """The agency of this address; one seen for the first time is named after its host.

    `ann@hq.moh.gov.sg` below the shared domain gov.sg makes the agency MOH and its domain
    moh.gov.sg. An address of the shared domain itself belongs to no agency.
    """
    match = EmailDomain.objects.best_match(email)
    if match is None:
        return None
    if match.agency:
        return match.agency
    with transaction.atomic():
        # Two newcomers of one agency arrive one after the other; the second finds it made.
        EmailDomain.objects.select_for_update().get(pk=match.pk)
        match = EmailDomain.objects.best_match(email) or match
        return match.agency or _found_agency(email.rpartition("@")[2], match)


def _found_agency(host: str, shared: EmailDomain) -> Agency | None:
    if host == shared.domain:
        return None
    label = host.removesuffix(f".{shared.domain}").rpartition(".")[2]
    agency = Agency.objects.create(name=label.upper()[:60])
    EmailDomain.objects.create(
        domain=f"{label}.{shared.domain}",
        agency=agency,
        includes_subdomains=True,
        members_only=shared.members_only,
    )
    return agency


def colleagues_of(administrator: User) -> QuerySet[User]:
    """Whom an administrator may give the right to create campaigns: officers of the same agency
    and email domain, never partners, who may only be members (v2-sms §10A.2)."""
    own = EmailDomain.objects.best_match(administrator.email)
    if own is None or own.members_only or administrator.agency_id is None:
        return User.objects.none()
    is_of_agency = own.agency_id == administrator.agency_id
    host = own.domain if is_of_agency else administrator.email.rpartition("@")[2]
    among = Q(email__endswith=f"@{host}")
    if is_of_agency and own.includes_subdomains:
        among |= Q(email__endswith=f".{host}")
    partners = EmailDomain.objects.filter(members_only=True, domain__endswith=f".{host}")
    for domain in partners.values_list("domain", flat=True):
        among &= ~Q(email__endswith=f"@{domain}") & ~Q(email__endswith=f".{domain}")
    return User.objects.filter(among, agency=administrator.agency_id, is_active=True)


@transaction.atomic
def set_creation_right(officer_id: UUID, may_create: bool, *, by: User) -> User:
    """Grant or remove the right to create campaigns, on the record; raises Refused."""
    officer = colleagues_of(by).filter(id=officer_id).first()
    if officer is None:
        raise Refused("You can only change officers of your own email domain.", "not_a_colleague")
    changed = User.objects.filter(id=officer.id, can_create_campaigns=not may_create).update(
        can_create_campaigns=may_create
    )
    if changed:
        audit.record(f"creation_right.{'granted' if may_create else 'removed'}", by=by, on=officer)
    return officer
