"""Beyond v2: how far a batch is, and an officer's word over the API."""

import pytest

from messaging.delivery import claiming, handing_over, recording
from messaging.delivery.pipeline import send_chunk
from messaging.models import Batch, Message
from tests.factories import CampaignFactory
from tests.messaging.builders import accepted_batch, csv_of, upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(campaign):
    return accepted_batch(campaign, 6)


@pytest.fixture
def call(client, campaign, key, unlimited):
    def call(batch, action="", method="post"):
        return getattr(client, method)(
            f"/api/v2/campaigns/{campaign.public_id}/batch/{batch.public_id}{action}",
            headers={"Authorization": f"Bearer {key}"},
        )

    return call


def send_all(batch):
    while send_chunk(batch.id):
        pass


def test_a_batch_says_how_far_it_is(call, batch, sandbox):
    recording.record(handing_over.hand_over(claiming.claim(batch.id, limit=2)).results())

    shown = call(batch, method="get").json()

    assert shown["id"] == batch.public_id
    assert shown["totalMessages"] == 6
    assert shown["counts"] == {
        "pending": 4, "sent": 2, "delivered": 0, "failed": 0, "unknown": 0, "cancelled": 0,
    }  # fmt: skip
    assert shown["acceptedAt"].endswith("+08:00")
    assert shown["stoppedAt"] is None


def test_a_stopped_batch_goes_on_when_it_is_told_to(call, batch, sandbox):
    stopped = call(batch, "/stop")
    send_all(batch)
    assert stopped.status_code == 200
    assert stopped.json()["stoppedAt"]
    assert not sandbox.outbox(channel="sms")

    resumed = call(batch, "/resume")
    send_all(batch)

    assert resumed.json()["stoppedAt"] is None
    assert len(sandbox.outbox(channel="sms")) == 6


def test_what_is_cancelled_is_a_failure_to_a_client_of_v2(call, batch, campaign, client, key):
    call(batch, "/stop")
    cancelled = call(batch, "/cancel")
    send_all(batch)

    assert cancelled.json()["cancelledAt"]
    message = Message.objects.first()
    read = client.get(
        f"/api/v2/campaigns/{campaign.public_id}/messages/{message.public_id}",
        headers={"Authorization": f"Bearer {key}"},
    ).json()
    assert (read["latestStatus"], read["attempts"]) == ("failure", [])


@pytest.mark.parametrize("action", ["/resume", "/cancel"])
def test_a_decision_that_does_not_fit_is_refused(call, batch, action):
    refused = call(batch, action)

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "batch_moved_on")
    assert Batch.objects.get().cancelled_at is None


@pytest.mark.parametrize("action", ["", "/stop", "/resume", "/cancel"])
def test_other_batches_do_not_exist(call, officer, campaign, action):
    method = "post" if action else "get"
    theirs = accepted_batch(
        CampaignFactory(creator=officer, bodies={"english": "{{name}} {{clinic}}"}), 1
    )
    unsent = upload(campaign, csv_of(1))

    for batch in (theirs, unsent):
        answer = call(batch, action, method)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_not_found")
