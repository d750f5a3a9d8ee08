"""The v2 API as an OpenAPI document: what its operations take and answer, one decorator each.

Serializers say the shapes; what they cannot say stands here. `tests/messaging/api/test_openapi.py`
and `test_v2_fuzz.py` hold the running API against it.
"""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiRequest,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers

from campaigns.models import Language
from messaging.api.idempotency import LONGEST_KEY
from messaging.api.v2 import examples
from messaging.api.v2.serializers import (
    AttemptBrief,
    AttemptFull,
    BatchObject,
    BatchProgress,
    MessageDetail,
    MessageInBatch,
    MessageInCampaign,
    MessageRetried,
    MessageShort,
    PublicId,
    SingleSend,
    Timestamp,
)
from messaging.api.v2.webhooks import webhooks
from messaging.channels.base import DELIVERY_ERRORS
from messaging.models import SENT_STATUSES
from messaging.states import PAGE_GROUPS, Status, in_api
from postman.api.errors import STATUS
from postman.api.pagination import DEFAULT_LIMIT, LARGEST_LIMIT

Schema = dict[str, Any]

DESCRIPTION = """
Send SMS under the Singapore Government's sender ID, one at a time or from a CSV file, and read what
became of each.

**Who may call.** Send `Authorization: Bearer <API key>` from an IP address that the campaign allows.
Officers create keys and allow addresses under *Settings → Integrations* of a campaign. A key opens
its own campaign only.

**Which site.** Build against the test site: its messages carry a training notice, files take 20 rows,
and set numbers fail in set ways. The load test site takes load in a booked slot and delivers nothing.

**Outcomes.** Sending answers as soon as the message is stored. Read the message until its
`latestStatus` is `success` or `failure`, or have a webhook told (*Settings → Webhooks*). Nothing is
retried unless you ask for it.

**Errors.** Every error has one shape. Branch on `error.code`, show `error.message` to people, and
quote `error.id` (also in `X-Request-Id`) to support.

**Repeating a call.** After a lost answer, repeat the call with the same `Idempotency-Key`: it is
carried out once, and answered as it was.
""".strip()

SITES = {
    "https://postman.gov.sg": "Production: real messages to the public",
    "https://test.postman.gov.sg": "Test: for building, never for the public",
    "https://loadtest.postman.gov.sg": "Load test: in a booked slot only",
}

# --- Values ---------------------------------------------------------------------------------------

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
SMS_GROUPS = [group for group in PAGE_GROUPS if group != "suppressed"]
STATUSES = list(dict.fromkeys(in_api(status) for status in Status.values))
ERROR_TYPES = sorted({error.type for error in DELIVERY_ERRORS.values()})


def public_id(prefix: str, example: str = "") -> Schema:
    shown = {"examples": [example]} if example else {}
    return {"type": "string", "pattern": f"^{prefix}_{_UUID}$", **shown}


class TimestampSchema(OpenApiSerializerFieldExtension):
    target_class = Timestamp

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        return {
            "type": "string",
            "format": "date-time",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+08:00$",
            "description": "Singapore time, to the millisecond.",
        }


class PublicIdSchema(OpenApiSerializerFieldExtension):
    target_class = PublicId

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        return public_id(self.target.prefix)


class ChoiceSchema(OpenApiSerializerFieldExtension):
    """The choices as they stand; spectacular's own marks them for components of made-up names."""

    target_class = serializers.ChoiceField

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        return {"type": "string", "enum": list(self.target.choices)}


def _say(schema: Any, *methods: Any) -> None:
    for method in methods:
        extend_schema_field(schema)(method)


class DeliveryErrorObject(serializers.Serializer):
    type = serializers.ChoiceField(ERROR_TYPES)
    code = serializers.ChoiceField(list(DELIVERY_ERRORS))


class AttemptShown(AttemptBrief):
    error = DeliveryErrorObject(required=False, help_text="Only where the attempt failed.")


class BatchMessageObject(serializers.Serializer):
    createdAt = Timestamp()
    updatedAt = Timestamp()
    id = serializers.CharField(help_text="The row of the file, as a spreadsheet numbers it.")
    batchId = PublicId("batch")
    messageId = PublicId("message")


class BatchShown(BatchObject):
    BatchMessage = BatchMessageObject()


