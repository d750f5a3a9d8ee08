"""What became of a message, in the words of its channel."""

from collections import Counter as Tally

from django.db.models import Count, F

from campaigns.models import Channel
from messaging.channels import telegram, whatsapp
from messaging.models import Attempt, Batch
from messaging.states import Status

_LABELS: dict[str, dict[str, str]] = {
    Channel.WHATSAPP: {
        Status.SENT: "Accepted",
        Status.SENT_TO_TELCO: "Sent",
        Status.OPENED: "Read",
    }
}


def label_of(channel: str, status: str, attempt: Attempt | None = None) -> str:
    """The word for a status; of a failure more is known with its latest attempt."""
    is_unknown_number = attempt is not None and attempt.error_code == "recipient_invalid"
    if channel == Channel.WHATSAPP and status == Status.FAILURE and is_unknown_number:
        return "Invalid number"
    known = Status(status)
    return _LABELS.get(channel, {}).get(known, str(known.label))


def why_of(channel: str, attempt: Attempt | None) -> str:
    """Why it failed and what can be done, in whole sentences; empty where it did not."""
    if attempt is None or not attempt.error:
        return ""
    if channel == Channel.TELEGRAM:
        return telegram.explain(attempt.provider_code, attempt.error_code)
    advice = attempt.error.advice
    if channel == Channel.WHATSAPP and attempt.error_code == "content_invalid":
        # Officers fill templates in; they cannot change what these say.
        advice = "Check the values; if they are right, tell Postman’s support which template it is."
    if channel == Channel.WHATSAPP and attempt.provider_code:
        return f"{whatsapp.explain(attempt.provider_code)} {advice}"
    return f"{attempt.error.sentence} {advice}"


def reasons_in(batch: Batch) -> list[tuple[str, int]]:
    """Why messages of this batch failed, the commonest reason first: (words, how many)."""
    failed = Attempt.objects.filter(
        message__batch=batch,
        message__status=Status.FAILURE,
        number=F("message__attempts_made"),
    )
    reasons: Tally[str] = Tally()
    counted = failed.order_by().values("provider_code", "error_code").annotate(n=Count("id"))
    for row in counted:
        alike = Attempt(provider_code=row["provider_code"], error_code=row["error_code"])
        reasons[why_of(batch.campaign.channel, alike)] += row["n"]
    return reasons.most_common()
