"""Sending, and what became of it."""

from .batches import RETRYABLE_STATUSES, SENT_STATUSES, Batch, BatchQuerySet, BatchStatus, StagedRow
from .billing import Charge, ChargedDay
from .counters import Counter, CounterQuerySet
from .emails import EmailReport, EmailTest
from .events import ProviderEvent
from .idempotency import IdempotencyKey
from .messages import MAX_RETRIES, Attempt, Message, MessageQuerySet
from .pacing import Pace
from .protected import (
    PageState,
    ProtectedMessage,
    ProtectedMessageQuerySet,
    ProtectedUpload,
    WrongGuesses,
)
from .retention import RetentionMark
from .suppression import Suppression, SuppressionQuerySet
from .transactional import Transactional, TransactionalFile
from .webhooks import Webhook, WebhookDelivery, WebhookTry

__all__ = [
    "MAX_RETRIES",
    "RETRYABLE_STATUSES",
    "SENT_STATUSES",
    "Attempt",
    "Batch",
    "BatchQuerySet",
    "BatchStatus",
    "Charge",
    "ChargedDay",
    "Counter",
    "CounterQuerySet",
    "EmailReport",
    "EmailTest",
    "IdempotencyKey",
    "Message",
    "MessageQuerySet",
    "Pace",
    "PageState",
    "ProtectedMessage",
    "ProtectedMessageQuerySet",
    "ProtectedUpload",
    "ProviderEvent",
    "RetentionMark",
    "StagedRow",
    "Suppression",
    "SuppressionQuerySet",
    "Transactional",
    "TransactionalFile",
    "Webhook",
    "WebhookDelivery",
    "WebhookTry",
    "WrongGuesses",
]
