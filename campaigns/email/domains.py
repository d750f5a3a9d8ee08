"""How a domain comes to be one that emails may be sent from, and how it ceases to be.

An agency names a domain and publishes what Postman asks for. It is verified when Amazon SES says
so and the records stand, looked up by ourselves; the last look is what everybody else goes by.
"""

import logging
import re
import secrets
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from campaigns.email import dns_records, identities, senders
from campaigns.email.addresses import clean_recipient
from campaigns.email.dns_records import Record
from campaigns.models import Campaign, DomainState, EmailDraft, Sender, SenderDomain
from campaigns.phone_numbers import InvalidRecipient
from postman.accounts import audit
from postman.accounts.models import Agency, EmailDomain, User
from postman.errors import Refused

logger = logging.getLogger(__name__)

MAX_DOMAINS, MAX_MAILBOXES = 20, 200
# As long as SES itself looks for the records of a domain.
PATIENCE = timedelta(hours=72)
SOON, DAILY, AGAIN = timedelta(minutes=5), timedelta(days=1), timedelta(hours=1)
# How long records must have been gone; pressing a button twice is no second opinion.
SURELY_GONE_AFTER = timedelta(minutes=30)
# A look takes seconds; one whose process died is taken up by the next.
LEASE = timedelta(minutes=2)
# Claims of domains are few: one after the other, so that none of two that overlap gets by.
_CLAIMS = 0x53454E44

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_is_domain = re.compile(rf"(?:{_LABEL}\.)+(?:xn--[a-z0-9-]{{1,59}}(?<!-)|[a-z]{{2,63}})").fullmatch


# Claiming ------------------------------------------------------------------------------------


@transaction.atomic
def add_domain(text: str, *, agency: Agency, by: User) -> SenderDomain:
    """The domain, pending, or as it is if the agency has it already; raises Refused.

    Nothing outside is asked yet: `check` does that, now and until it is settled.
    """
    name = _clean_domain(text)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CLAIMS])
    own = SenderDomain.objects.filter(agency=agency, domain=name).first()
    if own:
        return own
    _check_claim(name, agency)
    if agency.sender_domains.count() >= MAX_DOMAINS:
        raise Refused(f"Your agency has {MAX_DOMAINS} domains, the most it can have.", "too_many")
    domain = SenderDomain.objects.create(
        agency=agency, domain=name, proof=secrets.token_hex(16), asked_by=by
    )
    audit.record("sender_domain.added", by=by, on=domain, domain=name)
    return domain


def _clean_domain(text: str) -> str:
    name = text.strip().rstrip(".").lower().removeprefix("@")
    if not name.isascii():
        raise Refused("Write the domain in plain letters, as its xn-- form.", "domain_is_malformed")
    if len(name) > 240 or not _is_domain(name):
        raise Refused(
            "This is not a domain. Write what stands after the @, such as health.gov.sg.",
            "domain_is_malformed",
        )
    return name


def _check_claim(name: str, agency: Agency) -> None:
    """May this agency prove that the domain is its own? What people sign in with is known already,
    so nobody has to prove that it is not another's."""
    ours = senders.default().address.rpartition("@")[2]
    if _overlap(name, ours):
        raise Refused("This domain is Postman's own. Use one of your agency.", "domain_is_ours")
    if _is_anothers(name, agency):
        raise Refused("This domain belongs to another agency.", "domain_is_anothers")
    below = EmailDomain.objects.filter(domain__endswith=f".{name}").exclude(agency=agency)
    if below.exists() or EmailDomain.objects.filter(domain=name, agency=None).exists():
        raise Refused(
            f"{name} is shared by many agencies. Write the part that is your agency's.",
            "domain_is_shared",
        )
    is_known = _is_known_as(name, agency)
    for other in SenderDomain.objects.exclude(agency=agency):
        if other.domain == name and (is_known or other.state == DomainState.FAILED):
            other.delete()
        elif _overlap(name, other.domain) and not is_known:
            raise Refused("Another agency sends from this domain.", "domain_is_anothers")


def _overlap(one: str, other: str) -> bool:
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _is_anothers(host: str, agency: Agency) -> bool:
    match = EmailDomain.objects.best_match(f"@{host}")
    return match is not None and match.agency_id not in (None, agency.pk)


def _is_known_as(host: str, agency: Agency) -> bool:
    match = EmailDomain.objects.best_match(f"@{host}")
    return match is not None and match.agency_id == agency.pk


