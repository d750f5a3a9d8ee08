"""Take files of recipients, to be checked."""

import hashlib
from uuid import UUID

from django.conf import settings
from django.core.files import File
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from campaigns.models import Campaign
from messaging import ingest, tasks
from messaging.models import Batch, BatchStatus
from postman.accounts import audit
from postman.accounts.models import User
from postman.celery import ring
from postman.errors import Refused

from .deciding import send_batch
from .whatsapp import template_of


def accept_upload(*, campaign: Campaign, creator: User, upload: UploadedFile) -> Batch:
    """Keep the file and have it checked in the background; raises Refused."""
    if campaign.is_whatsapp:
        template_of(campaign, by=creator)
    batch = _kept(campaign, creator, upload)
    with transaction.atomic():
        batch.save(force_insert=True)
        audit.record("batch.uploaded", by=creator, on=batch, bytes=batch.file_bytes)
        ring(tasks.check_upload, str(batch.id))
    return batch


def accept_stored(
    *,
    campaign: Campaign,
    creator: User,
    id: UUID,  # noqa: A002
    stored: str,
    name: str,
) -> Batch:
    """As `accept_upload`, of a file that was put into the storage of batches as `stored`."""
    batch = Batch(id=id, campaign=campaign, creator=creator, original_file_name=name[-255:])
    batch.file.name = stored
    _check_file(campaign, name, batch.file.size)
    batch.file_bytes = batch.file.size
    with batch.file.open("rb") as file:
        batch.file_sha256 = _sha256(file)
    with transaction.atomic():
        batch.save(force_insert=True)
        audit.record("batch.uploaded", by=creator, on=batch, bytes=batch.file_bytes)
        ring(tasks.check_upload, str(batch.id))
    return batch


def send_file(*, campaign: Campaign, creator: User, upload: UploadedFile) -> Batch:
    """Check a file of the API's here and now, and send it where every row is right (v2-sms §4.5).

    The batch is `invalid` where one is not, and nothing of it is sent. Raises Refused for a file
    that cannot be read as recipients at all.
    """
    batch = _kept(campaign, creator, upload)
    batch.via_api = True
    # All or nothing: no worker may take it for a file that waits to be checked, and a call that is
    # cut off leaves none that somebody might send beside the client's second try.
    with transaction.atomic():
        batch.save(force_insert=True)
        audit.record("batch.uploaded", by=creator, on=batch, bytes=batch.file_bytes)
        ingest.check(batch.id)
        batch.refresh_from_db()
        if batch.status == BatchStatus.READY:
            send_batch(batch, by=creator)
    if batch.file_fault:
        raise Refused(batch.file_fault["message"], "parameter_invalid")
    return batch


def _kept(campaign: Campaign, creator: User, upload: UploadedFile) -> Batch:
    """The file where it is kept, and its batch, which is not stored yet; raises Refused."""
    name = upload.name or "recipients.csv"
    size = upload.size or 0
    _check_file(campaign, name, size)
    batch = Batch(
        campaign=campaign,
        creator=creator,
        original_file_name=name[-255:],
        file_bytes=size,
        file_sha256=_sha256(upload),
    )
    batch.file.save(f"{batch.public_id}.csv", upload, save=False)
    return batch


def _check_file(campaign: Campaign, name: str, size: int) -> None:
    if campaign.is_protected:
        raise Refused(
            "The recipients of a password-protected email are uploaded on its own page, where "
            "your browser encrypts them.",
            "campaign_is_protected",
        )
    if not name.lower().endswith(".csv"):
        raise Refused("Choose a file whose name ends in .csv.", "parameter_invalid")
    if size > settings.BATCH_BYTES_LIMIT:
        raise Refused(
            "The file is larger than 40 MB. Split it into smaller ones.", "parameter_invalid"
        )
    if not size:
        raise Refused("The file is empty.", "parameter_invalid")


def _sha256(upload: File) -> str:
    digest = hashlib.sha256()
    for part in upload.chunks():
        digest.update(part)
    upload.seek(0)
    return digest.hexdigest()
