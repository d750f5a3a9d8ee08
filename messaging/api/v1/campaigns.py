"""All campaigns of an account, `/v1/campaigns` (v1-backend §2.2, §3.3)."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import F, Max, OrderBy, Q
from django.http import HttpResponseBase, HttpResponseRedirect, QueryDict
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import membership
from campaigns.models import Campaign
from messaging.api.v1 import kinds, standing
from messaging.api.v1.base import MOST_BYTES, AccountThrottle, V1View
from messaging.api.v1.errors import Invalid
from messaging.api.v1.fields import Flag, Name, Strict, Text
from messaging.api.v1.listing import iso
from messaging.api.v1.standing import Standing
from messaging.models import BatchStatus
from messaging.sending import deciding
from postman.accounts import audit
from postman.api.parsers import StorableJson
from postman.errors import Refused

MAX_LIMIT = 100
MAX_NAME = 255


class CampaignApiView(V1View):
    throttle_classes = [AccountThrottle]
    parser_classes = [StorableJson]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        length = request.META.get("CONTENT_LENGTH") or ""
        if length.isdigit() and int(length) > self.most_bytes:
            raise Refused(f"Send at most {self.most_bytes:,} bytes.", "malformed")

    most_bytes = MOST_BYTES

    def change(self, campaign: Campaign, act: Callable[[Standing], Response]) -> Response:
        """One change of a campaign at a time; `act` sees it as it stands under the lock."""

        def held() -> Response:
            with transaction.atomic():
                with kinds.told_as("unauthorized"):
                    membership.hold_as_owner(campaign, by=self.account)
                return act(standing.of(campaign))

        return self.once(held)


# Bodies --------------------------------------------------------------------------------------


class Create(Strict):
    name = Name(max_length=MAX_NAME)
    type = serializers.ChoiceField(choices=list(standing.TYPES))
    protect = Flag(required=False, default=False)
    # Ours: which bot a Telegram campaign is sent by.
    label = Text(required=False, max_length=50)  # type: ignore[assignment]
    demo_message_limit = serializers.JSONField(required=False, default=None)

    def validate_demo_message_limit(self, limit: Any) -> None:
        if limit is not None:
            raise serializers.ValidationError("There are no demo campaigns any more: send null.")


class Change(Strict):
    name = Name(max_length=MAX_NAME, required=False)
    should_bcc_to_me = serializers.JSONField(required=False, default=None)
    should_save_list = serializers.JSONField(required=False, default=None)

    def validate_should_bcc_to_me(self, flag: Any) -> None:
        self._check_off(flag, "Emails of a campaign are not copied to its sender: send false.")

    def validate_should_save_list(self, flag: Any) -> None:
        self._check_off(flag, "Lists of recipients are not kept: send false.")

    def _check_off(self, flag: Any, message: str) -> None:
        if flag is not None and flag is not False:
            raise serializers.ValidationError(message)


# Views ---------------------------------------------------------------------------------------


class All(CampaignApiView):
    http_method_names = ["get", "head", "post", "options"]

    def get(self, request: Request) -> Response:
        asked = Asked(request.query_params)
        rows = standing.campaigns_of(self.account).filter(asked.filter)
        page = rows.annotate(sent_at=Max("batches__accepted_at")).order_by(*asked.order)
        found = standing.of_all(page[asked.offset : asked.offset + asked.limit])
        return Response(
            {"campaigns": [listed(each) for each in found], "total_count": rows.count()}
        )

    def post(self, request: Request) -> Response:
        return self.once(lambda: self._create(request.data))

    def _create(self, data: Any) -> Response:
        asked = Create(data=data).run_validation(data)
        if asked["protect"]:
            if asked["type"] != "EMAIL":
                raise Refused("Only emails can be password-protected.", "unauthorized")
            raise Refused(
                "Password-protected campaigns are made in the browser only, where what they "
                "protect is encrypted.",
                "unauthorized",
            )
        kind = kinds.kind_of(asked["type"])
        if "label" in asked and asked["type"] != "TELEGRAM":
            raise Invalid({"label": "Only Telegram campaigns are made with one."})
        with kinds.told_as("unauthorized", api_validation="api_validation"):
            campaign = kind.create(asked["name"], by=self.account, label=asked.get("label", ""))
        campaign.refresh_from_db(fields=["number"])
        return Response(created(campaign), status=201)


class One(CampaignApiView):
    http_method_names = ["put", "delete", "options"]

    def put(self, request: Request, number: str) -> Response:
        campaign = standing.campaign_of(self.account, number)
        asked = Change(data=request.data).run_validation(request.data)
        return self.change(campaign, lambda stands: self._rename(stands, asked))

    def _rename(self, stands: Standing, asked: dict[str, Any]) -> Response:
        campaign = stands.campaign
        if "name" in asked and asked["name"] != campaign.name:
            audit.record("campaign.renamed", by=self.account, on=campaign, before=campaign.name)
            campaign.name = asked["name"]
            campaign.save(update_fields=["name"])
        return Response(listed(stands))

    def delete(self, request: Request, number: str) -> Response:
        campaign = standing.campaign_of(self.account, number)
        return self.change(campaign, self._delete)

    def _delete(self, stands: Standing) -> Response:
        """Nothing of it that still waits leaves after this."""
        campaign = stands.campaign
        membership.delete_campaign(campaign, typed_name=campaign.name, by=self.account)
        return Response({"id": str(campaign.number)})


class Cancel(CampaignApiView):
    http_method_names = ["post", "options"]

    def post(self, request: Request, number: str) -> Response:
        """Back to a draft what is scheduled, and no further what is being sent."""
        campaign = standing.campaign_of(self.account, number)
        return self.change(campaign, self._cancel)

    def _cancel(self, stands: Standing) -> Response:
        if stands.accepted and not stands.is_being_sent and not stands.is_scheduled:
            raise Refused("All of its messages have left.", "already_sent")
        with kinds.told_as("unauthorized", batch_moved_on="already_sent"):
            for batch in stands.jobs:
                if batch.status == BatchStatus.SCHEDULED:
                    deciding.unschedule_batch(batch, by=self.account)
                elif batch.dispatched_at is None and batch.cancelled_at is None:
                    if batch.stopped_at is None:
                        deciding.stop_batch(batch, by=self.account)
                    deciding.cancel_batch(batch, by=self.account)
        return Response({"id": str(stands.campaign.number)})


class Elsewhere(CampaignApiView):
    """`/campaign/{id}/{x}` → `/campaign/{id}/{type}/{x}`."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        V1View.initial(self, request, *args, **kwargs)

    def get(self, request: Request, number: str, rest: str | None = None) -> HttpResponseBase:
        campaign = standing.campaign_of(self.account, number)
        type_ = standing.TYPE_OF[campaign.channel].lower()
        query = request.META.get("QUERY_STRING", "")
        address = "/".join(filter(None, [f"/v1/campaign/{campaign.number}/{type_}", rest]))
        # 307: clients repeat the call there with the same method and body.
        return HttpResponseRedirect(address + (f"?{query}" if query else ""), preserve_request=True)

    head = post = put = delete = get  # type: ignore[assignment]


