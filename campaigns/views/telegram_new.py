"""The second step of a Telegram campaign: by which bot it is sent."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from campaigns import creation
from campaigns.models import Channel
from campaigns.telegram import bots, creating
from campaigns.telegram.forms import NewTelegramForm
from postman.ids import new_id

from . import Request
from .creation import creators_only


@creators_only
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: Request) -> HttpResponse:
    """`?name=…&campaign_id=…`: as the first step was filled in; the form carries both along."""
    asked = {
        "name": request.GET.get("name", ""),
        "campaign_id": request.GET.get("campaign_id") or new_id(),
    }
    form = NewTelegramForm(request.user, request.POST or None, initial=asked)
    if request.method == "POST" and form.is_valid():
        try:
            campaign = creating.create_campaign(
                id=form.cleaned_data["campaign_id"],
                name=form.cleaned_data["name"],
                bot=form.cleaned_data["bot"],
                by=request.user,
            )
        except creation.NotReady as refusal:
            form.add_error(None, refusal.message)
        else:
            return redirect("telegram-message", campaign_id=campaign.pk)
    context = {
        "form": form,
        "has_bots": bots.of(request.user).exists(),
        "reason": creation.why_not_by(request.user, Channel.TELEGRAM),
    }
    status = 422 if form.is_bound else 200
    return render(request, "campaigns/new_telegram.html", context, status=status)
