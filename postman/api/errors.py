"""The one error shape of the APIs (v2-sms §8.1), and the status of every code (§8.2)."""

import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, JsonResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from postman.errors import Refused

logger = logging.getLogger(__name__)

# Every other refusal is a 400 (v2-sms §8.2).
STATUS = {
    "authentication_required": 401,
    "invalid_api_key_provided": 401,
    "resource_not_found": 404,
    "invalid_path": 404,
    "method_not_allowed": 405,
    "idempotency_key_in_use": 409,
    "length_required": 411,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "idempotency_key_reused": 422,
    "too_many_requests": 429,
}
CODES = {
    exceptions.ParseError: "parameter_invalid",
    exceptions.ValidationError: "parameter_invalid",
    exceptions.NotAuthenticated: "authentication_required",
    exceptions.AuthenticationFailed: "invalid_api_key_provided",
    exceptions.NotFound: "resource_not_found",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
}

UNREADABLE = "This call cannot be read: it is broken, or holds too many parts."
# Some of DRF's messages repeat what was sent.
LONGEST_MESSAGE = 500


def body(request: Any, code: str, message: str, status: int) -> dict[str, Any]:
    return {
        "error": {
            "code": code,
            "message": message,
            "type": "server_error" if status >= 500 else "domain_error",
            "id": getattr(request, "id", ""),
        }
    }


def envelope(request: HttpRequest, status: int, code: str, message: str) -> JsonResponse:
    """An answer to a call that reached no view, in the shape of the version that was called."""
    if request.path.startswith("/v1/"):
        return JsonResponse(v1_body(request, _V1_CODES.get(code, code), message), status=status)
    return JsonResponse(body(request, code, message, status), status=status)


def v1_body(
    request: Any, code: str, message: str, faults: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """v1's shape (v1-backend §3.1), and what is wrong with each field beside it."""
    answer: dict[str, Any] = {"code": code, "message": message}
    if faults:
        answer["errors"] = [{"path": path, "message": text} for path, text in faults.items()]
    return {**answer, "request_id": getattr(request, "id", "")}


_V1_CODES = {
    "parameter_invalid": "malformed",
    "invalid_path": "not_found",
    "internal_error": "internal_server",
    "https_required": "unauthorized",
}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's handler: refusals and DRF's own exceptions in our envelope; the rest is a 500."""
    request = context["request"]._request
    if isinstance(error, Refused):
        code, message = error.code, error.message
        status = STATUS.get(code, 400)
    elif isinstance(error, RequestDataTooBig):
        code, status = "payload_too_large", 413
        message = f"Send at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes at a time."
    elif isinstance(error, SuspiciousOperation | UnreadablePostError):
        # Too many fields or parts, or a body that broke off.
        code, status, message = "parameter_invalid", 400, UNREADABLE
    elif isinstance(error, exceptions.APIException):
        code = next(
            (c for kind, c in CODES.items() if isinstance(error, kind)), "parameter_invalid"
        )
        message, status = (
            _sentence(error.detail)[:LONGEST_MESSAGE],
            STATUS.get(code, error.status_code),
        )
    else:
        return None
    set_rollback()
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(body(request, code, message, status), status=status, headers=headers)


def _sentence(detail: Any, path: str = "") -> str:
    """DRF's nested detail as one line: `values.name: must not be empty.`"""
    if isinstance(detail, dict):
        parts = [
            _sentence(value, path if key == "non_field_errors" else f"{path}.{key}".lstrip("."))
            for key, value in detail.items()
        ]
        return " ".join(parts)
    if isinstance(detail, list):
        return " ".join(_sentence(item, path) for item in detail)
    return f"{path}: {detail}" if path else str(detail)
