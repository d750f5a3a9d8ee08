"""One campaign, `/v1/campaign/{id}/{type}`: written, tried out, sent and told of (v1-backend §3.4)."""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.models import Campaign
from messaging import exports
from messaging.api.v1 import kinds, standing
from messaging.api.v1.campaigns import MAX_NAME, CampaignApiView, created, listed
from messaging.api.v1.errors import Invalid
from messaging.api.v1.fields import Name, Number, Strict
from messaging.api.v1.listing import iso, moment_of
from messaging.api.v1.standing import Standing
from messaging.models import Attempt, Batch, BatchStatus, Message, Suppression
from messaging.sending import deciding, retrying
from messaging.states import WAITING, Status
from postman.accounts import audit
from postman.errors import Refused

MOST_RATE = 999


class CampaignView(CampaignApiView):
    """`self.kind` is what the address says; `self.campaign` is the account's own, of that type."""

    kind: kinds.Kind
    campaign: Campaign

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        type_ = kwargs["type_"].upper()
        self.campaign = standing.campaign_of(self.account, kwargs["number"], type_)
        self.kind = kinds.kind_of(type_)

    def edit(self, act: Callable[[Standing], Response]) -> Response:
        """`change`, of a campaign that this API may change at all."""

        def checked(stands: Standing) -> Response:
            self.kind.check_made_here(stands.campaign)
            return act(stands)

        return self.change(self.campaign, checked)


# Bodies --------------------------------------------------------------------------------------


class Duplicate(Strict):
    name = Name(max_length=MAX_NAME)


class Send(Strict):
    rate = Number(required=False, allow_null=True, default=None, min_value=1, max_value=MOST_RATE)
    scheduled_at = serializers.JSONField(required=False, default=None)

    names = {"scheduled_at": "scheduledTiming"}

    def validate_scheduled_at(self, value: Any) -> Any:
        """None: at once."""
        if value is None:
            return None
        at = moment_of(value) if isinstance(value, str) else None
        if at is None:
            raise serializers.ValidationError("Give a time such as 2026-01-31T09:00:00Z.")
        now = timezone.now()
        if at <= now:
            raise serializers.ValidationError("This time has passed. Give a later one.")
        if at > now + deciding.LATEST_SCHEDULE:
            raise serializers.ValidationError("Give a time within a year from now.")
        return at


# Written -------------------------------------------------------------------------------------


class Details(CampaignView):
    http_method_names = ["get", "head", "options"]

    def get(self, request: Request, number: str, type_: str) -> Response:
        stands = standing.of(self.campaign)
        shown = listed(stands) | {
            "csv_filename": _name_of(stands.filled),
            "is_csv_processing": stands.is_being_checked,
            "num_recipients": stands.num_recipients,
            "s3_object": _s3_object(stands),
        }
        return Response(shown | self.kind.details(stands))


def _name_of(batch: Batch | None) -> str | None:
    return batch.original_file_name if batch else None


def _s3_object(stands: Standing) -> dict[str, Any] | None:
    if not (stands.filled or stands.upload):
        return None
    return {
        "filename": _name_of(stands.filled),
        "temp_filename": _name_of(stands.upload),
        "error": error_of(stands.upload),
    }


def error_of(upload: Batch | None) -> str | None:
    """What is wrong with a file, in one sentence for each thing."""
    if upload is None or upload.status != BatchStatus.INVALID:
        return None
    if upload.file_fault:
        return str(upload.file_fault["message"])
    rows = [
        f"Row {fault['row']}: {' '.join(each['message'] for each in fault['reasons'])}"
        for fault in Batch.objects.only("first_faults").get(pk=upload.pk).first_faults[:3]
    ]
    return " ".join([f"{upload.rows_bad:,} of {upload.rows_checked:,} rows have errors.", *rows])


class Template(CampaignView):
    http_method_names = ["put", "options"]

    def put(self, request: Request, number: str, type_: str) -> Response:
        asked = self.kind.template(data=request.data).run_validation(request.data)
        return self.edit(lambda stands: self._save(stands, asked))

    def _save(self, stands: Standing, asked: Mapping[str, Any]) -> Response:
        stands.check_editable()
        self.kind.save(stands, asked, by=self.account)
        shown = {"template": self.kind.shown_template(stands.campaign)}
        batch = stands.filled
        if batch is None:
            told = {"message": "The template was saved.", "valid": False, "num_recipients": 0}
            return Response(told | shown)
        if missing := self.kind.missing(stands.campaign, batch):
            deciding.discard_batch(batch, by=self.account)
            told = {
                "message": "The recipients have no values for some keywords. Upload them again.",
                "extra_keys": missing,
                "valid": False,
                "num_recipients": 0,
            }
            return Response(told | shown)
        self.kind.changed(stands, by=self.account)
        told = {
            "message": "The template was saved.",
            "valid": True,
            "num_recipients": batch.total_messages,
        }
        return Response(told | shown)


