"""Twilio's reports on what became of an SMS."""

import logging
from urllib.parse import parse_qsl
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from messaging import providers
from messaging.callbacks import inbox
from messaging.callbacks.bell import ring_for_reports
from messaging.channels.base import Callback, InvalidSignature

logger = logging.getLogger(__name__)


@csrf_exempt  # the caller is Twilio: its signature stands in for the token
@require_POST
def twilio_callback(
    request: HttpRequest, account: str, attempt_id: UUID, token: str
) -> HttpResponse:
    """Keep the report if Twilio signed it; a worker applies it. 403 for anybody else.

    The address itself is signed by us as well, so it is one that we gave to Twilio. An agency that
    did not give us its Auth Token has only that.
    """
    if not providers.is_callback_token(account, attempt_id, token):
        return _refuse("the address is not ours")
    try:
        events = providers.channel_of(account).read_events(
            Callback(
                f"{settings.CALLBACK_URL}{request.get_full_path()}",
                # `request.POST` takes three times as long: it keeps a list for each name.
                dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True)),
                # `request.headers` would take apart all the others as well.
                request.META.get("HTTP_X_TWILIO_SIGNATURE", ""),
            )
        )
    except InvalidSignature:
        return _refuse("the signature is not Twilio's")
    for event in events:
        inbox.keep("twilio", attempt_id, event)
    ring_for_reports()
    return HttpResponse(status=204)


def _refuse(reason: str) -> HttpResponse:
    logger.warning("a Twilio callback was refused: %s", reason)
    return HttpResponseForbidden()
