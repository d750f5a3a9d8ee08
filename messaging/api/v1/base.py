"""What every address of v1 shares: who calls, how often, and how refusals are told."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn, cast

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from campaigns.throttling import Verdict, window
from messaging.api.idempotency import once
from messaging.api.v1.errors import exception_handler
from postman.accounts import keys
from postman.accounts.models import User
from postman.errors import Refused

# JSON and forms, their files not counted.
MOST_BYTES: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE


class AccountKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer …`, a key of the account; raises Refused `unauthenticated`."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header.strip():
            return None
        scheme, _, secret = header.partition(" ")
        key = keys.find(secret.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise Refused(
                "This API key is not valid: it is misspelt, has expired or was revoked.",
                "unauthenticated",
            )
        return key.user, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class CookieAuthentication(BaseAuthentication):
    """The session of somebody who has signed in; what changes something needs their page's token."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        http: Any = request._request
        session_key = http.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if not session_key:
            return None
        http.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
        user = get_user(http)
        if not user.is_authenticated or not user.is_active:
            return None
        _check_token(http)
        return cast(User, user), None


def _check_token(request: HttpRequest) -> None:
    check = CSRFCheck(lambda request: None)  # type: ignore[arg-type, return-value]
    check.process_request(request)
    if check.process_view(request, lambda request: None, (), {}):  # type: ignore[arg-type, return-value]
        raise Refused("Send the page's CSRF token with this call.", "unauthorized")


class AccountThrottle(BaseThrottle):
    """So many calls a second for each account; asked before the body is read (v1-backend §1.5)."""

    def allow_request(self, request: Request, view: object) -> bool:
        user = cast(User, request.user)
        if user.calls_per_second is None:
            return True
        verdict = window(settings.REDIS_URL).take(user.id, user.calls_per_second)
        request.rate_limit = verdict  # type: ignore[attr-defined]
        if verdict and not verdict.is_allowed:
            raise Refused(
                f"This account may make {verdict.limit} calls a second. "
                "This one was not carried out: send it again later.",
                "rate_limit",
            )
        return True


class V1View(APIView):
    """An address of v1 that both a key and the pages' cookie open."""

    schema = None  # v2's document is not about it
    authentication_classes = [AccountKeyAuthentication, CookieAuthentication]
    http_method_names = ["get", "head", "post", "put", "delete", "options"]

    @property
    def account(self) -> User:
        return cast(User, self.request.user)

    def get_exception_handler(self) -> Any:
        return exception_handler

    def permission_denied(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        if getattr(request.user, "is_authenticated", False):
            super().permission_denied(request, *args, **kwargs)
        raise Refused("Send your API key as “Authorization: Bearer …”.", "unauthenticated")

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Cache-Control"] = "no-store"
        if verdict := getattr(request, "rate_limit", None):
            _stand_on(verdict, answer)
        return answer

    def once(self, act: Callable[[], Response]) -> Response:
        """Carry the call out, or answer as before where it repeats its `Idempotency-Key`."""
        return once(self.request, self.account.id, act)


def length_of(request: Request) -> int:
    """Of its body, as it says; raises Refused where it does not: nothing would stop it then."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if "HTTP_TRANSFER_ENCODING" in request.META and not length:
        raise Refused("Send a `Content-Length`, not a chunked body.", "malformed")
    return int(length) if length.isdigit() else 0


def check_length(request: Request) -> None:
    """Raise Refused where the body is larger than any that v1 takes, before it is read."""
    if length_of(request) > MOST_BYTES:
        raise Refused(f"Send at most {MOST_BYTES:,} bytes.", "malformed")


def _stand_on(verdict: Verdict, answer: Response) -> None:
    """Both families of headers that v1's clients may read."""
    verdict.stand_on(answer)
    answer["X-RateLimit-Limit"] = answer["RateLimit-Limit"]
    answer["X-RateLimit-Remaining"] = answer["RateLimit-Remaining"]
    answer["X-RateLimit-Reset"] = verdict.reset_at()
