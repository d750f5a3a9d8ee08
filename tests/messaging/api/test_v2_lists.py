import base64
import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging import receipts
from messaging.channels.base import Accepted
from messaging.delivery import claiming, recording
from messaging.models import Batch, Message
from tests.factories import CampaignFactory
from tests.messaging.builders import accepted_batch, csv_of, report, single, upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def get(client, campaign, key):
    def get(path="messages", **asked):
        return client.get(
            f"/api/v2/campaigns/{campaign.public_id}/{path}",
            asked,
            headers={"Authorization": f"Bearer {key}"},
        )

    return get


def recipients(answer):
    return [message["recipient"] for message in answer.json()["data"]]


def send(campaign, count):
    return [single(campaign, f"658123{n:04}") for n in range(count)]


def test_the_newest_come_first_fifty_at_most(get, campaign):
    send(campaign, 51)

    answer = get()

    assert recipients(answer) == [f"658123{n:04}" for n in range(50, 0, -1)]
    assert answer.json()["pageData"]["hasNextPage"] is True
    assert answer.json()["pageData"]["hasPreviousPage"] is False


# v2-sms §13.15
@pytest.mark.usefixtures("unlimited")
def test_there_and_back_shows_the_same_pages(get, campaign):
    """Many rows of a batch share one moment, so the id must break the tie."""
    accepted_batch(campaign, 25)
    send(campaign, 3)

    forward, after = [], {}
    while True:
        answer = get(limit=4, **after)
        forward.append(recipients(answer))
        if not answer.json()["pageData"]["hasNextPage"]:
            break
        after = {"after": answer.json()["pageData"]["endCursor"]}
    backward = [forward[-1]]
    while answer.json()["pageData"]["hasPreviousPage"]:
        answer = get(limit=4, before=answer.json()["pageData"]["startCursor"])
        backward.append(recipients(answer))

    assert [len(page) for page in forward] == [4] * 7
    assert len({recipient for page in forward for recipient in page}) == 28
    assert backward[::-1] == forward


def test_a_message_that_comes_meanwhile_moves_nobody(get, campaign):
    send(campaign, 4)
    first = get(limit=2).json()["pageData"]
    single(campaign, "6591234567")

    assert recipients(get(limit=2, after=first["endCursor"])) == ["6581230001", "6581230000"]


def test_a_walk_to_the_oldest_shows_what_stood_there_once_each(get, campaign):
    """Whatever is added meanwhile, be it that an older one is committed late."""
    standing = [message.recipient for message in send(campaign, 4)]
    oldest = Message.objects.order_by("created_at", "id").first()
    first = get(limit=2)
    newer = single(campaign, "6591234567")
    late = single(campaign, "6591234568")
    Message.objects.filter(id=late.id).update(created_at=oldest.created_at - timedelta(seconds=1))

    second = get(limit=2, after=first.json()["pageData"]["endCursor"])
    third = get(limit=2, after=second.json()["pageData"]["endCursor"])

    walked = [*recipients(first), *recipients(second), *recipients(third)]
    assert walked == [*reversed(standing), "6591234568"]
    assert newer.recipient not in walked


def test_there_and_back_through_a_batch_shows_the_same_pages(get, campaign):
    path = f"batch/{accepted_batch(campaign, 7).public_id}/messages"

    first = get(path, limit=3)
    second = get(path, limit=3, after=first.json()["pageData"]["endCursor"])
    third = get(path, limit=3, after=second.json()["pageData"]["endCursor"])
    again = get(path, limit=3, before=third.json()["pageData"]["startCursor"])

    assert recipients(first) == [f"658120000{n}" for n in (6, 5, 4)]
    assert recipients(third) == ["6581200000"]
    assert third.json()["pageData"]["hasNextPage"] is False
    assert again.json() == second.json()


@pytest.mark.parametrize("last", [-1, 2**31, True, "0190e2b4-0000-7000-8000-000000000000", None])
def test_a_place_that_no_batch_has_is_refused(get, campaign, last):
    path = f"batch/{accepted_batch(campaign, 1).public_id}/messages"

    answer = get(path, after=cursor("2026-01-01T00:00:00+08:00", last))

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "parameter_invalid")


def test_an_empty_page_has_no_cursors(get):
    assert get().json() == {
        "data": [],
        "pageData": {
            "hasNextPage": False,
            "hasPreviousPage": False,
            "startCursor": None,
            "endCursor": None,
        },
    }


@pytest.mark.parametrize("search", ["0002", "+65 8123 0002", "30002"])
def test_search_looks_inside_the_number(get, campaign, search):
    send(campaign, 4)

    assert recipients(get(search=search)) == ["6581230002"]


def test_search_without_a_digit_filters_nothing(get, campaign):
    send(campaign, 2)

    assert len(recipients(get(search="+ "))) == 2


def cursor(*place):
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "ten"},
        {"limit": "-1"},
        {"limit": "1.5"},
        {"limit": "٣"},
        {"after": "nonsense"},
        {"after": "é"},
        {"after": cursor("2026-01-01T00:00:00+00:00")},
        {"after": cursor("2026-01-01T00:00:00", "0" * 32)},
        {"after": cursor(1, 2)},
        {"after": cursor("2026-01-01T00:00:00+00:00", "x")},
        {"after": "W" * 300},
        {"before": base64.b64encode(b"[" * 60).decode()},
        {"after": "a", "before": "b"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(get, campaign, asked):
    send(campaign, 1)

    answer = get(**asked)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "parameter_invalid")


def test_an_attempt_tells_its_whole_story(get, campaign):
    message = single(campaign)
    [claimed] = claiming.claim(None)
    recording.record([(claimed, Accepted("SM1"))])
    report(message.attempts.get(), "undelivered", "30003")
    receipts.apply_events()

    [shown] = get().json()["data"]

    [attempt] = shown["messageAttempts"]
    assert attempt.pop("createdAt") < attempt.pop("sentAt") <= attempt.pop("updatedAt")
    assert attempt == {
        "id": str(message.attempts.get().id),
        "messageId": message.public_id,
        "deliveredAt": None,
        "externalAttemptId": "SM1",
        "status": "failure",
        "errorType": "delivery_error",
        "errorCode": "recipient_unavailable",
        "metadata": {},
        "creatorId": campaign.creator.public_id,
    }
    assert (shown["batches"], shown["batchId"]) == ([], None)
    assert shown["templateBody"]["language"] == "english"


def test_a_batch_shows_its_messages_only(get, campaign):
    batch = accepted_batch(campaign, 3)
    single(campaign)

    answer = get(f"batch/{batch.public_id}/messages")

    assert recipients(answer) == ["6581200002", "6581200001", "6581200000"]
    assert "batches" not in answer.json()["data"][0]


def test_an_upload_that_was_not_sent_is_no_batch_yet(get, campaign):
    batch = upload(campaign, csv_of(2))

    assert get(f"batch/{batch.public_id}/messages").status_code == 404


def test_a_batch_of_another_campaign_does_not_exist(get):
    other = accepted_batch(CampaignFactory(bodies={"english": "{{name}} {{clinic}}"}), 1)

    answer = get(f"batch/{other.public_id}/messages")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_not_found")


@pytest.mark.parametrize("count", [1, 3])
def test_a_page_takes_as_many_queries_however_long_it_is(get, campaign, count):
    accepted_batch(campaign, count)
    claiming.claim(Batch.objects.get().id)
    Message.objects.update(created_at=Message.objects.first().created_at + timedelta(seconds=1))
    get()

    with CaptureQueriesContext(connection) as queries:
        get()

    assert len(queries) == 6
