"""What officers do on the pages, for `product.py`: the same calls, beneath the same rules.

Every one is repeated until the database has taken it, and looks first whether an earlier try was.
"""

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import django

django.setup()

from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: E402
from django.db import InterfaceError, OperationalError, connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from campaigns.creation import create_campaign, create_email_campaign  # noqa: E402
from campaigns.email import drafts  # noqa: E402
from campaigns.integrations import allow_address, create_key  # noqa: E402
from campaigns.models import (  # noqa: E402
    Campaign,
    CampaignDraft,
    Channel,
    EmailDraft,
    RecipientType,
)
from campaigns.programmatic import campaign_of  # noqa: E402
from messaging import sending, webhooks  # noqa: E402
from messaging.models import Batch, BatchStatus  # noqa: E402
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


def new_campaign(agency: str, body: str) -> tuple[uuid.UUID, str]:
    """Its id, and the secret of a key that may call as often as it likes."""
    return persist(lambda: _new_campaign(agency, body))


def _officer(agency: str) -> User:
    owner, _ = Agency.objects.get_or_create(name=agency)
    domain = f"{agency.lower()}.gov.sg"
    EmailDomain.objects.get_or_create(domain=domain, defaults={"agency": owner})
    officer, _ = User.objects.get_or_create(
        email=f"officer@{domain}",
        defaults={"agency": owner, "can_create_campaigns": True, "calls_per_second": None},
    )
    return officer


def new_email_campaign(agency: str, body: str) -> tuple[uuid.UUID, uuid.UUID, str]:
    """Its id, that of the place of the account's calls, and a key of the account.

    Its message is as good as tested: nobody's mailbox is to be in the account of a benchmark.
    """
    return persist(lambda: _new_email_campaign(agency, body))


@transaction.atomic
def _new_email_campaign(agency: str, body: str) -> tuple[uuid.UUID, uuid.UUID, str]:
    officer = _officer(agency)
    campaign = create_email_campaign(
        id=new_id(), name="Appointments", is_protected=False, by=officer
    )
    typed = {"subject": "For {{name}}", "html": f"<p>{body}</p>"}
    saved = drafts.save(campaign, typed, version=1, by=officer)
    EmailDraft.objects.filter(campaign=campaign).update(tested_version=saved.draft.version)
    calls = campaign_of(officer, Channel.EMAIL)
    _, secret = keys.create(officer, label="chaos", contacts=[officer.email])
    return campaign.id, calls.id, secret


@transaction.atomic
def _new_campaign(agency: str, body: str) -> tuple[uuid.UUID, str]:
    officer = _officer(agency)
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
    return campaign.id, secret


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
        return Batch.objects.filter(original_file_name=name).first() or sending.accept_upload(
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
            sending.schedule_batch(batch, at=at, by=batch.creator)
        else:
            sending.send_batch(batch, by=batch.creator)

    persist(act)


def stop(batch_id: uuid.UUID) -> None:
    batch = Batch.objects.get(id=batch_id)
    sending.stop_batch(batch, by=batch.creator)


def resume(batch_id: uuid.UUID) -> None:
    batch = Batch.objects.get(id=batch_id)
    sending.resume_batch(batch, by=batch.creator)