_say(
    {
        "type": "string",
        "enum": STATUSES,
        "description": "`success` and `failure` are final. `sent_to_telco` rarely changes after 48 "
        "hours, and is final for foreign numbers.",
    },
    MessageRetried.get_latestStatus,
    AttemptBrief.get_status,
    AttemptFull.get_status,
)
_say(
    {"type": "string", "enum": ["created", *(str(status) for status in SENT_STATUSES)]},
    BatchObject.get_status,
)
_say({"type": ["string", "null"], "enum": [*ERROR_TYPES, None]}, AttemptFull.get_errorType)
_say({"type": ["string", "null"], "enum": [*DELIVERY_ERRORS, None]}, AttemptFull.get_errorCode)
_say(
    {
        "type": "object",
        "required": SMS_GROUPS,
        "additionalProperties": False,
        "properties": {name: {"type": "integer", "minimum": 0} for name in SMS_GROUPS},
        "description": "How many messages stand where; together they are all of the batch.",
    },
    BatchProgress.get_counts,
)
_say(
    BatchShown(many=True, help_text="Empty for a message that was sent alone."),
    MessageInCampaign.get_batches,
    MessageDetail.get_batches,
)
_say(AttemptShown(many=True, help_text="Newest first."), MessageDetail.get_attempts)


class SingleSendSchema(OpenApiSerializerExtension):
    """`sending` owns the rules of these three, so their serializer fields say nothing."""

    target_class = SingleSend

    def map_serializer(self, auto_schema: Any, direction: str) -> Schema:
        return {
            "type": "object",
            "additionalProperties": False,
            "required": ["recipient", "language", "values"],
            "properties": {
                "recipient": {
                    "type": "string",
                    "pattern": "^[1-9][0-9]{7,14}$",
                    "description": "Country code and number, digits only, without `+`.",
                    "examples": ["6581230001"],
                },
                "language": {
                    "type": "string",
                    "enum": Language.values,
                    "description": "One of the languages of the campaign.",
                },
                "values": {
                    "type": "object",
                    "additionalProperties": {"type": "string", "minLength": 1},
                    "description": "One text for each variable of the template, no more and no "
                    "fewer. With them the body may have 1,000 characters.",
                },
            },
        }


# --- Objects --------------------------------------------------------------------------------------


class PageData(serializers.Serializer):
    hasNextPage = serializers.BooleanField()
    hasPreviousPage = serializers.BooleanField()
    startCursor = serializers.CharField(allow_null=True, help_text="Null on an empty page.")
    endCursor = serializers.CharField(allow_null=True, help_text="Null on an empty page.")


class CampaignPage(serializers.Serializer):
    data = MessageInCampaign(many=True)  # type: ignore[assignment]
    pageData = PageData()


class BatchPage(serializers.Serializer):
    data = MessageInBatch(many=True)  # type: ignore[assignment]
    pageData = PageData()


_FILE_ANSWER: Schema = {
    "oneOf": [
        {
            "type": "object",
            "title": "Accepted",
            "required": ["isValid", "batchId"],
            "additionalProperties": False,
            "properties": {"isValid": {"const": True}, "batchId": public_id("batch")},
        },
        {
            "type": "object",
            "title": "Refused",
            "required": list(examples.FILE_REFUSED),
            "additionalProperties": False,
            "properties": {
                "isValid": {"const": False},
                "reportURL": {
                    "type": "string",
                    "format": "uri",
                    "description": "The wrong rows with a column that says why, for signed-in "
                    "members of the campaign.",
                },
                "numRows": {"type": "integer", "minimum": 1, "description": "Rows with errors."},
                "numErrors": {"type": "integer", "minimum": 1},
                "fileHasAvoidableExpensiveCharacter": {"type": "boolean"},
                "fileHasUnicode": {"type": "boolean"},
            },
        },
    ]
}
_FILE: Schema = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {
            "type": "string",
            "format": "binary",
            "description": "A CSV file of at most 40 MB whose name ends in `.csv`: a column "
            "`recipient`, a column `language`, and one for each variable.",
        }
    },
}

# --- Errors ---------------------------------------------------------------------------------------

