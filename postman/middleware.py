import uuid
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from postman.api.client_ip import client_ip
from postman.api.errors import envelope
from postman.pages import OUTAGE, unavailable

GetResponse = Callable[[HttpRequest], HttpResponse]


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
    """A view that meets a database or broker that is away answers 503, not 500."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return unavailable(request, error) if isinstance(error, OUTAGE) else None


class HttpsOnlyApi:
    """Where pages are redirected to HTTPS, an API call over plain HTTP is refused (v2-sms §3).

    A redirect would hide the mistake: every call would have shown its key to the network first.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if (
            settings.SECURE_SSL_REDIRECT
            and request.path.startswith(("/api/", "/v1/"))
            and not request.is_secure()
        ):
            return envelope(
                request,
                403,
                "https_required",
                "Call over HTTPS. If this call carried a key, others may have read it: replace it.",
            )
        return self.get_response(request)
