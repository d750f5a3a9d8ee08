"""Send: one message to one person, or a file for many."""

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages as flash
from django.contrib.auth.decorators import login_required
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_safe

from campaigns import plain_sms, sms
from campaigns.access import campaign_for
from campaigns.email import pinning
from campaigns.models import Campaign, Channel, EmailDraft, Membership
from campaigns.telegram import drafts
from campaigns.whatsapp import chosen_in
from messaging import exports
from messaging.forms import ComposeForm, PasteForm, UploadForm, placeholders
from messaging.models import Batch, Message
from messaging.sending import singles, uploading
from postman.errors import Refused
from postman.ids import new_id

from . import telegram, whatsapp
from .downloads import csv_answer
from .steps import steps_of
from .uploads import SizeLimit


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def single(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    if campaign.is_whatsapp:
        return whatsapp.single(request, campaign, membership)
    if campaign.channel != Channel.SMS:
        raise Http404("a page of another channel")
    if plain_sms.is_one(campaign):
        return _made_by_a_system(request, campaign)
    if request.method != "POST":
        return _single_page(
            request, campaign, ComposeForm(campaign, initial={"message_id": new_id()})
        )

    form = ComposeForm(campaign, request.POST)
    if not form.is_valid():
        return _single_page(request, campaign, form, status=422)
    if message := _sent_by_this_page(form, membership):
        flash.info(request, "This message was sent already, and not a second time.")
        return redirect("message", campaign.pk, message.pk)
    message = _send(form, campaign, membership)
    if message is None:
        return _single_page(request, campaign, form, status=422)
    return redirect("message", campaign.pk, message.pk)


def _made_by_a_system(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    flash.info(
        request, "A system writes and fills this campaign through the API. Here you can follow it."
    )
    return redirect("campaign", campaign.pk)


def _sent_by_this_page(form: ComposeForm, membership: Membership) -> Message | None:
    """The message of an earlier press of Send.

    Whoever went back and changed what it says means another one, which then gets its own id.
    """
    typed = form.cleaned_data
    earlier = Message.objects.select_related("template_body").filter(pk=typed["message_id"]).first()
    if earlier is None:
        return None
    is_same = (
        earlier.campaign_id == membership.campaign_id
        and earlier.creator_id == membership.user_id
        and (earlier.recipient, earlier.values) == (form.recipient, form.values)
        and earlier.template_body is not None
        and earlier.template_body.language == typed["language"]
    )
    if is_same:
        return earlier
    typed["message_id"] = new_id()
    return None


def _send(form: ComposeForm, campaign: Campaign, membership: Membership) -> Message | None:
    """The message as accepted; None where it was refused, with the reasons on the form."""
    try:
        return singles.send_message(
            campaign=campaign,
            creator=membership.user,
            language=form.cleaned_data["language"],
            recipient=form.recipient,
            values=form.values,
            id=form.cleaned_data["message_id"],
        )
    except singles.InvalidMessage as invalid:
        form.add_faults(invalid.faults)
    except Refused as refused:
        form.add_error(None, refused.message)
    return None


def _single_page(
    request: HttpRequest, campaign: Campaign, form: ComposeForm, *, status: int = 200
) -> HttpResponse:
    body = campaign.bodies.get(form["language"].value()) or next(iter(campaign.bodies.values()))
    context = {
        "campaign": campaign,
        "form": form,
        "texts": {
            language: {
                "body": text.body,
                "header": text.header,
                "footer": text.footer,
                "lang": sms.LANGUAGE_TAGS[language],
            }
            for language, text in campaign.bodies.items()
        },
        "notice": settings.TRAINING_NOTICE,
        "preview": body.full_message(form.typed_values),
        "lang": sms.LANGUAGE_TAGS[body.language],
    }
    return render(request, "messaging/compose.html", context, status=status)


# CSRF looks for its token in the form and so reads the whole upload: our limit has to stand in
# line before that, which is why the check is made by the inner view.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def multiple(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponse:
    campaign, membership = campaign_for(request, campaign_id)
    if campaign.is_protected:
        # Its file never leaves the officer's browser.
        return redirect("secure-compose", campaign.pk)
    if campaign.is_whatsapp and chosen_in(campaign) is None:
        return redirect("whatsapp-template", campaign.pk)
    if plain_sms.is_one(campaign):
        return _made_by_a_system(request, campaign)
    limit = SizeLimit(request)
    request.upload_handlers = [limit, TemporaryFileUploadHandler(request)]
    try:
        return _multiple(request, campaign, membership, limit)
    except RequestDataTooBig:
        if not campaign.is_email:
            raise
        form = PasteForm(campaign, {})
        form.refuse_as_too_long()
        return _multiple_page(request, campaign, membership, paste_form=form, status=422)


@csrf_protect
def _multiple(
    request: HttpRequest, campaign: Campaign, membership: Membership, limit: SizeLimit
) -> HttpResponse:
    if request.method != "POST":
        return _multiple_page(request, campaign, membership)
    if campaign.is_email and "pasted" in request.POST:
        return _pasted(request, campaign, membership)

    form = UploadForm(request.POST, request.FILES, is_too_large=limit.is_too_large)
    if form.is_valid():
        try:
            batch = _take(campaign, membership, form.cleaned_data["file"])
        except Refused as refused:
            form.add_error("file", refused.message)
        else:
            return redirect("batch", campaign.pk, batch.pk)
    return _multiple_page(request, campaign, membership, form=form, status=422)


def _pasted(request: HttpRequest, campaign: Campaign, membership: Membership) -> HttpResponse:
    form = PasteForm(campaign, request.POST)
    if form.is_valid():
        try:
            batch = _take(campaign, membership, form.file)
        except Refused as refused:
            form.add_error("pasted", refused.message)
        else:
            return redirect("batch", campaign.pk, batch.pk)
    return _multiple_page(request, campaign, membership, paste_form=form, status=422)


def _take(campaign: Campaign, membership: Membership, upload: UploadedFile) -> Batch:
    """Raises Refused, at once where the message is not finished: the check would find the same."""
    if faults := _faults_of_message(campaign):
        raise Refused(f"Finish the message first. {' '.join(faults)}", "draft_not_ready")
    return uploading.accept_upload(campaign=campaign, creator=membership.user, upload=upload)


def _faults_of_message(campaign: Campaign) -> list[str]:
    """What keeps an email from being sent; a text of SMS was finished when its campaign was made."""
    if campaign.is_telegram:
        return drafts.faults_of(campaign)
    if not campaign.is_email:
        return []
    return pinning.faults_of(EmailDraft.objects.select_related("campaign").get(campaign=campaign))


def _multiple_page(
    request: HttpRequest,
    campaign: Campaign,
    membership: Membership,
    *,
    form: UploadForm | None = None,
    paste_form: PasteForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {
        "campaign": campaign,
        "membership": membership,
        "form": form or UploadForm(),
        "limit": settings.BATCH_BYTES_LIMIT,
    }
    if campaign.is_email:
        context["faults"] = _faults_of_message(campaign)
        context["steps"] = steps_of(campaign, membership)
        context["paste_form"] = paste_form or PasteForm(campaign)
        return render(request, "messaging/email_upload.html", context, status=status)
    if campaign.is_whatsapp:
        context |= whatsapp.upload_facts(campaign)
        return render(request, "messaging/whatsapp_upload.html", context, status=status)
    if campaign.is_telegram:
        context |= telegram.upload_facts(campaign)
        return render(request, "messaging/telegram_upload.html", context, status=status)
    body = next(iter(campaign.bodies.values()))
    context["preview"] = body.full_message(placeholders(campaign))
    context["lang"] = sms.LANGUAGE_TAGS[body.language]
    return render(request, "messaging/upload.html", context, status=status)


@require_safe
@login_required
def csv_template(request: HttpRequest, campaign_id: uuid.UUID) -> HttpResponseBase:
    campaign, _ = campaign_for(request, campaign_id)
    if campaign.is_email:
        return csv_answer(exports.email_sample(campaign), exports.file_name("postman_sample"))
    if campaign.is_whatsapp:
        template = chosen_in(campaign)
        if template is None:
            raise Http404("no template")
        rows = [whatsapp.columns_of(template), whatsapp.example_of(template)]
        return csv_answer(rows, exports.file_name("(sample)", campaign.name))
    if campaign.is_telegram:
        rows = telegram.sample(campaign)
        return csv_answer(rows, exports.file_name("(sample)", campaign.name))
    if plain_sms.is_one(campaign):
        raise Http404("a system fills it")
    return csv_answer(exports.sample(campaign), exports.file_name("(sample)", campaign.name))
