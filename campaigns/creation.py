"""Make a campaign out of a draft (v2-sms §10A.4)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from campaigns import sms, templating, twilio_account, whatsapp
from campaigns.models import (
    Campaign,
    CampaignDraft,
    Channel,
    EmailDraft,
    Language,
    Membership,
    RecipientType,
    Role,
    Template,
    TemplateBody,
    TwilioCredentials,
)
from postman.accounts import audit
from postman.accounts.models import User
from postman.errors import Refused


class NotReady(Refused):
    """The draft still lacks something; `faults` says what, by language, where it is the text."""

    def __init__(self, message: str, faults: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(message, "draft_not_ready")
        self.faults = faults or {}


@dataclass(frozen=True, slots=True)
class StaffSender:
    """An agency's own Twilio account and the name that its messages carry."""

    credentials: twilio_account.Credentials
    sender_name: str


def why_not(user: User) -> str:
    """What keeps this person from creating campaigns, in words for them; empty if nothing does."""
    if not user.can_create_campaigns:
        return (
            "You do not have the right to create campaigns. "
            "Ask your agency administrator to give it to you."
        )
    if user.agency_id is None:
        return (
            "Your email address does not belong to an agency yet, and every message opens with "
            "the agency's name. Ask your agency administrator to have it added."
        )
    return ""


def why_not_by(user: User, channel: Channel) -> str:
    """What keeps this person from starting anything on this channel; empty if nothing does."""
    if user.agency and not user.agency.may_use(channel):
        return (
            f"{channel.label} is not switched on for {user.agency}. "
            "Your agency administrator can ask Postman's support for it."
        )
    if channel == Channel.WHATSAPP and channel not in settings.CHANNELS:
        return "Postman has no number at WhatsApp on this site."
    return ""


def why_not_start(user: User, channel: Channel) -> str:
    """What keeps this person from a new campaign on this channel; empty if nothing does."""
    reason = why_not_by(user, channel)
    if not reason and channel == Channel.WHATSAPP:
        reason = whatsapp.why_not(user)
    return reason


# The text ------------------------------------------------------------------------------------


def clean_body(text: str) -> str:
    """Line breaks as every phone knows them, and nothing invisible at either end."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def keep_text(draft: CampaignDraft, bodies: Mapping[str, str]) -> None:
    """Faults and all; nothing happens to a draft that became a campaign meanwhile."""
    CampaignDraft.objects.filter(pk=draft.pk).update(bodies=dict(bodies), updated_at=timezone.now())


def faults_of(bodies: Mapping[str, str]) -> dict[str, list[str]]:
    """Everything that keeps these texts from being sent, by language; empty if nothing does."""
    names = {language: _names(body) for language, body in bodies.items()}
    every = list(dict.fromkeys(name for found in names.values() for name in found))
    faults = {
        language: [
            *_template_faults(body),
            *_blocked_faults(body, language),
            *_length_faults(body),
            *_missing_faults(language, every, names),
        ]
        for language, body in bodies.items()
        if body.strip()
    }
    for language, body in bodies.items():
        if not body.strip():
            label = Language(language).label
            faults[language] = [f"Write the message in {label}, or remove this language."]
    return {language: found for language, found in faults.items() if found}


def characters_of(body: str) -> int:
    """Characters used, variables not counted (v2-sms §6.4)."""
    return sum(len(literal) for literal in templating.compile(body).literals)


def _names(body: str) -> list[str]:
    return [name for name in templating.variables(body) if name not in templating.RESERVED_NAMES]


def _template_faults(body: str) -> list[str]:
    return [
        f"“{body[fault.start : fault.end]}”: {fault.message}"
        for fault in templating.check_template(body)
    ]


def _blocked_faults(body: str, language: str) -> list[str]:
    found = sms.blocked_characters(templating.without_placeholders(body), language)
    return list(dict.fromkeys(blocked.message for blocked in found))


def _length_faults(body: str) -> list[str]:
    used = characters_of(body)
    if used <= sms.MAX_BODY:
        return []
    return [
        f"The message has {used:,} characters; the most is {sms.MAX_BODY:,}. "
        f"Take out {used - sms.MAX_BODY:,}."
    ]


def _missing_faults(language: str, every: list[str], names: Mapping[str, list[str]]) -> list[str]:
    label = Language(language).label
    return [
        f"{{{{{name}}}}} is missing in {label} but used in {_labels_using(name, names)}. "
        "Every language needs the same variables."
        for name in every
        if name not in names[language]
    ]


def _labels_using(name: str, names: Mapping[str, list[str]]) -> str:
    return " and ".join(str(Language(code).label) for code in names if name in names[code])


# The sender ----------------------------------------------------------------------------------


def send_to_public(draft: CampaignDraft) -> None:
    """Choose members of the public; credentials typed before are of no use and are dropped."""
    draft.recipient_type = RecipientType.PUBLIC
    draft.twilio = None
    draft.save(update_fields=["recipient_type", "twilio", "updated_at"])


def send_to_staff(draft: CampaignDraft, sender: StaffSender) -> None:
    """Choose internal staff, sent from the agency's own account once Twilio vouches for it."""
    twilio_account.verify(sender.credentials)
    draft.recipient_type = RecipientType.STAFF
    draft.twilio = json.dumps(
        asdict(sender.credentials)
        | {"sender_name": sender.sender_name, "verified_at": timezone.now().isoformat()}
    )
    draft.save(update_fields=["recipient_type", "twilio", "updated_at"])


def staff_sender(draft: CampaignDraft) -> StaffSender | None:
    if not draft.twilio:
        return None
    saved = json.loads(str(draft.twilio))
    saved.pop("verified_at")
    return StaffSender(
        sender_name=saved.pop("sender_name"), credentials=twilio_account.Credentials(**saved)
    )


