"""What we call, for the OpenAPI document; its text is docs/webhooks.md, so that it is told once."""

from typing import Any

from django.conf import settings

from messaging.api.v2 import examples
from messaging.channels.base import ERRORS
from messaging.states import TOLD

Schema = dict[str, Any]

_GUIDE = (settings.BASE_DIR / "docs" / "webhooks.md").read_text(encoding="utf-8")
_TIMESTAMP: Schema = {"type": "string", "format": "date-time"}

_STATUS_EXAMPLE = {
    "type": "message.status",
    "timestamp": examples.LATER,
    "data": {
        "messageId": examples.MESSAGE,
        "campaignId": examples.CAMPAIGN,
        "batchId": None,
        "attempt": 1,
        "status": "failure",
        "error": {"type": "delivery_error", "code": "recipient_unavailable"},
    },
}
_TEST_EXAMPLE = {
    "type": "webhook.test",
    "timestamp": examples.LATER,
    "data": {"campaignId": examples.CAMPAIGN},
}


def _object(properties: Schema, *, optional: str = "") -> Schema:
    return {
        "type": "object",
        "required": [name for name in properties if name != optional],
        "properties": properties,
    }


def _header(name: str, description: str) -> Schema:
    return {
        "in": "header",
        "name": name,
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }


def _webhook(name: str, summary: str, description: str, data: Schema, example: Any) -> Schema:
    body = _object({"type": {"const": example["type"]}, "timestamp": _TIMESTAMP, "data": data})
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "description": description,
            "security": [],
            "parameters": [
                _header("webhook-id", "Names the event, the same at every try."),
                _header("webhook-timestamp", "When this try was made, in seconds since 1970."),
                _header("webhook-signature", "One or more signatures, separated by spaces."),
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": body, "examples": {"event": {"value": example}}}
                },
            },
            "responses": {
                "2XX": {"description": "Taken."},
                "410": {"description": "Nobody is there any more: the webhook is paused."},
                "default": {"description": "Not taken: it is tried again, for three days."},
            },
        }
    }


def webhooks() -> Schema:
    """Path items by event, as `webhooks` of OpenAPI 3.1 has them."""
    status = _object(
        {
            "messageId": {"type": "string"},
            "campaignId": {"type": "string"},
            "batchId": {"type": ["string", "null"]},
            "attempt": {"type": "integer", "minimum": 1},
            "status": {"type": "string", "enum": [str(status) for status in TOLD]},
            "error": _object({"type": {"type": "string"}, "code": {"enum": list(ERRORS)}}),
        },
        optional="error",
    )
    test = _object({"campaignId": {"type": "string"}})
    return {
        "message.status": _webhook(
            "messageStatus",
            "A message moved on",
            _GUIDE.partition("\n")[2].strip(),
            status,
            _STATUS_EXAMPLE,
        ),
        "webhook.test": _webhook(
            "webhookTest",
            "An owner sent a test event",
            "Speaks of no message.",
            test,
            _TEST_EXAMPLE,
        ),
    }
