"""The four steps from an empty email to a sent one: where each stands, and what it still needs."""

from dataclasses import dataclass
from typing import NamedTuple

from django.template.defaultfilters import pluralize
from django.urls import reverse

from campaigns.email import pinning
from campaigns.models import Campaign, EmailDraft, Membership
from messaging import readiness
from messaging.models import Batch, BatchStatus

# A file that somebody has yet to send, or to correct.
OPEN_STATUSES = (
    BatchStatus.UPLOADED,
    BatchStatus.CHECKING,
    BatchStatus.INVALID,
    BatchStatus.READY,
    BatchStatus.SCHEDULED,
)
REVIEWED = (BatchStatus.READY, BatchStatus.SCHEDULED)
EMPTY, OK, ATTENTION = "empty", "ok", "attention"


class State(NamedTuple):
    state: str
    says: str


@dataclass(frozen=True, slots=True)
class Step:
    key: str
    label: str
    url: str  # empty while there is nothing to open
    state: str
    says: str


def open_batch(membership: Membership) -> Batch | None:
    """The newest file that waits for this person."""
    batches = Batch.objects.visible_to(membership).filter(status__in=OPEN_STATUSES)
    return batches.order_by("-created_at", "-id").first()


def steps_of(campaign: Campaign, membership: Membership, batch: Batch | None = None) -> list[Step]:
    """The steps to the sending of this file, or of the newest that waits."""
    batch = batch or open_batch(membership)
    draft = readiness.draft_of(campaign)
    is_checked = batch is not None and batch.status in REVIEWED
    # What somebody has scheduled is pinned, whatever the draft says by now.
    is_pinned = batch is not None and batch.template_body_id is not None
    states = {
        "message": State(OK, "As scheduled") if is_pinned else _message(draft),
        "recipients": _recipients(draft, batch, is_pinned=is_pinned),
        "test": State(OK, "Before it was scheduled") if is_pinned else _test(draft),
        "review": _review(batch),
    }
    upload = reverse(
        "secure-compose" if campaign.is_protected else "compose-multiple", args=[campaign.pk]
    )
    page = reverse("batch", args=[campaign.pk, batch.pk]) if batch else ""
    urls = {
        "message": ""
        if membership.sees_only_own
        else reverse("campaign-message", args=[campaign.pk]),
        "recipients": page if batch and not is_checked else upload,
        "test": reverse("batch-test", args=[campaign.pk, batch.pk]) if batch and is_checked else "",
        "review": page if is_checked else "",
    }
    labels = {
        "message": "Email notice" if campaign.is_protected else "Message",
        "recipients": "Secure page and recipients" if campaign.is_protected else "Recipients",
        "test": "Test",
        "review": "Review and send",
    }
    return [
        Step(key, label, urls[key], states[key].state, states[key].says)
        for key, label in labels.items()
    ]


def next_of(steps: list[Step]) -> str:
    """Where the work goes on: the first step that is not done and can be opened."""
    return next(
        (step.url for step in steps if step.url and (step.state != OK or step.key == "review")), ""
    )


def _message(draft: EmailDraft) -> State:
    if not draft.subject and not draft.html:
        return State(EMPTY, "Not written yet")
    faults = pinning.faults_of(draft)
    return State(ATTENTION, faults[0]) if faults else State(OK, "Written")


def _recipients(draft: EmailDraft, batch: Batch | None, *, is_pinned: bool) -> State:
    if batch is None:
        return State(EMPTY, "No file yet")
    if batch.status == BatchStatus.INVALID:
        return State(ATTENTION, "The file has errors")
    if batch.status not in REVIEWED:
        return State(EMPTY, "Being checked")
    if not is_pinned and (missing := readiness.missing_columns(draft, batch)):
        return State(ATTENTION, f"No column for {readiness.named(missing)}")
    return State(OK, f"{batch.total_messages:,} row{pluralize(batch.total_messages)}")


def _test(draft: EmailDraft) -> State:
    if readiness.is_tested(draft):
        return State(OK, f"Tested by {draft.tested_by}" if draft.tested_by else "Tested")
    if draft.tested_version is not None:
        return State(ATTENTION, "The message changed since the last test")
    return State(EMPTY, "Not tested yet")


def _review(batch: Batch | None) -> State:
    if batch and batch.status == BatchStatus.SCHEDULED:
        return State(OK, "Scheduled")
    return State(EMPTY, "Not sent yet")