def has_channel(draft: CampaignDraft) -> bool:
    if draft.recipient_type == RecipientType.STAFF:
        return bool(draft.twilio)
    return bool(draft.recipient_type)


# The campaign --------------------------------------------------------------------------------


@transaction.atomic
def create_campaign(draft_id: uuid.UUID, *, by: User) -> Campaign:
    """The campaign of this draft. A second press of the button finds the first one's campaign."""
    drafts = CampaignDraft.objects.select_for_update().filter(pk=draft_id, creator=by)
    draft = drafts.first()
    if draft is None:
        return created_from(draft_id, by=by)
    _check(draft, by=by)
    assert by.agency  # or it had not passed
    campaign = Campaign.objects.create(
        id=draft.pk,  # so that the draft's address leads to what became of it
        agency=by.agency,
        creator=by,
        name=draft.name,
        recipient_type=draft.recipient_type,
        sender_id=sender_id(draft),
    )
    _pin_template(campaign, draft.bodies, by=by)
    Membership.objects.create(campaign=campaign, user=by, role=Role.OWNER)
    audit.record(
        "campaign.created",
        by=by,
        on=campaign,
        recipient_type=campaign.recipient_type,
        languages=list(campaign.bodies),
    )
    _hand_over_credentials(draft, campaign, by=by)
    draft.delete()
    return campaign


@transaction.atomic
def create_email_campaign(*, id: uuid.UUID, name: str, is_protected: bool, by: User) -> Campaign:  # noqa: A002
    """An email campaign, to be written and filled afterwards; a second call with its id finds it.

    Raises NotReady where this person may not create any.
    """
    if earlier := Campaign.objects.visible_to(by).filter(pk=id, creator=by).first():
        return earlier
    if reason := why_not(by) or why_not_by(by, Channel.EMAIL):
        raise NotReady(reason)
    assert by.agency  # or there had been a reason
    try:
        with transaction.atomic():
            campaign = Campaign.objects.create(
                id=id,
                agency=by.agency,
                creator=by,
                name=name,
                channel=Channel.EMAIL,
                is_protected=is_protected,
            )
    except IntegrityError:  # two presses at once, or somebody else's id
        return created_from(id, by=by)
    Template.objects.create(campaign=campaign)
    EmailDraft.objects.create(campaign=campaign, updated_by=by)
    Membership.objects.create(campaign=campaign, user=by, role=Role.OWNER)
    audit.record(
        "campaign.created", by=by, on=campaign, channel=campaign.channel, is_protected=is_protected
    )
    return campaign


@transaction.atomic
def create_whatsapp_campaign(*, id: uuid.UUID, name: str, by: User) -> Campaign:  # noqa: A002
    """A WhatsApp campaign, whose template is chosen afterwards; a second call with its id finds it.

    Raises NotReady where this person may not create any.
    """
    if earlier := Campaign.objects.visible_to(by).filter(pk=id, creator=by).first():
        return earlier
    if reason := why_not(by) or why_not_start(by, Channel.WHATSAPP):
        raise NotReady(reason)
    assert by.agency  # or there had been a reason
    try:
        with transaction.atomic():
            campaign = Campaign.objects.create(
                id=id, agency=by.agency, creator=by, name=name, channel=Channel.WHATSAPP
            )
    except IntegrityError:  # two presses at once, or somebody else's id
        return created_from(id, by=by)
    Template.objects.create(campaign=campaign)
    Membership.objects.create(campaign=campaign, user=by, role=Role.OWNER)
    audit.record("campaign.created", by=by, on=campaign, channel=campaign.channel)
    return campaign


def created_from(draft_id: uuid.UUID, *, by: User) -> Campaign:
    """The campaign that a draft became; raises NotReady where there never was such a draft."""
    campaign = Campaign.objects.visible_to(by).filter(pk=draft_id).first()
    if campaign is None:
        raise NotReady("This draft is no longer there.")
    return campaign


def _check(draft: CampaignDraft, *, by: User) -> None:
    reason = why_not(by) or why_not_by(by, Channel.SMS)
    if reason:
        raise NotReady(reason)
    if not has_channel(draft):
        raise NotReady("Choose who receives the messages first.")
    if not draft.bodies:
        raise NotReady("Add at least one language.")
    faults = faults_of(draft.bodies)
    if faults:
        raise NotReady("The message cannot be sent as it is.", faults)


def sender_id(draft: CampaignDraft) -> str:
    sender = staff_sender(draft)
    return sender.sender_name if sender else settings.DEFAULT_SENDER_ID


def _pin_template(campaign: Campaign, bodies: Mapping[str, str], *, by: User) -> None:
    template = Template.objects.create(campaign=campaign)
    TemplateBody.objects.bulk_create(
        TemplateBody(
            template=template,
            language=language,
            body=bodies[language],
            header=campaign.agency.name,
            footer=sms.FOOTERS[language],
            creator=by,
        )
        for language in Language.values
        if language in bodies
    )


def _hand_over_credentials(draft: CampaignDraft, campaign: Campaign, *, by: User) -> None:
    if not draft.twilio:
        return
    saved = json.loads(str(draft.twilio))
    TwilioCredentials.objects.create(
        campaign=campaign,
        account_sid=saved["account_sid"],
        api_key_sid=saved["api_key_sid"],
        api_secret=saved["api_secret"],
        messaging_service_sid=saved["messaging_service_sid"],
        auth_token=saved["auth_token"] or None,
        verified_at=saved["verified_at"],
    )
    audit.record("credentials.saved", by=by, on=campaign, account_sid=saved["account_sid"])
