"""Erase personal data whose time is over; what happened, and how often, stays on record (Q14).

Each agency says how many days it keeps recipients and values after a message was accepted; emails
of the others are kept for thirty. A message without them can still be counted, billed and traced, and never sent.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from campaigns.models import Campaign, Channel
from messaging import billing
from messaging.models import (
    SENT_STATUSES,
    Batch,
    BatchStatus,
    ProtectedMessage,
    RetentionMark,
    StagedRow,
    TransactionalFile,
)
from messaging.states import TERMINAL, Status
from postman.ids import now_ms, parse_public_id

CHUNK = 5_000
# Of email campaigns, where the agency has not said how long.
EMAIL_DAYS = 30
# Longer than any call takes between keeping its file and storing its batch.
ORPHANED_AFTER = timedelta(days=1)
# Secure pages that expired can be renewed for so long; then nothing of them is left.
PAGE_GRACE = timedelta(days=7)
# An upload of secure pages of which nothing was heard for so long was left.
LEFT_AFTER = timedelta(hours=24)
# What moved this lately may still be reported on, billed or disputed.
REST = timedelta(days=4)
BILLING_SECONDS = 10


def erase(chunks: int, size: int = CHUNK) -> bool:
    """Erase what is due, at most so many chunks of `size`; says whether there is more.

    A number that is erased no longer tells its country, and so its price: what no final figures of
    `billing` hold yet has to wait.
    """
    billing.charge_days(seconds=BILLING_SECONDS)
    rested = min(timezone.now() - REST, billing.open_since() or timezone.now())
    for campaign, before in _limits(timezone.now()):
        _erase_files(campaign, before)
        while erased := _erase_chunk(campaign.id, before, rested, size):
            chunks -= erased
            if not chunks:
                return True
    return False


def erase_orphans(now: datetime) -> int:
    """Uploads whose batch was never stored, as the call was cut off; returns how many."""
    storage = default_storage
    erased = 0
    today = timezone.localtime(now)
    for month in {f"{day:%Y/%m}" for day in (today, today - timedelta(days=28))}:
        folder = f"uploads/{month}"
        if not storage.exists(folder):
            continue
        batches = {parse_public_id(name.split(".")[0], "batch"): name
                   for name in storage.listdir(folder)[1]}  # fmt: skip
        known = set(Batch.objects.filter(id__in=filter(None, batches)).values_list("id", flat=True))
        for batch_id, name in batches.items():
            path = f"{folder}/{name}"
            if batch_id not in known and storage.get_modified_time(path) < now - ORPHANED_AFTER:
                storage.delete(path)
                erased += 1
    return erased


@transaction.atomic
def erase_pages(now: datetime) -> int:
    """What is encrypted of secure pages that nobody can open any more; returns how many pages.

    When they were opened, and how often, stays on record.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE messaging_protectedmessage page
            SET sealed = NULL
            FROM messaging_protectedupload upload
            JOIN messaging_batch batch ON batch.id = upload.batch_id
            JOIN campaigns_campaign campaign ON campaign.id = batch.campaign_id
            JOIN accounts_agency agency ON agency.id = campaign.agency_id
            WHERE page.upload_id = upload.batch_id AND upload.erased_at IS NULL
                AND page.sealed IS NOT NULL
                AND (
                    batch.status = 'discarded'
                    OR COALESCE(page.expires_at, batch.accepted_at + upload.lifetime) < %(ended)s
                    OR batch.accepted_at < %(now)s - make_interval(days => agency.retention_days)
                )
            """,
            {"now": now, "ended": now - PAGE_GRACE},
        )
        erased = cursor.rowcount
        # Looked at no more: of thousands of old uploads there is nothing left to erase.
        cursor.execute(
            """
            UPDATE messaging_protectedupload upload SET erased_at = %s
            FROM messaging_batch batch
            WHERE batch.id = upload.batch_id AND upload.erased_at IS NULL
                AND batch.status <> 'checking'
                AND NOT EXISTS (
                    SELECT FROM messaging_protectedmessage page
                    WHERE page.upload_id = upload.batch_id AND page.sealed IS NOT NULL
                )
            """,
            [now],
        )
    return erased


@transaction.atomic
def discard_left_uploads(now: datetime) -> int:
    """Uploads of secure pages that were begun and left; returns how many."""
    left = Batch.objects.select_for_update().filter(
        status=BatchStatus.CHECKING,
        protected_upload__isnull=False,
        updated_at__lt=now - LEFT_AFTER,
    )
    ids = list(left.order_by("id").values_list("id", flat=True))
    Batch.objects.filter(id__in=ids).update(status=BatchStatus.DISCARDED, updated_at=now_ms())
    StagedRow.objects.filter(batch_id__in=ids)._raw_delete("default")
    ProtectedMessage.objects.filter(upload_id__in=ids)._raw_delete("default")
    return len(ids)


def days_of(campaign: Campaign) -> int | None:
    """How long its personal data is kept; None: for good.

    The agency's word counts, whether shorter or longer; without one, the recipients of an email
    campaign are kept as long as v1 gave out their report.
    """
    if campaign.agency.retention_days is not None:
        return campaign.agency.retention_days
    return EMAIL_DAYS if campaign.is_email and not campaign.is_programmatic else None


def kept_until(campaign: Campaign, accepted_at: datetime) -> datetime | None:
    """When what was accepted then is erased."""
    days = days_of(campaign)
    return accepted_at + timedelta(days=days) if days is not None else None


def _limits(now: datetime) -> Iterator[tuple[Campaign, datetime]]:
    campaigns = Campaign.objects.filter(
        Q(agency__retention_days__isnull=False) | Q(channel=Channel.EMAIL, is_programmatic=False)
    )
    for campaign in campaigns.select_related("agency").order_by("id").iterator():
        days = days_of(campaign)
        assert days is not None
        yield campaign, now - timedelta(days=days)


@transaction.atomic
def _erase_chunk(campaign_id: UUID, before: datetime, rested: datetime, size: int) -> bool:
    """Go on from the campaign's mark, in the order of acceptance; False where nothing is due.

    Stops before a message that moved lately and comes back for it. One that still waits to be
    sent ends as cancelled, as nobody could send it any more.
    """
    mark, _ = RetentionMark.objects.select_for_update().get_or_create(campaign_id=campaign_id)
    now = now_ms()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH next AS (
                SELECT id, batch_id, status, created_at, row_number() OVER w AS place,
                    bool_or(updated_at >= %(rested)s) OVER w AS is_stopped
                FROM (
                    SELECT * FROM messaging_message
                    WHERE campaign_id = %(campaign)s AND created_at < %(before)s
                        AND (created_at, id) > (%(at)s, %(id)s)
                    ORDER BY created_at, id LIMIT %(limit)s FOR UPDATE
                ) message
                WINDOW w AS (ORDER BY created_at, id)
            ), erased AS (
                UPDATE messaging_message m
                SET recipient = '', values = '{}', due_at = NULL,
                    status = CASE
                        WHEN m.status IN ('created', 'enqueued') THEN 'cancelled' ELSE m.status
                    END
                FROM next WHERE m.id = next.id AND NOT next.is_stopped
                RETURNING m.id, m.batch_id, next.status AS was, m.status AS becomes,
                    next.created_at, next.place
            ), moved AS (
                SELECT batch_id, was AS status, -1 AS n FROM erased WHERE was <> becomes
                UNION ALL SELECT batch_id, becomes, 1 FROM erased WHERE was <> becomes
            ), counted AS (
                INSERT INTO messaging_counter (campaign_id, batch_id, hour, status, n)
                SELECT %(campaign)s, batch_id, date_trunc('hour', %(now)s), status, sum(n)
                FROM moved GROUP BY batch_id, status
            ), telling_ids AS (
                -- WhatsApp's ids of messages hold the number.
                UPDATE messaging_attempt a SET reference = ''
                FROM erased
                JOIN campaigns_campaign campaign ON campaign.id = %(campaign)s
                WHERE a.message_id = erased.id AND campaign.channel = 'whatsapp'
            ), own_texts AS (
                UPDATE messaging_transactional t SET content = '{}', attachments = NULL
                FROM erased WHERE t.message_id = erased.id
            )
            SELECT created_at, id FROM erased ORDER BY place DESC LIMIT 1
            """,
            {
                "campaign": campaign_id,
                "before": before,
                "rested": rested,
                "at": mark.created_at,
                "id": mark.message_id,
                "limit": size,
                "now": now,
            },
        )
        last = cursor.fetchone()
    if last is None:
        return False
    mark.created_at, mark.message_id = last
    mark.save(update_fields=["created_at", "message_id"])
    return True


