"""Something to start with: an agency, an officer, a campaign and a key that `curl` can use."""

import json
import secrets
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from campaigns.creation import create_campaign
from campaigns.integrations import allow_address, create_key
from campaigns.models import (
    BotSubscription,
    Campaign,
    CampaignDraft,
    OfficerProfile,
    RecipientType,
    TelegramBot,
    TelegramSubscriber,
    WhatsappGrant,
    WhatsappTemplate,
)
from campaigns.telegram import bots
from messaging.sandbox import constants, telegram
from postman import local
from postman.accounts.models import Agency, EmailDomain, User
from postman.errors import Refused

BODIES = {
    "english": "Dear {{name}}, your appointment at {{clinic}} is on {{date}}. "
    "Please arrive 10 minutes early.",
    "malay": "{{name}}, temu janji anda di {{clinic}} ialah pada {{date}}. "
    "Sila tiba 10 minit lebih awal.",
}
TEMPLATE: dict[str, Any] = {
    "name": "Before an officer calls",
    "label": "officer_will_call",
    "body": "Dear {{recipient_name}},\n\n<b>{{officer_name}}</b>, {{officer_designation}} at "
    "{{agency}}, will call you {{when}}.\n\nThe officer will say this passcode first: "
    "<b>{{passcode}}</b>. Do not go on with a caller who cannot.",
    "params": [
        "recipient_name",
        "officer_name",
        "officer_designation",
        "agency",
        "when",
        "passcode",
    ],
    "param_metadata": {
        "recipient_name": {"displayName": "Name of the recipient"},
        "officer_name": {
            "displayName": "Name of the officer",
            "defaultFromMetaField": "officer_name",
        },
        "officer_designation": {
            "displayName": "Designation",
            "defaultFromMetaField": "officer_designation",
        },
        "agency": {"displayName": "Agency", "defaultFromMetaField": "agency"},
        "when": {"displayName": "When the officer will call"},
    },
    "languages": [
        {
            "code": "zh_CN",
            "language": "Chinese",
            "body": "{{recipient_name}} 您好：\n\n{{agency}} 的{{officer_designation}}"
            "<b>{{officer_name}}</b>将于{{when}}致电给您。\n\n来电者会先说出验证码："
            "<b>{{passcode}}</b>。若对方说不出，请勿继续通话。",
        }
    ],
}
BOT = "demo-bot"
# People who have subscribed to it: their numbers begin so, and three digits follow.
SUBSCRIBERS = "6581230"
VALUES = {"name": "Mei Ling", "clinic": "Clementi Clinic", "date": "3 Dec, 9.30am"}


class Command(BaseCommand):
    help = "Seed the demo once and write its facts to .local/demo.json (local settings only)."

    def handle(self, *args: Any, **options: Any) -> None:
        facts_file = local.directory() / "demo.json"
        facts = json.loads(facts_file.read_text()) if facts_file.exists() else {}
        campaign_id = facts.get("campaign_id", "").removeprefix("campaign_") or None
        if not campaign_id or not Campaign.objects.filter(id=campaign_id).exists():
            facts = self._seed()
        self._connect_bot()
        facts |= {"base_url": settings.PUBLIC_URL, "sandbox_url": settings.SANDBOX_URL}
        for directory in {local.directory(), local.home()}:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "demo.json").write_text(json.dumps(facts, indent=2))

    @transaction.atomic
    def _seed(self) -> dict[str, Any]:
        agency, _ = Agency.objects.get_or_create(name="Ministry of Health")
        EmailDomain.objects.get_or_create(domain="health.gov.sg", defaults={"agency": agency})
        officer, _ = User.objects.get_or_create(
            email=settings.DEMO_OFFICER,
            defaults={
                "agency": agency,
                "can_create_campaigns": True,
                "is_agency_administrator": True,
                "is_staff": True,
                "is_superuser": True,
            },
        )
        template = self._whatsapp(agency, officer)
        bot = self._telegram(agency, officer)
        draft = CampaignDraft.objects.create(
            creator=officer,
            name="Appointment reminders",
            recipient_type=RecipientType.PUBLIC,
            bodies=BODIES,
        )
        campaign = create_campaign(draft.id, by=officer)
        for address in ("127.0.0.1", "::1"):
            allow_address(campaign=campaign, text=address, by=officer, seen_from=address)
        _, secret = create_key(campaign=campaign, label="demo", by=officer)
        return {
            "officer": officer.email,
            "campaign_id": campaign.public_id,
            "api_key": secret,
            "values": VALUES,
            "whatsapp_template_id": template.pk,
            "telegram_bot": bot.label,
        }

    def _whatsapp(self, agency: Agency, officer: User) -> WhatsappTemplate:
        """A template that the officer may send."""
        Agency.objects.filter(pk=agency.pk).update(may_use_whatsapp=True)
        OfficerProfile.objects.get_or_create(
            user=officer, defaults={"officer_name": "Tan Mei Fong", "designation": "Care Officer"}
        )
        template, _ = WhatsappTemplate.objects.get_or_create(**TEMPLATE)
        WhatsappGrant.objects.get_or_create(template=template, user=officer)
        return template

    def _telegram(self, agency: Agency, officer: User) -> TelegramBot:
        """A bot with a thousand subscribers, enough for a campaign."""
        Agency.objects.filter(pk=agency.pk).update(may_use_telegram=True)
        bot_id = constants.TELEGRAM_BOT_TOKEN.partition(":")[0]
        bot, _ = TelegramBot.objects.get_or_create(
            owner=officer,
            bot_id=int(bot_id),
            defaults={
                "label": BOT,
                "username": telegram.username(bot_id),
                "token": constants.TELEGRAM_BOT_TOKEN,
                "webhook_secret": secrets.token_urlsafe(32),
                "verified_at": timezone.now(),
            },
        )
        phones = [f"{SUBSCRIBERS}{n:03}" for n in range(1000)]
        TelegramSubscriber.objects.bulk_create(
            # In the sandbox a person's id is their number.
            [TelegramSubscriber(phone=phone, telegram_id=int(phone)) for phone in phones],
            ignore_conflicts=True,
        )
        people = TelegramSubscriber.objects.filter(phone__in=phones)
        BotSubscription.objects.bulk_create(
            [BotSubscription(bot=bot, subscriber=person) for person in people],
            ignore_conflicts=True,
        )
        return bot

    def _connect_bot(self) -> None:
        """At each start, as the sandbox may have forgotten; where it is away, Verify does it too."""
        bot = TelegramBot.objects.filter(label=BOT, removed_at=None).first()
        if bot:
            with suppress(Refused):
                bots.check(bot)
