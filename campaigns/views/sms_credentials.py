"""Settings → SMS credentials: the Twilio accounts that one's own systems send through."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from campaigns import sms_credentials
from campaigns.forms import SmsCredentialsForm
from campaigns.models import TwilioCredentials
from campaigns.twilio_account import CredentialsRefused
from postman.errors import Refused

from . import Request


@sensitive_post_parameters("api_secret", "auth_token")
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def credentials(request: Request) -> HttpResponse:
    form = SmsCredentialsForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and _add(request, form):
        messages.success(request, f"“{form.cleaned_data['label']}” can be used now.")
        return redirect("sms-credentials")
    context = {"form": form, "rows": sms_credentials.of(request.user)}
    status = 422 if form.errors else 200
    return render(request, "campaigns/sms_credentials.html", context, status=status)


def _add(request: Request, form: SmsCredentialsForm) -> bool:
    """Whether it is done; if not, the form says why."""
    try:
        sms_credentials.add(
            request.user,
            label=form.cleaned_data["label"],
            credentials=form.credentials(),
            segments_per_second=form.cleaned_data["segments_per_second"],
        )
    except Refused as refused:
        field = refused.field if isinstance(refused, CredentialsRefused) else None
        is_label = refused.code == "invalid_credential_label"
        form.add_error("label" if is_label else field or None, refused.message)
        return False
    return True


@require_POST
@login_required
def credentials_check(request: Request, credentials_id: int) -> HttpResponse:
    kept = _own(request, credentials_id)
    try:
        sms_credentials.check(kept)
    except Refused as refused:
        messages.error(request, f"“{kept.campaign.name}”: {refused.message}")
    else:
        messages.success(request, f"“{kept.campaign.name}” opens.")
    return redirect("sms-credentials")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def credentials_remove(request: Request, credentials_id: int) -> HttpResponse:
    kept = _own(request, credentials_id)
    if request.method != "POST":
        return render(request, "campaigns/sms_credentials_remove.html", {"row": kept})
    sms_credentials.remove(kept, by=request.user)
    messages.success(request, f"“{kept.campaign.name}” is removed.")
    return redirect("sms-credentials")


def _own(request: Request, credentials_id: int) -> TwilioCredentials:
    rows: Any = sms_credentials.of(request.user)
    kept: TwilioCredentials = get_object_or_404(rows, pk=credentials_id)
    return kept
