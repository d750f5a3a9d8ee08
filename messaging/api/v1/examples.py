"""What v1's description shows of each call: one visit of Pat's, over each channel."""

from typing import Any

Example = dict[str, Any]

TAKEN_AT = "2026-11-20T04:00:00.118Z"
LATER = "2026-11-20T04:00:09.402Z"
IDEMPOTENCY_KEY = "visit-2026-12-03-0042"

EMAIL_SEND: Example = {
    "recipient": "pat@example.org",
    "subject": "Your visit on Friday",
    "body": "<p>Dear Pat, see you on Friday at 9.30am.</p>",
    "from": "Clinic Reminders <clinic@agency.gov.sg>",
    "reply_to": "desk@agency.gov.sg",
    "cc": ["carer@example.org"],
    "classification": "FOR_INFO",
    "tag": "visits",
}
EMAIL_SHORTEST: Example = {name: EMAIL_SEND[name] for name in ("recipient", "subject", "body")}
EMAIL_TAKEN: Example = {
    "id": "9001",
    "from": EMAIL_SEND["from"],
    "recipient": EMAIL_SEND["recipient"],
    "params": {name: EMAIL_SEND[name] for name in ("subject", "body", "from", "reply_to")},
    "attachments_metadata": None,
    "status": "ACCEPTED",
    "error_code": None,
    "error_sub_type": None,
    "created_at": TAKEN_AT,
    "updated_at": TAKEN_AT,
    "accepted_at": TAKEN_AT,
    "sent_at": None,
    "delivered_at": None,
    "opened_at": None,
    "classification": "FOR_INFO",
    "tag": "visits",
    "cc": ["carer@example.org"],
    "bcc": [],
}
EMAIL: Example = EMAIL_TAKEN | {
    "status": "BOUNCED",
    "error_code": "Hard bounce",
    "error_sub_type": "General",
    "updated_at": LATER,
    "sent_at": LATER,
}
EMAIL_WITHOUT_PARAMS: Example = {n: value for n, value in EMAIL.items() if n != "params"}

SMS_SEND: Example = {
    "recipient": "81230001",
    "body": "Dear Pat, see you on Friday at 9.30am.",
    "label": "clinic",
}
SMS_TAKEN: Example = {
    "id": "9002",
    "credentialsLabel": "clinic",
    "recipient": "+6581230001",
    "body": SMS_SEND["body"],
    "message_id": None,
    "created_at": TAKEN_AT,
    "updated_at": TAKEN_AT,
    "status": "ACCEPTED",
    "error_code": None,
    "accepted_at": TAKEN_AT,
    "sent_at": None,
    "delivered_at": None,
    "errored_at": None,
}
SMS: Example = SMS_TAKEN | {
    "message_id": "SM0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "status": "DELIVERED",
    "updated_at": LATER,
    "sent_at": LATER,
    "delivered_at": LATER,
}

WHATSAPP_SEND: Example = {
    "recipient": "81230001",
    "template_id": 4,
    "params": {"recipient_name": "Pat", "slot": "9-11am"},
}
WHATSAPP_TAKEN: Example = {
    "id": "9003",
    "recipient": "+6581230001",
    "template_id": "4",
    "params": WHATSAPP_SEND["params"],
    "language_code": "en_GB",
    "created_at": TAKEN_AT,
    "updated_at": TAKEN_AT,
    "accepted_at": TAKEN_AT,
    "sent_at": None,
    "delivered_at": None,
    "read_at": None,
    "errored_at": None,
    "error_code": None,
    "error_description": None,
    "status": "ACCEPTED",
}
WHATSAPP: Example = WHATSAPP_TAKEN | {
    "status": "READ",
    "updated_at": LATER,
    "sent_at": LATER,
    "delivered_at": LATER,
    "read_at": LATER,
}
_IN_CHINESE = "{{recipient_name}} 您好，我们将在 {{slot}} 致电。"
TEMPLATES: Example = {
    "data": [
        {
            "id": 4,
            "name": "Appointment heads-up",
            "body": "Hello {{recipient_name}}, we will call you {{slot}}.",
            "params": ["recipient_name", "slot"],
            "param_metadata": {"slot": {"displayName": "Time slot"}},
            "languages": [{"code": "zh_CN", "language": "Chinese", "body": _IN_CHINESE}],
            "multilingual_support": [
                {"languageCode": "zh_CN", "language": "Chinese", "body": _IN_CHINESE}
            ],
        }
    ]
}


def page(message: Example) -> Example:
    return {"has_more": False, "data": [message]}
