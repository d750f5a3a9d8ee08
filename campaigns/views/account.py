"""Settings: what there is to set for oneself, with the way to each."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from campaigns.models import Sender

from . import Request


@require_safe
@login_required
def overview(request: Request) -> HttpResponse:
    own = Sender.objects.filter(owner=request.user).select_related("domain").first()
    return render(request, "campaigns/account.html", {"own": own})
