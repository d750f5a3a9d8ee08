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


# --- Campaigns ------------------------------------------------------------------------------------

CAMPAIGN_NUMBER = 412
CAMPAIGN_ID: Example = {"id": str(CAMPAIGN_NUMBER)}
_SENT_AT = "2026-11-20T04:05:00.000Z"
_PARAMS = ["name"]
_TEXT = "Dear {{name}}, see you on Friday at 9.30am."
_FILLED_IN = "Dear Pat, see you on Friday at 9.30am."


def campaign(type_: str) -> Example:
    return {
        "id": CAMPAIGN_NUMBER,
        "name": "Visits in December",
        "created_at": TAKEN_AT,
        "type": type_,
        "protect": False,
        "demo_message_limit": None,
    }


def campaign_listed(type_: str) -> Example:
    job = {"status": "LOGGED", "visible_at": _SENT_AT, "sent_at": _SENT_AT}
    return campaign(type_) | {
        "valid": True,
        "has_credential": True,
        "halted": False,
        "redacted": False,
        "should_bcc_to_me": False,
        "job_queue": [job | {"status_updated_at": _SENT_AT}],
    }


def campaign_details(type_: str) -> Example:
    return campaign_listed(type_) | {
        "csv_filename": "people.csv",
        "is_csv_processing": False,
        "num_recipients": 120,
        "s3_object": {"filename": "people.csv", "temp_filename": None, "error": None},
        **_DETAILS[type_],
    }


def campaign_saved(type_: str) -> Example:
    return {
        "message": "The template was saved.",
        "valid": True,
        "num_recipients": 120,
        "template": TEMPLATE_SHOWN[type_],
    }


def campaign_columns_missing(type_: str) -> Example:
    return campaign_saved(type_) | {
        "message": "The recipients have no values for some keywords. Upload them again.",
        "extra_keys": _PARAMS,
        "valid": False,
        "num_recipients": 0,
    }


def campaign_stats(type_: str) -> Example:
    unsubscribed = {"unsubscribed": 1} if type_ == "EMAIL" else {}
    return {
        "error": 2,
        "unsent": 0,
        "sent": 117,
        "invalid": 1,
        "status": "LOGGED",
        "halted": False,
        "redacted": False,
        "updated_at": _SENT_AT,
        "status_updated_at": _SENT_AT,
        "visible_at": _SENT_AT,
        **unsubscribed,
    }


def campaign_report(type_: str) -> list[Example]:
    is_email = type_ == "EMAIL"
    row: Example = {
        "recipient": "pat@example.org" if is_email else "+6581230001",
        "status": "SUCCESS",
        "error_code": None,
        "updated_at": _SENT_AT,
    }
    return [
        row | ({"unsubscriber.recipient": None, "unsubscriber.reason": None} if is_email else {})
    ]


def campaign_state(preview: Example) -> Example:
    return {
        "is_csv_processing": False,
        "csv_filename": "people.csv",
        "temp_csv_filename": None,
        "csv_error": None,
        "num_recipients": 120,
        "preview": preview,
    }


TEMPLATE_ASKED: dict[str, Example] = {
    "EMAIL": {
        "subject": "Your visit on Friday",
        "body": f"<p>{_TEXT}</p>",
        "reply_to": "desk@agency.gov.sg",
        "from": "Clinic Reminders <clinic@agency.gov.sg>",
    },
    "SMS": {"body": _TEXT},
    "TELEGRAM": {"body": _TEXT},
}
TEMPLATE_SHOWN: dict[str, Example] = {
    type_: asked | {"params": _PARAMS} | ({"show_logo": True} if type_ == "EMAIL" else {})
    for type_, asked in TEMPLATE_ASKED.items()
}
_THEMED = f"<html><body><p>{_FILLED_IN}</p></body></html>"
PREVIEW: dict[str, Example] = {
    "EMAIL": {
        "body": f"<p>{_FILLED_IN}</p>",
        "subject": "Your visit on Friday",
        "reply_to": "desk@agency.gov.sg",
        "from": "Clinic Reminders <clinic@agency.gov.sg>",
        "themed_body": _THEMED,
    },
    "SMS": {"body": _FILLED_IN},
    "TELEGRAM": {"body": _FILLED_IN},
}
_THEIR_NAMES = {"reply_to": "replyTo", "themed_body": "themedBody"}
STATE_PREVIEW: dict[str, Example] = {
    type_: {_THEIR_NAMES.get(name, name): value for name, value in shown.items()}
    for type_, shown in PREVIEW.items()
}
_DETAILS: dict[str, Example] = {
    "EMAIL": {
        "email_templates": TEMPLATE_SHOWN["EMAIL"] | {"themed_body": _THEMED},
        "user": {
            "email_domain": "@agency.gov.sg",
            "domain": {"agency_id": "7", "agency": {"name": "Agency", "logo_uri": None}},
        },
    },
    "SMS": {"sms_templates": TEMPLATE_SHOWN["SMS"], "cost_per_message": 0.0395},
    "TELEGRAM": {"telegram_templates": TEMPLATE_SHOWN["TELEGRAM"]},
}
CREDENTIALS: dict[str, Example] = {
    "EMAIL": {"recipient": "desk@agency.gov.sg"},
    "SMS": {"label": "clinic", "recipient": "81230001"},
    "TELEGRAM": {"label": "clinic"},
}
NEW_SMS_CREDENTIALS: Example = {
    "twilio_account_sid": "AC" + "0" * 32,
    "twilio_api_key": "SK" + "0" * 32,
    "twilio_api_secret": "the secret of that key",
    "twilio_messaging_service_sid": "MG" + "0" * 32,
    "recipient": "81230001",
    "label": "clinic",
}
UPLOAD_ADDRESS: Example = {
    "presigned_url": "https://postman.example/v1/upload/eyJ1c2VyIjoi",
    "transaction_id": "eyJ1c2VyIjoiMDE5",
}
UPLOAD_STORED: Example = {
    "transaction_id": UPLOAD_ADDRESS["transaction_id"],
    "filename": "people.csv",
    "etag": '"9e107d9d372bb6826bd81d3542a419d6"',
}
