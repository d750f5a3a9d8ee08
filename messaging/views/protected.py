"""Secure pages: the sender's side of them, and the page that a recipient opens with a password.

What an officer writes, and the passwords, never come here: the forms of these pages carry settings,
and what is posted otherwise is encrypted (`protected.clean_rows` refuses anything else).
"""

import base64
import logging
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import wraps
from typing import Any

import orjson
from csp.decorators import csp_replace
from django import forms
from django.conf import settings
from django.contrib import messages as flash
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.formats import date_format
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.access import campaign_for
from campaigns.email import pinning
from campaigns.models import Campaign, EmailDraft, Membership
from messaging import protected
from messaging.models import (
    Batch,
    Message,
    PageState,
    ProtectedMessage,
    ProtectedUpload,
    StagedRow,
)
from postman.errors import Refused

from .languages import choices, language_of
from .paging import BY_ROW, page_of
from .protected_words import LANGUAGES, Words

logger = logging.getLogger(__name__)

PAGES_SHOWN = 50
LONGEST_LIFE = 365


class Options(forms.Form):
    """What the sender decides on all pages of a file: the only thing of them that we are told."""

    hint = forms.CharField(
        label="Hint about the password",
        required=False,
        max_length=200,
        strip=True,
        help_text="Shown to whoever has the link, such as “the reference number in our letter”. "
        "Never the password itself.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    days = forms.IntegerField(
        label="Days until it expires",
        min_value=1,
        max_value=LONGEST_LIFE,
        initial=30,
        help_text="Counted from sending. After that nobody can open it, and a week later we erase "
        "it for good.",
        widget=forms.NumberInput(attrs={"class": "input-short"}),
    )
    ignores_case_and_spaces = forms.BooleanField(
        label="Capital letters and spaces in the password make no difference",
        required=False,
    )


# The sender: write and encrypt ---------------------------------------------------------------


