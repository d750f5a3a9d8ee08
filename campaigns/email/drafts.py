"""An email as it is being written: saved by several people or in several tabs at once, and what is
still wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import lxml.html
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone

from campaigns.email import keywords, lints, sanitising, senders, theme
from campaigns.email.composing import notice_faults
from campaigns.models import Campaign, EmailDraft
from postman.accounts.models import User
from postman.errors import Refused


class Conflict(Refused):
    """Somebody else saved another text meanwhile; `theirs` is the draft as it stands now."""

    def __init__(self, theirs: EmailDraft) -> None:
        super().__init__("Somebody else changed this email meanwhile.", "draft_changed")
        self.theirs = theirs


@dataclass(frozen=True, slots=True)
class Saved:
    draft: EmailDraft
    removed: list[str]  # what may not stand in an email, in sentences


def save(campaign: Campaign, typed: Mapping[str, Any], *, version: int, by: User) -> Saved:
    """Store these fields, faults and all, cleaned of what may not stand in an email.

    Raises Conflict if the draft is no longer the `version` that was being written on. Saving what
    is stored already changes nothing, whatever the version, so that a second press does no harm.
    """
    typed = {name: _storable(value) for name, value in typed.items()}
    removed = []
    if "html" in typed:
        cleaned = sanitising.clean(typed["html"])
        typed["html"], removed = cleaned.html, cleaned.removed
    draft = EmailDraft.objects.get(campaign=campaign)
    if all(getattr(draft, name) == value for name, value in typed.items()):
        return Saved(draft, removed)
    changed = {
        **typed,
        "variables": _variables(draft, typed),
        "version": version + 1,
        "updated_by": by,
        "updated_at": timezone.now(),
    }
    rows = EmailDraft.objects.filter(campaign=campaign, version=version)
    if draft.version != version or not rows.update(**changed):
        raise Conflict(EmailDraft.objects.select_related("updated_by").get(campaign=campaign))
    for name, value in changed.items():
        setattr(draft, name, value)
    return Saved(draft, removed)


def _storable(value: Any) -> Any:
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def _variables(draft: EmailDraft, typed: Mapping[str, Any]) -> list[str]:
    texts = [typed.get(name, getattr(draft, name)) for name in ("subject", "preheader", "html")]
    return [name for name in keywords.variables(*texts) if name != keywords.RECIPIENT]


# What is wrong -------------------------------------------------------------------------------

# A notice that shows which keywords there are says so: it is checked apart from the subject.
_A_NOTICE = "{{protectedlink}}"
_PLACES = {"subject": "subject", "preheader": "preview text", "html": "message"}


def faults_of(draft: EmailDraft) -> dict[str, list[str]]:
    """Everything that keeps this draft from being sent, in sentences, by field."""
    faults = {
        "from_address": _sender_faults(draft),
        "reply_to": _address_faults(draft.reply_to),
        "subject": [] if draft.subject.strip() else ["Write a subject."],
        "preheader": [],
        "html": _body_faults(draft.html),
    }
    for field, place in _PLACES.items():
        found = keywords.check(getattr(draft, field))
        faults[field] += [f"In the {place}: {fault.message}" for fault in found]
    if draft.campaign.is_protected:
        faults["subject"] += notice_faults(draft.subject, _A_NOTICE)
        faults["html"] += notice_faults("", draft.html)
    return {field: sentences for field, sentences in faults.items() if sentences}


def advice_on(draft: EmailDraft) -> dict[str, list[str]]:
    """What may be sent and had better be otherwise, in sentences, by field."""
    advice: dict[str, list[str]] = {"subject": [], "html": []}
    for lint in lints.lints(draft.subject, draft.html) if draft.html else []:
        # Those two keep it from being sent, so they are said already.
        if lint.code not in ("missing_subject", "missing_text"):
            advice["html" if lint.field == "body" else lint.field].append(lint.message)
    strange = [host for host in _image_hosts(draft.html) if not host.endswith(".gov.sg")]
    if strange:
        advice["html"].append(
            f"Pictures from {', '.join(strange)} may vanish, and tell their owner who reads this. "
            "Upload them here instead."
        )
    return {field: sentences for field, sentences in advice.items() if sentences}


def _sender_faults(draft: EmailDraft) -> list[str]:
    try:
        senders.mailbox(
            campaign=draft.campaign, from_name=draft.from_name, from_address=draft.from_address
        )
    except Refused as refused:
        return [refused.message]
    return []


def _address_faults(address: str) -> list[str]:
    try:
        if address:
            validate_email(address)
    except ValidationError:
        return ["This is not an email address."]
    return []


def _body_faults(html: str) -> list[str]:
    if not theme.plain_text(html).strip() and "<img" not in html:
        return ["Write the message."]
    faults = []
    images = list(_images(html))
    if any(image.get("alt") is None for image in images):
        faults.append("Describe each picture in words, for those who do not see it (alt).")
    plain = [src for src in map(_source, images) if src.lower().startswith("http://")]
    if any(not _is_ours(src) for src in plain):
        faults.append("The address of a picture starts with https://, not http://.")
    return faults


def _images(html: str) -> list[lxml.html.HtmlElement]:
    return list(lxml.html.fromstring(f"<html><body>{html}</body></html>").iter("img"))


def _source(image: lxml.html.HtmlElement) -> str:
    return image.get("src") or ""


def _is_ours(src: str) -> bool:
    return src.startswith(f"{settings.PUBLIC_URL}/")


def _image_hosts(html: str) -> list[str]:
    """Where its pictures come from that are not ours; those whose address is a keyword aside."""
    sources = [src for src in map(_source, _images(html)) if not _is_ours(src)]
    return list(dict.fromkeys(host for src in sources if (host := _host(src))))


def _host(src: str) -> str:
    try:
        return urlsplit(src).hostname or ""
    except ValueError:  # brackets that are no IPv6 address
        return src
