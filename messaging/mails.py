"""To the owners of a campaign: what they would otherwise find out too late."""

import logging
from datetime import timedelta
from uuid import UUID

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Q
from django.template.defaultfilters import pluralize
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Role
from messaging.models import Batch, EmailReport, ProtectedMessage, ProtectedUpload, Webhook
from postman.accounts.models import User

logger = logging.getLogger(__name__)

# Whoever guesses at many pages of one batch fills nobody's mailbox.
TOLD_EVERY = timedelta(hours=1)


def mail_pause(webhook_id: UUID) -> None:
    """Tell its owners, or its account, that a webhook was paused, and why. Best effort: the page
    says it too.

    Of its address only the host is told, as the rest may be a secret and mailboxes are shared.
    """
    paused = Webhook.objects.filter(paused_at__isnull=False).select_related("campaign")
    webhook = paused.filter(id=webhook_id).first()
    if webhook is None:
        return
    campaign = webhook.campaign
    owners = User.objects.filter(
        Q(memberships__campaign=campaign, memberships__role=Role.OWNER)
        if campaign
        else Q(pk=webhook.account_id),
        is_active=True,
    )
    page = settings.PUBLIC_URL + webhook.list_url
    context = {"webhook": webhook, "campaign": campaign, "page": page}
    subject = f"Webhook paused: {campaign.name if campaign else webhook.host}"
    for email in owners.order_by("email").values_list("email", flat=True):
        _mail(email, subject, context)


def mail_locked_pages(batch_id: UUID) -> None:
    """Tell the sender that secure pages are locked, each once, at most one mail an hour.

    Names nobody, as mailboxes are shared: the page that it leads to does. Best effort, as above.
    """
    now = timezone.now()
    is_due = Q(told_at=None) | Q(told_at__lte=now - TOLD_EVERY)
    with transaction.atomic():
        if not ProtectedUpload.objects.filter(is_due, batch=batch_id).update(told_at=now):
            return
        locked = ProtectedMessage.objects.locked_untold().filter(upload_id=batch_id)
        number = locked.update(told_at=now)
    batch = Batch.objects.select_related("campaign", "creator").get(id=batch_id)
    if not number or not batch.creator.is_active:
        return
    page = settings.PUBLIC_URL + reverse("secure-pages", args=[batch.campaign_id, batch.id])
    context = {
        "campaign": batch.campaign,
        "batch": batch,
        "number": number,
        "tries": ProtectedMessage.MAX_GUESSES,
        "page": f"{page}?state=locked",
    }
    subject = f"Secure page{pluralize(number)} locked: {batch.campaign.name}"
    _mail(batch.creator.email, subject, context, "pages_locked")


def mail_held(batch: Batch, reason: str) -> None:
    """Tell the owners that a batch did not start at its time, and why. Best effort, as above: it
    waits on its page, and on the record."""
    page = settings.PUBLIC_URL + reverse("batch", args=[batch.campaign_id, batch.id])
    context = {"campaign": batch.campaign, "batch": batch, "reason": reason, "page": page}
    owners = User.objects.filter(
        memberships__campaign=batch.campaign_id, memberships__role=Role.OWNER, is_active=True
    )
    for email in owners.order_by("email").values_list("email", flat=True):
        _mail(email, f"Not sent as scheduled: {batch.campaign.name}", context, "batch_held")


def mail_report(report_id: UUID, path: str) -> None:
    """Tell the officer who ordered a report where it is. Best effort, as above."""
    found = EmailReport.objects.select_related("campaign", "batch", "creator")
    report = found.filter(id=report_id).first()
    if report is None or not report.creator.is_active:
        return
    context = {
        "campaign": report.campaign,
        "batch": report.batch,
        "report": report,
        "page": settings.PUBLIC_URL + path,
    }
    _mail(report.creator.email, f"Report of {report.campaign.name}", context, "report_ready")


def _mail(
    email: str, subject: str, context: dict[str, object], template: str = "webhook_paused"
) -> None:
    text = render_to_string(f"messaging/mails/{template}.txt", context)
    html = render_to_string(f"messaging/mails/{template}.html", context)
    mail = EmailMultiAlternatives(subject, text, to=[email])
    mail.attach_alternative(html, "text/html")
    try:
        mail.send()
    except (AnymailError, OSError) as error:
        # Its text would name the recipient.
        logger.error("a mail (%s) was not sent: %s", template, type(error).__name__)
