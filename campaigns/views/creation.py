"""A new campaign: a name and a channel; for an SMS campaign two more steps, each a page of its own,
and what is typed is kept."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from campaigns import creation, sms, templating
from campaigns.forms import ChannelForm, ContentForm, Kind, NameForm, NewCampaignForm
from campaigns.models import Campaign, CampaignDraft, Language
from campaigns.twilio_account import CredentialsRefused
from postman.accounts.models import User
from postman.ids import new_id

from . import Request

View = Callable[..., HttpResponse]
STEPS = ["Campaign name", "Who is receiving", "Campaign content"]


def creators_only(view: View) -> View:
    """Whoever lacks the right learns whom to ask."""

    @login_required
    @wraps(view)
    def guarded(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        reason = creation.why_not(request.user)
        if not reason:
            return view(request, *args, **kwargs)
        administrators = User.objects.filter(
            agency__users=request.user, is_agency_administrator=True, is_active=True
        )
        context = {"reason": reason, "administrators": administrators.order_by("email")}
        return render(request, "campaigns/may_not_create.html", context, status=403)

    return guarded


def of_own_draft(view: View) -> View:
    """Hand over the person's own draft; the address of one that became a campaign leads there."""

    @wraps(view)
    def found(request: Request, draft_id: uuid.UUID) -> HttpResponse:
        draft = CampaignDraft.objects.filter(pk=draft_id, creator=request.user).first()
        if draft:
            return view(request, draft)
        if Campaign.objects.visible_to(request.user).filter(pk=draft_id).exists():
            return redirect("campaign", campaign_id=draft_id)
        raise Http404("no such draft")

    return found


# Step 1 --------------------------------------------------------------------------------------


@creators_only
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: Request) -> HttpResponse:
    """An SMS campaign goes on to its other steps; an email campaign is made, to be written."""
    initial = {"campaign_id": new_id()}
    form = NewCampaignForm(request.POST or None, initial=initial, user=request.user)
    if request.method == "POST" and form.is_valid():
        name, kind = form.cleaned_data["name"], form.cleaned_data["kind"]
        if kind == Kind.TELEGRAM:
            typed = {"name": name, "campaign_id": form.cleaned_data["campaign_id"]}
            return redirect(reverse("campaign-new-telegram", query=typed))
        if kind == Kind.SMS:
            draft = CampaignDraft.objects.create(creator=request.user, name=name)
            return redirect("campaign-new-channel", draft_id=draft.pk)
        if kind == Kind.WHATSAPP:
            if campaign := _create_whatsapp(request, form):
                return redirect("whatsapp-template", campaign_id=campaign.pk)
        elif campaign := _create_email(request, form):
            return redirect("campaign-message", campaign_id=campaign.pk)
    status = 422 if form.is_bound else 200
    context = {"form": form, "price": settings.SMS_PRICES["local"]}
    return render(request, "campaigns/new.html", context, status=status)


def _create_email(request: Request, form: NewCampaignForm) -> Campaign | None:
    """The campaign; None where it was refused, with the reason on the form."""
    try:
        return creation.create_email_campaign(
            id=form.cleaned_data["campaign_id"],
            name=form.cleaned_data["name"],
            is_protected=form.cleaned_data["kind"] == Kind.PROTECTED,
            by=request.user,
        )
    except creation.NotReady as refusal:
        form.add_error(None, refusal.message)
        return None


def _create_whatsapp(request: Request, form: NewCampaignForm) -> Campaign | None:
    """The campaign; None where it was refused, with the reason on the form."""
    try:
        return creation.create_whatsapp_campaign(
            id=form.cleaned_data["campaign_id"], name=form.cleaned_data["name"], by=request.user
        )
    except creation.NotReady as refusal:
        form.add_error(None, refusal.message)
        return None


@creators_only
@require_http_methods(["GET", "HEAD", "POST"])
@of_own_draft
def name(request: Request, draft: CampaignDraft) -> HttpResponse:
    form = NameForm(request.POST or None, initial={"name": draft.name})
    if request.method == "POST" and form.is_valid():
        draft.name = form.cleaned_data["name"]
        draft.save(update_fields=["name", "updated_at"])
        return redirect("campaign-new-channel", draft_id=draft.pk)
    return _step(request, 1, "name", {"form": form, "draft": draft})


# Step 2 --------------------------------------------------------------------------------------


@sensitive_post_parameters("api_secret", "auth_token")
@creators_only
@require_http_methods(["GET", "HEAD", "POST"])
@of_own_draft
def channel(request: Request, draft: CampaignDraft) -> HttpResponse:
    form = ChannelForm(request.POST or None, draft=draft)
    if request.method == "POST" and form.is_valid() and _choose_channel(draft, form):
        return redirect("campaign-new-content", draft_id=draft.pk)
    return _step(request, 2, "channel", {"form": form, "draft": draft})