class Preview(CampaignView):
    http_method_names = ["get", "head", "options"]

    def get(self, request: Request, number: str, type_: str) -> Response:
        shown = preview_of(self.kind, standing.of(self.campaign))
        return Response({"preview": shown} if shown else {})


def preview_of(kind: kinds.Kind, stands: Standing) -> dict[str, Any] | None:
    """The message with the values of the first row; None where there is none, or it is erased."""
    batch = stands.filled
    if batch is None or not kind.shown_template(stands.campaign):
        return None
    row: Any = kinds.first_row(batch)
    if row is None:
        row = Message.objects.filter(batch=batch, recipient__gt="").order_by("row").first()
    return kind.preview(stands.campaign, row.recipient, row.values) if row else None


class Duplicates(CampaignView):
    http_method_names = ["post", "options"]

    def post(self, request: Request, number: str, type_: str) -> Response:
        asked = Duplicate(data=request.data).run_validation(request.data)
        return self.edit(lambda stands: self._copy(stands, asked["name"]))

    def _copy(self, stands: Standing, name: str) -> Response:
        """The message only: no recipients, no credentials and no schedule."""
        if stands.campaign.is_protected:
            stands.check_settled()
        with kinds.told_as("unauthorized"):
            copy = self.kind.copy(stands.campaign, name, by=self.account)
        copy.refresh_from_db(fields=["number"])
        return Response(created(copy), status=201)


# Tried out and sent --------------------------------------------------------------------------


class Credentials(CampaignView):
    http_method_names = ["post", "options"]

    def post(self, request: Request, number: str, type_: str) -> Response:
        """Send the message of the first row to one person; only then it may be sent to all."""
        asked = self.kind.credentials(data=request.data).run_validation(request.data)
        response = self.edit(lambda stands: self._test(stands, asked))
        self.kind.finish_test(self.campaign, by=self.account)
        return response

    def _test(self, stands: Standing, asked: Mapping[str, Any]) -> Response:
        stands.check_editable()
        self.kind.test(stands, asked, by=self.account)
        return Response({"message": "OK"})


class NewCredentials(CampaignView):
    http_method_names = ["post", "options"]

    def post(self, request: Request, number: str, type_: str) -> Response:
        """Keep another account of a provider's, and send the test through it."""
        if self.kind.new_credentials is None:
            raise Refused("Credentials of this type are added under Settings.", "not_found")
        asked = self.kind.new_credentials(data=request.data).run_validation(request.data)
        return self.edit(lambda stands: self._add(stands, asked))

    def _add(self, stands: Standing, asked: Mapping[str, Any]) -> Response:
        stands.check_editable()
        self.kind.add_credentials(stands, asked, by=self.account)
        return Response({"message": "OK"})


class Verification(CampaignView):
    http_method_names = ["post", "options"]

    def post(self, request: Request, number: str, type_: str) -> Response:
        if self.kind.verification is None:
            raise Refused("Campaigns of this type are tried out by `credentials`.", "not_found")
        asked = self.kind.verification(data=request.data).run_validation(request.data)
        return self.edit(lambda stands: self._verify(stands, asked))

    def _verify(self, stands: Standing, asked: Mapping[str, Any]) -> Response:
        stands.check_editable()
        self.kind.verify(stands, asked, by=self.account)
        return Response({"message": "OK"})


class Sends(CampaignView):
    http_method_names = ["post", "options"]

    def post(self, request: Request, number: str, type_: str) -> Response:
        asked = Send(data=request.data).run_validation(request.data)
        if fault := self.kind.check_rate(asked["rate"]):
            raise Invalid({"rate": fault})
        return self.edit(lambda stands: self._send(stands, asked["scheduled_at"]))

    def _send(self, stands: Standing, at: Any) -> Response:
        stands.check_unsent()
        batch = stands.filled
        if batch is None:
            raise Refused("Upload recipients first.", "invalid_template")
        was_scheduled = batch.status == BatchStatus.SCHEDULED
        with kinds.told_as("invalid_template", batch_moved_on="unauthorized"):
            if at:
                deciding.schedule_batch(batch, at=at, by=self.account)
            else:
                deciding.send_batch(batch, by=self.account)
            # Earlier files, which this one took the place of.
            for other in stands.batches:
                if other.pk != batch.pk and other.status == BatchStatus.READY:
                    deciding.discard_batch(other, by=self.account)
        told = {"campaign_id": stands.campaign.number}
        if not was_scheduled:
            told["job_id"] = self.kind.job_ids(stands.campaign)
        return Response(told)