@require_safe
@login_required
def compose(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    """Everything on it happens in the browser; without JavaScript it says so."""
    campaign, membership = _protected_campaign(request, campaign_id)
    draft = EmailDraft.objects.select_related("campaign__agency", "campaign__creator").get(
        campaign=campaign
    )
    context = {
        "campaign": campaign,
        "membership": membership,
        "form": Options(),
        "notice_faults": pinning.faults_of(draft),
        "max_rows": protected.most_rows(),
        "iterations": settings.PROTECTED_ITERATIONS,
    }
    return render(request, "messaging/secure_compose.html", context)


def _protected_campaign(
    request: HttpRequest, campaign_id: uuid.UUID
) -> tuple[Campaign, Membership]:
    campaign, membership = campaign_for(request, campaign_id)
    if not campaign.is_protected:
        raise Http404("nothing of it is protected")
    return campaign, membership


def _batch_of(
    request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID
) -> tuple[Campaign, Membership, Batch]:
    campaign, membership = _protected_campaign(request, campaign_id)
    visible = Batch.objects.visible_to(membership).select_related("creator")
    return campaign, membership, get_object_or_404(visible, pk=batch_id)


View = Callable[..., HttpResponse]


def _in_json(view: View) -> View:
    """Answer a refusal as our page's script reads it."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Refused as refused:
            return JsonResponse({"code": refused.code, "message": refused.message}, status=422)

    return answer


@require_POST
@login_required
@_in_json
def start(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    campaign, membership = _protected_campaign(request, campaign_id)
    posted = _posted(request, {"file_name", "rows", "hint", "days", "ignores_case_and_spaces"})
    form = Options(posted)
    rows, file_name = posted["rows"], posted["file_name"]
    if not form.is_valid() or type(rows) is not int or not isinstance(file_name, str):
        raise protected.NotOurs("Look at the settings of the page: one of them cannot be.")
    batch = protected.start_upload(
        campaign=campaign,
        creator=membership.user,
        file_name=file_name,
        rows=rows,
        hint=form.cleaned_data["hint"],
        ignores_case_and_spaces=form.cleaned_data["ignores_case_and_spaces"],
        lifetime=timedelta(days=form.cleaned_data["days"]),
    )
    urls = {
        name: reverse(f"secure-upload-{name}", args=[campaign.pk, batch.pk])
        for name in ("rows", "finish", "abandon")
    }
    return JsonResponse({"urls": urls, "iterations": settings.PROTECTED_ITERATIONS})


@require_POST
@login_required
@_in_json
def rows(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    _, _, batch = _batch_of(request, campaign_id, batch_id)
    posted = _posted(request, {"after", "rows"})
    if type(posted["after"]) is not int:
        raise protected.NotOurs("`after` is a number.")
    stored = protected.take_rows(batch, protected.clean_rows(posted["rows"]), after=posted["after"])
    return JsonResponse({"stored": stored})


@require_POST
@login_required
@_in_json
def finish(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    campaign, membership, batch = _batch_of(request, campaign_id, batch_id)
    _posted(request, set())
    protected.finish_upload(batch, by=membership.user)
    return JsonResponse({"page": reverse("batch", args=[campaign.pk, batch.pk])})


@require_POST
@login_required
@_in_json
def abandon(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    """By the page that encrypts, or by an officer who finds an upload that was left."""
    campaign, membership, batch = _batch_of(request, campaign_id, batch_id)
    protected.abandon_upload(batch, by=membership.user)
    if request.content_type == "application/json":
        return JsonResponse({})
    flash.success(request, "Discarded. Nothing was sent.")
    return redirect("secure-compose", campaign.pk)


def _posted(request: HttpRequest, fields: set[str]) -> dict[str, Any]:
    """These fields and no other: nothing that we should not know can be sent along."""
    try:
        posted = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        raise protected.NotOurs("Post a JSON object.") from None
    if not isinstance(posted, dict) or posted.keys() != fields:
        raise protected.NotOurs("These fields are not those of our page.")
    return posted


# The sender: what became of them -------------------------------------------------------------


@require_safe
@login_required
def pages(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    """Who opened their page, whose is locked, and what can be done about it."""
    campaign, membership, batch = _batch_of(request, campaign_id, batch_id)
    upload = get_object_or_404(ProtectedUpload, batch=batch)
    now = timezone.now()
    counts = protected.counts_of(batch, now)
    asked = request.GET.get("state", "")
    found: Any = ProtectedMessage.objects.filter(upload=upload).as_of(now)
    if asked in PageState.values:
        found = found.filter(state=asked)
    page = page_of(found, request.GET, BY_ROW, size=PAGES_SHOWN)
    recipients = _recipients_of(batch, page.rows)
    context = {
        "campaign": campaign,
        "membership": membership,
        "batch": batch,
        "upload": upload,
        "counts": [(state, state.label, counts[state]) for state in PageState],
        "total": sum(counts.values()),
        "asked": asked if asked in PageState.values else "",
        "rows": [
            (each, PageState(each.state).label, recipients.get(each.message_id, ""))
            for each in page.rows
        ],
        "pager": page,
        "can_withdraw": sum(counts.values()) > counts[PageState.WITHDRAWN],
    }
    return render(request, "messaging/secure_pages.html", context)


def _recipients_of(batch: Batch, shown: Sequence[ProtectedMessage]) -> dict[uuid.UUID, str]:
    """Message → whose it is, in messages or in rows that wait to be sent."""
    ids = [page.message_id for page in shown]
    source: Any = Message.objects.filter(id__in=ids)
    if not batch.is_accepted:
        source = StagedRow.objects.filter(batch=batch, message_id__in=ids)
    key = "id" if batch.is_accepted else "message_id"
    return dict(source.values_list(key, "recipient"))


@require_POST
@login_required
def send_again(request: HttpRequest, campaign_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    campaign, membership, page = _page_of_message(request, campaign_id, message_id)
    try:
        protected.send_again(campaign, message_id, by=membership.user)
    except Refused as refused:
        flash.error(request, refused.message)
    else:
        flash.success(request, "The email is sent again, and its page can be opened anew.")
    return redirect("secure-pages", campaign.pk, page.upload_id)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def withdraw(request: HttpRequest, campaign_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """Cannot be taken back, so it is asked for on a page of its own."""
    campaign, membership, page = _page_of_message(request, campaign_id, message_id)
    batch = page.upload.batch
    if request.method != "POST":
        recipient = _recipients_of(batch, [page]).get(message_id, "")
        return _ask_to_withdraw(request, campaign, membership, batch, recipient=recipient)
    return _withdraw(request, campaign, membership, batch, only=page)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def withdraw_all(request: HttpRequest, campaign_id: uuid.UUID, batch_id: uuid.UUID) -> HttpResponse:
    campaign, membership, batch = _batch_of(request, campaign_id, batch_id)
    get_object_or_404(ProtectedUpload, batch=batch)
    if request.method != "POST":
        return _ask_to_withdraw(request, campaign, membership, batch)
    return _withdraw(request, campaign, membership, batch)


def _page_of_message(
    request: HttpRequest, campaign_id: uuid.UUID, message_id: uuid.UUID
) -> tuple[Campaign, Membership, ProtectedMessage]:
    campaign, membership = _protected_campaign(request, campaign_id)
    visible = Batch.objects.visible_to(membership)
    found = ProtectedMessage.objects.select_related("upload__batch")
    page = get_object_or_404(found, message_id=message_id, upload__batch__in=visible)
    return campaign, membership, page


def _ask_to_withdraw(
    request: HttpRequest,
    campaign: Campaign,
    membership: Membership,
    batch: Batch,
    recipient: str = "",
) -> HttpResponse:
    left = ProtectedMessage.objects.filter(upload_id=batch.pk, withdrawn_at=None).count()
    context = {
        "campaign": campaign,
        "membership": membership,
        "batch": batch,
        "recipient": recipient,
        "number": 1 if recipient else left,
    }
    return render(request, "messaging/secure_withdraw.html", context)


def _withdraw(
    request: HttpRequest,
    campaign: Campaign,
    membership: Membership,
    batch: Batch,
    *,
    only: ProtectedMessage | None = None,
) -> HttpResponse:
    found = ProtectedMessage.objects.filter(upload_id=batch.pk)
    if only:
        found = found.filter(pk=only.pk)
    try:
        number = protected.withdraw(found, by=membership.user, on=batch)
    except Refused as refused:
        flash.error(request, refused.message)
    else:
        flash.success(request, f"{number:,} page{'s are' if number > 1 else ' is'} withdrawn.")
    return redirect("secure-pages", campaign.pk, batch.pk)


# The recipient -------------------------------------------------------------------------------

_POLICY: dict[str, Any] = {
    "default-src": ["'none'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'"],
    "form-action": ["'none'"],
}


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@csp_replace(_POLICY)  # type: ignore[arg-type]
def page(request: HttpRequest, page_id: uuid.UUID) -> HttpResponse:
    """The link is all that is asked for: no session and no cookie. Looking changes nothing."""
    response = _guess(request, page_id) if request.method == "POST" else _shown(request, page_id)
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "no-store"
    patch_vary_headers(response, ["Accept-Language"])
    return response


def _shown(request: HttpRequest, page_id: uuid.UUID) -> HttpResponse:
    now = timezone.now()
    found = protected.pages().as_of(now).select_related("upload__batch__campaign__agency")
    page = found.filter(pk=page_id).first()
    if page is None:
        return render(
            request,
            "messaging/secure_closed.html",
            {**_frame(request), "state": "unknown", **_said(request, "unknown")},
            status=404,
        )
    facts = _facts(request, page)
    if page.state not in (PageState.UNOPENED, PageState.OPENED):
        context = {**facts, "state": page.state, **_said(request, page.state)}
        return render(request, "messaging/secure_closed.html", context)
    wait = page.guess_again_at - now if page.guess_again_at else timedelta()
    context = {
        **facts,
        "page": page,
        "salt": base64.b64encode(page.salt).decode(),
        "wait": max(0, -int(-wait.total_seconds() // 1)),
    }
    return render(request, "messaging/secure_page.html", context)


def _guess(request: HttpRequest, page_id: uuid.UUID) -> HttpResponse:
    try:
        posted = _posted(request, {"verifier"})
        verifier = protected.from_base64(posted["verifier"], exactly=protected.VERIFIER_BYTES)
        answer = protected.guess(page_id, verifier, address=request.client_ip)  # type: ignore[attr-defined]
    except Refused as refused:
        return JsonResponse({"code": refused.code}, status=422)
    except ProtectedMessage.DoesNotExist:
        return JsonResponse({"code": "closed"}, status=404)
    match answer:
        case protected.Opened(ciphertext, iv):
            return JsonResponse(
                {
                    "ciphertext": base64.b64encode(ciphertext).decode(),
                    "iv": base64.b64encode(iv).decode(),
                }
            )
        case protected.Wrong(tries_left, wait):
            told = {"code": "wrong", "tries_left": tries_left, "wait": wait}
            return JsonResponse(told, status=403)
        case protected.TooSoon(wait):
            response = JsonResponse({"code": "too_soon", "wait": wait}, status=429)
            response["Retry-After"] = str(wait)
            return response
        case protected.Closed(state):
            return JsonResponse({"code": "closed", "state": state}, status=410)


def _facts(request: HttpRequest, page: ProtectedMessage) -> dict[str, Any]:
    """Who sent it, so that nobody has to believe in a link alone."""
    batch = page.upload.batch
    notice = (batch.template_body or protected.pinned_notice(batch.campaign)).email
    words = LANGUAGES[language_of(request)]
    return {
        **_frame(request, agency=notice.agency_name),
        "agency": notice.agency_name,
        "logo_url": notice.logo_url if notice.logo_url.startswith(settings.PUBLIC_URL) else "",
        "contact": notice.reply_to,
        "sent_on": _date(page.sent_at, words),
        "ends_on": _date(page.ends_at, words),
        "hint": page.upload.hint,
    }


def _frame(request: HttpRequest, agency: str = "") -> dict[str, Any]:
    words = LANGUAGES[language_of(request)]
    filled = {
        name: getattr(words, name).replace("{agency}", agency)
        for name in Words.__dataclass_fields__
    }
    return {"words": filled, "languages": choices(request, LANGUAGES)}


def _said(request: HttpRequest, state: str) -> dict[str, str]:
    words = LANGUAGES[language_of(request)]
    return {"heading": getattr(words, state), "lead": getattr(words, f"{state}_lead")}


def _date(moment: Any, words: Words) -> str:
    if moment is None:
        return ""
    with translation.override(words.dates_as):
        return date_format(timezone.localtime(moment), "DATE_FORMAT")