def covering(address: str, agency: Agency) -> SenderDomain | None:
    """The agency's domain that this address is under, the nearest one."""
    host = address.rpartition("@")[2]
    labels = host.split(".")
    names = [".".join(labels[start:]) for start in range(len(labels))]
    rows = SenderDomain.objects.filter(agency=agency, domain__in=names)
    return max(rows, key=lambda row: len(row.domain), default=None)


# Addresses -----------------------------------------------------------------------------------


@transaction.atomic
def add_own_address(user: User, *, name: str) -> Sender:
    """The officer's own address as a sender; its domain is asked for if the agency has not yet."""
    if user.agency is None:
        raise Refused("Your account belongs to no agency, so it has no domain.", "no_agency")
    match = EmailDomain.objects.best_match(user.email)
    if match is None or match.members_only:
        raise Refused("Only addresses of agencies can be used as senders.", "not_an_agency")
    if Sender.objects.filter(owner=user).exists():
        raise Refused("Your address is here already.", "sender_exists")
    if Sender.objects.filter(address=user.email).exists():
        raise Refused("Your address is a mailbox of your agency already.", "sender_exists")
    domain = covering(user.email, user.agency) or add_domain(
        user.email.rpartition("@")[2], agency=user.agency, by=user
    )
    return _add(domain, user.email, senders.clean_name(name), owner=user, by=user)


@transaction.atomic
def add_mailbox(address: str, *, name: str, agency: Agency, by: User) -> Sender:
    """An address for all officers of the agency; raises Refused, code by the entry at fault."""
    try:
        address = clean_recipient(address)
    except InvalidRecipient:
        raise Refused("Write a whole address, such as clinic@health.gov.sg.", "address") from None
    domain = covering(address, agency)
    if domain is None or _is_anothers(address.rpartition("@")[2], agency):
        raise Refused("The address is under none of your agency's domains below.", "address")
    if User.objects.filter(email=address).exists():
        raise Refused("This is an officer's own address: only they can send from it.", "address")
    if Sender.objects.filter(address=address).exists():
        raise Refused("This mailbox is here already.", "address")
    if domain.senders.filter(owner=None).count() >= MAX_MAILBOXES:
        raise Refused(f"A domain can have {MAX_MAILBOXES} mailboxes. Remove one first.", "address")
    return _add(domain, address, senders.clean_name(name), owner=None, by=by)


def _add(domain: SenderDomain, address: str, name: str, *, owner: User | None, by: User) -> Sender:
    sender, is_new = Sender.objects.get_or_create(
        address=address,
        defaults={
            "agency": domain.agency,
            "domain": domain,
            "name": name,
            "owner": owner,
            "creator": by,
        },
    )
    if not is_new:
        raise Refused("This address is here already.", "sender_exists")
    audit.record("sender.added", by=by, on=sender, is_own=owner is not None)
    return sender


@transaction.atomic
def rename(sender: Sender, name: str, *, by: User) -> None:
    """Emails that were accepted keep the name that they were accepted with."""
    Sender.objects.filter(pk=sender.pk).update(name=senders.clean_name(name))
    audit.record("sender.renamed", by=by, on=sender)


@transaction.atomic
def remove_sender(sender: Sender, *, by: User) -> None:
    """What was accepted with it is still sent; nothing new is."""
    audit.record("sender.removed", by=by, on=sender, is_own=sender.owner_id is not None)
    domain, is_own = sender.domain, sender.owner_id is not None
    sender.delete()
    # What was only asked for on its behalf, and never came to be, goes with it.
    is_idle = domain.verified_at is None and not domain.senders.exists()
    if is_own and is_idle and not by.is_agency_administrator and domain.asked_by_id == by.pk:
        remove_domain(domain, by=by)


@transaction.atomic
def remove_domain(domain: SenderDomain, *, by: User) -> None:
    """With its addresses. SES keeps one that ever was verified: what was accepted still leaves."""
    audit.record(
        "sender_domain.removed",
        by=by,
        on=domain,
        domain=domain.domain,
        senders=domain.senders.count(),
    )
    name, was_never_verified = domain.domain, domain.verified_at is None
    domain.delete()
    if was_never_verified:
        transaction.on_commit(lambda: _forget(name))


def _forget(name: str) -> None:
    try:
        identities.delete(name)
    except identities.Unreachable:
        logger.warning("an identity that nobody uses stays with SES")