def erase_attached() -> int:
    """Files of emails that have left or never will: nobody sends them again; returns how many.

    Of an email with an unheard outcome they stay, as an officer may have it sent once more.
    """
    over = (*TERMINAL, Status.SENT, Status.SENT_TO_TELCO)
    files = TransactionalFile.objects.filter(transactional__message__status__in=over)
    erased, _ = files.delete()
    return erased


def _erase_files(campaign: Campaign, before: datetime) -> None:
    """Uploaded files and reports on them; of a file that nobody sent, its rows as well."""
    ended = (*SENT_STATUSES, BatchStatus.READY, BatchStatus.INVALID, BatchStatus.DISCARDED)
    batches = Batch.objects.filter(campaign=campaign, created_at__lt=before, status__in=ended)
    for batch in batches.exclude(file="", report="").order_by("id").iterator():
        with transaction.atomic():
            if batch.status == BatchStatus.READY:
                StagedRow.objects.filter(batch=batch)._raw_delete("default")
            Batch.objects.filter(id=batch.id, status=batch.status).update(
                file="",
                report="",
                first_faults=[],
                status=(
                    BatchStatus.DISCARDED if batch.status == BatchStatus.READY else batch.status
                ),
            )
            for stored in (batch.file, batch.report):
                if stored.name:
                    stored.storage.delete(stored.name)
