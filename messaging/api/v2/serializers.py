"""The objects of the v2 API (v2-sms §6.1), under the names of the contract."""

from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from rest_framework import serializers

from campaigns.models import Language
from messaging.channels.base import DELIVERY_ERRORS
from messaging.models import Attempt, Batch, Message
from messaging.states import Status, in_api
from postman.api.answers import Answer

SINGAPORE = ZoneInfo("Asia/Singapore")


class Timestamp(serializers.DateTimeField):
    """`2025-01-10T09:15:02.118+08:00`: Singapore's time to the millisecond (v2-sms §1.2)."""

    def to_representation(self, value: Any) -> str:
        return in_singapore(value)


# All messages of a batch share one moment.
@lru_cache(maxsize=4096)
def in_singapore(value: datetime) -> str:
    return value.astimezone(SINGAPORE).isoformat(timespec="milliseconds")


class Anything(serializers.Field):
    """Handed on as it came: `sending` knows the rules, and what to say about each."""

    def to_internal_value(self, data: Any) -> Any:
        return data


class SingleSend(serializers.Serializer):
    recipient = Anything()
    language = Anything()
    values = Anything()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := data.keys() - self.fields.keys()):
            raise serializers.ValidationError(
                {name[:50]: "Unknown field." for name in sorted(unknown)[:10]}
            )
        return super().to_internal_value(data)


class PublicId(serializers.CharField):
    """The id of a row that is only referred to: `PublicId("user", source="creator_id")`."""

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        self.prefix = prefix
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, value: Any) -> str:
        return f"{self.prefix}_{value}"


class MessageRetried(Answer):
    """E2, which leaves the language out (v2-sms §4.2)."""

    createdAt = Timestamp(source="created_at")
    updatedAt = Timestamp(source="updated_at")
    id = PublicId("message")
    recipient = serializers.CharField()
    values = serializers.DictField(child=serializers.CharField())
    fullMessage = serializers.CharField(source="full_message")
    latestStatus = serializers.SerializerMethodField()
    templateBodyId = serializers.UUIDField(source="template_body_id")
    campaignId = PublicId("campaign", source="campaign_id")
    creatorId = PublicId("user", source="creator_id")

    def get_latestStatus(self, message: Message) -> str:
        return in_api(message.status)


class MessageShort(MessageRetried):
    """E1."""

    language = serializers.ChoiceField(Language.choices, source="template_body.language")


class TemplateBodyObject(Answer):
    createdAt = Timestamp(source="created_at")
    updatedAt = Timestamp(source="updated_at")
    id = serializers.UUIDField()
    templateId = serializers.UUIDField(source="template_id")
    language = serializers.ChoiceField(Language.choices)
    body = serializers.CharField()
    creatorId = PublicId("user", source="creator_id")


class BatchObject(Answer):
    createdAt = Timestamp(source="created_at")
    updatedAt = Timestamp(source="updated_at")
    id = PublicId("batch")
    originalFileName = serializers.CharField(source="original_file_name")
    status = serializers.SerializerMethodField()
    campaignId = PublicId("campaign", source="campaign_id")
    creatorId = PublicId("user", source="creator_id")
    totalMessages = serializers.IntegerField(source="total_messages")

    def get_status(self, batch: Batch) -> str:
        """Of the life of an upload, v2 knows only what follows its acceptance (v2-sms Q15)."""
        return batch.status if batch.is_accepted else "created"


class BatchProgress(BatchObject):
    """Beyond v2: a batch as its page shows it. `counts` adds up to `totalMessages`."""

    acceptedAt = Timestamp(source="accepted_at", allow_null=True)
    stoppedAt = Timestamp(source="stopped_at", allow_null=True)
    cancelledAt = Timestamp(source="cancelled_at", allow_null=True)
    counts = serializers.SerializerMethodField()

    def get_counts(self, batch: Batch) -> dict[str, int]:
        counts = batch.progress()
        del counts["suppressed"]  # nobody is, in SMS
        return counts


class AttemptBrief(Answer):
    status = serializers.SerializerMethodField()
    createdAt = Timestamp(source="created_at")

    def get_status(self, attempt: Attempt) -> str:
        return in_api(attempt.status)

    def to_representation(self, attempt: Attempt) -> dict[str, Any]:
        shown = super().to_representation(attempt)
        if error := DELIVERY_ERRORS.get(attempt.error_code):
            shown["error"] = {"type": error.type, "code": error.code}
        return shown


class AttemptFull(Answer):
    """An attempt as the lists show it; `errorType` and `errorCode` are null unless it failed."""

    sentAt = Timestamp(source="sent_at", allow_null=True)
    deliveredAt = Timestamp(source="delivered_at", allow_null=True)
    createdAt = Timestamp(source="created_at")
    updatedAt = Timestamp(source="updated_at")
    id = serializers.UUIDField()
    messageId = PublicId("message", source="message_id")
    externalAttemptId = serializers.CharField(source="reference")
    status = serializers.SerializerMethodField()
    errorType = serializers.SerializerMethodField()
    errorCode = serializers.SerializerMethodField()
    metadata = serializers.SerializerMethodField()
    creatorId = PublicId("user", source="message.creator_id")

    def get_status(self, attempt: Attempt) -> str:
        return in_api(attempt.status)

    def get_errorType(self, attempt: Attempt) -> str | None:
        return attempt.error.type if attempt.error else None

    def get_errorCode(self, attempt: Attempt) -> str | None:
        return attempt.error_code or None

    def get_metadata(self, attempt: Attempt) -> dict[str, str]:
        return {}


class WithTemplate(MessageShort):
    templateBody = TemplateBodyObject(source="template_body")
    creatorEmail = serializers.SerializerMethodField()

    def get_creatorEmail(self, message: Message) -> str:
        """API sends have no person: `campaign_<uuid>@<our domain>` (v2-sms §1.2, Q34)."""
        if not message.via_api:
            return message.creator.email
        return f"campaign_{message.campaign_id}@{urlsplit(settings.PUBLIC_URL).hostname}"


class MessageInBatch(WithTemplate):
    """E7: the newest attempt first."""

    messageAttempts = AttemptFull(source="newest_attempts", many=True)


class MessageInCampaign(MessageInBatch):
    """E4."""

    batches = serializers.SerializerMethodField()
    batchId = PublicId("batch", source="batch_id", allow_null=True)

    def get_batches(self, message: Message) -> list[dict[str, Any]]:
        return batches_of(message)


class MessageDetail(WithTemplate):
    """E3."""

    batches = serializers.SerializerMethodField()
    attempts = serializers.SerializerMethodField()

    def get_batches(self, message: Message) -> list[dict[str, Any]]:
        return batches_of(message)

    def get_attempts(self, message: Message) -> list[dict[str, Any]]:
        """A message that waits shows the attempt that it waits for, which has no row yet."""
        attempts = message.newest_attempts[:]
        if message.status == Status.CREATED and len(attempts) == message.attempts_made:
            coming = Attempt(status=Status.CREATED, created_at=message.updated_at)
            attempts.insert(0, coming)
        return [AttemptBrief.of(attempt) for attempt in attempts]


def batches_of(message: Message) -> list[dict[str, Any]]:
    """The batch of a message with the row that joins them; none for a single one (v2-sms §6.2)."""
    if message.batch is None:
        return []
    joint = {
        "createdAt": in_singapore(message.created_at),
        "updatedAt": in_singapore(message.created_at),
        "id": str(message.row),
        "batchId": message.batch.public_id,
        "messageId": message.public_id,
    }
    return [BatchObject.of(message.batch) | {"BatchMessage": joint}]
