"""To the owners of a campaign: what they would otherwise find out too late."""

import logging
from uuid import UUID

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from campaigns.models import Role
from messaging.models import Webhook
from postman.accounts.models import User

logger = logging.getLogger(__name__)


def mail_pause(webhook_id: UUID) -> None:
    """Tell the owners that their webhook was paused, and why. Best effort: the page says it too.

    Of its address only the host is told, as the rest may be a secret and mailboxes are shared.
    """
    paused = Webhook.objects.filter(paused_at__isnull=False).select_related("campaign")
    webhook = paused.filter(id=webhook_id).first()
    if webhook is None:
        return
    owners = User.objects.filter(
        memberships__campaign=webhook.campaign_id, memberships__role=Role.OWNER, is_active=True
    )
    page = settings.PUBLIC_URL + reverse("campaign-webhooks", args=[webhook.campaign_id])
    context = {"webhook": webhook, "campaign": webhook.campaign, "page": page}
    for email in owners.order_by("email").values_list("email", flat=True):
        _mail(email, f"Webhook paused: {webhook.campaign.name}", context)


def _mail(email: str, subject: str, context: dict[str, object]) -> None:
    text = render_to_string("messaging/mails/webhook_paused.txt", context)
    html = render_to_string("messaging/mails/webhook_paused.html", context)
    mail = EmailMultiAlternatives(subject, text, to=[email])
    mail.attach_alternative(html, "text/html")
    try:
        mail.send()
    except (AnymailError, OSError) as error:
        # Its text would name the recipient.
        logger.error("a mail of a paused webhook was not sent: %s", type(error).__name__)