ERRORS = {
    "parameter_invalid": "recipient: Use a Singapore mobile number: 65, then 8 digits starting "
    "with 8 or 9.",
    "invalid_ip_address_used": "Calls from 203.0.113.9 are not allowed: add it to the campaign's "
    "IP addresses.",
    "message_not_found_or_retry_message_not_in_failure_status": "This campaign has no such "
    "message, or it has not failed.",
    "too_many_message_attempts_error": "This message was retried 3 times already. Send a new one.",
    "batch_not_found_or_is_not_retryable": "This campaign has no such batch, or its messages are "
    "still being made.",
    "unresolved_batch_messages": "Some messages of this batch wait to be sent. Retry once they "
    "have been.",
    "no_failed_batch_messages_to_retry": "No message of this batch failed and may be retried.",
    "batch_moved_on": "This can no longer be done: somebody else decided on this batch, or all of "
    "its messages have left.",
    "authentication_required": "Send your API key as “Authorization: Bearer …”.",
    "invalid_api_key_provided": "This API key is not valid for this campaign.",
    "invalid_path": "There is no such address in this API.",
    "resource_not_found": "This campaign has no such message.",
    "idempotency_key_in_use": "A call with this `Idempotency-Key` is being carried out. Ask again "
    "later.",
    "length_required": "Send a `Content-Length`, not a chunked body.",
    "payload_too_large": "Send at most 1,048,576 bytes at a time.",
    "unsupported_media_type": 'Unsupported media type "text/plain" in request.',
    "idempotency_key_reused": "This `Idempotency-Key` was used for another call. Use a new one for "
    "each message.",
    "too_many_requests": "This campaign may make 10 calls a second. This one was not carried out: "
    "send it again later.",
    "internal_error": "The fault is ours. Nothing was accepted.",
    "service_unavailable": "Nothing was accepted. Send it again shortly.",
}
_STATUS = STATUS | {"internal_error": 500, "service_unavailable": 503}
_MEANING = {
    400: "Refused: `error.code` says by which rule.",
    401: "No API key, or not one of this campaign.",
    404: "No such address, or nothing of that id in this campaign.",
    409: "A call with this `Idempotency-Key` is being carried out.",
    411: "The body came in chunks, without a `Content-Length`.",
    413: "The call is too large.",
    415: "Not the content type of this operation.",
    422: "This `Idempotency-Key` was used for another call.",
    429: "Over the campaign's calls per second. The call was dropped; wait and send it again.",
    500: "Our fault.",
    503: "For the moment nothing can be stored. Send it again after `Retry-After`.",
}
_EVERYWHERE = (
    "parameter_invalid",
    "invalid_ip_address_used",
    "authentication_required",
    "invalid_api_key_provided",
    "invalid_path",
    "too_many_requests",
    "internal_error",
    "service_unavailable",
)
_ON_POST = (
    "idempotency_key_in_use",
    "length_required",
    "payload_too_large",
    "unsupported_media_type",
    "idempotency_key_reused",
)
ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "type", "id"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "string", "enum": list(ERRORS)},
                "message": {"type": "string", "description": "For people; it may change."},
                "type": {
                    "type": "string",
                    "enum": ["domain_error", "server_error"],
                    "description": "`server_error` with a 5xx, else `domain_error`.",
                },
                "id": {"type": "string", "description": "Quote it to support."},
            },
        }
    },
}


def _errors(*codes: str) -> dict[int, OpenApiResponse]:
    """One answer for each status, with the codes that come with it."""
    by_status: dict[int, list[str]] = {}
    for code in ERRORS:
        if code in codes:
            by_status.setdefault(_STATUS.get(code, 400), []).append(code)
    return {status: _error(status, by_status[status]) for status in sorted(by_status)}


def _error(status: int, codes: list[str]) -> OpenApiResponse:
    narrowed = {"properties": {"error": {"properties": {"code": {"enum": codes}}}}}
    kind = "server_error" if status >= 500 else "domain_error"
    request_id = "3f0c7a1be8d94a5c9d2b6e7f80a1b2c3"
    return OpenApiResponse(
        {"allOf": [{"$ref": "#/components/schemas/Error"}, narrowed]},
        description=_MEANING[status],
        examples=[
            OpenApiExample(
                code,
                {"error": {"code": code, "message": ERRORS[code], "type": kind, "id": request_id}},
                status_codes=[status],
            )
            for code in codes
        ],
    )


# --- Parameters and headers -----------------------------------------------------------------------


def _header(
    name: str, schema: Schema, description: str, on: list[int] | bool = True, required: bool = False
) -> OpenApiParameter:
    return OpenApiParameter(
        name, schema, "header", response=on, required=required, description=description
    )


