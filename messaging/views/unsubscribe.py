"""Where the link in every email leads: its recipient says, no more.

The link is the authority: there is no session, no cookie and no CSRF token, so that mail apps can
say it for their users with one click (RFC 8058). Looking at the page changes nothing.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.formats import date_format
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from django_ratelimit.core import get_usage
from redis.exceptions import RedisError

from campaigns.email import keywords
from campaigns.models import Campaign, EmailBody, EmailDraft
from messaging import suppression, unsubscribing
from postman.errors import Refused

from .languages import choices, language_of
from .unsubscribe_words import LANGUAGES, Words

logger = logging.getLogger(__name__)

# Mail providers press the button for many people from a few addresses, so only a flood is refused;
# whoever makes links up is told sooner.
RATES = {"links": "1200/10m", "wrong links": "60/10m"}
OTHER = "other"


class TooMany(Refused):
    code = "too_many_requests"

    def __init__(self, seconds: int) -> None:
        super().__init__("Too many requests.")
        self.seconds = max(1, seconds)


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    response = _answer(request, token)
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    patch_vary_headers(response, ["Accept-Language"])
    return response


def _answer(request: HttpRequest, token: str) -> HttpResponse:
    try:
        _count(request, "links")
        concerned = _concerned_by(token)
        if concerned is None:
            _count(request, "wrong links")
            return _sorry(request, "bad_link", status=404)
    except TooMany as too_many:
        response = _sorry(request, "too_often", status=429, minutes=-(-too_many.seconds // 60))
        response["Retry-After"] = str(too_many.seconds)
        return response
    if request.method == "POST":
        return _post(request, concerned)
    return _page(request, concerned)


def _count(request: HttpRequest, what: str) -> None:
    try:
        usage = get_usage(
            request, group=f"unsubscribe {what}", key="ip", rate=RATES[what], increment=True
        )
    except RedisError:
        # Nobody has to wait for our cache to get out of a mailing list.
        logger.warning("the cache is away: unsubscribe links are not limited")
        return
    if usage and usage["should_limit"]:
        raise TooMany(usage["time_left"])


# Whom it is about --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whose link it is. Without a campaign it is from a test email and changes nothing."""

    campaign: Campaign | None
    recipient: str

    def unsubscribe(self) -> None:
        if self.campaign:
            suppression.unsubscribe(self.campaign, self.recipient)

    def say_why(self, note: str) -> None:
        if self.campaign:
            suppression.say_why(self.campaign, self.recipient, note)

    def undo(self) -> bool:
        return suppression.undo(self.campaign, self.recipient) if self.campaign else True

    def unsubscribed_at(self) -> datetime | None:
        if self.campaign is None:
            return None
        found = suppression.unsubscription_of(self.campaign, self.recipient)
        return found.created_at if found else None


def _concerned_by(token: str) -> Concerned | None:
    """None for a link that is not ours. That of a deleted campaign works as it did."""
    if token == unsubscribing.TEST_TOKEN:
        return Concerned(None, "name@example.com")
    try:
        campaign_id, recipient = unsubscribing.read(token)
    except unsubscribing.InvalidToken:
        return None
    campaign = Campaign.objects.select_related("agency").filter(id=campaign_id).first()
    return Concerned(campaign, recipient) if campaign else None


# What they do ------------------------------------------------------------------------------


def _post(request: HttpRequest, concerned: Concerned) -> HttpResponse:
    """Whatever is posted here means "no more", but for an answer or an undoing from our own page."""
    if "List-Unsubscribe" in request.POST:
        concerned.unsubscribe()
        return HttpResponse("Unsubscribed.\n", content_type="text/plain; charset=utf-8")
    match request.POST.get("action"):
        case "reason":
            note, fault = _note_of(request)
            if fault:
                return _page(request, concerned, fault=fault, status=422)
            concerned.say_why(note)
            return _back(request, "thanks")
        case "undo":
            return _back(request, "undone" if concerned.undo() else "too-late")
    concerned.unsubscribe()
    return _back(request, "done")


def _note_of(request: HttpRequest) -> tuple[str, str]:
    """What is kept of their answer, and which sentence says what is wrong with it."""
    own_words = " ".join(request.POST.get("own_words", "").replace("\0", "").split())
    preset = suppression.REASONS.get(request.POST.get("reason", ""), "")
    note = ". ".join(filter(None, (preset, own_words)))
    if not note:
        return "", "choose"
    return note, "too_long" if len(note) > suppression.LONGEST_NOTE else ""


def _back(request: HttpRequest, said: str) -> HttpResponse:
    """To the same page, where loading it anew sends nothing again."""
    return redirect(f"{request.path}?lang={language_of(request)}&said={said}")


# What they see -----------------------------------------------------------------------------


def _page(
    request: HttpRequest, concerned: Concerned, *, fault: str = "", status: int = 200
) -> HttpResponse:
    words = _words(request)
    agency, subject = words.test_agency, words.test_subject
    if concerned.campaign:
        agency, subject = concerned.campaign.agency.name, _subject_of(concerned.campaign)
    address = suppression.masked(concerned.recipient)
    said = request.GET.get("said", "")
    unsubscribed_at = concerned.unsubscribed_at()
    if concerned.campaign is None and (said in ("done", "thanks", "too-late") or fault):
        unsubscribed_at = timezone.now()
    until = unsubscribed_at and unsubscribed_at + suppression.UNDONE_WITHIN
    context = {
        **_frame(request, agency=agency, address=address, date=_date(until, words)),
        "subject": subject,
        "address": address,
        "agency": agency,
        "is_test": concerned.campaign is None,
        "is_unsubscribed": unsubscribed_at is not None,
        "can_undo": until is not None and timezone.now() <= until,
        "said": said,
        "fault": fault,
        "reason": request.POST.get("reason", ""),
        "own_words": request.POST.get("own_words", ""),
        "longest": suppression.LONGEST_NOTE,
    }
    return render(request, "messaging/unsubscribe.html", context, status=status)


def _sorry(request: HttpRequest, what: str, *, status: int, **facts: Any) -> HttpResponse:
    context = _frame(request, **facts)
    context |= {"heading": context["words"][what], "lead": context["words"][f"{what}_lead"]}
    return render(request, "messaging/unsubscribe_sorry.html", context, status=status)


def _frame(request: HttpRequest, **facts: Any) -> dict[str, Any]:
    """The page's words with these facts in them, and the languages it may be read in."""
    words = _words(request)
    known = {"agency": "", "address": "", "date": "", "minutes": "", **facts}
    filled = {
        name: text.format(**known) if isinstance(text := getattr(words, name), str) else text
        for name in Words.__dataclass_fields__
    }
    return {
        "words": filled,
        "languages": choices(request, LANGUAGES),
    }


def _words(request: HttpRequest) -> Words:
    return LANGUAGES[language_of(request)]


def _date(moment: datetime | None, words: Words) -> str:
    if moment is None:
        return ""
    with translation.override(words.dates_as):
        return date_format(timezone.localtime(moment), "DATE_FORMAT")


def _subject_of(campaign: Campaign) -> str:
    """What the newest email of the campaign is called; nobody's values are shown."""
    sent = EmailBody.objects.filter(body__template__campaign=campaign)
    subject = sent.order_by("-body__version").values_list("subject", flat=True).first()
    if subject is None:
        draft = EmailDraft.objects.filter(campaign=campaign)
        subject = draft.values_list("subject", flat=True).first() or campaign.name
    text = keywords.compile(subject)
    return text.render_text(dict.fromkeys(text.variables, "…"))
