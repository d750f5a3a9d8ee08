"""Where a campaign stands, in v1's words: its recipients, its job, its numbers (v1-backend §2.1)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from campaigns.models import Campaign, Channel, Role
from messaging import retention
from messaging.api.v1.listing import iso
from messaging.models import SENT_STATUSES, Batch, BatchStatus, Counter, Suppression
from messaging.states import PAGE_GROUPS, Status
from postman.accounts.models import User
from postman.errors import Refused

TYPES = {
    "EMAIL": Channel.EMAIL,
    "SMS": Channel.SMS,
    "TELEGRAM": Channel.TELEGRAM,
    "GOVSG": Channel.WHATSAPP,
}
TYPE_OF: Mapping[str, str] = {channel: name for name, channel in TYPES.items()}
JOBS = (*SENT_STATUSES, BatchStatus.SCHEDULED)
FILLED = (*JOBS, BatchStatus.READY)
BEING_CHECKED = (BatchStatus.UPLOADED, BatchStatus.CHECKING)

# Of v1's numbers: which of our states each adds up. What was cancelled will not arrive.
ERROR = (Status.FAILURE, Status.SOFT_BOUNCED, Status.CANCELLED)
INVALID = (Status.BOUNCED, Status.SUPPRESSED)
SENT = (
    Status.SENT,
    Status.SENT_TO_TELCO,
    Status.SUCCESS,
    Status.OPENED,
    Status.COMPLAINED,
)


def campaigns_of(user: User) -> QuerySet[Campaign]:
    """Those that this person owns, with all that is told of them."""
    own = Campaign.objects.alive().filter(
        is_programmatic=False, memberships__user=user, memberships__role=Role.OWNER
    )
    return own.select_related(
        "agency", "creator", "email_draft", "sms_draft", "telegram_draft__bot"
    )


def campaign_of(user: User, number: str, type_: str | None = None) -> Campaign:
    """The campaign in an address; one that is somebody else's, that is of another type or that
    never was gets one and the same refusal."""
    found = None
    if number.isascii() and number.isdigit() and len(number) < 19:
        found = campaigns_of(user).filter(number=int(number)).first()
    if found is None or (type_ is not None and TYPE_OF[found.channel] != type_):
        raise Refused("You own no such campaign.", "unauthorized")
    return found


@dataclass(frozen=True, slots=True)
class Standing:
    """A campaign and its files, the newest first. Those that were discarded count for nothing."""

    campaign: Campaign
    batches: Sequence[Batch]

    @property
    def filled(self) -> Batch | None:
        """The file whose recipients it is sent to."""
        return next((batch for batch in self.batches if batch.status in FILLED), None)

    @property
    def upload(self) -> Batch | None:
        """A newer file that is being checked, or has errors."""
        newest = self.batches[0] if self.batches else None
        return newest if newest and newest.status not in FILLED else None

    @property
    def jobs(self) -> list[Batch]:
        return [batch for batch in self.batches if batch.status in JOBS]

    @property
    def accepted(self) -> list[Batch]:
        return [batch for batch in self.batches if batch.is_accepted]

    @property
    def is_being_checked(self) -> bool:
        return any(batch.status in BEING_CHECKED for batch in self.batches)

    @property
    def is_being_sent(self) -> bool:
        return any(batch.dispatched_at is None for batch in self.accepted)

    @property
    def is_scheduled(self) -> bool:
        return any(batch.status == BatchStatus.SCHEDULED for batch in self.batches)

    @property
    def is_halted(self) -> bool:
        return any(batch.is_halted for batch in self.batches)

    @property
    def is_redacted(self) -> bool:
        """Nothing is left of any recipient."""
        ends = [
            retention.kept_until(self.campaign, batch.accepted_at)
            for batch in self.accepted
            if batch.accepted_at
        ]
        return bool(ends) and all(end is not None and end <= timezone.now() for end in ends)

    @property
    def num_recipients(self) -> int:
        accepted = sum(batch.total_messages for batch in self.accepted)
        return accepted or (self.filled.total_messages if self.filled else 0)

    # What may be done --------------------------------------------------------------------------

    def check_settled(self) -> None:
        """Raise Refused while its file is being checked or its messages leave."""
        if self.campaign.is_protected:
            raise Refused(
                "Password-protected campaigns are made and sent in the browser only, where what "
                "they protect is encrypted.",
                "unauthorized",
            )
        if self.is_being_checked:
            raise Refused("Its recipients are being checked. Try again later.", "unauthorized")
        if self.is_being_sent:
            raise Refused("It is being sent.", "unauthorized")

    def check_unsent(self) -> None:
        self.check_settled()
        if self.accepted:
            raise Refused("This campaign was sent. Duplicate it to send another.", "already_sent")

    def check_editable(self) -> None:
        """Raise Refused where its message and recipients are settled."""
        self.check_unsent()
        if self.is_scheduled:
            raise Refused(
                "It is scheduled as it is. Cancel that first to change it.", "unauthorized"
            )


def of(campaign: Campaign) -> Standing:
    [standing] = of_all([campaign])
    return standing


def of_all(campaigns: Iterable[Campaign]) -> list[Standing]:
    """In two queries at most, however many there are."""
    campaigns = list(campaigns)
    by_id = {campaign.id: campaign for campaign in campaigns}
    found: dict[UUID, list[Batch]] = defaultdict(list)
    rows = Batch.objects.filter(campaign__in=by_id).exclude(status=BatchStatus.DISCARDED)
    for batch in rows.defer("first_faults").order_by("-created_at", "-id"):
        batch.campaign = by_id[batch.campaign_id]
        found[batch.campaign_id].append(batch)
    return [Standing(campaign, found[campaign.id]) for campaign in campaigns]


# In v1's words -------------------------------------------------------------------------------


def job_status(batch: Batch) -> str:
    if batch.status == BatchStatus.SCHEDULED:
        return "READY"
    if batch.dispatched_at:
        return "LOGGED"
    if batch.stopped_at:
        return "STOPPED"
    return "ENQUEUED" if batch.status == BatchStatus.ENQUEUING else "SENDING"


def visible_at(batch: Batch) -> datetime | None:
    return batch.accepted_at or batch.scheduled_at


def job(batch: Batch) -> dict[str, Any]:
    return {
        "status": job_status(batch),
        "visible_at": iso(visible_at(batch)),
        "sent_at": iso(batch.accepted_at or batch.updated_at),
        "status_updated_at": iso(batch.updated_at),
    }


# What the list is asked for. A campaign that is sent again is being sent.
_WITH_JOB = Batch.objects.filter(status__in=JOBS).values("campaign")
_UNFINISHED = Batch.objects.filter(status__in=SENT_STATUSES, dispatched_at=None).values("campaign")
_SENT = Batch.objects.filter(status__in=SENT_STATUSES).values("campaign")
_SCHEDULED = Batch.objects.filter(status=BatchStatus.SCHEDULED).values("campaign")
STATUSES = {
    "Draft": ~Q(id__in=_WITH_JOB),
    "Sending": Q(id__in=_UNFINISHED),
    "Sent": Q(id__in=_SENT) & ~Q(id__in=_UNFINISHED),
    "Scheduled": Q(id__in=_SCHEDULED),
}


def stats(standing: Standing) -> dict[str, Any]:
    """Its numbers, off counters and never off messages (v1-backend §2.11)."""
    counts = Counter.objects.filter(campaign=standing.campaign).by_status()
    error, sent, invalid = (sum(counts[s] for s in group) for group in (ERROR, SENT, INVALID))
    total = max(counts["total"], standing.num_recipients)
    newest = standing.jobs[0] if standing.jobs else None
    status = job_status(newest) if newest else None
    if status == "LOGGED" and any(counts[each] for each in PAGE_GROUPS["pending"]):
        # Handed over, and their provider has yet to answer.
        status = "SENDING"
    changed_at = newest.updated_at if newest else standing.campaign.created_at
    found = {
        "error": error,
        # Those whose outcome nobody heard among them.
        "unsent": total - error - sent - invalid,
        "sent": sent,
        "invalid": invalid,
        "status": status,
        "halted": standing.is_halted,
        "redacted": standing.is_redacted,
        "updated_at": iso(changed_at),
        "status_updated_at": iso(changed_at),
        "visible_at": iso(visible_at(newest)) if newest else None,
    }
    if standing.campaign.is_email:
        found["unsubscribed"] = (
            Suppression.objects.standing()
            .filter(campaign=standing.campaign, reason=Suppression.Reason.UNSUBSCRIBED)
            .count()
        )
    return found
