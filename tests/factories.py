"""Data for tests. Every value that matters to a test is written in the test itself."""

from typing import Any

import factory
from django.utils import timezone

from campaigns.email import keywords
from campaigns.models import (
    Campaign,
    EmailDraft,
    Membership,
    Role,
    Sender,
    SenderDomain,
    TelegramBot,
    TelegramDraft,
    Template,
    TemplateBody,
    WhatsappChoice,
)
from campaigns.sms import FOOTERS
from campaigns.telegram import texts
from postman.accounts.models import Agency, User


class AgencyFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Agency

    name = factory.Sequence(lambda n: f"Agency {n}")


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"officer{n}@agency.gov.sg")
    agency = factory.SubFactory(AgencyFactory)
    can_create_campaigns = True


class CampaignFactory(factory.django.DjangoModelFactory):
    """An SMS campaign with its bodies and its creator as owner: `CampaignFactory(bodies={…})`."""

    class Meta:
        model = Campaign
        skip_postgeneration_save = True

    creator = factory.SubFactory(UserFactory)
    agency = factory.SelfAttribute("creator.agency")
    name = factory.Sequence(lambda n: f"Campaign {n}")
    recipient_type = "member_of_public"
    sender_id = "gov.sg"

    @factory.post_generation
    def bodies(obj: Campaign, create: bool, extracted: dict[str, str] | None, **_: Any) -> None:
        texts = extracted or {"english": "Dear {{name}}, see you at {{clinic}}."}
        template = Template.objects.create(campaign=obj)
        for language, body in texts.items():
            TemplateBody.objects.create(
                template=template,
                language=language,
                body=body,
                header=obj.agency.name,
                footer=FOOTERS[language],
                creator=obj.creator,
            )
        Membership.objects.create(campaign=obj, user=obj.creator, role=Role.OWNER)


class EmailCampaignFactory(factory.django.DjangoModelFactory):
    """An email campaign with its draft: `EmailCampaignFactory(draft={"subject": "…", "html": "…"})`."""

    class Meta:
        model = Campaign
        skip_postgeneration_save = True

    creator = factory.SubFactory(UserFactory)
    agency = factory.SelfAttribute("creator.agency")
    name = factory.Sequence(lambda n: f"Newsletter {n}")
    channel = "email"

    @factory.post_generation
    def draft(obj: Campaign, create: bool, extracted: dict[str, str] | None, **_: Any) -> None:
        texts = extracted or {
            "subject": "Your visit to {{clinic}}",
            "html": "<p>Dear {{name}}, see you at {{clinic}}.</p>",
        }
        Template.objects.create(campaign=obj)
        EmailDraft.objects.create(
            campaign=obj,
            updated_by=obj.creator,
            variables=[n for n in keywords.variables(*texts.values()) if n != "recipient"],
            **texts,
        )
        Membership.objects.create(campaign=obj, user=obj.creator, role=Role.OWNER)


class SenderFactory(factory.django.DjangoModelFactory):
    """An officer's own address, of a domain that is proved: `SenderFactory(owner=officer)`."""

    class Meta:
        model = Sender

    owner = factory.SubFactory(UserFactory)
    creator = factory.SelfAttribute("owner")
    agency = factory.SelfAttribute("owner.agency")
    address = factory.SelfAttribute("owner.email")
    name = "Clinic"

    @factory.lazy_attribute
    def domain(self: Any) -> SenderDomain:
        return SenderDomain.objects.create(
            agency=self.agency,
            domain=self.address.partition("@")[2],
            state="verified",
            asked_by=self.owner,
            proof="x",
            verified_at=timezone.now(),
        )


class TelegramBotFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = TelegramBot

    owner = factory.SubFactory(UserFactory)
    label = factory.Sequence(lambda n: f"bot-{n}")
    bot_id = factory.Sequence(lambda n: 700000100 + n)
    username = factory.LazyAttribute(lambda bot: f"sandbox_{bot.bot_id}_bot")
    token = factory.LazyAttribute(lambda bot: f"{bot.bot_id}:{'a' * 35}")
    webhook_secret = "a-secret-that-only-telegram-knows"
    verified_at = factory.LazyFunction(timezone.now)


class TelegramCampaignFactory(factory.django.DjangoModelFactory):
    """A Telegram campaign with its bot: `TelegramCampaignFactory(draft="Dear {{name}}")`."""

    class Meta:
        model = Campaign
        skip_postgeneration_save = True

    creator = factory.SubFactory(UserFactory)
    agency = factory.SelfAttribute("creator.agency")
    name = factory.Sequence(lambda n: f"Bot campaign {n}")
    channel = "telegram"

    @factory.post_generation
    def draft(obj: Campaign, create: bool, extracted: str | None, **_: Any) -> None:
        Template.objects.create(campaign=obj)
        TelegramDraft.objects.create(
            campaign=obj,
            bot=TelegramBotFactory(owner=obj.creator),
            body=texts.clean(extracted or "Dear <b>{{name}}</b>, see you at {{clinic}}."),
            updated_by=obj.creator,
        )
        Membership.objects.create(campaign=obj, user=obj.creator, role=Role.OWNER)


class WhatsappCampaignFactory(factory.django.DjangoModelFactory):
    """A WhatsApp campaign that sends a template: `WhatsappCampaignFactory(template=…)`."""

    class Meta:
        model = Campaign
        skip_postgeneration_save = True

    creator = factory.SubFactory(UserFactory)
    agency = factory.SelfAttribute("creator.agency")
    name = factory.Sequence(lambda n: f"Calls {n}")
    channel = "whatsapp"

    @factory.post_generation
    def template(obj: Campaign, create: bool, extracted: Any, **_: Any) -> None:
        Template.objects.create(campaign=obj)
        Membership.objects.create(campaign=obj, user=obj.creator, role=Role.OWNER)
        if extracted:
            WhatsappChoice.objects.create(campaign=obj, template=extracted, chosen_by=obj.creator)
