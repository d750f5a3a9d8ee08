"""The steps of a batch, for tests of what comes after them."""

from urllib.parse import urlencode

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from twilio.request_validator import RequestValidator

from campaigns.models import Campaign
from messaging import ingest, providers
from messaging.delivery import expanding
from messaging.models import Attempt, Batch, Message
from messaging.sending import deciding, singles, uploading


def csv_of(count: int, *, first: int = 0) -> bytes:
    """A good file of `count` rows for the `campaign` fixture."""
    rows = "".join(f"65812{first + n:05},english,Name {n},Clinic {n}\n" for n in range(count))
    return b"recipient,language,name,clinic\n" + rows.encode()


def upload(campaign: Campaign, content: bytes, name: str = "people.csv") -> Batch:
    """An uploaded and checked file."""
    batch = uploading.accept_upload(
        campaign=campaign, creator=campaign.creator, upload=SimpleUploadedFile(name, content)
    )
    ingest.check(batch.id)
    batch.refresh_from_db()
    return batch


def accepted_batch(campaign: Campaign, count: int) -> Batch:
    """A batch whose messages exist and wait to be sent."""
    batch = deciding.send_batch(upload(campaign, csv_of(count)), by=campaign.creator)
    expanding.expand(batch.id)
    batch.refresh_from_db()
    return batch


def single(campaign: Campaign, recipient: str = "6581230001", **kwargs: object) -> Message:
    return singles.send_message(
        campaign=campaign,
        creator=campaign.creator,
        recipient=recipient,
        language="english",
        values={"name": "Mei Ling", "clinic": "Clementi Clinic"},
        **kwargs,
    )


def report(attempt: Attempt, status: str, code: str = "", *, token: str | None = None) -> int:
    """Twilio's receipt for an attempt, signed as Twilio signs; returns our HTTP status."""
    url = providers.callback_url(providers.PUBLIC_ACCOUNT, attempt.id)
    params = {
        "MessageSid": attempt.reference or f"SM{attempt.id.hex}",
        "MessageStatus": status,
        "SmsStatus": status,
        "To": f"+{attempt.message.recipient}",
        "AccountSid": settings.CHANNELS["sms"]["OPTIONS"]["account_sid"],
        **({"ErrorCode": code} if code else {}),
    }
    secret = token or settings.CHANNELS["sms"]["OPTIONS"]["auth_token"]
    signature = RequestValidator(secret).compute_signature(url, params)
    path = reverse("twilio-callback", args=url.rsplit("/", 3)[1:])
    form = "application/x-www-form-urlencoded"
    headers = {"X-Twilio-Signature": signature}
    return Client().post(path, urlencode(params), form, headers=headers).status_code
