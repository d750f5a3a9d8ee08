"""What the API's description shows of each call: one reminder for Mei Ling, and one file."""

from typing import Any

SENT_AT = "2026-11-20T12:00:00.118+08:00"
LATER = "2026-11-20T12:00:31.870+08:00"
CAMPAIGN = "campaign_01a1fb26-5d49-7cc4-8f0a-3f8a9f4e6a01"
MESSAGE = "message_01a1fb2c-0b46-7a31-9c15-0d6b3ac2f702"
BATCH = "batch_01a1fb30-91ce-7f25-b6b2-54c2d1a0e803"
CREATOR = "user_01a1fb20-2f1d-7d6e-a5d3-9b7c6e5f4a04"
TEMPLATE_BODY = "01a1fb26-5d4b-7b0e-9f5d-7c2e8d1b3a05"
VALUES = {"name": "Mei Ling", "clinic": "Clementi Clinic"}
CURSOR = (
    "WyIyMDI2LTExLTIwVDA0OjAwOjAwLjExOCswMDowMCIsICIwMWExZmIyYy0wYjQ2LTdhMzEtOWMxNS0wZDZiM2FjMmY3"
    "MDIiXQ=="
)
IDEMPOTENCY_KEY = "reminder-2026-12-03-0042"
FILE = "recipient,language,name,clinic\n6581230001,english,Mei Ling,Clementi Clinic\n"

Example = dict[str, Any]

SEND: Example = {"recipient": "6581230001", "language": "english", "values": VALUES}

RETRIED: Example = {
    "createdAt": SENT_AT,
    "updatedAt": LATER,
    "id": MESSAGE,
    "recipient": "6581230001",
    "values": VALUES,
    "fullMessage": "Ministry of Health\n\n---\n\nDear Mei Ling, see you at Clementi Clinic.\n\n---\n\n"
    "Automated message from the Singapore Government. Do not reply.",
    "latestStatus": "created",
    "templateBodyId": TEMPLATE_BODY,
    "campaignId": CAMPAIGN,
    "creatorId": CREATOR,
}
SENT: Example = RETRIED | {"updatedAt": SENT_AT, "language": "english"}

_LONG: Example = SENT | {
    "updatedAt": LATER,
    "latestStatus": "failure",
    "templateBody": {
        "createdAt": SENT_AT,
        "updatedAt": SENT_AT,
        "id": TEMPLATE_BODY,
        "templateId": "01a1fb26-5d4a-7e1f-8d3c-6b5a4c3d2e06",
        "language": "english",
        "body": "Dear {{name}}, see you at {{clinic}}.",
        "creatorId": CREATOR,
    },
    "creatorEmail": f"{CAMPAIGN}@postman.gov.sg",
}
_ATTEMPT: Example = {
    "sentAt": SENT_AT,
    "deliveredAt": None,
    "createdAt": SENT_AT,
    "updatedAt": LATER,
    "id": "01a1fb2c-0c02-7d55-b1c4-2a3b4c5d6e07",
    "messageId": MESSAGE,
    "externalAttemptId": "SM0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "status": "failure",
    "errorType": "delivery_error",
    "errorCode": "recipient_unavailable",
    "metadata": {},
    "creatorId": CREATOR,
}
_BATCH: Example = {
    "createdAt": SENT_AT,
    "updatedAt": LATER,
    "id": BATCH,
    "originalFileName": "reminders.csv",
    "status": "messages_enqueued",
    "campaignId": CAMPAIGN,
    "creatorId": CREATOR,
    "totalMessages": 1,
    "BatchMessage": {
        "createdAt": SENT_AT,
        "updatedAt": SENT_AT,
        "id": "2",
        "batchId": BATCH,
        "messageId": MESSAGE,
    },
}

DETAIL: Example = _LONG | {
    "batches": [],
    "attempts": [
        {
            "status": "failure",
            "createdAt": SENT_AT,
            "error": {"type": "delivery_error", "code": "recipient_unavailable"},
        }
    ],
}


def page(message: Example) -> Example:
    return {
        "data": [message],
        "pageData": {
            "hasNextPage": False,
            "hasPreviousPage": False,
            "startCursor": CURSOR,
            "endCursor": CURSOR,
        },
    }


IN_BATCH: Example = _LONG | {"messageAttempts": [_ATTEMPT]}
IN_CAMPAIGN: Example = IN_BATCH | {"batches": [_BATCH], "batchId": BATCH}

PROGRESS: Example = {name: value for name, value in _BATCH.items() if name != "BatchMessage"} | {
    "totalMessages": 1000,
    "acceptedAt": SENT_AT,
    "stoppedAt": None,
    "cancelledAt": None,
    "counts": {
        "pending": 500,
        "sent": 180,
        "delivered": 300,
        "failed": 20,
        "unknown": 0,
        "cancelled": 0,
    },
}

FILE_ACCEPTED: Example = {"isValid": True, "batchId": BATCH}
FILE_REFUSED: Example = {
    "isValid": False,
    "reportURL": f"https://postman.gov.sg/campaigns/{CAMPAIGN}/batches/{BATCH}/report",
    "numRows": 1,
    "numErrors": 3,
    "fileHasAvoidableExpensiveCharacter": False,
    "fileHasUnicode": False,
}
