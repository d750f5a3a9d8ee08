"""Settings → Telegram bots: what an officer's campaigns are sent by."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import content_disposition_header
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.models import TelegramBot
from campaigns.telegram import bots, inviting
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
    if request.method == "POST" and not reason and form.is_valid() and (bot := _add(request, form)):
        messages.success(request, f"“{bot.label}” can be used now. Invite people to subscribe.")
        return redirect("telegram-bot-invite", bot.pk)
    context = {"form": form, "rows": bots.with_subscribers(request.user), "reason": reason}
    status = 422 if request.method == "POST" else 200
    return render(request, "campaigns/telegram_bots.html", context, status=status)


def _add(request: Request, form: TelegramBotForm) -> TelegramBot | None:
    """The bot as it is kept; None where it was refused, and the form says why."""
    typed = form.cleaned_data
    try:
        return bots.add(request.user, label=typed["label"], token=typed["token"])
    except Refused as refused:
        fields = {
            "invalid_credential_label": "label",
            "telegram_bot_refused": "token",
            "bot_taken": "token",
        }
        form.add_error(fields.get(refused.code), refused.message)
        return None


@require_safe
@login_required
def telegram_bot_invite(request: Request, bot_id: uuid.UUID) -> HttpResponse:
    """What an agency gives to people so that they subscribe."""
    bot = _shown(request, bot_id)
    context = {
        "bot": bot,
        "is_own": bot.owner_id == request.user.pk,
        "subscribers": bot.subscriptions.count(),
        "words": inviting.words(bot),
        "qr": inviting.qr_svg(bot),
    }
    return render(request, "campaigns/telegram_bot_invite.html", context)


@require_safe
@login_required
def telegram_bot_qr(request: Request, bot_id: uuid.UUID) -> HttpResponse:
    bot = _shown(request, bot_id)
    answer = HttpResponse(inviting.qr_png(bot), content_type="image/png")
    answer["Content-Disposition"] = content_disposition_header(True, f"{bot.username}.png")
    return answer


def _shown(request: Request, bot_id: uuid.UUID) -> TelegramBot:
    bots_shown = inviting.shown_to(request.user).select_related("owner__agency")
    return get_object_or_404(bots_shown, pk=bot_id)


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
