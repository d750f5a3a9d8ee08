"""Save an email as it is being written, by several people or in several tabs at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from campaigns.email import keywords, sanitising
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
