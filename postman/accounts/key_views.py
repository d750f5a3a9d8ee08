"""Settings → API keys: the keys of one's own account."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from postman.accounts import keys
from postman.accounts.forms import ContactsForm, KeyForm
from postman.accounts.models import AccountKey
from postman.accounts.views import Request
from postman.errors import Refused


@never_cache  # the answer to a creation holds the secret
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def account_keys(request: Request) -> HttpResponse:
    form = KeyForm(request.POST or None, initial={"contacts": request.user.email})
    if request.method != "POST":
        return _page(request, form)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        key, secret = keys.create(request.user, **form.cleaned_data)
    except Refused as refused:
        form.add_error(None, refused.message)
        return _page(request, form, status=422)
    empty = KeyForm(initial={"contacts": request.user.email})
    return _page(request, empty, new_key=key, secret=secret)


def _page(request: Request, form: KeyForm, status: int = 200, **context: Any) -> HttpResponse:
    own = request.user.keys.order_by("-created_at", "-id")
    context |= {
        "form": form,
        "working": own.working(timezone.now()),
        "ended": own.exclude(pk__in=own.working(timezone.now()))[:20],
    }
    return render(request, "accounts/keys.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def account_key_revoke(request: Request, key_id: uuid.UUID) -> HttpResponse:
    key = _own(request, key_id)
    if request.method != "POST":
        return render(request, "accounts/key_revoke.html", {"key": key})
    keys.revoke(key, by=request.user)
    messages.success(request, f"“{key.label}” is revoked: calls with it are refused.")
    return redirect("account-keys")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def account_key_contacts(request: Request, key_id: uuid.UUID) -> HttpResponse:
    key = _own(request, key_id)
    form = ContactsForm(request.POST or None, initial={"contacts": "\n".join(key.contacts)})
    if request.method == "POST" and form.is_valid():
        keys.change_contacts(key, form.cleaned_data["contacts"], by=request.user)
        messages.success(request, f"The contacts of “{key.label}” are changed.")
        return redirect("account-keys")
    status = 422 if form.errors else 200
    return render(request, "accounts/key_contacts.html", {"key": key, "form": form}, status=status)


def _own(request: Request, key_id: uuid.UUID) -> AccountKey:
    """Of the working ones; anybody else's is as good as none."""
    return get_object_or_404(request.user.keys.working(timezone.now()), pk=key_id)