_COUNT: Schema = {"type": "integer", "minimum": 0}
_HEADERS = [
    _header(
        "X-Request-Id",
        {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "Names this call in our logs; the same as `error.id`.",
        required=True,
    ),
    _header(
        "Retry-After",
        {"type": "integer", "minimum": 1},
        "Seconds to wait before the call is sent again.",
        on=[429, 503],
        required=True,
    ),
    _header("RateLimit-Limit", _COUNT, "Calls that the campaign may make in any one second."),
    _header("RateLimit-Remaining", _COUNT, "Calls that are left of them now."),
    _header("RateLimit-Reset", _COUNT, "Seconds until one more is free."),
    _header("RateLimit-Policy", {"type": "string"}, "The limit and its window: `10;w=1`."),
    _header("WWW-Authenticate", {"const": "Bearer"}, "`Bearer`.", on=[401], required=True),
]
_IDEMPOTENCY = [
    OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "pattern": "^[ -~]+$", "minLength": 1, "maxLength": LONGEST_KEY},
        "header",
        description="Names what you want to happen, in your own words: a call that repeats the key "
        "is carried out once and answered as it was. Refusals are not kept. Printable ASCII.",
        examples=[OpenApiExample("yours", examples.IDEMPOTENCY_KEY)],
    ),
    _header(
        "Idempotency-Replayed",
        {"const": "true"},
        "Only where this is the answer to an earlier call with the same `Idempotency-Key`.",
        on=[200, 201],
    ),
]


def _path(name: str, prefix: str, example: str) -> OpenApiParameter:
    return OpenApiParameter(
        f"{prefix}_id",
        public_id(prefix),
        "path",
        description=f"The {name}'s id.",
        examples=[OpenApiExample("id", example)],
    )


_CAMPAIGN = _path("campaign", "campaign", examples.CAMPAIGN)
_MESSAGE = _path("message", "message", examples.MESSAGE)
_BATCH = _path("batch", "batch", examples.BATCH)
_PAGING = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT},
        description="Messages on a page.",
    ),
    OpenApiParameter(
        "search",
        description="Only messages whose number holds these digits; everything else in it is ignored.",
        examples=[OpenApiExample("part of a number", "8123")],
    ),
    OpenApiParameter("after", description="`endCursor` of the page before. Not with `before`."),
    OpenApiParameter("before", description="`startCursor` of the page after. Not with `after`."),
]


def _operation(
    name: str,
    summary: str,
    description: str,
    *,
    answers: dict[int, OpenApiResponse],
    errors: tuple[str, ...] = (),
    parameters: list[OpenApiParameter],
    request: Any = None,
) -> Any:
    return extend_schema(
        operation_id=name,
        tags=["Batches" if "atch" in name else "Messages"],
        summary=summary,
        description=description,
        parameters=[_CAMPAIGN, *parameters, *_HEADERS],
        request=request,
        responses=answers | _errors(*_EVERYWHERE, *errors),
    )


def _post(*args: str, parameters: tuple[OpenApiParameter, ...] = (), **facts: Any) -> Any:
    facts["errors"] = (*facts.get("errors", ()), *_ON_POST)
    return _operation(*args, parameters=[*parameters, *_IDEMPOTENCY], **facts)


def _answer(shape: Any, example: Any, description: str, *, status: int = 200) -> OpenApiResponse:
    shown = OpenApiExample("answer", example, response_only=True, status_codes=[status])
    return OpenApiResponse(shape, description=description, examples=[shown])


# --- The seven operations (v2-sms §4) -------------------------------------------------------------

