"""Write the message of an email campaign."""

import uuid
from email.utils import parseaddr

from django.conf import settings
from django.contrib import messages as flash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from campaigns.access import email_campaign_for
from campaigns.email import drafts
from campaigns.forms import EmailForm
from campaigns.models import Campaign, EmailDraft


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def editor(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    campaign, membership = email_campaign_for(request, campaign_id)
    draft = EmailDraft.objects.select_related("updated_by").get(campaign=campaign)
    senders = _senders()
    if request.method != "POST":
        initial = {"version": draft.version}
        return _page(
            request, campaign, draft, EmailForm(instance=draft, initial=initial, senders=senders)
        )

    form = EmailForm(request.POST, senders=senders)
    form.full_clean()
    version = form.cleaned_data.get("version", 0)
    try:
        saved = drafts.save(campaign, form.storable, version=version, by=membership.user)
    except drafts.Conflict as conflict:
        return _page(request, campaign, conflict.theirs, form, status=409)
    if form.errors:
        return _page(request, campaign, saved.draft, form, status=422)
    for sentence in saved.removed:
        flash.warning(request, sentence)
    flash.success(request, "Saved.")
    return redirect("campaign-message", campaign.pk)


def _page(
    request: HttpRequest, campaign: Campaign, draft: EmailDraft, form: EmailForm, status: int = 200
) -> HttpResponse:
    context = {"campaign": campaign, "draft": draft, "form": form}
    return render(request, "messaging/message_editor.html", context, status=status)


def _senders() -> list[tuple[str, str]]:
    _, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return [(address, address)]
