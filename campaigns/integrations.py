"""From where and with which keys programs may call (v2-sms §3, §10A.9)."""

import ipaddress
from datetime import date

from django.db import transaction
from django.utils import timezone

from campaigns.membership import hold_as_owner
from campaigns.models import (
    MAX_ALLOWED_ADDRESSES,
    MAX_API_KEYS,
    AllowedAddress,
    ApiKey,
    Campaign,
)
from postman.accounts import audit
from postman.accounts.models import User
from postman.errors import Refused

# Addresses that mean something only inside a network, so they are nobody's on the internet.
INSIDE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/3",
        "::/127",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
    )
)

# IPv4 addresses in the clothes of IPv6: nobody calls from them.
MAPPED = ipaddress.ip_network("::ffff:0:0/96")
# The widest range that may be added: what one network of an agency may hold.
WIDEST = {4: 24, 6: 48}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def clean_range(text: str) -> str:
    """`203.0.113.7/24` as the range it lies in, or as an address if it is one; raises Refused."""
    try:
        network: Network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise Refused(
            "This is not a range. Write one such as 203.0.113.0/24 or 2001:db8::/48.",
            "address_is_malformed",
        ) from None
    if network.prefixlen < WIDEST[network.version]:
        raise Refused(
            f"{network} is too wide. The widest is /{WIDEST[4]} for IPv4 and /{WIDEST[6]} for IPv6.",
            "address_range_is_too_wide",
        )
    if any(network.overlaps(inside) for inside in (*INSIDE, MAPPED)):
        raise Refused(
            f"{network} exists only inside a network. Add the public addresses your calls leave "
            "from; your network team knows them.",
            "address_is_not_public",
        )
    is_single = network.num_addresses == 1
    return str(network.network_address if is_single else network)


def clean_address(text: str, *, seen_from: str = "") -> str:
    """One IPv4 or IPv6 address in its usual spelling; Refused with what to type instead.

    An inside address is refused unless this very caller came from it (`seen_from`): then the
    site stands in that network too.
    """
    text = text.strip()
    if "/" in text or "-" in text:
        raise Refused(
            "Ranges are not accepted. Add each address on its own, such as 203.0.113.7.",
            "address_is_a_range",
        )
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Refused(
            "This is not an IP address. Type one such as 203.0.113.7 or 2001:db8::7, "
            "not a website's name.",
            "address_is_malformed",
        ) from None
    address = getattr(address, "ipv4_mapped", None) or address
    # What follows a % names a network card of one machine.
    is_inside = "%" in text or any(address in network for network in INSIDE)
    if is_inside and str(address) != seen_from:
        raise Refused(
            f"{address} exists only inside a network. Add the public address your calls leave "
            "from; your network team knows it.",
            "address_is_not_public",
        )
    return str(address)


@transaction.atomic
def allow_address(
    *, campaign: Campaign, text: str, by: User, seen_from: str = ""
) -> AllowedAddress:
    if campaign.may_allow_ranges and "/" in text:
        address = clean_range(text)
    else:
        address = clean_address(text, seen_from=seen_from)
    hold_as_owner(campaign, by=by)
    allowed = AllowedAddress.objects.filter(campaign=campaign)
    if covering := allowed.filter(address__covers=address).first():
        within = "" if covering.address == address else f", within {covering.address}"
        raise Refused(f"{address} is in the list already{within}.", "address_exists")
    if allowed.count() >= MAX_ALLOWED_ADDRESSES:
        raise Refused(
            f"A campaign can have {MAX_ALLOWED_ADDRESSES} addresses. Remove one first.",
            "too_many_addresses",
        )
    row = AllowedAddress.objects.create(campaign=campaign, address=address)
    audit.record("address.added", by=by, on=campaign, address=address)
    return row


@transaction.atomic
def forget_address(row: AllowedAddress, *, by: User) -> None:
    """May be the last one: keys stay, and every call is then refused (v2-sms §12 Q25)."""
    hold_as_owner(row.campaign, by=by)
    removed, _ = AllowedAddress.objects.filter(pk=row.pk).delete()
    if removed:
        audit.record("address.removed", by=by, on=row.campaign, address=row.address)


@transaction.atomic
def create_key(
    *, campaign: Campaign, label: str, by: User, expires_on: date | None = None
) -> tuple[ApiKey, str]:
    """The key and its secret, which can be shown now and never again."""
    if expires_on and expires_on < timezone.localdate():
        raise Refused("Choose today or a later day.", "expires_in_the_past")
    hold_as_owner(campaign, by=by)
    if not campaign.allowed_addresses.exists():
        raise Refused("Add an allowed IP address before the first key.", "no_address")
    if campaign.api_keys.count() >= MAX_API_KEYS:
        raise Refused(
            f"A campaign can have {MAX_API_KEYS} keys. Delete one first.", "too_many_keys"
        )
    key, secret = ApiKey.issue(campaign=campaign, creator=by, label=label, expires_on=expires_on)
    audit.record(
        "key.created",
        by=by,
        on=campaign,
        key=str(key.pk),
        shown=key.shown,
        expires_on=expires_on and expires_on.isoformat(),
    )
    return key, secret


@transaction.atomic
def delete_key(key: ApiKey, *, by: User) -> None:
    """The next call with it is refused."""
    hold_as_owner(key.campaign, by=by)
    deleted, _ = ApiKey.objects.filter(pk=key.pk).delete()
    if deleted:
        audit.record("key.deleted", by=by, on=key.campaign, key=str(key.pk), shown=key.shown)
