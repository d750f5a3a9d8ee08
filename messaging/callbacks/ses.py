"""Amazon's reports on what became of an email: events of SES, brought by SNS."""

import itertools
import logging

from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from messaging import providers
from messaging.callbacks import inbox
from messaging.callbacks.bell import ring_for_reports
from messaging.channels.base import Callback, InvalidSignature, NotNow

logger = logging.getLogger(__name__)

_strangers = itertools.count(1)


@csrf_exempt  # the caller is Amazon: its signature stands in for the token
@require_POST
def ses_callback(request: HttpRequest) -> HttpResponse:
    """Keep the report if SNS signed it for a topic of ours; a worker applies it.

    403 for anybody else. SNS takes any 4xx for our last word and comes again only after a 5xx.
    """
    try:
        events = providers.channel_of(providers.EMAIL_ACCOUNT).read_events(
            Callback(request.path, body=request.body)
        )
    except InvalidSignature as fault:
        logger.warning("a call to the door of SNS was refused: %s", fault)
        return HttpResponseForbidden()
    except NotNow as fault:
        logger.warning("SNS has to come again: %s", fault)
        return HttpResponse(status=503)
    for event in events:
        if event.attempt_id is None:
            _tell_of_strangers()
        else:
            inbox.keep("ses", event.attempt_id, event)
    ring_for_reports()
    return HttpResponse(status=204)


def _tell_of_strangers() -> None:
    """Of emails that are no messages of ours: another system's that publishes to the same topic.

    Told at the first, the second, the fourth and so on, for there may be thousands.
    """
    number = next(_strangers)
    if number & (number - 1) == 0:
        logger.warning("SES has reported on emails that are no messages of ours: %d", number)
