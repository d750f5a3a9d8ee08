import random
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import redis
from django.conf import settings

from campaigns.throttling import Verdict, Window

SECOND = 1_000_000


@pytest.fixture
def window():
    return Window(settings.REDIS_URL)


@pytest.fixture
def server():
    return redis.from_url(settings.REDIS_URL)


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_no_second_wherever_it_begins_holds_more_calls_than_the_limit(window, limit):
    """Against the plain reading of the rule: who called in the second that ends now?"""
    campaign_id, dice = uuid4(), random.Random(limit)
    at, taken = 0, []
    for _ in range(300):
        at += dice.choice([0, 1, SECOND // 20, SECOND // limit, SECOND - 1, SECOND])
        within = [call for call in taken if at - call < SECOND]
        if is_free := len(within) < limit:
            taken.append(at)
            within.append(at)
        one_more_at = within[0] if is_free else within[-limit]

        verdict = window.take(campaign_id, limit, at=at)

        free_again = (one_more_at + SECOND - at) / SECOND
        assert verdict == Verdict(limit, is_free, limit - len(within), free_again)


def test_a_refused_call_keeps_nobody_waiting_for_longer(window):
    campaign_id = uuid4()
    window.take(campaign_id, 1, at=0)
    for at in (1, SECOND // 2, SECOND - 1):
        assert not window.take(campaign_id, 1, at=at).is_allowed

    assert window.take(campaign_id, 1, at=SECOND).is_allowed


def test_a_limit_that_was_changed_holds_from_the_next_call(window):
    campaign_id = uuid4()
    for at in (0, 10, 20):
        window.take(campaign_id, 3, at=at)

    assert window.take(campaign_id, 2, at=30) == Verdict(2, False, 0, (10 + SECOND - 30) / SECOND)
    assert window.take(campaign_id, 4, at=30).is_allowed


def test_a_clock_that_was_set_back_shuts_nobody_out(window):
    campaign_id = uuid4()
    window.take(campaign_id, 1, at=3600 * SECOND)

    assert window.take(campaign_id, 1, at=0).is_allowed


def test_campaigns_have_a_second_each(window):
    assert window.take(uuid4(), 1, at=0).is_allowed
    assert window.take(uuid4(), 1, at=0).is_allowed


def test_calls_at_once_over_many_connections_do_not_overshoot(server):
    campaign_id, together = uuid4(), threading.Barrier(8)

    def caller():
        own = Window(settings.REDIS_URL)
        together.wait()
        return sum(own.take(campaign_id, 10).is_allowed for _ in range(25))

    began = server.time()
    with ThreadPoolExecutor(8) as pool:
        allowed = sum(job.result() for job in [pool.submit(caller) for _ in range(8)])
    ended = server.time()

    seconds = (ended[0] - began[0]) + (ended[1] - began[1]) / SECOND
    assert 10 <= allowed <= 10 * (1 + int(seconds))


def test_what_is_kept_is_one_small_key_that_goes_by_itself(window, server):
    campaign_id = uuid4()
    for at in range(100):
        window.take(campaign_id, 10, at=at)

    assert server.llen(f"calls:{campaign_id}") == 10
    assert 0 < server.ttl(f"calls:{campaign_id}") <= 60


def test_while_the_store_is_away_calls_go_through_and_only_the_first_asks(caplog):
    window = Window("redis://127.0.0.1:1")

    assert [window.take(uuid4(), 1) for _ in range(3)] == [None, None, None]

    assert [record.getMessage() for record in caplog.records] == [
        "calls are not limited: ConnectionError"
    ]


def test_a_store_that_cannot_count_stops_no_call(window, server, caplog):
    campaign_id = uuid4()
    server.set(f"calls:{campaign_id}", "not a list")

    assert window.take(campaign_id, 1) is None
    assert caplog.records
