"""Write the message of an email campaign, and see it as its recipients will."""

import uuid
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.contrib import messages as flash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from campaigns.access import email_campaign_for
from campaigns.email import drafts, keywords, pinning, senders, theme
from campaigns.email.composing import NOTICE_KEYWORDS, Parts
from campaigns.forms import EmailForm
from campaigns.models import Campaign, EmailDraft, Membership
from messaging import readiness, unsubscribing
from messaging.models import Batch, StagedRow

from .emails import shown_in_a_frame
from .partial import wants_part
from .steps import REVIEWED

WIDTHS = {"desktop": "Computer", "phone": "Phone", "text": "Plain text"}


# Pictures by address are shown while one writes; scripts and styles are ours alone all the same.
@csp_update({"img-src": ["https:"]})  # type: ignore[arg-type]
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def editor(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    campaign, membership = email_campaign_for(request, campaign_id)
    page = _Editor(request, campaign, membership)
    return page.save() if request.method == "POST" else page.show()


class _Editor:
    """One request of the page. htmx saves while somebody writes, and gets what changed around it."""

    def __init__(self, request: HttpRequest, campaign: Campaign, membership: Membership) -> None:
        self.request, self.campaign, self.membership = request, campaign, membership
        self.draft = readiness.draft_of(campaign)
        addresses = [
            choice.address for choice in senders.choices(membership.user, campaign=campaign)
        ]
        # What a colleague chose stays, though it may be theirs alone to choose.
        self.senders = list(dict.fromkeys([*addresses, self.draft.from_address or addresses[0]]))

    def show(self) -> HttpResponse:
        form = EmailForm(instance=self.draft, senders=self.senders)
        return self._page(self.draft, form, version=self.draft.version)

    def save(self) -> HttpResponse:
        form = EmailForm(self.request.POST, senders=self.senders)
        form.full_clean()
        version = form.cleaned_data.get("version", 0)
        try:
            saved = drafts.save(
                self.campaign, form.storable, version=version, by=self.membership.user
            )
        except drafts.Conflict as conflict:
            return self._conflict(form, version, conflict.theirs)
        draft = readiness.draft_of(self.campaign)
        if wants_part(self.request):
            return self._part(draft, form, removed=saved.removed)
        if form.errors:
            return self._page(draft, form, version=draft.version, status=422)
        for sentence in saved.removed:
            flash.warning(self.request, sentence)
        flash.success(self.request, "Saved.")
        if "next" in self.request.POST:
            return redirect("compose-multiple", self.campaign.pk)
        return redirect("campaign-message", self.campaign.pk)

    def _conflict(self, form: EmailForm, version: int, theirs: EmailDraft) -> HttpResponse:
        """Both texts, side by side; whoever then saves has seen what goes."""
        if wants_part(self.request):
            context = {"theirs": theirs, "version": version}
            return render(self.request, "messaging/_message_clash.html", context, status=422)
        return self._page(theirs, form, version=theirs.version, theirs=theirs, status=409)

    def _page(
        self,
        draft: EmailDraft,
        form: EmailForm,
        *,
        version: int,
        theirs: EmailDraft | None = None,
        status: int = 200,
    ) -> HttpResponse:
        context = self._context(draft, form) | {
            "version": version,
            "theirs": theirs,
            "differences": form.differences(theirs) if theirs else [],
        }
        return render(self.request, "messaging/message_editor.html", context, status=status)

    def _part(self, draft: EmailDraft, form: EmailForm, *, removed: list[str]) -> HttpResponse:
        """What of the page has changed by saving; the fields themselves are the writer's."""
        context = self._context(draft, form) | {
            "version": draft.version,
            "is_changed": draft.version != self.draft.version,
            "removed": removed,
            "saved_at": timezone.now(),
        }
        return render(self.request, "messaging/_message_saved.html", context)

    def _context(self, draft: EmailDraft, form: EmailForm) -> dict[str, Any]:
        asked = self.request.POST or self.request.GET
        batch = _checked_batch(self.membership)
        faults, advice = drafts.faults_of(draft), drafts.advice_on(draft)
        is_empty = not (draft.subject or draft.preheader or draft.html)
        return {
            "campaign": self.campaign,
            "membership": self.membership,
            "draft": draft,
            "form": form,
            # Nobody is told that an email they have yet to begin is faulty.
            "notes": {
                name: {
                    "faults": [] if is_empty else faults.get(name, []),
                    "advice": advice.get(name, []),
                }
                for name in form.noted
            },
            "batch": batch,
            "missing": _missing(draft, batch),
            "words": _words(draft, batch),
            "look": _look(draft, batch, asked),
        }


@require_safe
@login_required
@shown_in_a_frame
def preview(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    """The email as it is saved, with the values of one row of the newest file: `?row=7`."""
    campaign, membership = email_campaign_for(request, campaign_id)
    draft = readiness.draft_of(campaign)
    row = _row(_checked_batch(membership), request.GET)
    return HttpResponse(_parts(draft, row).html)


# With somebody's values ----------------------------------------------------------------------


def _checked_batch(membership: Membership) -> Batch | None:
    """The newest file that is right and waits to be sent."""
    batches = Batch.objects.visible_to(membership).filter(status__in=REVIEWED)
    return batches.order_by("-created_at", "-id").first()


def _missing(draft: EmailDraft, batch: Batch | None) -> list[str]:
    """Keywords without a column. What somebody has scheduled is pinned and misses nothing."""
    if batch is None or batch.template_body_id:
        return []
    return readiness.missing_columns(draft, batch)


def _words(draft: EmailDraft, batch: Batch | None) -> list[str]:
    """The keywords to choose from: the columns of the file, and those in use."""
    if draft.campaign.is_protected:
        return list(NOTICE_KEYWORDS)
    columns = [column.lower() for column in batch.summary.get("columns", ())] if batch else []
    names = [keywords.RECIPIENT, *columns, *draft.variables]
    return [name for name in dict.fromkeys(names) if keywords.is_lone_keyword(f"{{{{{name}}}}}")]


def _row(batch: Batch | None, asked: QueryDict) -> StagedRow | None:
    """The row that was asked for, or the next there is; the last one where none follows."""
    if batch is None:
        return None
    rows = StagedRow.objects.filter(batch=batch).order_by("row")
    typed = asked.get("row", "")
    start = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 9 else 0
    return rows.filter(row__gte=start).first() or rows.last()


def _look(draft: EmailDraft, batch: Batch | None, asked: QueryDict) -> dict[str, Any]:
    row = _row(batch, asked)
    rows = StagedRow.objects.filter(batch=batch).order_by("row")
    parts = _parts(draft, row)
    size = theme.size(parts.html)
    width = asked.get("width", "")
    return {
        "row": row,
        "previous": row and rows.filter(row__lt=row.row).values_list("row", flat=True).last(),
        "next": row and rows.filter(row__gt=row.row).values_list("row", flat=True).first(),
        "width": width if width in WIDTHS else "desktop",
        "widths": WIDTHS,
        "parts": parts,
        "size": size,
        "warn_size": theme.WARN_SIZE,
        "is_clipped": size > theme.WARN_SIZE,
    }


def _parts(draft: EmailDraft, row: StagedRow | None) -> Parts:
    composed = pinning.composed(pinning.email_of(draft), draft.html)
    values = {name: _example(name) for name in composed.variables}
    if row:
        values |= {"recipient": row.recipient} | row.values
    return composed.mail_parts(values, unsubscribing.test_url())


def _example(name: str) -> str:
    """What stands in for a value that no file has yet."""
    if name == keywords.RECIPIENT:
        return "mei.ling@example.com"
    if name == keywords.PROTECTED_LINK:
        return f"{settings.PUBLIC_URL}/p/example"
    return "https://www.example.gov.sg/" if name.endswith(("_url", "_link")) else f"[{name}]"