def _choose_channel(draft: CampaignDraft, form: ChannelForm) -> bool:
    """Whether it is done; if not, the form says why."""
    if not form.is_for_staff:
        creation.send_to_public(draft)
        return True
    try:
        creation.send_to_staff(draft, form.staff_sender())
    except CredentialsRefused as refusal:
        form.add_error(refusal.field or None, refusal.message)
        return False
    return True


# Step 3 --------------------------------------------------------------------------------------


@creators_only
@require_http_methods(["GET", "HEAD", "POST"])
@of_own_draft
def content(request: Request, draft: CampaignDraft) -> HttpResponse:
    if not creation.has_channel(draft):
        messages.info(request, "Choose who receives the messages first.")
        return redirect("campaign-new-channel", draft_id=draft.pk)
    if request.method != "POST":
        bodies = draft.bodies or {Language.ENGLISH.value: ""}
        return _content_page(request, draft, _content_form(bodies))
    return _content_posted(request, draft)


def _content_posted(request: Request, draft: CampaignDraft) -> HttpResponse:
    """One form, several buttons: add or remove a language, look at the text, leave, create."""
    typed = ContentForm(request.POST, languages=request.POST.getlist("languages"))
    verb, _, language = request.POST.get("do", "create").partition(" ")
    if verb == "create":
        return _create(request, draft, typed)
    if not typed.can_be_saved:
        return _content_page(request, draft, typed)
    bodies = typed.bodies
    if verb == "add" and language in Language.values:
        bodies.setdefault(language, "")
    elif verb == "remove":
        bodies.pop(language, None)
    creation.keep_text(draft, bodies)
    if verb == "back":
        return redirect("campaign-new-channel", draft_id=draft.pk)
    if verb == "leave":
        messages.success(request, f"“{draft.name}” is kept. Continue it whenever you like.")
        return redirect("campaign-list")
    if verb == "check":
        return _content_page(request, draft, typed)
    return redirect(reverse("campaign-new-content", args=[draft.pk]) + f"#body-{language}")


def _create(request: Request, draft: CampaignDraft, typed: ContentForm) -> HttpResponse:
    if typed.can_be_saved:
        creation.keep_text(draft, typed.bodies)
    if not typed.is_valid():
        return _content_page(request, draft, typed)
    try:
        campaign = creation.create_campaign(draft.pk, by=request.user)
    except creation.NotReady as refusal:
        typed.add_error(None, refusal.message)
        return _content_page(request, draft, typed)
    messages.success(request, f"“{campaign.name}” is created. You can send messages now.")
    return redirect("campaign", campaign_id=campaign.pk)


def _content_form(bodies: dict[str, str]) -> ContentForm:
    initial = {ContentForm.name_of(code): body for code, body in bodies.items()}
    return ContentForm(languages=bodies, initial=initial)


@dataclass(frozen=True)
class Panel:
    """One language of the composer, with what the server has to say about its text."""

    language: Language
    field: Any
    header: str
    footer: str
    sender: str
    notice: str

    @property
    def lang(self) -> str:
        return sms.LANGUAGE_TAGS[self.language]

    @property
    def body(self) -> str:
        return creation.clean_body(self.field.value() or "")

    @property
    def full_text(self) -> str:
        return sms.wrap(self.header, self.body, self.footer, self.notice)

    @property
    def characters(self) -> int:
        return creation.characters_of(self.body)

    @property
    def is_long(self) -> bool:
        return self.characters > sms.WARN_BODY

    @property
    def measure(self) -> sms.Measure:
        """Of the text as sent, its variables empty: what every recipient's message is at least."""
        bare = templating.compile(self.body).literals
        return sms.measure(sms.wrap(self.header, "".join(bare), self.footer, self.notice))

    @property
    def variables(self) -> list[str]:
        return templating.variables(self.body)


def _content_page(request: Request, draft: CampaignDraft, form: ContentForm) -> HttpResponse:
    sender = creation.sender_id(draft)
    agency = draft.creator.agency
    assert agency  # `creators_only` let nobody in without one
    panels = [
        Panel(
            language=Language(code),
            field=form[form.name_of(code)],
            header=agency.name,
            footer=sms.FOOTERS[code],
            sender=sender,
            notice=settings.TRAINING_NOTICE,
        )
        for code in form.languages
    ]
    context = {
        "form": form,
        "draft": draft,
        "panels": panels,
        "missing": [code for code in Language if code.value not in form.languages],
        "max_body": sms.MAX_BODY,
        "warn_body": sms.WARN_BODY,
    }
    return _step(request, 3, "content", context)


@creators_only
@require_POST
def discard(request: Request, draft_id: uuid.UUID) -> HttpResponse:
    draft = get_object_or_404(CampaignDraft, pk=draft_id, creator=request.user)
    draft.delete()
    messages.success(request, f"“{draft.name}” is discarded.")
    return redirect("campaign-list")


def _step(request: Request, number: int, page: str, context: dict[str, Any]) -> HttpResponse:
    context |= {"steps": STEPS, "number": number}
    form = context["form"]
    status = 422 if form.is_bound and form.errors else 200
    return render(request, f"campaigns/new_{page}.html", context, status=status)
