"""Who may sign in, and which agency a newcomer belongs to."""

from django.db import transaction

from postman.accounts.models import Agency, EmailDomain, User


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
