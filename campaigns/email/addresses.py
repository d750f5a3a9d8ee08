"""Which recipients are addresses an email can be sent to, and which look like a slip."""

import re
import unicodedata
from collections.abc import Sequence

from campaigns.phone_numbers import InvalidRecipient

EXAMPLE = "name@example.com"
LONGEST, LONGEST_NAME = 254, 64

# What is before the @ may hold more by the letter of RFC 5321 (quoted text); nobody's does, and
# providers refuse it.
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]++"
_LABEL = r"(?!-)[a-z0-9-]{1,63}+(?<!-)"
_LAST_LABEL = r"(?:xn--[a-z0-9-]{1,59}+(?<!-)|[a-z]{2,63}+)"
_NAME = rf"{_ATOM}(?:\.{_ATOM})*+"
_ADDRESS = rf"{_NAME}@(?:{_LABEL}\.)+{_LAST_LABEL}"
_is_address = re.compile(_ADDRESS).fullmatch
_are_addresses = re.compile(rf"(?:{_ADDRESS}\n)*+{_ADDRESS}").fullmatch

# Nobody sees these, and they come along when an address is copied from a page or a mail.
_INVISIBLE = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\x00-\x1f\x7f-\x9f"
_invisible = re.compile(f"[{_INVISIBLE}]")
_edges = re.compile(rf"^[\s{_INVISIBLE}]+|[\s{_INVISIBLE}]+$")
_bracketed = re.compile(r"<\s*(?:mailto:)?([^<>\s]+@[^<>\s]+?)\s*>")


def clean_recipient(value: str) -> str:
    """The address as it is stored and compared: in lower case, nothing around it.

    Raises InvalidRecipient. Letters beyond a to z are refused, as nearly all are look-alikes or
    slips; a domain that is really spelled with them can be written as its xn-- form.
    """
    address = _edges.sub("", value)
    # Before lower(), which makes a plain k of the Kelvin sign.
    if address.isascii():
        address = address.lower()
        is_short = len(address) <= LONGEST and address.find("@") <= LONGEST_NAME
        if is_short and _is_address(address):
            return address
    raise InvalidRecipient(*_fault(address))


def clean_many(values: Sequence[str]) -> list[str]:
    """`clean_recipient` of each, and much quicker; empty where it raises."""
    joined = "\n".join(map(str.strip, values))
    if joined.isascii() and _are_addresses(joined := joined.lower()):
        found = joined.split("\n")
        # Under the lesser limit there is no need to look where the @ stands.
        if len(found) == len(values) and max(map(len, found)) <= LONGEST_NAME:
            return found
    return [_cleaned(value) for value in values]


def _cleaned(value: str) -> str:
    try:
        return clean_recipient(value)
    except InvalidRecipient:
        return ""


# What is wrong -------------------------------------------------------------------------------


def _fault(address: str) -> tuple[str, str]:
    """Why this is no address, as (code, sentence)."""
    return (
        _fault_of_cell(address)
        or _fault_of_characters(address)
        or _fault_of_name(*address.rsplit("@", 1))
        or ("invalid", f"This is not an email address. One looks like {EXAMPLE}.")
    )


def _fault_of_cell(text: str) -> tuple[str, str] | None:
    """Something else than one bare address."""
    if not text:
        return "blank", "Enter an email address."
    if text.count("@") > 1 and re.search(r"[,;\s|/]", text):
        return "several", "Write one address only, and a row of its own for each of the others."
    if found := _bracketed.search(text):
        return "with_name", f"Write the address alone, without a name or brackets: {found[1]}."
    if text.lower().startswith("mailto:"):
        return "mailto", f"Leave out “mailto:”: {text[7:].lower()}."
    if "@" not in text and "＠" not in text:
        return "no_at", f"There is no @ in it. An email address looks like {EXAMPLE}."
    if text.count("@") > 1:
        return "two_ats", "There is more than one @ in it. Remove what does not belong there."
    return None


def _fault_of_characters(text: str) -> tuple[str, str] | None:
    if found := _invisible.search(text):
        before = text[: found.start()][-20:]
        return "invisible", f"Remove the invisible character after “{before}”, or type it anew."
    if re.search(r"\s", text):
        return "spaces", "Remove the spaces inside the address."
    strange = next((character for character in text if not character.isascii()), "")
    if strange:
        name = unicodedata.name(strange, "unknown").lower()
        return "strange_letter", (
            f"“{strange}” ({name}) does not belong in an email address, even where it looks "
            "like a letter that does. Type the address anew."
        )
    return None


def _fault_of_name(name: str, domain: str) -> tuple[str, str] | None:
    """Something with what is before the @, or with the domain after it, all of it ASCII."""
    if not name:
        return "no_name", "Something is missing before the @."
    if not domain:
        return "no_domain", f"Something is missing after the @, such as in {EXAMPLE}."
    if domain.endswith((".", ",", ";", ":")):
        return "end", f"Remove the “{domain[-1]}” at the end."
    if "," in domain:
        return "comma", f"Write a dot, not a comma: {domain.replace(',', '.').lower()}."
    if name.startswith(".") or name.endswith("."):
        return "dots", "Remove the dot next to the @ or at the beginning."
    if domain.startswith(".") or ".." in f"{name}@{domain}":
        return "dots", "Remove the dot that is one too many."
    return _fault_of_sizes(name, domain) or _fault_of_parts(name.lower(), domain.lower())


def _fault_of_sizes(name: str, domain: str) -> tuple[str, str] | None:
    if len(name) > LONGEST_NAME:
        return "too_long", (
            f"What is before the @ is too long: {len(name)} characters, and {LONGEST_NAME} is "
            "the most."
        )
    if (length := len(name) + 1 + len(domain)) > LONGEST:
        return "too_long", f"It is too long: {length} characters, and {LONGEST} is the most."
    return None