send_message = _post(
    "sendMessage",
    "Send one message",
    "For one-time passwords and whatever must not wait: it goes before batches. The answer proves "
    "that the message is stored; read it to see its outcome.",
    request={
        "application/json": OpenApiRequest(
            SingleSend,
            examples=[OpenApiExample("a reminder", examples.SEND)],
        )
    },
    answers={201: _answer(MessageShort, examples.SENT, "Accepted and stored.", status=201)},
)
list_messages = _operation(
    "listMessages",
    "List the messages of a campaign",
    "Single messages and those of batches, newest first.",
    parameters=_PAGING,
    answers={200: _answer(CampaignPage, examples.page(examples.IN_CAMPAIGN), "A page of them.")},
)
get_message = _operation(
    "getMessage",
    "Read one message",
    "With its template and every attempt at it, newest first.",
    parameters=[_MESSAGE],
    errors=("resource_not_found",),
    answers={200: _answer(MessageDetail, examples.DETAIL, "The message as it is now.")},
)
retry_message = _post(
    "retryMessage",
    "Retry a failed message",
    "Sends it once more under the same id, at most three times. A message of a batch may be retried "
    "once all of the batch was queued. Takes no body.",
    parameters=(_MESSAGE,),
    errors=(
        "message_not_found_or_retry_message_not_in_failure_status",
        "too_many_message_attempts_error",
    ),
    answers={201: _answer(MessageRetried, examples.RETRIED, "It will be sent.", status=201)},
)
send_batch = _post(
    "sendBatch",
    "Send a CSV file",
    "All of it or nothing: one bad row refuses the file, with a report. Read `isValid` first, as "
    "both answers are a 201. The messages are made right after the answer.",
    request={
        "multipart/form-data": OpenApiRequest(
            _FILE,
            encoding={"file": {"contentType": "text/csv"}},
            examples=[OpenApiExample("a file of one row", {"file": examples.FILE})],
        )
    },
    answers={
        201: OpenApiResponse(
            _FILE_ANSWER,
            description="Checked: accepted or refused, as `isValid` says.",
            examples=[
                OpenApiExample("accepted", examples.FILE_ACCEPTED, status_codes=[201]),
                OpenApiExample("refused", examples.FILE_REFUSED, status_codes=[201]),
            ],
        )
    },
)
retry_batch = _post(
    "retryBatch",
    "Retry the failed messages of a batch",
    "Sends every failed message that has retries left once more, under the same ids. While a message "
    "still waits to be sent it is refused. Takes no body.",
    parameters=(_BATCH,),
    errors=(
        "batch_not_found_or_is_not_retryable",
        "unresolved_batch_messages",
        "no_failed_batch_messages_to_retry",
    ),
    answers={201: OpenApiResponse(None, description="They will be sent. Without a body.")},
)
list_batch_messages = _operation(
    "listBatchMessages",
    "List the messages of a batch",
    "Newest first.",
    parameters=[_BATCH, *_PAGING],
    errors=("resource_not_found",),
    answers={200: _answer(BatchPage, examples.page(examples.IN_BATCH), "A page of them.")},
)


# --- Beyond the seven: a batch on its way ---------------------------------------------------------

get_batch = _operation(
    "getBatch",
    "Read how far a batch is",
    "Its numbers are exact at any moment, however large it is.",
    parameters=[_BATCH],
    errors=("resource_not_found",),
    answers={200: _answer(BatchProgress, examples.PROGRESS, "The batch as it is now.")},
)


def _decision(name: str, summary: str, description: str) -> Any:
    return _post(
        name,
        summary,
        description + " Takes no body.",
        parameters=(_BATCH,),
        errors=("resource_not_found", "batch_moved_on"),
        answers={200: _answer(BatchProgress, examples.PROGRESS, "Done: the batch as it is now.")},
    )


stop_batch = _decision(
    "stopBatch",
    "Stop sending a batch",
    "From now on nothing more of it leaves; what was just being handed over may.",
)
resume_batch = _decision(
    "resumeBatch",
    "Go on with a stopped batch",
    "Goes on where it stopped, and sends nothing twice.",
)
cancel_batch = _decision(
    "cancelBatch",
    "Cancel the rest of a stopped batch",
    "What has not left never will: it ends as `failure`, without an attempt. Cannot be undone.",
)


# --- The document ---------------------------------------------------------------------------------


class ApiKeySchema(OpenApiAuthenticationExtension):
    target_class = "campaigns.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> Schema:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of the campaign, from an IP address that the campaign allows.",
        }


def complete(result: Schema, **_: Any) -> Schema:
    """What spectacular has no place for: the error's one shape, what we call ourselves, and our
    sites, this one first."""
    result["components"]["schemas"]["Error"] = ERROR
    result["info"]["description"] = DESCRIPTION
    result["tags"] = [{"name": "Messages"}, {"name": "Batches"}]
    result["webhooks"] = webhooks()
    sites = {settings.PUBLIC_URL: SITES.get(settings.PUBLIC_URL, "This site")} | SITES
    result["servers"] = [{"url": f"{url}/api/v2", "description": sites[url]} for url in sites]
    return result