# What is asked and answered --------------------------------------------------------------------


class Asked:
    """What the query of the list asks for; raises Invalid with all that is wrong with it."""

    def __init__(self, query: QueryDict) -> None:
        self._query = query
        self._faults: dict[str, str] = {}
        self.limit = self._number("limit", 10, 1, MAX_LIMIT)
        self.offset = self._number("offset", 0, 0, 2**31 - 1)
        self.filter = Q()
        if type_ := self._choice("type", list(standing.TYPES)):
            self.filter &= Q(channel=standing.TYPES[type_])
        if status := self._choice("status", list(standing.STATUSES)):
            self.filter &= standing.STATUSES[status]
        if name := self._one("name", may_be_empty=True):
            if len(name) > MAX_NAME:
                self._faults["name"] = f"A name has at most {MAX_NAME} characters."
            self.filter &= Q(name__icontains=name)
        field = self._choice("sort_by", ["created_at", "sent_at"]) or "created_at"
        goes_down = (self._choice("order_by", ["ASC", "DESC"]) or "DESC") == "DESC"
        by = OrderBy(F(field), descending=goes_down, nulls_last=True)
        self.order = [by, "-number" if goes_down else "number"]
        known = {"limit", "offset", "type", "status", "name", "sort_by", "order_by"}
        for unknown in query.keys() - known:
            self._faults[unknown[:50]] = "Unknown parameter."
        if self._faults:
            raise Invalid(self._faults)

    def _one(self, name: str, *, may_be_empty: bool = False) -> str:
        values = self._query.getlist(name)
        if len(values) > 1:
            self._faults[name] = "Give this parameter once."
        value = values[0] if values else ""
        if values and not value and not may_be_empty:
            self._faults[name] = "Give a value, or leave this parameter out."
        if "\0" in value:
            self._faults[name] = "Take out the NUL character."
            return ""
        return value

    def _number(self, name: str, default: int, least: int, most: int) -> int:
        value = self._one(name)
        if not value:
            return default
        if not (value.isascii() and value.isdigit() and least <= int(value[:12]) <= most):
            self._faults[name] = f"Give a whole number from {least} to {most}."
            return default
        return int(value)

    def _choice(self, name: str, choices: list[str]) -> str:
        value = self._one(name)
        if value and value not in choices:
            self._faults[name] = f"Give one of: {', '.join(choices)}."
            return ""
        return value


def created(campaign: Campaign) -> dict[str, Any]:
    return {
        "id": campaign.number,
        "name": campaign.name,
        "created_at": iso(campaign.created_at),
        "type": standing.TYPE_OF[campaign.channel],
        "protect": campaign.is_protected,
        "demo_message_limit": None,
    }


def listed(stands: Standing) -> dict[str, Any]:
    """v1's object of a campaign, as lists show it."""
    kind = kinds.KINDS.get(standing.TYPE_OF[stands.campaign.channel], kinds.Kind())
    return {
        **created(stands.campaign),
        "valid": kind.is_valid(stands),
        "has_credential": kind.has_credential(stands),
        "halted": stands.is_halted,
        "redacted": stands.is_redacted,
        "should_bcc_to_me": False,
        "job_queue": [standing.job(batch) for batch in stands.jobs],
    }
