"""What v1's OpenAPI document is written with: values, errors, headers, and `operation`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from messaging.api.idempotency import LONGEST_KEY
from messaging.api.v1 import examples
from messaging.api.v1.errors import STATUS

Schema = dict[str, Any]

# --- Values ---------------------------------------------------------------------------------------

TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
ID: Schema = {"type": "string", "pattern": "^[0-9]+$", "examples": ["9001"]}
TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
    "description": "UTC, to the millisecond.",
}
ADDRESS: Schema = {"type": "string", "format": "email"}
PHONE: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 50,
    "description": "Digits, with a `+` or without. Without a country code it is Singapore's.",
    "examples": ["81230001", "+6581230001"],
}


def said(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def time_or_null(description: str = "") -> Schema:
    known = {name: TIME[name] for name in ("format", "pattern")}
    return said({"type": ["string", "null"], **known}, description or "UTC, to the millisecond.")


def exactly(properties: Mapping[str, Schema], optional: Iterable[str] = ()) -> Schema:
    """An object of these fields and no others."""
    return {
        "type": "object",
        "required": [name for name in properties if name not in set(optional)],
        "additionalProperties": False,
        "properties": dict(properties),
    }


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def one_of(statuses: Iterable[str], description: str) -> Schema:
    return {"type": "string", "enum": list(statuses), "description": description}


# --- Errors ---------------------------------------------------------------------------------------

ERRORS = {
    "api_validation": "recipient: Type an address such as name@example.com.",
    "malformed": "JSON parse error - Expecting value: line 1 column 1 (char 0)",
    "invalid_recipient": "Use a Singapore mobile number: 65, then 8 digits starting with 8 or 9.",
    "too_many_recipients": "Send to at most 50 addresses, cc and bcc included.",
    "invalid_credentials": "You have no SMS credentials with this label. See Settings, SMS "
    "credentials.",
    "invalid_from_address": "Emails cannot be sent from this address: it is not verified, or not "
    "yours to use. Choose another, or see Settings, Email senders.",
    "invalid_template": "Unsupported file type: “map.exe” cannot be attached.",
    "attachment_format": "Send files as multipart/form-data, each as a file.",
    "unauthenticated": "This API key is not valid: it is misspelt, has expired or was revoked.",
    "unauthorized": "Files can be attached only to emails from an address of your own. See "
    "Settings, Email senders.",
    "not_found": "There is no such message.",
    "invalid_credential_label": "You have SMS credentials with this label already. Choose another.",
    "already_sent": "This campaign was sent. Duplicate it to send another.",
    "campaign_redacted": "Its recipients are erased.",
    "idempotency_key_in_use": "A call with this `Idempotency-Key` is being carried out. Ask again "
    "later.",
    "attachment_limit": "The attached files must be smaller than 10 MB together.",
    "unsupported_media_type": 'Unsupported media type "text/plain" in request.',
    "idempotency_key_reused": "This `Idempotency-Key` was used for another call. Use a new one for "
    "each message.",
    "rate_limit": "This account may make 10 calls a second. This one was not carried out: send it "
    "again later.",
    "internal_server": "The fault is ours. Nothing was accepted.",
    "service_unavailable": "Nothing was accepted. Send it again shortly.",
}
_MEANING = {
    400: "Refused: `code` says by which rule.",
    401: "No API key, or none that works.",
    403: "The account may not do this, or the call did not come over HTTPS.",
    404: "Nothing of that id that this account may use.",
    409: "A call with this `Idempotency-Key` is being carried out.",
    410: "What it asks for is erased.",
    413: "The files are too many or too large.",
    415: "Not a content type of this operation.",
    422: "This `Idempotency-Key` was used for another call.",
    429: "Over the account's calls a second. Nothing of it was carried out; wait and send it again.",
    500: "Our fault.",
    503: "For the moment nothing can be stored. Send it again after `Retry-After`.",
}
_EVERYWHERE = (
    "api_validation",
    "malformed",
    "unauthenticated",
    "unauthorized",
    "internal_server",
    "service_unavailable",
)
_ON_CHANGE = ("idempotency_key_in_use", "unsupported_media_type", "idempotency_key_reused")
_ON_LIMITED = ("rate_limit",)
_WITH_FAULTS = ("api_validation",)
ERROR = exactly(
    {
        "code": {"type": "string", "enum": [*ERRORS, "method_not_allowed"]},
        "message": said(TEXT, "For people; it may change."),
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": exactly(
                {"path": said(TEXT, "Such as `cc.1`; empty: the whole call."), "message": TEXT}
            ),
            "description": "Only with `api_validation`: what is wrong with each field.",
        },
        "request_id": said(TEXT, "Quote it to support."),
    },
    optional=("errors",),
)


def _error(status: int, codes: Sequence[str]) -> Schema:
    return {
        "description": _MEANING[status],
        "content": {
            "application/json": {
                "schema": {
                    "allOf": [ref("Error"), {"properties": {"code": {"enum": list(codes)}}}]
                },
                "examples": {code: {"value": _shown(code)} for code in codes},
            }
        },
    }


def _shown(code: str) -> Schema:
    message = ERRORS[code]
    path, _, text = message.partition(": ")
    faults = {"errors": [{"path": path, "message": text}]} if code in _WITH_FAULTS else {}
    request_id = "3f0c7a1be8d94a5c9d2b6e7f80a1b2c3"
    return {"code": code, "message": message, **faults, "request_id": request_id}


# --- Parameters and headers -----------------------------------------------------------------------


def _header(schema: Schema, description: str, *, required: bool = True) -> Schema:
    return {"schema": schema, "description": description, "required": required}


COUNT: Schema = {"type": "integer", "minimum": 0}
HEADERS: dict[str, Schema] = {
    "X-Request-Id": _header(
        {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "Names this call in our logs; the same as `request_id`.",
    ),
    "Cache-Control": _header({"const": "no-store"}, "`no-store`.", required=False),
    "Retry-After": _header(
        {"type": "integer", "minimum": 1}, "Seconds to wait before the call is sent again."
    ),
    "WWW-Authenticate": _header({"const": "Bearer"}, "`Bearer`."),
    "Idempotency-Replayed": _header(
        {"const": "true"},
        "Only where this is the answer to an earlier call with the same `Idempotency-Key`.",
        required=False,
    ),
    **{
        name: _header(schema, description, required=False)
        for name, schema, description in (
            ("RateLimit-Limit", COUNT, "Calls that the account may make in any one second."),
            ("RateLimit-Remaining", COUNT, "Calls that are left of them now."),
            ("RateLimit-Reset", COUNT, "Seconds until one more is free."),
            ("RateLimit-Policy", TEXT, "The limit and its window: `10;w=1`."),
            ("X-RateLimit-Limit", COUNT, "The same as `RateLimit-Limit`."),
            ("X-RateLimit-Remaining", COUNT, "The same as `RateLimit-Remaining`."),
            ("X-RateLimit-Reset", COUNT, "When one more is free, in seconds since 1970."),
        )
    },
}
_ON = {"Retry-After": (429, 503), "WWW-Authenticate": (401,)}


def _headers(status: int, *, is_change: bool, is_limited: bool) -> Schema:
    def stands(name: str) -> bool:
        if "RateLimit" in name:
            return is_limited
        if name == "Idempotency-Replayed":
            return is_change and status < 300
        return status in _ON.get(name, (status,))

    return {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS if stands(name)}


def parameter(
    name: str, schema: Schema, description: str, *, place: str = "query", **more: Any
) -> Schema:
    facts = {"name": name, "in": place, "required": place == "path"}
    return {**facts, "schema": schema, "description": description, **more}


IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[ -~]+$", "minLength": 1, "maxLength": LONGEST_KEY},
    "Names what you want to happen, in your own words: a call that repeats the key is carried out "
    "once and answered as it was. Refusals are not kept. Printable ASCII.",
    place="header",
    examples={"yours": {"value": examples.IDEMPOTENCY_KEY}},
)


# --- Operations -----------------------------------------------------------------------------------


def operation(
    name: str,
    tag: str,
    summary: str,
    description: str,
    *,
    answer: Schema,
    shown: Mapping[str, Any],
    status: int = 200,
    answer_means: str,
    errors: Sequence[str] = (),
    parameters: Sequence[Schema] = (),
    request: Mapping[str, tuple[Schema, Mapping[str, Any]]] | None = None,
    needs_body: bool = True,
    is_change: bool | None = None,
    is_limited: bool | None = None,
) -> Schema:
    """`request`: media type → (schema, examples). `errors`: codes beside those that all share.

    `is_change`: it may be repeated under its `Idempotency-Key`. `is_limited`: it counts among the
    account's calls a second. Both are so for a call with a body, unless it is said otherwise.
    """
    is_change = request is not None if is_change is None else is_change
    is_limited = request is not None if is_limited is None else is_limited
    shared = (*(_ON_CHANGE if is_change else ()), *(_ON_LIMITED if is_limited else ()))
    codes = {*_EVERYWHERE, *errors, *shared}
    by_status: dict[int, list[str]] = {}
    for code in ERRORS:
        if code in codes:
            by_status.setdefault(STATUS.get(code, 400), []).append(code)
    good = {
        "description": answer_means,
        "content": {"application/json": {"schema": answer, "examples": _examples(shown)}},
    }
    answers = {status: good} | {each: _error(each, by_status[each]) for each in sorted(by_status)}
    described: Schema = {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "description": description,
        "security": [{"AccountKey": []}],
        "parameters": [*parameters, *([IDEMPOTENCY_KEY] if is_change else [])],
        "responses": {
            str(each): {
                **facts,
                "headers": _headers(each, is_change=is_change, is_limited=is_limited),
            }
            for each, facts in answers.items()
        },
    }
    if request:
        media = {
            kind: {"schema": schema, "examples": _examples(shown)}
            for kind, (schema, shown) in request.items()
        }
        described["requestBody"] = {"required": needs_body, "content": media}
    return described


def _examples(shown: Mapping[str, Any]) -> Schema:
    return {name: {"value": value} for name, value in shown.items()}


JSON, URL_ENCODED, MULTIPART = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
)
