"""v1's errors: `{code, message}`, and what is wrong with each field beside it (v1-backend §3.1)."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from postman.api.errors import UNREADABLE, v1_body
from postman.errors import Refused

# Every other refusal is a 400.
STATUS = {
    "unauthenticated": 401,
    "unauthorized": 403,
    "already_sent": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "idempotency_key_in_use": 409,
    "campaign_redacted": 410,
    "attachment_limit": 413,
    "unsupported_media_type": 415,
    "idempotency_key_reused": 422,
    "rate_limit": 429,
    "internal_server": 500,
    "service_unavailable": 503,
}
CODES: Mapping[type[exceptions.APIException], str] = {
    exceptions.ParseError: "malformed",
    exceptions.ValidationError: "api_validation",
    exceptions.NotAuthenticated: "unauthenticated",
    exceptions.AuthenticationFailed: "unauthenticated",
    exceptions.PermissionDenied: "unauthorized",
    exceptions.NotFound: "not_found",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
}
# What the parts that serve v2 too call by v2's names.
OURS = {"parameter_invalid": "api_validation"}


class Invalid(Refused):
    """A call with faults: path of the field → sentence."""

    code = "api_validation"

    def __init__(self, faults: Mapping[str, str], code: str = "api_validation") -> None:
        self.faults = dict(faults)
        super().__init__(" ".join(f"{path}: {text}" for path, text in faults.items()), code)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's handler: refusals and DRF's own exceptions in v1's shape; the rest is a 500."""
    request = context["request"]._request
    faults: dict[str, str] = {}
    if isinstance(error, Refused):
        code, message = OURS.get(error.code, error.code), error.message
        faults = getattr(error, "faults", {})
    elif isinstance(error, RequestDataTooBig | SuspiciousOperation | UnreadablePostError):
        code, message = "malformed", UNREADABLE
    elif isinstance(error, exceptions.APIException):
        code = next((c for kind, c in CODES.items() if isinstance(error, kind)), "api_validation")
        faults = dict(_faults(error.detail)) if code == "api_validation" else {}
        message = " ".join(f"{p}: {t}" if p else t for p, t in faults.items()) or str(error.detail)
    else:
        return None
    set_rollback()
    status = STATUS.get(code, 400)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Response(v1_body(request, code, message[:2000], faults), status=status, headers=headers)


def _faults(detail: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """DRF's nested detail, flat: `cc.1` → `…`."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            own = path if key == "non_field_errors" else f"{path}.{key}".lstrip(".")
            yield from _faults(value, own)
    elif isinstance(detail, list) and all(isinstance(item, str) for item in detail):
        yield path, " ".join(map(str, detail))
    elif isinstance(detail, list):
        for place, item in enumerate(detail):
            yield from _faults(item, f"{path}.{place}")
    else:
        yield path, str(detail)
