"""Settings → Telegram bots: what an officer's campaigns are sent by."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from campaigns.models import TelegramBot
from campaigns.telegram import bots
from campaigns.telegram.bot_api import BotRefused
from campaigns.telegram.forms import TelegramBotForm
from postman.errors import Refused

from . import Request

CAMPAIGNS_SHOWN = 20


@sensitive_post_parameters("token")
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def telegram_bots(request: Request) -> HttpResponse:
    reason = bots.why_not(request.user)
    form = TelegramBotForm(request.POST or None)
    if request.method == "POST" and not reason and form.is_valid() and _add(request, form):
        messages.success(request, f"“{form.cleaned_data['label']}” can be used now.")
        return redirect("telegram-bots")
    context = {"form": form, "rows": bots.with_subscribers(request.user), "reason": reason}
    status = 422 if request.method == "POST" else 200
    return render(request, "campaigns/telegram_bots.html", context, status=status)


def _add(request: Request, form: TelegramBotForm) -> bool:
    """Whether it is done; if not, the form says why."""
    try:
        bots.add(request.user, label=form.cleaned_data["label"], token=form.cleaned_data["token"])
    except Refused as refused:
        fields = {
            "invalid_credential_label": "label",
            "telegram_bot_refused": "token",
            "bot_taken": "token",
        }
        form.add_error(fields.get(refused.code), refused.message)
        return False
    return True


@require_POST
@login_required
def telegram_bot_check(request: Request, bot_id: uuid.UUID) -> HttpResponse:
    bot = _own(request, bot_id)
    try:
        bots.check(bot)
    except BotRefused as refused:
        messages.error(request, f"“{bot.label}”: {refused.message}")
    else:
        messages.success(request, f"“{bot.label}” works, and its subscriptions come to us.")
    return redirect("telegram-bots")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def telegram_bot_remove(request: Request, bot_id: uuid.UUID) -> HttpResponse:
    bot = _own(request, bot_id)
    if request.method != "POST":
        used = bots.campaigns_of(bot)
        context = {
            "bot": bot,
            "campaigns": used[:CAMPAIGNS_SHOWN],
            "more": max(0, used.count() - CAMPAIGNS_SHOWN),
            "subscribers": bot.subscriptions.count(),
        }
        return render(request, "campaigns/telegram_bot_remove.html", context)
    bots.remove(bot, by=request.user)
    messages.success(request, f"“{bot.label}” is removed.")
    return redirect("telegram-bots")


def _own(request: Request, bot_id: uuid.UUID) -> TelegramBot:
    rows: Any = bots.of(request.user)
    bot: TelegramBot = get_object_or_404(rows, pk=bot_id)
    return bot
