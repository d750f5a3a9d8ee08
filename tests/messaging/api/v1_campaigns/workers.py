"""What workers do with the campaigns of the API, for its tests."""

from django.utils import timezone

from messaging import ingest
from messaging.delivery import expanding
from messaging.delivery.pipeline import send_chunk
from messaging.models import Batch


def check_uploads():
    for batch_id in ingest.waiting(timezone.now()):
        ingest.check(batch_id)


def deliver():
    """Send what was accepted, to the last message."""
    for batch in Batch.objects.filter(accepted_at__isnull=False):
        expanding.expand(batch.id)
        while send_chunk(batch.id):
            pass


def refused(answer, status, code):
    """The answer, which refused the call so."""
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.json()
    return answer.json()
