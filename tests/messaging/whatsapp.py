"""WhatsApp in tests: a template that is granted, a message of it, and the webhooks that follow."""

import json
from typing import Any

from django.test import Client

from campaigns.models import WhatsappGrant, WhatsappTemplate
from messaging.models import Attempt
from messaging.sandbox import constants
from messaging.sandbox.whatsapp import signed
from postman.accounts.models import Agency, User

CALLBACK = "/callbacks/whatsapp"


def template(**changes: Any) -> WhatsappTemplate:
    facts = {
        "name": "Appointment heads-up",
        "label": "appointment_heads_up",
        "body": "Hello {{ recipient_name }}, this is {{ agency }}. We will call you {{ slot }}.",
        "params": ["recipient_name", "slot", "agency"],
        "param_metadata": {
            "slot": {"displayName": "Time slot"},
            "agency": {"defaultFromMetaField": "agency"},
        },
        "languages": [
            {
                "code": "zh_CN",
                "language": "Chinese",
                "body": "{{recipient_name}} 您好，{{agency}} 将在 {{slot}} 致电。",
            }
        ],
    }
    return WhatsappTemplate.objects.create(**(facts | changes))


def granted(user: User, **changes: Any) -> WhatsappTemplate:
    """A template that this officer may send, of an agency that may use WhatsApp."""
    Agency.objects.filter(pk=user.agency_id).update(may_use_whatsapp=True)
    if user.agency:
        user.agency.refresh_from_db()
    made = template(**changes)
    WhatsappGrant.objects.create(template=made, user=user)
    return made


def status_of(attempt: Attempt, status: str, code: int = 0, **changes: Any) -> dict[str, Any]:
    errors = [{"code": code, "title": "Title", "message": "Words"}] if code else []
    return {
        "id": attempt.reference or f"wamid.{attempt.id.hex}",
        "status": status,
        "timestamp": "1763700000",
        "recipient_id": attempt.message.recipient,
        "biz_opaque_callback_data": str(attempt.id),
        **({"errors": errors} if errors else {}),
    } | changes


def webhook(*statuses: dict[str, Any], texts: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": constants.WHATSAPP_PHONE_NUMBER_ID},
        "statuses": list(statuses),
        **({"messages": texts} if texts else {}),
    }
    change = {"field": "messages", "value": value}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}


def post(body: dict[str, Any] | bytes, *, headers: dict[str, str] | None = None) -> int:
    """Meta's call, signed unless other headers are given; our HTTP status."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = signed(raw) if headers is None else headers
    answer = Client().post(CALLBACK, raw, content_type="application/json", headers=headers)
    return answer.status_code


def report(attempt: Attempt, status: str, code: int = 0) -> int:
    return post(webhook(status_of(attempt, status, code)))
