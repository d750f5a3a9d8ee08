"""What was sent, in money (v2-sms §10.6): counted a day at a time in the background, added up on pages.

Every attempt that left for the public is charged by its own outcome, on the day in Singapore on
which it was made, to the agency of the campaign. A day is counted anew while its reports come in,
and is final three days after its end: from then on its figures never change.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from django.db import connection, transaction
from django.db.models import Case, Count, F, Q, QuerySet, Sum, Value, When
from django.utils import timezone

from campaigns.models import Campaign, Channel, RecipientType
from messaging.channels.base import DELIVERY_ERRORS
from messaging.models import Attempt, Charge, ChargedDay
from messaging.pricing import charge_micros, is_charged
from messaging.states import Status
from postman.ids import first_id_of

# A provider keeps a message for 48 hours (v2-sms Q32): what is not told by then never is.
SETTLES_AFTER = timedelta(days=3)
# Today is counted anew at most every minute, and in at most a hundredth of all time.
SHORTEST_PAUSE, PAUSE_PER_WORK = timedelta(minutes=1), 100
# An attempt's id and its `created_at` are made one right after the other.
CLOCK_MARGIN = timedelta(minutes=5)

PENDING = "pending"
OUTCOMES: dict[str, str] = {
    Status.SUCCESS: "Delivered",
    Status.SENT_TO_TELCO: "Sent to telco, no report from the phone",
    **{error.code: error.sentence.rstrip(".") for error in DELIVERY_ERRORS.values()},
    PENDING: "No final report",
}


# --- Count ----------------------------------------------------------------------------------------


def charge_days(*, seconds: float) -> None:
    """Count every day that is due, the oldest first; the next call goes on where this one stops."""
    until = time.monotonic() + seconds
    now = timezone.now()
    for day in _due_days(now):
        charge_day(day, now)
        if time.monotonic() > until:
            return


def _due_days(now: datetime) -> Iterator[date]:
    first, today = _first_open_day(), timezone.localdate(now)
    if first is None:
        return
    counted = {row.day: row for row in ChargedDay.objects.filter(day__gte=first)}
    for n in range((today - first).days + 1):
        day = first + timedelta(days=n)
        if day not in counted or _is_due(counted[day], now):
            yield day


def open_since() -> datetime | None:
    """Whatever was sent before is in final figures; None where nothing was ever sent."""
    first = _first_open_day()
    return bounds_of(first)[0] if first else None


def _first_open_day() -> date | None:
    """Days become final in their order, so what follows the last final one is open."""
    final = ChargedDay.objects.filter(is_final=True).order_by("-day").first()
    if final:
        return final.day + timedelta(days=1)
    oldest = Attempt.objects.order_by("id").values_list("created_at", flat=True).first()
    return timezone.localdate(oldest) if oldest else None


def _is_due(counted: ChargedDay, now: datetime) -> bool:
    _, ended = bounds_of(counted.day)
    if now < ended:
        return now - counted.as_of >= max(SHORTEST_PAUSE, counted.took * PAUSE_PER_WORK)
    is_settled = now >= ended + SETTLES_AFTER
    return is_settled or timezone.localdate(counted.as_of) < timezone.localdate(now)


@transaction.atomic
def charge_day(day: date, now: datetime) -> None:
    """Count one day anew; nothing where its figures are final or somebody else is counting."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('messaging.charge_day'))")
        if not cursor.fetchone()[0]:
            return
    if ChargedDay.objects.filter(day=day, is_final=True).exists():
        return
    began = time.monotonic()
    Charge.objects.filter(day=day).delete()
    Charge.objects.bulk_create(_charges_of(day))
    _, ended = bounds_of(day)
    ChargedDay.objects.update_or_create(
        day=day,
        defaults={
            "as_of": now,
            "is_final": now >= ended + SETTLES_AFTER,
            "took": timedelta(seconds=time.monotonic() - began),
        },
    )


def _charges_of(day: date) -> list[Charge]:
    """One aggregate over the day's attempts. The primary key finds them, as ids hold their time."""
    began, ended = bounds_of(day)
    sums = (
        Attempt.objects.filter(
            id__gte=first_id_of(began - CLOCK_MARGIN),
            id__lt=first_id_of(ended + CLOCK_MARGIN),
            created_at__gte=began,
            created_at__lt=ended,
            # Internal Staff campaigns pay their own Twilio account (v2-sms §10.3).
            message__campaign__recipient_type=RecipientType.PUBLIC,
            message__campaign__channel=Channel.SMS,
        )
        .annotate(
            campaign_id=F("message__campaign_id"),
            is_local=Q(message__recipient__startswith="65"),
            outcome=Case(
                When(status=Status.FAILURE, then=F("error_code")),
                When(status__in=[Status.SUCCESS, Status.SENT_TO_TELCO], then=F("status")),
                default=Value(PENDING),
            ),
        )
        .order_by()
        .values("campaign_id", "is_local", "outcome")
        .annotate(sends=Count("id"), segments=Sum("message__segments"))
    )
    return [
        Charge(
            day=day,
            micros=charge_micros(
                row["outcome"], is_local=row["is_local"], segments=row["segments"]
            ),
            **row,
        )
        for row in sums
    ]


