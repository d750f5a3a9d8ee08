"""The message of a Telegram campaign as it is being written, and its pinned copies."""

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from campaigns.models import Campaign, Language, TelegramDraft, Template, TemplateBody
from campaigns.telegram import texts
from postman.accounts.models import User
from postman.errors import Refused


class Conflict(Refused):
    """Somebody else saved another text meanwhile; `theirs` is the draft as it stands now."""

    def __init__(self, theirs: TelegramDraft) -> None:
        super().__init__("Somebody else changed this message meanwhile.", "draft_changed")
        self.theirs = theirs


def save(campaign: Campaign, body: str, *, version: int, by: User) -> TelegramDraft:
    """Store the text, faults and all, cleaned of what Telegram does not show.

    Raises Conflict if the draft is no longer the `version` that was being written on. Saving what
    is stored already changes nothing, whatever the version.
    """
    body = texts.clean(body)
    draft = TelegramDraft.objects.select_related("bot").get(campaign=campaign)
    if draft.body == body:
        return draft
    saved = TelegramDraft.objects.filter(campaign=campaign, version=version).update(
        body=body, version=F("version") + 1, updated_by=by, updated_at=timezone.now()
    )
    draft.refresh_from_db()
    if not saved:
        raise Conflict(draft)
    return draft


def faults_of(campaign: Campaign) -> list[str]:
    """Everything that keeps the campaign from being sent, in sentences; empty if nothing does."""
    draft = TelegramDraft.objects.select_related("bot").get(campaign=campaign)
    faults = texts.faults_of(draft.body)
    if draft.bot.removed_at:
        faults.append(f"{draft.bot} was removed. Its owner can add it again.")
    return faults


@transaction.atomic
def pin(campaign: Campaign) -> TemplateBody:
    """The immutable copy of the text as it is now; the last one where nothing changed.

    Raises Refused, code `draft_not_ready`, with everything that is wrong.
    """
    # Of two who pin at once, the second finds the first one's copy.
    template = Template.objects.select_for_update(no_key=True).get(campaign=campaign)
    if faults := faults_of(campaign):
        raise Refused(" ".join(faults), "draft_not_ready")
    draft = TelegramDraft.objects.get(campaign=campaign)
    pinned = template.bodies.order_by("-version").first()
    if pinned and pinned.body == draft.body:
        return pinned
    newest = template.bodies.aggregate(Max("version"))["version__max"] or 0
    return TemplateBody.objects.create(
        template=template,
        language=Language.ENGLISH,
        version=newest + 1,
        body=draft.body,
        creator=draft.updated_by or campaign.creator,
    )
