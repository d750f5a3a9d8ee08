"""SMS campaigns of v1's API: written after they were made, without our header and footer, and sent
through a Twilio account of their owner's (v1-backend §2.5, §2.9)."""

import re

from django.db import transaction
from django.db.models import Max

from campaigns import creation, sms, templating
from campaigns.models import (
    Campaign,
    Channel,
    Language,
    Membership,
    Role,
    SmsDraft,
    Template,
    TemplateBody,
    TwilioCredentials,
)
from postman.accounts import audit
from postman.accounts.models import User
from postman.errors import Refused

# v1 has one text for everybody, whatever it is written in.
LANGUAGE = Language.ENGLISH
_line_break = re.compile(r"<br\s*/?>", re.IGNORECASE)
_placeholder = re.compile(r"\{\{\s*(\w+)\s*\}\}", re.ASCII)


@transaction.atomic
def create(name: str, *, by: User) -> Campaign:
    """A campaign without a text; raises NotReady where this person may not create any."""
    if reason := creation.why_not(by) or creation.why_not_by(by, Channel.SMS):
        raise creation.NotReady(reason)
    assert by.agency  # or there had been a reason
    campaign = Campaign.objects.create(agency=by.agency, creator=by, name=name, channel=Channel.SMS)
    Template.objects.create(campaign=campaign)
    SmsDraft.objects.create(campaign=campaign)
    Membership.objects.create(campaign=campaign, user=by, role=Role.OWNER)
    audit.record("campaign.created", by=by, on=campaign, channel=campaign.channel)
    return campaign


def is_one(campaign: Campaign) -> bool:
    return SmsDraft.objects.filter(campaign=campaign).exists()


def clean(text: str) -> str:
    """Lines as phones know them, and keywords in lower case: v1 took them in any."""
    text = creation.clean_body(_line_break.sub("\n", text))
    return _placeholder.sub(lambda found: f"{{{{{found[1].lower()}}}}}", text)


def faults_of(body: str) -> list[str]:
    """Everything that keeps a cleaned text from being sent; empty if nothing does.

    Unlike ours, v1's texts may say what is in any column, the number itself included.
    """
    faults = [
        fault.message for fault in templating.check_template(body) if fault.code != "reserved_name"
    ]
    used = creation.characters_of(body)
    if used > sms.MAX_BODY:
        faults.append(f"The message has {used:,} characters; the most is {sms.MAX_BODY:,}.")
    return faults


def write(campaign: Campaign, text: str, *, by: User) -> TemplateBody:
    """Its newest text from now on. Raises Refused, code `invalid_template`, before storing any."""
    body = clean(text)
    if faults := faults_of(body):
        raise Refused(" ".join(faults), "invalid_template")
    template = Template.objects.select_for_update(no_key=True).get(campaign=campaign)
    newest = template.bodies.order_by("-version").first()
    if newest is None or newest.body != body:
        latest = template.bodies.aggregate(latest=Max("version"))["latest"] or 0
        newest = TemplateBody.objects.create(
            template=template, language=LANGUAGE, version=latest + 1, body=body, creator=by
        )
    for kept in ("bodies", "variables"):
        campaign.__dict__.pop(kept, None)
    return newest


def bind(campaign: Campaign, credentials: TwilioCredentials, *, by: User) -> None:
    """Send through this account, once the campaign is sent."""
    SmsDraft.objects.filter(campaign=campaign).update(credentials=credentials)
    audit.record("campaign.credentials_chosen", by=by, on=campaign, label=credentials.campaign.name)


def check_sender(campaign: Campaign) -> None:
    """Raise Refused where nobody tried out yet what this campaign is sent through."""
    draft = SmsDraft.objects.select_related("credentials__campaign").filter(campaign=campaign)
    found = draft.first()
    if found is None:
        return
    if found.credentials is None or found.credentials.campaign.deleted_at is not None:
        raise Refused(
            "Send a test message first: that chooses the Twilio account it is sent through.",
            "not_tested",
        )