def bounds_of(day: date) -> tuple[datetime, datetime]:
    """The first moment of this day in Singapore, and that of the next."""
    began = datetime(day.year, day.month, day.day, tzinfo=timezone.get_default_timezone())
    return began, began + timedelta(days=1)


# --- Bill -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """The sends of one campaign in a month that went to one country class and ended one way."""

    campaign: Campaign
    is_local: bool
    outcome: str
    sends: int
    segments: int
    micros: int

    @property
    def country(self) -> str:
        return "Singapore (+65)" if self.is_local else "Foreign"

    @property
    def label(self) -> str:
        return OUTCOMES[self.outcome]

    @property
    def is_charged(self) -> bool:
        return is_charged(self.outcome, is_local=self.is_local)


@dataclass(frozen=True, slots=True)
class Sums:
    sends: int
    local_segments: int
    foreign_segments: int
    free_segments: int
    micros: int


def sums_of(lines: Sequence[Line]) -> Sums:
    """The segments that are charged, by country, those that are not, and the amount."""

    def segments(is_wanted: bool, *, is_local: bool) -> int:
        return sum(
            line.segments
            for line in lines
            if line.is_charged is is_wanted and line.is_local is is_local
        )

    return Sums(
        sends=sum(line.sends for line in lines),
        local_segments=segments(True, is_local=True),
        foreign_segments=segments(True, is_local=False),
        free_segments=segments(False, is_local=True) + segments(False, is_local=False),
        micros=sum(line.micros for line in lines),
    )


@dataclass(frozen=True)
class Bill:
    """A month of some campaigns. Everything on a page comes of these lines, so it all adds up."""

    month: date
    lines: Sequence[Line]
    days: Sequence[ChargedDay]

    @cached_property
    def total(self) -> Sums:
        return sums_of(self.lines)

    @cached_property
    def by_outcome(self) -> list[dict[str, object]]:
        found: dict[tuple[bool, str], list[Line]] = {}
        for line in self.lines:
            found.setdefault((line.is_local, line.outcome), []).append(line)
        return [
            {
                "line": lines[0],
                "sends": sum(line.sends for line in lines),
                "segments": sum(line.segments for line in lines),
                "micros": sum(line.micros for line in lines),
            }
            for is_local in (True, False)
            for outcome in OUTCOMES
            if (lines := found.get((is_local, outcome), []))
        ]

    @cached_property
    def by_campaign(self) -> list[tuple[Campaign, Sums]]:
        """The dearest first."""
        found: dict[Campaign, list[Line]] = {}
        for line in self.lines:
            found.setdefault(line.campaign, []).append(line)
        rows = [(campaign, sums_of(lines)) for campaign, lines in found.items()]
        return sorted(rows, key=lambda row: (-row[1].micros, row[0].name, row[0].id))

    @property
    def as_of(self) -> datetime | None:
        """When the oldest of the figures that may still change was counted."""
        return min((day.as_of for day in self.days if not day.is_final), default=None)

    @property
    def final_until(self) -> date | None:
        return max((day.day for day in self.days if day.is_final), default=None)

    @property
    def is_final(self) -> bool:
        return self.final_until == month_after(self.month) - timedelta(days=1)


def bill_of(campaigns: QuerySet[Campaign], month: date) -> Bill:
    """`month` by its first day."""
    within = {"day__gte": month, "day__lt": month_after(month)}
    rows = (
        Charge.objects.filter(campaign__in=campaigns, **within)
        .order_by()
        .values("campaign_id", "is_local", "outcome")
        .annotate(sends=Sum("sends"), segments=Sum("segments"), micros=Sum("micros"))
    )
    sums = list(rows)
    known = Campaign.objects.in_bulk({row["campaign_id"] for row in sums})
    lines = [
        Line(
            campaign=known[row["campaign_id"]],
            is_local=row["is_local"],
            outcome=row["outcome"],
            sends=row["sends"],
            segments=row["segments"],
            micros=row["micros"],
        )
        for row in sums
    ]
    order = {outcome: place for place, outcome in enumerate(OUTCOMES)}
    lines.sort(
        key=lambda line: (
            line.campaign.name,
            line.campaign.id,
            not line.is_local,
            order[line.outcome],
        )
    )
    return Bill(month, lines, list(ChargedDay.objects.filter(**within)))


def month_after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def months_of(campaigns: QuerySet[Campaign], now: datetime) -> list[date]:
    """The months that these campaigns can have charges in, this month first."""
    made = campaigns.order_by("created_at").values_list("created_at", flat=True).first()
    month = timezone.localdate(now).replace(day=1)
    first = timezone.localdate(made).replace(day=1) if made else month
    months = [month]
    while months[-1] > first:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    return months
