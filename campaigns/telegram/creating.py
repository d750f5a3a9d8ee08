"""Make a Telegram campaign: a name and the bot that it is sent by."""

import uuid

from django.db import IntegrityError, transaction

from campaigns import creation
from campaigns.models import (
    Campaign,
    Channel,
    Membership,
    Role,
    TelegramBot,
    TelegramDraft,
    Template,
)
from campaigns.telegram import bots
from postman.accounts import audit
from postman.accounts.models import User


@transaction.atomic
def create_campaign(*, id: uuid.UUID, name: str, bot: TelegramBot, by: User) -> Campaign:  # noqa: A002
    """A Telegram campaign, to be written and filled afterwards; a second call with its id finds it.

    Raises NotReady where this person may not create any, or the bot is not theirs.
    """
    if earlier := Campaign.objects.visible_to(by).filter(pk=id, creator=by).first():
        return earlier
    if reason := creation.why_not(by) or creation.why_not_by(by, Channel.TELEGRAM):
        raise creation.NotReady(reason)
    # Locked, so that nobody removes it before the campaign can be named as one of its own.
    if not bots.of(by).select_for_update(no_key=True).filter(pk=bot.pk).first():
        raise creation.NotReady("This bot is none of yours any more. Choose another one.")
    assert by.agency  # or there had been a reason
    try:
        with transaction.atomic():
            campaign = Campaign.objects.create(
                id=id,
                agency=by.agency,
                creator=by,
                name=name,
                channel=Channel.TELEGRAM,
                sender_id=str(bot),
            )
    except IntegrityError:  # two presses at once, or somebody else's id
        return creation.created_from(id, by=by)
    Template.objects.create(campaign=campaign)
    TelegramDraft.objects.create(campaign=campaign, bot=bot, updated_by=by)
    Membership.objects.create(campaign=campaign, user=by, role=Role.OWNER)
    audit.record("campaign.created", by=by, on=campaign, channel=campaign.channel, bot=bot.username)
    return campaign
