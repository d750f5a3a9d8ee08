"""Who an email may say it is from (v1-backend §2.6, B-DOM-1).

The default sender is everybody's. An officer's own address and the mailboxes of an agency can be
used while their domain is verified; that is looked up in the database alone, as this is asked
whenever an email is pinned. What is sent already goes on, whatever becomes of its sender.
"""

import unicodedata
from email.header import Header
from email.utils import formataddr, parseaddr
from typing import NamedTuple

from django.conf import settings

from campaigns.models import Campaign, Sender
from postman.accounts.models import User
from postman.errors import Refused

MAX_NAME_LENGTH = 100
_PUNCTUATION = frozenset(" -_&.'()")
# As word processors and Chinese keyboards write them.
_PLAIN = str.maketrans({"\u2019": "'", "\u2018": "'", "\uff08": "(", "\uff09": ")", "\u3000": " "})
# Letters, the marks that Tamil and others write with them, and digits.
_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"})


class SenderChoice(NamedTuple):
    """An address that may be chosen, and the display name on record for it."""

    address: str
    name: str


class InvalidSender(Refused):
    code = "invalid_from_address"


def default() -> SenderChoice:
    name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return SenderChoice(address.lower(), name)


def choices(user: User, *, campaign: Campaign | None = None) -> list[SenderChoice]:
    """What this person may choose, the default first: for a campaign, its agency's mailboxes."""
    agency = campaign.agency if campaign else user.agency
    rows = Sender.objects.usable().of(user, agency).order_by("owner", "address")
    return [default(), *(SenderChoice(row.address, row.name) for row in rows)]


def check_usable(
    from_address: str, user: User, *, campaign: Campaign | None = None
) -> SenderChoice:
    """The sender with this address, if the person may choose it; raises InvalidSender."""
    address = from_address.strip().lower()
    found = next((row for row in choices(user, campaign=campaign) if row.address == address), None)
    if found is None:
        raise _unusable()
    return found


def mailbox(*, campaign: Campaign, from_name: str, from_address: str) -> str:
    """The `From` of this campaign's emails, safe as a header; raises Refused."""
    sender = sender_of(campaign, from_name, from_address)
    return header(sender.name, sender.address)


def sender_of(campaign: Campaign, from_name: str, from_address: str) -> SenderChoice:
    """Whom this campaign's emails are from; raises Refused.

    An officer's own address counts while its owner is a member of the campaign. A name that is not
    the one on record says that it came through Postman.
    """
    sender = _sender_of(campaign, from_address)
    name = clean_name(from_name) or sender.name
    if name != sender.name and not name.endswith(f" {settings.MAIL_VIA}"):
        name = f"{name} {settings.MAIL_VIA}"
        if len(name) > MAX_NAME_LENGTH:
            raise Refused(
                f"Shorten the name by {len(name) - MAX_NAME_LENGTH} characters: "
                f"“{settings.MAIL_VIA}” is added to it.",
                "invalid_from_name",
            )
    return SenderChoice(sender.address, name)


def _sender_of(campaign: Campaign, from_address: str) -> SenderChoice:
    address = from_address.strip().lower()
    if address in ("", default().address):
        return default()
    # PostgreSQL has no word for NUL, and no address has one in it.
    usable = Sender.objects.usable().of_campaign(campaign)
    found = usable.filter(address=address).first() if address.isprintable() else None
    if found is None:
        raise _unusable()
    return SenderChoice(found.address, found.name)


def _unusable() -> InvalidSender:
    return InvalidSender(
        "Emails cannot be sent from this address: it is not verified, or not yours to use. "
        "Choose another, or see Settings, Email senders."
    )


def clean_name(text: str) -> str:
    """A display name as it is kept; raises Refused, code `invalid_from_name`."""
    name = unicodedata.normalize("NFC", text.translate(_PLAIN)).strip(" ")
    strange = [c for c in name if c not in _PUNCTUATION and unicodedata.category(c) not in _LETTERS]
    if strange:
        shown = "an invisible character" if not strange[0].isprintable() else f"“{strange[0]}”"
        raise Refused(
            f"Remove {shown}: a name holds letters, digits, spaces and - _ & . ' ( ).",
            "invalid_from_name",
        )
    name = " ".join(name.split())
    if name and not any(unicodedata.category(c)[0] in "LN" for c in name):
        raise Refused("Write a name with letters or digits in it.", "invalid_from_name")
    if len(name) > MAX_NAME_LENGTH:
        raise Refused(
            f"Shorten the name to {MAX_NAME_LENGTH} characters: it has {len(name)}.",
            "invalid_from_name",
        )
    return name


def header(name: str, address: str) -> str:
    """`name <address>` on one line of ASCII, names in other scripts as RFC 2047 has them."""
    if not name.isascii():
        name = " ".join(Header(name, "utf-8").encode().split())
    return formataddr((name, address))
