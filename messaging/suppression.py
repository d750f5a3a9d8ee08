"""Addresses that are not to be written to: how they come to be listed, and how they leave the list.

What is listed is enforced by `delivery`, when a batch becomes messages and again when they are claimed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from campaigns.models import Campaign
from messaging.delivery import Change
from messaging.models import Suppression
from messaging.states import Status

# How long whoever unsubscribed may take it back by the same link.
UNDONE_WITHIN = timedelta(days=30)
LONGEST_NOTE = 255

# What becomes of an email → why nobody writes to its recipient again.
_LISTED_FOR = {
    Status.BOUNCED.value: Suppression.Reason.BOUNCED.value,
    Status.COMPLAINED.value: Suppression.Reason.COMPLAINED.value,
}
# Why people unsubscribe, of which the page offers these; anything else they say in their own words.
REASONS = {
    "unwanted": "No longer wants these emails",
    "never": "Never signed up for these emails",
    "inappropriate": "Finds the emails inappropriate",
    "spam": "Takes the emails for spam",
}


def masked(address: str) -> str:
    """`mei.ling@example.org` as `m•••@example.org`: its owner knows it again, others learn little."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"


# --- What the provider reports ----------------------------------------------------------------------


def add_reported(changes: Sequence[Change]) -> None:
    """Let nobody write again to addresses that do not exist or whose people called us spam.

    Call it after `delivery.apply`, in its transaction: where the attempt stands by then decides.
    A recipient that retention has erased meanwhile cannot be listed.
    """
    attempts = [change.attempt_id for change in changes if change.status in _LISTED_FOR]
    if not attempts:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO messaging_suppression
                (recipient, reason, note, campaign_id, listed_by_id, created_at)
            SELECT DISTINCT ON (message.recipient, listed.reason)
                message.recipient, listed.reason, '', message.campaign_id, campaign.agency_id,
                %(now)s
            FROM messaging_attempt attempt
            JOIN unnest(%(statuses)s::text[], %(reasons)s::text[]) AS listed (status, reason)
                ON listed.status = attempt.status
            JOIN messaging_message message ON message.id = attempt.message_id
            JOIN campaigns_campaign campaign ON campaign.id = message.campaign_id
            WHERE attempt.id = ANY(%(attempts)s) AND campaign.channel = 'email'
                AND message.recipient <> ''
            -- In one order, so that no two of these wait for each other.
            ORDER BY message.recipient, listed.reason, message.id
            ON CONFLICT DO NOTHING
            """,
            {
                "attempts": attempts,
                "statuses": list(_LISTED_FOR),
                "reasons": list(_LISTED_FOR.values()),
                "now": timezone.now(),
            },
        )


# --- What recipients ask for ------------------------------------------------------------------------


def unsubscribe(campaign: Campaign, recipient: str) -> None:
    """From now on nobody of the campaign's agency writes to this person; asking twice is asking once.

    It ends what is still waiting for them, as each claim looks here.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO messaging_suppression
                (agency_id, listed_by_id, recipient, reason, note, campaign_id, created_at)
            VALUES (%(agency)s, %(agency)s, %(recipient)s, 'unsubscribed', '', %(campaign)s, %(now)s)
            ON CONFLICT DO NOTHING
            """,
            {
                "agency": campaign.agency_id,
                "recipient": recipient,
                "campaign": campaign.id,
                "now": timezone.now(),
            },
        )


def unsubscription_of(campaign: Campaign, recipient: str) -> Suppression | None:
    """Their own word, as it stands; what others listed the address for is not theirs."""
    return (
        Suppression.objects.standing()
        .filter(
            agency=campaign.agency_id, recipient=recipient, reason=Suppression.Reason.UNSUBSCRIBED
        )
        .first()
    )


def can_be_undone(unsubscription: Suppression, now: datetime) -> bool:
    return now - unsubscription.created_at <= UNDONE_WITHIN


def say_why(campaign: Campaign, recipient: str, note: str) -> bool:
    """Keep a reason beside the unsubscription that stands; False where none does."""
    assert len(note) <= LONGEST_NOTE
    found = unsubscription_of(campaign, recipient)
    return bool(found and Suppression.objects.filter(id=found.id).update(note=note))


@transaction.atomic
def undo(campaign: Campaign, recipient: str) -> bool:
    """Take back the recipient's own unsubscription; False where there is none, or it is too old."""
    now = timezone.now()
    found = unsubscription_of(campaign, recipient)
    if found is None or not can_be_undone(found, now):
        return False
    return bool(Suppression.objects.standing().filter(id=found.id).update(lifted_at=now))
