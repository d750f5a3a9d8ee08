"""A provider of SNS messages for tests: signs as Amazon does, and serves its certificate."""

from __future__ import annotations

import json
from copy import deepcopy
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from messaging.sandbox.control import Controls
from messaging.sandbox.sns import Topic
from tests.server import serving

ENDPOINT = "http://postman.example/callbacks/ses"


class FakeSns:
    def __init__(self) -> None:
        self.asked: list[str] = []  # paths that were fetched
        self.answers: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.asked.append(self.path)
                parts = urlsplit(self.path)
                status, body, headers = fake.answers.get(
                    parts.path, (*fake.topic.answer(parts.path, parts.query)[:2], {})
                )
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = serving(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.topic = Topic(Controls(ENDPOINT), self.url)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def message(self, text: str, message_id: str = "m1", **changes: Any) -> bytes:
        """A signed notification; `changes` are made after it was signed."""
        return self._changed(self.topic.notification(text, message_id).body, changes)

    def question(self, **changes: Any) -> bytes:
        return self._changed(self.topic._question().body, changes)

    def event(self, kind: str, attempt: object, **changes: Any) -> bytes:
        return self.message(json.dumps(ses_event(kind, attempt, **changes)))

    @staticmethod
    def _changed(body: bytes, changes: dict[str, Any]) -> bytes:
        message = json.loads(body) | changes
        return json.dumps({k: v for k, v in message.items() if v is not None}).encode()


RECIPIENT = "mei.ling@example.gov.sg"
_ABOUT = {
    "Send": ("send", {}),
    "Delivery": (
        "delivery",
        {
            "timestamp": "2026-01-10T09:15:02.000Z",
            "processingTimeMillis": 546,
            "recipients": [RECIPIENT],
            "smtpResponse": f"250 taken for {RECIPIENT}",
        },
    ),
    "Open": (
        "open",
        {
            "timestamp": "2026-01-10T10:00:00.000Z",
            "ipAddress": "203.0.113.7",
            "userAgent": "Mozilla/5.0",
        },
    ),
    "Bounce": (
        "bounce",
        {
            "timestamp": "2026-01-10T09:15:03.000Z",
            "feedbackId": "feedback-1",
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "bouncedRecipients": [
                {
                    "emailAddress": RECIPIENT,
                    "action": "failed",
                    "status": "5.1.1",
                    "diagnosticCode": f"smtp; 550 5.1.1 <{RECIPIENT}> unknown",
                }
            ],
        },
    ),
    "Complaint": (
        "complaint",
        {
            "timestamp": "2026-01-10T11:00:00.000Z",
            "feedbackId": "feedback-2",
            "complainedRecipients": [{"emailAddress": RECIPIENT}],
            "complaintFeedbackType": "abuse",
            "userAgent": "AnyCompany Feedback Loop",
        },
    ),
    "Reject": ("reject", {"reason": "Bad content"}),
    "Rendering Failure": ("failure", {"errorMessage": "no value", "templateName": "t"}),
    "DeliveryDelay": (
        "deliveryDelay",
        {
            "timestamp": "2026-01-10T09:20:00.000Z",
            "delayType": "MailboxFull",
            "delayedRecipients": [{"emailAddress": RECIPIENT, "status": "4.2.2"}],
        },
    ),
    "Click": ("click", {"timestamp": "2026-01-10T10:00:00.000Z", "link": "https://example.sg"}),
}


def ses_event(
    kind: str, attempt: object, *, mail: dict[str, Any] | None = None, **about: Any
) -> dict[str, Any]:
    """As SES writes it; `about` changes what is told, `mail` the email it is told of."""
    field, told = deepcopy(_ABOUT[kind])
    return {
        "eventType": kind,
        field: told | about,
        "mail": {
            "timestamp": "2026-01-10T09:15:00.000Z",
            "source": "MOH <moh@postman.gov.sg>",
            "messageId": "ses-1",
            "destination": [RECIPIENT],
            "headers": [{"name": "To", "value": RECIPIENT}],
            "commonHeaders": {"to": [RECIPIENT], "subject": "Your appointment"},
            "tags": {"ses:configuration-set": ["postman"], "attempt": [str(attempt)]},
            **(mail or {}),
        },
    }
