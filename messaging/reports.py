"""The report of an email, Telegram or WhatsApp campaign: who was written to, and what became of it.

It is written while it is downloaded. Large ones of emails are made in the background, and the
officer who ordered one is mailed a link to it.
"""

import logging
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.files import File
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models import Max
from django.urls import reverse
from django.utils import timezone

from campaigns import whatsapp
from campaigns.models import Campaign, Membership, TemplateBody
from campaigns.telegram import texts
from messaging import exports, mails, retention
from messaging.models import SENT_STATUSES, Batch, EmailReport, Message
from postman.errors import Refused

logger = logging.getLogger(__name__)

# From so many recipients on, it is offered by mail.
LARGE = 50_000
# Longer than a million rows take.
LEASE = timedelta(minutes=15)
_SALT = "messaging.reports"


def kept_until(campaign: Campaign, batch: Batch | None) -> datetime | None:
    """When the recipients of this file (without one, the last of all) are erased."""
    sent = Batch.objects.filter(campaign=campaign, status__in=SENT_STATUSES)
    last = batch.accepted_at if batch else sent.aggregate(at=Max("accepted_at"))["at"]
    return retention.kept_until(campaign, last) if last else None


def check_kept(campaign: Campaign, batch: Batch | None) -> None:
    """Raise Refused where they are."""
    until = kept_until(campaign, batch)
    if until and until <= timezone.now():
        local = timezone.localtime(until)
        raise Refused(
            f"This report was kept until {local.day} {local:%b %Y}. Its numbers are still here.",
            "report_expired",
        )


def rows_of(
    membership: Membership, batch: Batch | None, *, with_values: bool
) -> Iterator[list[Any]]:
    """The rows that this person may see, with the columns of the file if they are asked for."""
    campaign = membership.campaign
    report = exports.email_report if campaign.is_email else exports.chat_report
    names = _columns_of(membership, batch) if with_values else []
    if batch:
        return report(campaign, Message.objects.filter(batch=batch), "row", values=names)
    messages = Message.objects.visible_to(membership).filter(created_at__lte=timezone.now())
    return report(campaign, messages, "created_at", "id", values=names)


def _columns_of(membership: Membership, batch: Batch | None) -> list[str]:
    """The columns beside the recipient. Links to secure pages are nobody's but their recipients'."""
    campaign = membership.campaign
    if campaign.is_protected:
        return []
    if campaign.is_whatsapp:
        template = whatsapp.chosen_in(campaign)
        # Without the passcodes, which stand in no file.
        return whatsapp.typed_params(template) if template else []
    if campaign.is_telegram:
        bodies = TemplateBody.objects.filter(template__campaign=campaign).order_by("version")
        if batch:
            bodies = bodies.filter(pk=batch.summary.get("text"))
        return list(dict.fromkeys(name for each in bodies for name in texts.variables(each.body)))
    sent = Batch.objects.visible_to(membership).filter(status__in=SENT_STATUSES)
    batches = [batch] if batch else sent.order_by("accepted_at", "id").only("summary")
    names = [name for each in batches for name in each.summary.get("columns", ())]
    return [name for name in dict.fromkeys(names) if name != "recipient"]


# In the background -------------------------------------------------------------------------


def make_next() -> bool:
    """Make a report that waits, and tell its officer; False where none does."""
    report = _claim()
    if report is None:
        return False
    membership = (
        Membership.objects.select_related("campaign__agency", "user")
        .filter(campaign=report.campaign_id, user=report.creator_id)
        .first()
    )
    if membership is None:
        report.delete()  # whoever left the campaign meanwhile may see nothing of it
        return True
    with tempfile.TemporaryFile() as file:
        rows = rows_of(membership, report.batch, with_values=report.with_values)
        for part in exports.write(rows):
            file.write(part)
        file.seek(0)
        report.file.save(f"{report.id}.csv", File(file), save=False)
    now = timezone.now()
    mine = EmailReport.objects.filter(id=report.id, lease_until=report.lease_until)
    if mine.update(file=report.file.name, made_at=now, expires_at=_expiry_of(report, now)):
        mails.mail_report(report.id, path_of(report))
    return True


@transaction.atomic
def _claim() -> EmailReport | None:
    now = timezone.now()
    waiting = EmailReport.objects.to_be_made(now).select_for_update(of=("self",), skip_locked=True)
    report = waiting.select_related("campaign__agency", "batch").order_by("id").first()
    if report:
        report.lease_until = now + LEASE
        report.save(update_fields=["lease_until"])
    return report


def _expiry_of(report: EmailReport, now: datetime) -> datetime:
    """It outlives nothing of what it holds, the oldest of which is erased first."""
    days = retention.days_of(report.campaign)
    if days is None:
        return now + EmailReport.KEPT_FOR
    kept_from = now - timedelta(days=days)
    sent = Batch.objects.filter(campaign=report.campaign_id, accepted_at__gt=kept_from)
    if report.batch_id:
        sent = sent.filter(id=report.batch_id)
    oldest = sent.order_by("accepted_at").values_list("accepted_at", flat=True).first()
    return min(now + EmailReport.KEPT_FOR, (oldest or now) + timedelta(days=days))


def path_of(report: EmailReport) -> str:
    return reverse("made-report", args=[report.campaign_id, report.id, token_of(report.id)])


def token_of(report_id: UUID) -> str:
    return Signer(salt=_SALT).sign(report_id.hex)


def read_token(token: str) -> UUID:
    """Whose token it is; raises BadSignature."""
    try:
        return UUID(Signer(salt=_SALT).unsign(token))
    except ValueError as error:
        raise BadSignature from error


def forget(now: datetime) -> int:
    """Reports whose time is over; returns how many."""
    over = list(EmailReport.objects.filter(expires_at__lte=now).order_by("id")[:100])
    for report in over:
        report.file.delete(save=False)
        report.delete()
    return len(over)
