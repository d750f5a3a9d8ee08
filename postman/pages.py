"""Error pages, and the same facts in the API's envelope for whoever asked the API."""

import logging
import sys

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views import defaults
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from postman.api.errors import UNREADABLE, envelope

logger = logging.getLogger(__name__)

OUTAGE = (OperationalError, InterfaceError, RedisConnectionError, RedisTimeoutError)


def is_for_api(request: HttpRequest) -> bool:
    return request.path == "/api" or request.path.startswith(("/api/", "/v1/"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django itself refuses before any view sees it, such as a `Host` that is not ours."""
    if not is_for_api(request):
        return defaults.bad_request(request, exception)
    message = UNREADABLE
    if isinstance(exception, DisallowedHost):
        message = f"Call this API by its own name: {settings.PUBLIC_URL}."
    return envelope(request, 400, "parameter_invalid", message)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_for_api(request):
        return envelope(request, 404, "invalid_path", "There is no such address in this API.")
    return render(request, "404.html", status=404)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "403.html", status=403)


def unavailable(request: HttpRequest, error: Exception) -> HttpResponse:
    """The database or the broker is away: nothing was stored, and when to come back."""
    logger.error("a store is away: %s", type(error).__name__)
    if is_for_api(request):
        response: HttpResponse = envelope(
            request, 503, "service_unavailable", "Nothing was accepted. Send it again shortly."
        )
    else:
        response = render(request, "503.html", status=503)
    response["Retry-After"] = "10"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exception()
    # What a middleware raises comes here before any other middleware sees it.
    if isinstance(error, OUTAGE):
        return unavailable(request, error)
    if is_for_api(request):
        return envelope(request, 500, "internal_error", "The fault is ours. Nothing was accepted.")
    return render(request, "500.html", status=500)
