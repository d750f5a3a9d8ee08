import logging
import uuid
from collections.abc import Callable

import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from postman.api.client_ip import client_ip
from postman.api.errors import envelope

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]
OUTAGE = (OperationalError, InterfaceError, RedisConnectionError, RedisTimeoutError)


class RequestId:
    """Name every request, in its logs and in its answer (`X-Request-Id`, v2-sms §8.1 `error.id`)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.id = uuid.uuid4().hex  # type: ignore[attr-defined]
        request.client_ip = client_ip(request)  # type: ignore[attr-defined]
        structlog.contextvars.bind_contextvars(
            request_id=request.id,  # type: ignore[attr-defined]
            ip=request.client_ip,  # type: ignore[attr-defined]
        )
        try:
            response = self.get_response(request)
        finally:
            structlog.contextvars.clear_contextvars()
        response["X-Request-Id"] = request.id  # type: ignore[attr-defined]
        return response


class Unavailable:
    """Say 503 and when to come back while the database or the broker is away; nothing was stored."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return self.get_response(request)
        except OUTAGE as error:
            return self._answer(request, error)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return self._answer(request, error) if isinstance(error, OUTAGE) else None

    def _answer(self, request: HttpRequest, error: Exception) -> HttpResponse:
        logger.error("a store is away: %s", type(error).__name__)
        if request.path.startswith("/api/"):
            response: HttpResponse = envelope(
                request, 503, "service_unavailable", "Nothing was accepted. Send it again shortly."
            )
        else:
            response = render(request, "503.html", status=503)
        response["Retry-After"] = "10"
        return response
