from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django_htmx.http import HttpResponseClientRedirect

from postman.accounts import sessions

WRITE_EVERY = timedelta(minutes=1)


class SessionActivity:
    """Sign out whoever was away too long; remember of the others when and from where they came.

    A part of a page cannot show the sign-in form, so htmx is sent there as a whole.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Requests without the cookie, such as the API's, never touch the session.
        is_signed_in = (
            settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated
        )
        if is_signed_in:
            self._note(request)
        response = self.get_response(request)
        # Recipients must not come back with the Back button after signing out on a shared desk.
        if is_signed_in and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_store=True)
        if getattr(request, "htmx", False) and _leads_to_login(response):
            return HttpResponseClientRedirect(redirect_to_login(_page_of(request)).url)
        return response

    def _note(self, request: HttpRequest) -> None:
        now = timezone.now()
        seen_at = sessions.time_in(request.session, sessions.SEEN_AT)
        if seen_at and now - seen_at > timedelta(seconds=settings.SESSION_IDLE_SECONDS):
            logout(request)
            minutes = settings.SESSION_IDLE_SECONDS // 60
            messages.info(request, f"You were signed out after {minutes} minutes without activity.")
        elif seen_at is None or now - seen_at >= WRITE_EVERY:
            note_visit(request)


def note_visit(request: HttpRequest) -> None:
    now = timezone.now().isoformat()
    request.session.setdefault(sessions.BEGAN_AT, now)
    request.session[sessions.SEEN_AT] = now
    request.session[sessions.IP] = request.client_ip  # type: ignore[attr-defined]
    request.session[sessions.USER_AGENT] = request.headers.get("User-Agent", "")[:200]


def _leads_to_login(response: HttpResponse) -> bool:
    location = response.headers.get("Location", "")
    return response.status_code == 302 and urlsplit(location).path == resolve_url(
        settings.LOGIN_URL
    )


def _page_of(request: HttpRequest) -> str:
    try:
        page = urlsplit(request.headers.get("HX-Current-URL", "/"))
    except ValueError:
        return "/"
    return f"{page.path}?{page.query}" if page.query else page.path or "/"
