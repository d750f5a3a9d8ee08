"""To those who rely on a sender: that it works, and that it no longer does. Each is mailed once."""

import logging
from datetime import timedelta

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from campaigns.email import senders
from campaigns.models import DomainState, Sender, SenderDomain
from postman.accounts.models import User

logger = logging.getLogger(__name__)

# A mail that the provider refuses is tried again for so long.
TRIED_FOR = timedelta(days=1)


def mail_what_waits() -> None:
    since = timezone.now() - TRIED_FOR
    is_new = Q(created_at__gt=since) | Q(domain__verified_at__gt=since)
    for sender in (
        Sender.objects.usable().filter(is_new, mailed_at=None).order_by("created_at", "id")
    ):
        mail_from(sender)
    waiting = SenderDomain.objects.filter(
        state__in=[DomainState.LOST, DomainState.FAILED], told_at=None, settled_at__gt=since
    )
    for domain in waiting.order_by("settled_at", "id"):
        tell(domain)


def mail_from(sender: Sender) -> None:
    """A mail from the address to whom it belongs, which shows that it works (v1-backend §2.6)."""
    claimed = Sender.objects.filter(pk=sender.pk, mailed_at=None)
    if not claimed.update(mailed_at=timezone.now()):
        return
    sent = _mail(
        "sender_works",
        f"Emails can be sent from {sender.address}",
        [(sender.owner or sender.creator).email],
        sender.domain,
        from_email=senders.header(sender.name, sender.address),
        sender=sender,
    )
    if not sent:
        Sender.objects.filter(pk=sender.pk).update(mailed_at=None)


def tell(domain: SenderDomain) -> None:
    """That a domain is lost, or was not set up in time."""
    claimed = SenderDomain.objects.filter(pk=domain.pk, state=domain.state, told_at=None)
    if not claimed.update(told_at=timezone.now()):
        return
    lost = domain.state == DomainState.LOST
    subject = (
        f"Emails can no longer be sent from addresses of {domain.domain}"
        if lost
        else f"{domain.domain} was not set up in time"
    )
    sent = _mail("sender_lost", subject, _concerned(domain), domain, lost=lost)
    if not sent:
        SenderDomain.objects.filter(pk=domain.pk).update(told_at=None)


def _concerned(domain: SenderDomain) -> list[str]:
    """Who asked for it, whose own addresses are there, and the agency's administrators."""
    people = User.objects.filter(
        Q(pk=domain.asked_by_id)
        | Q(sender__domain=domain)
        | Q(agency=domain.agency_id, is_agency_administrator=True),
        is_active=True,
    )
    return list(people.distinct().order_by("email").values_list("email", flat=True))


def _mail(
    template: str,
    subject: str,
    recipients: list[str],
    domain: SenderDomain,
    *,
    from_email: str | None = None,
    **context: object,
) -> bool:
    """One mail to each. False if none of them left."""
    context |= {
        "domain": domain,
        "page": settings.PUBLIC_URL + reverse("sender-domain", args=[domain.pk]),
    }
    text = render_to_string(f"campaigns/mails/{template}.txt", context)
    html = render_to_string(f"campaigns/mails/{template}.html", context)
    left = 0
    for recipient in recipients:
        mail = EmailMultiAlternatives(subject, text, from_email, to=[recipient])
        mail.attach_alternative(html, "text/html")
        try:
            left += mail.send()
        except (AnymailError, OSError) as error:
            # Its text would name the recipient.
            logger.error("a mail about a sender was not sent: %s", type(error).__name__)
    return left > 0 or not recipients
