"""Two factors of the v2 API: a key of this campaign, from an address it allows (v2-sms §3)."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from campaigns.models import ApiKey
from postman.accounts.models import User
from postman.errors import Refused
from postman.ids import parse_public_id

LAST_USED_PRECISION = timedelta(minutes=1)


class ApiKeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, ApiKey]:
        """The key's creator and the key, which knows its campaign; raises Refused (v2-sms §8.2)."""
        address = request._request.client_ip  # type: ignore[attr-defined]
        key = ApiKey.objects.find(_bearer(request), address=address)
        wanted = request.parser_context["kwargs"].get("campaign_id", "")
        if key is None or parse_public_id(wanted, "campaign") != key.campaign_id:
            raise Refused(
                "This API key is not valid for this campaign.", "invalid_api_key_provided"
            )
        if key.fault:
            raise Refused(key.fault, "invalid_api_key_provided")
        if not key.is_called_from_allowed_address:
            raise Refused(
                f"Calls from {address} are not allowed: add it to the campaign's IP addresses.",
                "invalid_ip_address_used",
            )
        _note_use(key)
        return key.creator, key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _bearer(request: Request) -> str:
    # `request.headers` would take apart all the others as well.
    header = request.META.get("HTTP_AUTHORIZATION", "")
    scheme, _, secret = header.partition(" ")
    if not header.strip():
        raise Refused("Send your API key as “Authorization: Bearer …”.", "authentication_required")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Refused("Send your API key as “Authorization: Bearer …”.", "invalid_api_key_provided")
    return secret.strip()


def _note_use(key: Any) -> None:
    """To the minute, so that a busy key does not cost a write per call."""
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - LAST_USED_PRECISION:
        ApiKey.objects.filter(id=key.id).update(last_used_at=now)
