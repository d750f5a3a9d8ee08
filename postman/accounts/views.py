from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from postman.accounts import audit, devices, limits
from postman.accounts import login as codes
from postman.accounts import sessions as store
from postman.accounts.forms import CodeForm, EmailForm
from postman.accounts.middleware import note_visit
from postman.accounts.models import User
from postman.errors import Refused

EMAIL, NEXT = "login_email", "login_next"


class Request(HttpRequest):
    """With what our middleware and `login_required` promise."""

    client_ip: str
    user: User


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: Request) -> HttpResponse:
    wanted = _same_site(request, request.POST.get("next") or request.GET.get("next"))
    if request.user.is_authenticated:
        return redirect(wanted or settings.LOGIN_REDIRECT_URL)
    form = EmailForm(request.POST or None)
    context = {"form": form, "next": wanted}
    if request.method != "POST":
        return render(request, "accounts/login.html", context)
    if not form.is_valid():
        return render(request, "accounts/login.html", context, status=422)
    email = form.cleaned_data["email"]
    try:
        _request_code(request, email)
    except codes.TooSoon:
        # The code mailed moments ago still works, so go where it is typed.
        pass
    except Refused as refused:
        return _refuse(request, "accounts/login.html", context, "email", refused)
    request.session[EMAIL], request.session[NEXT] = email, wanted
    return redirect("login-verify")


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def verify(request: Request) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    email = request.session.get(EMAIL)
    if not email:
        return redirect("login")
    form = CodeForm(request.POST or None)
    if request.method != "POST":
        return _verify_page(request, form)
    if not form.is_valid():
        return _verify_page(request, form, status=422)
    try:
        limits.count("guesses", request, email)
        user = codes.redeem(email, form.cleaned_data["code"])
    except Refused as refused:
        return _refuse(
            request, "accounts/verify.html", _verify_context(request, form), "code", refused
        )
    wanted = _same_site(request, request.session.pop(NEXT, None))
    del request.session[EMAIL]
    _begin_session(request, user)
    return redirect(wanted or settings.LOGIN_REDIRECT_URL)


@never_cache
@require_POST
def resend(request: Request) -> HttpResponse:
    email = request.session.get(EMAIL)
    if not email or request.user.is_authenticated:
        return redirect("login")
    try:
        _request_code(request, email)
    except Refused as refused:
        context = _verify_context(request, CodeForm())
        return _refuse(request, "accounts/verify.html", context, None, refused)
    messages.success(request, "A new code is on its way. Earlier codes no longer work.")
    return redirect("login-verify")


@require_POST
def logout(request: Request) -> HttpResponse:
    if request.user.is_authenticated:
        audit.record("logout", by=request.user, on=request.user)
        auth.logout(request)
        messages.success(request, "You are signed out.")
    return redirect("login")


@require_safe
@login_required
def sessions(request: Request) -> HttpResponse:
    rows = [
        {
            "device": devices.name_of(session.user_agent),
            "ip": session.ip,
            "created_at": session.created_at,
            "last_seen_at": session.last_seen_at,
            "handle": store.handle_of(session.session_key),
            "is_this": session.session_key == request.session.session_key,
        }
        for session in store.live(request.user)
    ]
    return render(request, "accounts/sessions.html", {"sessions": rows})


@require_POST
@login_required
def end_session(request: Request) -> HttpResponse:
    handle = request.POST.get("session", "")
    keys = [
        session.session_key
        for session in request.user.sessions.exclude(session_key=request.session.session_key)
        if store.handle_of(session.session_key) == handle
    ]
    ended = store.end(
        request.user.sessions.filter(session_key__in=keys), of=request.user, by=request.user
    )
    if ended:
        messages.success(request, "That device is signed out.")
    else:
        messages.info(request, "That device was signed out already.")
    return redirect("sessions")


@require_POST
@login_required
def end_other_sessions(request: Request) -> HttpResponse:
    others = request.user.sessions.exclude(session_key=request.session.session_key)
    store.end(others, of=request.user, by=request.user)
    messages.success(request, "You are signed out everywhere but here.")
    return redirect("sessions")


def _request_code(request: Request, email: str) -> None:
    limits.count("codes", request, email)
    codes.request_code(email, ip=request.client_ip)


def _begin_session(request: Request, user: User) -> None:
    """A new session key, and an end that no activity puts off."""
    auth.login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    request.session.set_expiry(timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE))
    note_visit(request)


def _verify_page(request: Request, form: CodeForm, status: int = 200) -> HttpResponse:
    return render(request, "accounts/verify.html", _verify_context(request, form), status=status)


def _verify_context(request: Request, form: CodeForm) -> dict[str, Any]:
    email = request.session[EMAIL]
    return {"form": form, "email": email, "wait": codes.seconds_until_resend(email)}


def _refuse(
    request: Request,
    template: str,
    context: dict[str, Any],
    field: str | None,
    refused: Refused,
) -> HttpResponse:
    """The page again, with the reason beside its field (or above the form)."""
    form: Form = context["form"]
    if field:
        form.add_error(field, refused.message)
    else:
        context["errors"] = [refused.message]
    if isinstance(refused, limits.TooMany):
        response = render(request, template, context, status=429)
        response["Retry-After"] = str(refused.seconds)
        return response
    return render(request, template, context, status=422)


def _same_site(request: Request, wanted: str | None) -> str:
    # Without the slash `redirect` would take it for the name of a view.
    if not wanted or not wanted.startswith("/"):
        return ""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else ""
