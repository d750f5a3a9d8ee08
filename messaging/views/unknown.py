"""An officer's decision on messages whose outcome nobody heard."""

from typing import cast

from django.contrib import messages as flash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import pluralize

from campaigns.models import Channel
from messaging.models import Batch, Message, MessageQuerySet
from messaging.sending import retrying
from postman.accounts.models import User
from postman.errors import Refused


def resend_unknown(
    request: HttpRequest,
    messages: MessageQuerySet,
    *,
    on: Batch | Message,
    back: str,
    number: int,
) -> HttpResponse:
    """Ask, and once they said yes, send."""
    if not number:
        return redirect(back)
    if request.method != "POST":
        context = {"number": number, "back": back, "is_charged": on.campaign.channel == Channel.SMS}
        return render(request, "messaging/resend_unknown.html", context)
    try:
        sent = retrying.resend_unknown(messages, by=cast(User, request.user), on=on)
    except Refused as refused:
        flash.error(request, refused.message)
    else:
        flash.success(request, f"{sent:,} message{pluralize(sent)} will be sent again.")
    return redirect(back)