class Retry(CampaignView):
    http_method_names = ["post", "options"]

    def post(self, request: Request, number: str, type_: str) -> Response:
        return self.change(self.campaign, self._retry)

    def _retry(self, stands: Standing) -> Response:
        """What failed, once more; never what has no such recipient, or arrived."""
        if stands.is_halted:
            raise Refused(
                "It was halted, as too many addresses do not exist. See it in the browser.",
                "invalid_template",
            )
        stands.check_settled()
        if not stands.accepted:
            raise Refused("This campaign was not sent yet.", "invalid_template")
        for batch in stands.accepted:
            try:
                retrying.retry_batch(stands.campaign, batch.pk, by=self.account)
            except Refused as refused:
                # Nothing failed, as after v1's call.
                if refused.code != "no_failed_batch_messages_to_retry":
                    raise Refused(refused.message, "unauthorized") from None
        return Response({"campaign_id": stands.campaign.number})


# Told of -------------------------------------------------------------------------------------


class Stats(CampaignView):
    http_method_names = ["get", "head", "options"]

    def get(self, request: Request, number: str, type_: str) -> Response:
        return Response(standing.stats(standing.of(self.campaign)))


class RefreshStats(CampaignView):
    """The numbers are always those of now."""

    http_method_names = ["post", "options"]

    def post(self, request: Request, number: str, type_: str) -> Response:
        return Response(standing.stats(standing.of(self.campaign)))


class Export(CampaignView):
    http_method_names = ["get", "head", "options"]

    def get(self, request: Request, number: str, type_: str) -> HttpResponseBase:
        if standing.of(self.campaign).is_redacted:
            raise Refused("Its recipients are erased.", "campaign_redacted")
        audit.record("report.downloaded", by=self.account, on=self.campaign)
        rows = exported(self.campaign)
        # Read before the answer starts, so that an outage is an error and no empty array.
        first = list(_first(rows))
        return StreamingHttpResponse(_as_json(chain(first, rows)), content_type="application/json")


def _first(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    row = next(rows, None)
    if row is not None:
        yield row


def _as_json(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield "["
    for place, row in enumerate(rows):
        yield f"{',' if place else ''}{json.dumps(row)}"
    yield "]"


# v1's word for what became of a message. Those that still wait are not in the report.
_EXPORTED = {
    Status.SENDING: "SENDING",
    Status.UNKNOWN: "SENDING",
    Status.SENT: "SENDING",
    Status.SENT_TO_TELCO: "SENDING",
    Status.SUCCESS: "SUCCESS",
    Status.COMPLAINED: "SUCCESS",
    Status.OPENED: "READ",
    Status.FAILURE: "ERROR",
    Status.SOFT_BOUNCED: "ERROR",
    Status.CANCELLED: "ERROR",
    Status.BOUNCED: "INVALID_RECIPIENT",
    Status.SUPPRESSED: "INVALID_RECIPIENT",
}
_WORD_OF = {str(status): word for status, word in _EXPORTED.items()}


def exported(campaign: Campaign) -> Iterator[dict[str, Any]]:
    """A row for each recipient that was dealt with, the oldest first."""
    until = timezone.now()
    rows = Message.objects.filter(campaign=campaign, created_at__lte=until, recipient__gt="")
    waiting = {str(status) for status in WAITING}
    for page in exports.pages(rows, "created_at", "id"):
        attempts = Attempt.objects.filter(message__in=[message.pk for message in page])
        latest = {each.message_id: each for each in attempts.order_by("number")}
        left = _unsubscribed(campaign, page)
        for message in page:
            if message.status not in waiting:
                yield _row(campaign, message, latest.get(message.pk), left)


def _unsubscribed(campaign: Campaign, page: list[Message]) -> dict[str, Suppression]:
    if not campaign.is_email:
        return {}
    found = Suppression.objects.standing().filter(
        campaign=campaign,
        reason=Suppression.Reason.UNSUBSCRIBED,
        recipient__in={message.recipient for message in page},
    )
    return {row.recipient: row for row in found}


def _row(
    campaign: Campaign,
    message: Message,
    attempt: Attempt | None,
    left: Mapping[str, Suppression],
) -> dict[str, Any]:
    shown = {
        "recipient": message.recipient if campaign.is_email else f"+{message.recipient}",
        "status": _WORD_OF[message.status],
        "error_code": _error_code(message, attempt),
        "updated_at": iso(message.updated_at),
    }
    if campaign.is_email:
        gone = left.get(message.recipient)
        shown["unsubscriber.recipient"] = gone.recipient if gone else None
        shown["unsubscriber.reason"] = gone.note if gone else None
    return shown


def _error_code(message: Message, attempt: Attempt | None) -> str | None:
    if message.suppressed_for:
        return message.suppressed_for
    if message.status == Status.BOUNCED:
        return "Hard bounce"
    if message.status == Status.SOFT_BOUNCED:
        return "Soft bounce"
    return (attempt.provider_code or attempt.error_code or None) if attempt else None
