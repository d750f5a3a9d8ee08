"""Middleware that only pages need: calls of the API pass it by, which are many and have no cookie."""

from typing import Any

from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.middleware.csrf import CsrfViewMiddleware
from django_htmx.middleware import HtmxMiddleware
from whitenoise.middleware import WhiteNoiseMiddleware

from postman.accounts.middleware import SessionActivity
from postman.pages import is_for_api


class _ForPages:
    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        if is_for_api(request):
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]


class StaticFiles(_ForPages, WhiteNoiseMiddleware):
    pass


class Policy(_ForPages, CSPMiddleware):
    """To an answer of the API, which nothing may show or frame, it gives a shorter policy."""

    def __call__(self, request: HttpRequest) -> Any:
        response = super().__call__(request)
        if is_for_api(request):
            response.headers["Content-Security-Policy"] = (
                "default-src 'none'; frame-ancestors 'none'"
            )
        return response


class Session(_ForPages, SessionMiddleware):
    pass


class Csrf(_ForPages, CsrfViewMiddleware):
    pass


class Authentication(_ForPages, AuthenticationMiddleware):
    pass


class Messages(_ForPages, MessageMiddleware):
    pass


class Htmx(_ForPages, HtmxMiddleware):
    pass


class Activity(_ForPages, SessionActivity):
    pass
