"""Pictures for emails: an agency's own to choose from, and each one to whoever got its address."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from csp.decorators import csp
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.uploadhandler import MemoryFileUploadHandler, TemporaryFileUploadHandler
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import condition, require_http_methods, require_safe

from campaigns.access import email_campaign_for
from campaigns.email import images
from campaigns.forms import ImageForm
from campaigns.models import Campaign, Image
from postman.uploads import SizeLimit

from . import Request

PICTURES_PER_PAGE = 24
FOREVER = 365 * 24 * 60 * 60


def takes_picture(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a page take a file of the size of a picture; it is told whether one was larger.

    Goes beneath the guards. CSRF looks for its token in the form and so reads the whole upload:
    our limit has to stand in line before that, so the page itself is `csrf_exempt` and the check
    is made here.
    """

    @wraps(view)
    def taking(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        limit = SizeLimit(request, settings.IMAGE_BYTES_LIMIT)
        request.upload_handlers = [
            limit,
            MemoryFileUploadHandler(request),
            TemporaryFileUploadHandler(request),
        ]
        answer: HttpResponse = csrf_protect(view)(request, *args, limit=limit, **kwargs)
        return answer

    return taking


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def pictures(request: Request, campaign_id: uuid.UUID) -> HttpResponse:
    """The agency's pictures, newest first, and a form for another one."""
    campaign, _ = email_campaign_for(request, campaign_id)
    return _pictures(request, campaign)


@takes_picture
def _pictures(request: Request, campaign: Campaign, *, limit: SizeLimit) -> HttpResponse:
    if request.method != "POST":
        return _page(request, campaign, ImageForm())
    form = ImageForm(request.POST, request.FILES, is_too_large=limit.is_too_large)
    if form.is_valid():
        typed = form.cleaned_data
        try:
            image = images.keep(
                typed["file"], alt=typed["alt"], agency=campaign.agency, by=request.user
            )
        except images.Unusable as refused:
            form.add_error("file", refused.message)
        else:
            if request.htmx:
                return _page(request, campaign, ImageForm(), newest=image)
            messages.success(request, "The picture is uploaded.")
            return redirect("campaign-images", campaign.pk)
    return _page(request, campaign, form, status=422)


def _page(
    request: Request,
    campaign: Campaign,
    form: ImageForm,
    *,
    newest: Image | None = None,
    status: int = 200,
) -> HttpResponse:
    rows = Image.objects.filter(agency=campaign.agency).order_by("-id")
    page = Paginator(rows, PICTURES_PER_PAGE).get_page(request.GET.get("page"))
    context = {"campaign": campaign, "form": form, "page": page, "newest": newest}
    is_part = request.htmx and not request.htmx.history_restore_request
    template = "campaigns/_images.html" if is_part else "campaigns/images.html"
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _tag(request: Request, key: str) -> str:
    return f'"{key}"'


@require_safe
@csp({"default-src": ["'none'"], "sandbox": True})  # type: ignore[arg-type]
@condition(etag_func=_tag)
def image(request: Request, key: str) -> HttpResponseBase:
    """The picture itself, to anybody. It never changes, and its address tells nothing."""
    found = get_object_or_404(Image, key=key)
    try:
        file = found.file.open("rb")
    except FileNotFoundError:
        raise Http404("its file is gone") from None
    response = FileResponse(file, content_type=found.content_type)
    kind = found.content_type.removeprefix("image/")
    response.headers["Content-Disposition"] = f'inline; filename="picture.{kind}"'
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    patch_cache_control(response, public=True, max_age=FOREVER, immutable=True)
    return response
