"""Pin a draft: the email as it is now, which never changes any more and is what gets sent."""

from django.db import transaction
from django.db.models import Max

from campaigns.email import drafts, senders, theme
from campaigns.email.composing import Composed, compose
from campaigns.models import (
    Campaign,
    EmailBody,
    EmailDraft,
    Language,
    Template,
    TemplateBody,
    image_url,
)
from postman.errors import Refused

# Whoever writes from here writes in the name of the government.
MASTHEAD_DOMAIN = ".gov.sg"


def faults_of(draft: EmailDraft) -> list[str]:
    """Everything that keeps this draft from being sent, in sentences; empty if nothing does."""
    return [sentence for found in drafts.faults_of(draft).values() for sentence in found]


@transaction.atomic
def pin(campaign: Campaign) -> TemplateBody:
    """The immutable copy of the campaign's draft as it is now; the last one where nothing changed.

    Raises Refused, code `draft_not_ready`, with everything that is wrong.
    """
    # Of two who pin at once, the second finds the first one's copy.
    template = Template.objects.select_for_update(no_key=True).get(campaign=campaign)
    draft = EmailDraft.objects.select_related("campaign__agency").get(campaign=campaign)
    if faults := faults_of(draft):
        raise Refused(" ".join(faults), "draft_not_ready")
    wanted = email_of(draft)
    pinned = template.bodies.select_related("email").order_by("-version").first()
    if pinned and pinned.body == draft.html and _facts(pinned.email) == _facts(wanted):
        return pinned
    newest = template.bodies.aggregate(Max("version"))["version__max"] or 0
    body = TemplateBody.objects.create(
        template=template,
        language=Language.ENGLISH,
        version=newest + 1,
        body=draft.html,
        creator=draft.updated_by or campaign.creator,
    )
    wanted.body = body
    wanted.save(force_insert=True)
    return body


def email_of(draft: EmailDraft) -> EmailBody:
    """What would be pinned of it, unsaved."""
    campaign = draft.campaign
    sender = _sender_of(draft)
    return EmailBody(
        from_name=sender.name,
        from_address=sender.address,
        reply_to=draft.reply_to or campaign.creator.email,
        subject=draft.subject,
        preheader=draft.preheader,
        theme_version=theme.THEME_VERSION,
        agency_name=campaign.agency.name,
        logo_url=_logo_of(draft),
        has_masthead=sender.address.endswith(MASTHEAD_DOMAIN),
        tracks_opens=draft.tracks_opens,
    )


def _sender_of(draft: EmailDraft) -> senders.SenderChoice:
    """For a page to show even where it may not be used, which is one of the draft's faults."""
    try:
        return senders.sender_of(draft.campaign, draft.from_name, draft.from_address)
    except Refused:
        fallback = senders.default()
        return senders.SenderChoice(
            draft.from_address or fallback.address, draft.from_name or fallback.name
        )


def _logo_of(draft: EmailDraft) -> str:
    key = draft.campaign.agency.logo_key
    return image_url(key) if key and draft.shows_logo else ""


def composed(email: EmailBody, html: str) -> Composed:
    """The email taken apart, to be put together for one recipient after another."""
    return compose(
        email.subject,
        html,
        email.preheader,
        theme.Facts(
            agency_name=email.agency_name,
            logo_url=email.logo_url,
            has_masthead=email.has_masthead,
            theme_version=email.theme_version,
        ),
    )


def _facts(email: EmailBody) -> dict[str, object]:
    names = [f.attname for f in EmailBody._meta.concrete_fields if f.attname != "body_id"]
    return {name: getattr(email, name) for name in names}
