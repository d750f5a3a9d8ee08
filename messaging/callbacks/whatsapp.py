"""WhatsApp's webhooks: what became of messages, and what people write to our number."""

import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from messaging import providers
from messaging.callbacks import auto_reply, inbox
from messaging.callbacks.bell import ring_for_reports
from messaging.channels.base import Callback, InvalidSignature
from messaging.channels.whatsapp import Whatsapp

logger = logging.getLogger(__name__)


@csrf_exempt  # the caller is Meta: its signature stands in for the token
@require_http_methods(["GET", "POST"])
def whatsapp_callback(request: HttpRequest) -> HttpResponse:
    """Keep every report of the call if Meta signed it; a worker applies them. 403 for others.

    Messages that are not ours are met with a 200 as well, or Meta would tell of them for days.
    """
    if "whatsapp" not in settings.CHANNELS:
        return _refuse("there is no number at WhatsApp")
    channel = providers.channel_of(providers.WHATSAPP_ACCOUNT)
    assert isinstance(channel, Whatsapp)
    if request.method == "GET":
        return _meet(request, channel)
    callback = Callback(
        request.path,
        signature=request.META.get("HTTP_X_HUB_SIGNATURE_256", ""),
        body=request.body,
    )
    try:
        events, texts = channel.read_events(callback), channel.read_texts(callback)
    except InvalidSignature:
        return _refuse("the signature is not Meta's")
    for event in events:
        if event.attempt_id:
            inbox.keep("whatsapp", event.attempt_id, event)
    if events:
        ring_for_reports()
    for text in texts:
        auto_reply.answer(text, channel)
    return HttpResponse(status=200)


def _meet(request: HttpRequest, channel: Whatsapp) -> HttpResponse:
    """Meta asks once, when the webhook is set up, whether it is ours."""
    asked = request.GET
    is_ours = channel.answer_to_challenge(asked.get("hub.verify_token", ""))
    if asked.get("hub.mode") != "subscribe" or not is_ours:
        return _refuse("the verify token is not ours")
    return HttpResponse(asked.get("hub.challenge", "")[:200], content_type="text/plain")


def _refuse(reason: str) -> HttpResponse:
    logger.warning("a call to the door of WhatsApp was refused: %s", reason)
    return HttpResponseForbidden()