def drafts_from(addresses: list[str], *, seen_by: User) -> list[Campaign]:
    """The campaigns whose email is being written with one of these senders, of those that the
    person may know: their own, and their agency's if they administer it."""
    mine = Q(campaign__memberships__user=seen_by)
    if seen_by.is_agency_administrator and seen_by.agency_id:
        mine |= Q(campaign__agency=seen_by.agency_id)
    drafts = EmailDraft.objects.filter(
        mine, from_address__in=addresses, campaign__deleted_at=None
    ).select_related("campaign")
    return [draft.campaign for draft in drafts.distinct().order_by("campaign__name", "campaign")]


# Looking -------------------------------------------------------------------------------------


def check(domain: SenderDomain, *, by: User | None = None) -> SenderDomain:
    """Ask SES and DNS now, and settle what follows; raises identities.Unreachable.

    A person who asks gives a domain that was not set up in time another three days.
    """
    started_at = timezone.now()
    identity = identities.find(domain.domain) or identities.create(domain.domain)
    path = dns_records.return_path(domain.domain)
    if identity.return_path != path:
        identities.set_return_path(domain.domain, path)
    records = dns_records.look_up(
        dns_records.wanted(
            domain.domain,
            proof=domain.proof,
            tokens=identity.tokens,
            region=identities.region(),
        )
    )
    return _settle(domain, identity, records, at=started_at, by=by)


@transaction.atomic
def _settle(
    domain: SenderDomain,
    identity: identities.Identity,
    records: list[Record],
    *,
    at: datetime,
    by: User | None,
) -> SenderDomain:
    """Write down what was found, unless somebody who began later has already."""
    row = SenderDomain.objects.select_for_update().filter(pk=domain.pk).first()
    if row is None or (row.checked_at and row.checked_at > at):
        return row or domain
    before = row.state
    if by and before == DomainState.FAILED:
        row.state, row.pending_since = DomainState.PENDING, at
    row.dkim_tokens, row.provider_state = identity.tokens, identity.state
    row.records, row.checked_at = dns_records.stored(records), at
    _judge(row, identity, [record for record in records if record.is_required], at)
    if row.state != before:
        row.told_at = None
        row.settled_at = at
        if row.state == DomainState.VERIFIED:
            row.verified_at = at
        audit.record(f"sender_domain.{row.state}", by=by, on=row, domain=row.domain)
    row.check_at = _next_look(row, at)
    row.save()
    return row


def _judge(
    row: SenderDomain, identity: identities.Identity, records: list[Record], at: datetime
) -> None:
    """The state that follows; where DNS did not answer, nothing does."""
    dkim_stands = identity.may_send and identity.state == identities.SUCCESS
    is_gone = any(record.state in dns_records.GONE for record in records)
    if row.state == DomainState.VERIFIED:
        if not dkim_stands and identity.state != identities.TEMPORARY_FAILURE:
            row.state, row.doubted_at = DomainState.LOST, None
        elif not is_gone:
            row.doubted_at = None
        elif row.doubted_at is None:
            row.doubted_at = at
        elif at - row.doubted_at >= SURELY_GONE_AFTER:
            row.state, row.doubted_at = DomainState.LOST, None
    elif dkim_stands and all(record.state == dns_records.FOUND for record in records):
        row.state, row.doubted_at = DomainState.VERIFIED, None
    elif row.state == DomainState.PENDING and at - row.pending_since >= PATIENCE:
        row.state = DomainState.FAILED


def _next_look(row: SenderDomain, at: datetime) -> datetime | None:
    if row.state == DomainState.FAILED:
        return None
    if row.state == DomainState.PENDING:
        return at + SOON
    return at + (AGAIN if row.doubted_at else DAILY)


def due(now: datetime) -> list[SenderDomain]:
    return list(SenderDomain.objects.filter(check_at__lte=now).order_by("check_at", "id")[:100])


def check_in_turn(domain: SenderDomain) -> None:
    """As `check`, by one process at a time; where SES is away, once more in a while."""
    now = timezone.now()
    claimed = SenderDomain.objects.filter(pk=domain.pk, check_at=domain.check_at)
    if not claimed.update(check_at=now + LEASE):
        return
    try:
        check(domain)
    except identities.Unreachable:
        SenderDomain.objects.filter(pk=domain.pk).update(check_at=now + SOON)
        _give_up_on_time(domain, now)


def _give_up_on_time(domain: SenderDomain, now: datetime) -> None:
    """Three days are over for those too that nobody could be asked about at their end."""
    overdue = SenderDomain.objects.filter(
        pk=domain.pk, state=DomainState.PENDING, pending_since__lte=now - PATIENCE
    )
    overdue.update(state=DomainState.FAILED, settled_at=now, told_at=None, check_at=None)
