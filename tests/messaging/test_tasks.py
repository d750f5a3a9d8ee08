import pytest
from celery.signals import worker_init, worker_shutting_down

from messaging import tasks
from messaging.delivery import claiming
from messaging.models import Batch
from tests.factories import CampaignFactory
from tests.messaging.builders import accepted_batch, single

pytestmark = pytest.mark.django_db


def test_a_batch_that_cannot_be_sent_does_not_keep_others_waiting(campaign, sandbox, monkeypatch):
    broken = accepted_batch(CampaignFactory(bodies={"english": "{{name}} {{clinic}}"}), 2)
    good = accepted_batch(campaign, 2)
    claim = claiming.claim

    def claim_of_the_good(batch_id):
        if batch_id == broken.id:
            raise RuntimeError("a fault of ours")
        return claim(batch_id)

    monkeypatch.setattr(claiming, "claim", claim_of_the_good)

    tasks.send_batches()

    assert good.counts()["sent"] == 2
    assert broken.counts()["created"] == 2


def test_one_round_serves_every_batch(campaign, sandbox):
    batches = [accepted_batch(campaign, 3), accepted_batch(campaign, 2)]

    tasks.send_batches()

    assert [batch.counts()["sent"] for batch in batches] == [3, 2]
    assert not Batch.objects.filter(dispatched_at=None).exists()


@pytest.fixture
def stopping():
    """This process is a worker that was asked to end."""
    worker_shutting_down.send(sender="bulk@here", sig="SIGTERM", how="Warm", exitcode=0)
    yield
    worker_init.send(sender="bulk@here")


def test_a_worker_that_is_asked_to_end_claims_nothing_more(campaign, sandbox, stopping):
    batch, message = accepted_batch(campaign, 2), single(campaign)

    tasks.send_batches()
    tasks.send_singles()

    message.refresh_from_db()
    assert (batch.counts()["created"], message.status) == (2, "created")