def _fault_of_parts(name: str, domain: str) -> tuple[str, str] | None:
    if found := re.search(r"[^a-z0-9.!#$%&'*+/=?^_`{|}~-]", name):
        return "character", f"Remove the “{found[0]}” before the @."
    if found := re.search(r"[^a-z0-9.-]", domain):
        return "character", f"Remove the “{found[0]}” after the @: a domain has none."
    if "." not in domain:
        return "no_dot", f"Complete the domain “{domain}”: it has no dot, as in example.com."
    for label in domain.split("."):
        if label.startswith("-") or label.endswith("-"):
            return "hyphen", f"“{label}” begins or ends with a hyphen, which no domain does."
        if len(label) > 63:
            return "too_long", "A part of the domain is longer than 63 characters."
    last = domain.rpartition(".")[2]
    return "ending", f"No domain ends with “.{last}”. Check what is after the @."


# What looks like a slip ------------------------------------------------------------------------

# Whoever reads these is not one person, and often a machine or a list of people (RFC 2142).
ROLES = frozenset(
    [
        "abuse",
        "admin",
        "administrator",
        "all",
        "allstaff",
        "all-staff",
        "billing",
        "bounce",
        "bounces",
        "contact",
        "do-not-reply",
        "donotreply",
        "enquiries",
        "enquiry",
        "everyone",
        "feedback",
        "ftp",
        "helpdesk",
        "hostmaster",
        "info",
        "list",
        "listserv",
        "mailer-daemon",
        "mailman",
        "majordomo",
        "marketing",
        "news",
        "newsletter",
        "no-reply",
        "noc",
        "noreply",
        "office",
        "postmaster",
        "root",
        "sales",
        "security",
        "spam",
        "staff",
        "subscribe",
        "support",
        "test",
        "unsubscribe",
        "usenet",
        "uucp",
        "webmaster",
        "www",
    ]
)
_LIST_MARKS = ("-request@", "-owner@", "-bounces@", "-list@", "-subscribe@", "-unsubscribe@")
_is_list = re.compile("|".join(_LIST_MARKS)).search

_MEANT = {
    meant: slips.split()
    for meant, slips in {
        "gmail.com": """
            gmial.com gmal.com gmai.com gmil.com gmaill.com gmaik.com gmali.com gamil.com gnail.com
            gmsil.com gmqil.com gmeil.com gimail.com ggmail.com gemail.com gmail.co gmail.cm
            gmail.om gmail.net gmail.org gmail.com.sg gmail.sg gmailcom gmail.comm gmail.vom
            gmail.cmo gmail.ocm gmail.coom gmail.cpm gmail.xom""",
        "hotmail.com": """
            hotmial.com hotmal.com hotmai.com hotmil.com hotmaill.com hotmali.com hotamil.com
            hotnail.com hotmsil.com homail.com hotail.com htomail.com hptmail.com hormail.com
            hotmail.co hotmail.cm hotmail.om hotmail.comm hotmail.vom hotmail.cmo hotmail.ocm""",
        "yahoo.com": """
            yaho.com yahooo.com yhoo.com yaoo.com yahho.com yahoo.co yahoo.cm yahoo.om yahoo.comm
            yahoo.vom yahoo.cmo yahoo.ocm uahoo.com tahoo.com yajoo.com ayhoo.com""",
        "yahoo.com.sg": "yaho.com.sg yahooo.com.sg yhoo.com.sg yahoo.sg yahoo.con.sg yahoo.comsg",
        "outlook.com": """
            outlok.com outloo.com outlokk.com outllook.com outlool.com oulook.com otlook.com
            outook.com outloook.com outlook.co outlook.cm outlook.om outlook.comm""",
        "icloud.com": "iclod.com icoud.com iclould.com icloud.co icloud.cm iclud.com icloud.om",
        "singnet.com.sg": "signet.com.sg singet.com.sg singnet.com singnet.sg singnet.com.sq",
        "starhub.net.sg": "starhub.com.sg starhub.net starhub.sg",
    }.items()
}
_MEANT_OF = {slip: meant for meant, slips in _MEANT.items() for slip in slips}
# No such endings exist, so whatever ends so is a slip.
_ENDINGS = {
    ".con": ".com",
    ".comm": ".com",
    ".coom": ".com",
    ".cpm": ".com",
    ".vom": ".com",
    ".xom": ".com",
    ".ocm": ".com",
    ".cmo": ".com",
    ".con.sg": ".com.sg",
    ".com.sq": ".com.sg",
    ".gov.sq": ".gov.sg",
    ".gov.gs": ".gov.sg",
    ".gov.sgp": ".gov.sg",
    ".edu.sq": ".edu.sg",
    ".nett": ".net",
    ".ogr": ".org",
}
_FALSE_ENDINGS = tuple(_ENDINGS)


def is_role(address: str) -> bool:
    return address.partition("@")[0] in ROLES or bool(_is_list(address))


def may_hold_roles(names: Sequence[str], joined: str) -> bool:
    """Is it worth asking `is_role` of these? `names` are what is before each @ in `joined`."""
    return not ROLES.isdisjoint(names) or any(mark in joined for mark in _LIST_MARKS)


def meant_domain(domain: str) -> str:
    """The domain that was probably meant where this one is a usual slip; else nothing."""
    if meant := _MEANT_OF.get(domain):
        return meant
    if domain.endswith(_FALSE_ENDINGS):
        for ending in sorted(_FALSE_ENDINGS, key=len, reverse=True):
            if domain.endswith(ending):
                mended = domain.removesuffix(ending) + _ENDINGS[ending]
                return _MEANT_OF.get(mended, mended)
    return ""
