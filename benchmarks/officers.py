"""What officers do on the pages, for `product.py`: the same calls, beneath the same rules.

Every one is repeated until the database has taken it, and looks first whether an earlier try was.
"""

import secrets
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple, TypeVar

import django

django.setup()

from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: E402
from django.db import InterfaceError, OperationalError, connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from campaigns import templating, whatsapp  # noqa: E402
from campaigns.creation import (  # noqa: E402
    create_campaign,
    create_email_campaign,
    create_whatsapp_campaign,
)
from campaigns.email import drafts  # noqa: E402
from campaigns.integrations import allow_address, create_key  # noqa: E402
from campaigns.models import (  # noqa: E402
    BotSubscription,
    Campaign,
    CampaignDraft,
    Channel,
    EmailDraft,
    RecipientType,
    TelegramBot,
    TelegramSubscriber,
    WhatsappGrant,
    WhatsappTemplate,
)
from campaigns.programmatic import campaign_of  # noqa: E402
from campaigns.telegram import creating  # noqa: E402
from campaigns.telegram import drafts as telegram_drafts  # noqa: E402
from messaging import webhooks  # noqa: E402
from messaging.models import Batch, BatchStatus  # noqa: E402
from messaging.sending import deciding, uploading  # noqa: E402
from postman.accounts import keys  # noqa: E402
from postman.accounts.models import Agency, EmailDomain, User  # noqa: E402
from postman.errors import Refused  # noqa: E402
from postman.ids import new_id  # noqa: E402

PATIENCE = 300.0

T = TypeVar("T")


def persist(act: Callable[[], T]) -> T:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except (OperationalError, InterfaceError):
            connection.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


class Made(NamedTuple):
    """What `product.Client` is made of."""

    id: uuid.UUID
    key: str
    calls_id: uuid.UUID | None = None
    whatsapp_template: int = 0


def new_campaign(channel: str, agency: str, body: str) -> Made:
    """A campaign ready to send this text, and a key that may call as often as it likes."""

    @transaction.atomic
    def act() -> Made:
        return _CAMPAIGNS[channel](_officer(agency), body)

    return persist(act)


def _officer(agency: str) -> User:
    owner, _ = Agency.objects.get_or_create(
        name=agency, defaults={"may_use_telegram": True, "may_use_whatsapp": True}
    )
    domain = f"{agency.lower()}.gov.sg"
    EmailDomain.objects.get_or_create(domain=domain, defaults={"agency": owner})
    officer, _ = User.objects.get_or_create(
        email=f"officer@{domain}",
        defaults={"agency": owner, "can_create_campaigns": True, "calls_per_second": None},
    )
    return officer


def _sms(officer: User, body: str) -> Made:
    draft = CampaignDraft.objects.create(
        creator=officer,
        name="Appointments",
        recipient_type=RecipientType.PUBLIC,
        bodies={"english": body},
    )
    campaign = create_campaign(draft.id, by=officer)
    allow_address(campaign=campaign, text="127.0.0.1", by=officer, seen_from="127.0.0.1")
    _, secret = create_key(campaign=campaign, label="chaos", by=officer)
    Campaign.objects.filter(id=campaign.id).update(calls_per_second=1000)
    return Made(campaign.id, secret)


def _email(officer: User, body: str) -> Made:
    """Its message is as good as tested: nobody's mailbox is to be in the account of a benchmark."""
    campaign = create_email_campaign(
        id=new_id(), name="Appointments", is_protected=False, by=officer
    )
    typed = {"subject": "For {{name}}", "html": f"<p>{body}</p>"}
    saved = drafts.save(campaign, typed, version=1, by=officer)
    EmailDraft.objects.filter(campaign=campaign).update(tested_version=saved.draft.version)
    return Made(campaign.id, _account_key(officer), campaign_of(officer, Channel.EMAIL).id)


def _telegram(officer: User, body: str) -> Made:
    """With a bot of its own, as good as added: Telegram would have to be asked for its name."""
    number = 10**10 + secrets.randbelow(10**10)
    bot = TelegramBot.objects.create(
        owner=officer,
        label=f"Bot {number}",
        bot_id=number,
        username=f"sandbox_{number}_bot",
        token=f"{number}:{'a' * 35}",
        webhook_secret=secrets.token_urlsafe(32),
        verified_at=timezone.now(),
    )
    campaign = creating.create_campaign(id=new_id(), name="Appointments", bot=bot, by=officer)
    telegram_drafts.save(campaign, body, version=1, by=officer)
    return Made(campaign.id, _account_key(officer))


def _whatsapp(officer: User, body: str) -> Made:
    template = WhatsappTemplate.objects.create(
        name="Appointment", label="appointment", body=body, params=templating.variables(body)
    )
    WhatsappGrant.objects.create(template=template, user=officer)
    campaign = create_whatsapp_campaign(id=new_id(), name="Appointments", by=officer)
    whatsapp.choose(campaign, template, by=officer)
    calls = campaign_of(officer, Channel.WHATSAPP)
    return Made(campaign.id, _account_key(officer), calls.id, template.pk)


def _account_key(officer: User) -> str:
    _, secret = keys.create(officer, label="chaos", contacts=[officer.email])
    return secret


_CAMPAIGNS = {"sms": _sms, "email": _email, "telegram": _telegram, "whatsapp": _whatsapp}


def subscribe(campaign_id: uuid.UUID, phones: list[str]) -> None:
    """Their holders let the campaign's bot write to them, in chats that the sandbox knows."""

    @transaction.atomic
    def act() -> None:
        bot = TelegramBot.objects.get(drafts__campaign=campaign_id)
        people = [TelegramSubscriber(phone=phone, telegram_id=int(phone)) for phone in phones]
        TelegramSubscriber.objects.bulk_create(people, ignore_conflicts=True)
        BotSubscription.objects.bulk_create(
            (
                BotSubscription(bot=bot, subscriber=subscriber)
                for subscriber in TelegramSubscriber.objects.filter(phone__in=phones)
            ),
            ignore_conflicts=True,
        )

    persist(act)


def add_webhook(campaign_id: uuid.UUID, url: str) -> None:
    campaign = persist(lambda: Campaign.objects.get(id=campaign_id))

    def act() -> None:
        try:
            webhooks.add_webhook(campaign=campaign, url=url, by=campaign.creator)
        except Refused as refused:
            if refused.code != "webhook_exists":
                raise

    persist(act)


def upload(campaign_id: uuid.UUID, name: str, content: bytes) -> uuid.UUID:
    """`name` must be new: it says whether an earlier try was taken."""

    def act() -> Batch:
        campaign = Campaign.objects.select_related("creator").get(id=campaign_id)
        return Batch.objects.filter(original_file_name=name).first() or uploading.accept_upload(
            campaign=campaign,
            creator=campaign.creator,
            upload=SimpleUploadedFile(name, content),
        )

    return persist(act).id


def send(batch_id: uuid.UUID, *, in_seconds: float = 0) -> None:
    def act() -> None:
        batch = Batch.objects.get(id=batch_id)
        if batch.status != BatchStatus.READY:
            return
        if in_seconds:
            at = timezone.now() + timedelta(seconds=in_seconds)
            deciding.schedule_batch(batch, at=at, by=batch.creator)
        else:
            deciding.send_batch(batch, by=batch.creator)

    persist(act)


def stop(batch_id: uuid.UUID) -> None:
    batch = Batch.objects.get(id=batch_id)
    deciding.stop_batch(batch, by=batch.creator)


def resume(batch_id: uuid.UUID) -> None:
    batch = Batch.objects.get(id=batch_id)
    deciding.resume_batch(batch, by=batch.creator)
