"""What the owners of email campaigns are mailed: that a batch was halted, and weekly who left.

Mailboxes are shared and forwarded, so no address of a recipient stands in any of them.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Campaign, Membership, Role
from messaging import halting, suppression
from messaging.models import Batch, Suppression
from postman.accounts.models import User

logger = logging.getLogger(__name__)

OWN_WORDS, NO_REASON = "Another reason, in their own words", "No reason given"


# --- At once ----------------------------------------------------------------------------------------


def tell_of_halts() -> None:
    """Tell the owners of each batch that was halted; of two at once, one does.

    Best effort: the batch's page says the same.
    """
    for batch in halting.untold().select_related("campaign").order_by("id"):
        if halting.untold().filter(id=batch.id).update(halt_told_at=timezone.now()):
            _tell_of_halt(batch)


def _tell_of_halt(batch: Batch) -> None:
    context = {
        "campaign": batch.campaign,
        "batch": batch,
        "halted": halting.facts(batch),
        "page": settings.PUBLIC_URL + reverse("batch", args=[batch.campaign_id, batch.id]),
    }
    for owner in _owners_of([batch.campaign_id]):
        _mail(owner.user, f"Sending halted: {batch.campaign.name}", "batch_halted", context)


# --- Every week -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Left:
    """How many unsubscribed from a campaign's emails, and why: (reason, how many)."""

    campaign: Campaign
    reasons: list[tuple[str, int]]

    @property
    def number(self) -> int:
        return sum(number for _, number in self.reasons)


def send_digest() -> int:
    """Tell owners how many unsubscribed since the last time; returns how many mails left.

    Safe to run twice: whoever unsubscribed is marked as told of before the first mail leaves, and
    unmarked where no owner could be mailed. Those who came back meanwhile are not counted.
    """
    now = timezone.now()
    left = _take_untold(now)
    by_owner: dict[User, list[Left]] = defaultdict(list)
    for owner in _owners_of(left):
        by_owner[owner.user].append(left[owner.campaign_id])
    mailed, told, missed = 0, set(), set()
    for user, campaigns in by_owner.items():
        ids = {each.campaign.id for each in campaigns}
        if _mail_digest(user, campaigns):
            mailed += 1
            told |= ids
        else:
            missed |= ids
    Suppression.objects.filter(campaign__in=missed - told, told_at=now).update(told_at=None)
    return mailed


def _take_untold(now: datetime) -> dict[UUID, Left]:
    """What is to be told, by campaign; from here on nobody else tells it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH told AS (
                UPDATE messaging_suppression SET told_at = %(now)s
                WHERE reason = 'unsubscribed' AND told_at IS NULL AND campaign_id IS NOT NULL
                RETURNING campaign_id, note, lifted_at
            ), counted AS (
                SELECT campaign_id, CASE WHEN note = '' THEN %(none)s ELSE COALESCE(
                    (SELECT preset FROM unnest(%(presets)s::text[]) AS preset
                     WHERE starts_with(note, preset)),
                    %(own)s
                ) END AS why
                FROM told WHERE lifted_at IS NULL
            )
            SELECT campaign_id, why, count(*) FROM counted
            GROUP BY campaign_id, why ORDER BY count(*) DESC, why
            """,
            {
                "now": now,
                "presets": list(suppression.REASONS.values()),
                "own": OWN_WORDS,
                "none": NO_REASON,
            },
        )
        reasons: dict[UUID, list[tuple[str, int]]] = defaultdict(list)
        for campaign_id, why, number in cursor.fetchall():
            reasons[campaign_id].append((why, number))
    campaigns = Campaign.objects.alive().filter(id__in=reasons)
    return {campaign.id: Left(campaign, reasons[campaign.id]) for campaign in campaigns}


def _mail_digest(user: User, campaigns: list[Left]) -> bool:
    number = sum(left.number for left in campaigns)
    people = "1 person" if number == 1 else f"{number:,} people"
    context = {
        "people": people,
        "campaigns": [{"left": left, "page": _page_of(user, left.campaign)} for left in campaigns],
    }
    subject = f"{people} unsubscribed from your emails last week"
    return _mail(user, subject, "unsubscribed_digest", context)


def _page_of(user: User, campaign: Campaign) -> str:
    """Where this owner sees who left; the list of another agency is not theirs."""
    if user.agency_id != campaign.agency_id:
        return settings.PUBLIC_URL + reverse("campaign", args=[campaign.id])
    query = urlencode({"reason": Suppression.Reason.UNSUBSCRIBED, "campaign": campaign.public_id})
    return f"{settings.PUBLIC_URL}{reverse('suppressions')}?{query}"


# --- To whom, and how -------------------------------------------------------------------------------


def _owners_of(campaigns: Iterable[UUID]) -> QuerySet[Membership]:
    owners = Membership.objects.filter(role=Role.OWNER, user__is_active=True)
    return (
        owners.filter(campaign__in=list(campaigns))
        .select_related("user")
        .order_by("user__email", "campaign__name", "campaign_id")
    )


def _mail(user: User, subject: str, template: str, context: dict[str, Any]) -> bool:
    text = render_to_string(f"messaging/mails/{template}.txt", context)
    html = render_to_string(f"messaging/mails/{template}.html", context)
    mail = EmailMultiAlternatives(subject, text, to=[user.email])
    mail.attach_alternative(html, "text/html")
    try:
        mail.send()
    except (AnymailError, OSError) as error:
        # Its text would name the recipient.
        logger.error("a mail (%s) was not sent: %s", template, type(error).__name__)
        return False
    return True
