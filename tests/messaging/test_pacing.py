"""Each account is given messages at its own pace, the urgent first and agencies in turn."""

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.models import Campaign, TwilioCredentials
from messaging import pacing, providers, tasks
from messaging.delivery import claiming
from messaging.delivery.pipeline import send_chunk
from messaging.models import Batch, Message
from messaging.tasks import Turns
from tests.factories import AgencyFactory, CampaignFactory, UserFactory
from tests.messaging.builders import accepted_batch, single

pytestmark = pytest.mark.django_db

GOV = providers.PUBLIC_ACCOUNT
NONE = timedelta()


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def hundred_a_second(settings):
    settings.SMS_SEGMENTS_PER_SECOND = 100


def test_without_a_limit_all_may_leave(now, settings):
    settings.SMS_SEGMENTS_PER_SECOND = None

    assert pacing.take(GOV, [1] * 500, now=now, borrow=NONE) == 500


def test_a_second_lets_as_many_segments_leave_as_the_account_takes(now, hundred_a_second):
    left = sum(
        pacing.take(GOV, [1] * 500, now=now + timedelta(milliseconds=20 * n), borrow=NONE)
        for n in range(50)
    )

    assert 98 <= left - pacing.LARGEST_MESSAGE <= 100


def test_segments_count_and_not_messages(now, hundred_a_second):
    assert pacing.take(GOV, [7, 7, 7], now=now, borrow=NONE) == 2


def test_the_longest_message_leaves_at_the_slowest_pace(now, settings):
    settings.SMS_SEGMENTS_PER_SECOND = 1

    assert pacing.take(GOV, [17], now=now, borrow=NONE) == 1


def test_accounts_do_not_use_up_each_others_pace(now, hundred_a_second, campaign):
    own = TwilioCredentials.objects.create(
        campaign=campaign, api_secret="s", verified_at=now, segments_per_second=10
    )
    pacing.take(GOV, [1] * 500, now=now, borrow=NONE)

    assert pacing.take(str(own.id), [1] * 500, now=now, borrow=NONE) == pacing.LARGEST_MESSAGE


def test_an_account_that_is_left_alone_is_given_nothing_until_then(now, hundred_a_second):
    pacing.leave_alone(GOV, now + timedelta(seconds=300))
    pacing.leave_alone(GOV, now + timedelta(seconds=5))

    assert pacing.take(GOV, [1], now=now + timedelta(seconds=299.9), borrow=NONE) == 0
    assert pacing.take(GOV, [1], now=now + timedelta(seconds=300.1), borrow=NONE) == 1


def test_a_batch_leaves_at_the_pace_and_the_rest_waits(campaign, sandbox, settings):
    settings.SMS_SEGMENTS_PER_SECOND = 1
    batch = accepted_batch(campaign, 50)
    needed = Message.objects.first().segments

    sent = send_chunk(batch.id)

    assert sent == pacing.LARGEST_MESSAGE // needed
    assert send_chunk(batch.id) < sent
    assert Batch.objects.get(id=batch.id).dispatched_at is None


def test_a_single_message_leaves_though_a_batch_has_used_the_pace_up(
    campaign, sandbox, hundred_a_second
):
    batch = accepted_batch(campaign, 50)
    while send_chunk(batch.id):
        pass
    message = single(campaign, "6591234567")

    assert send_chunk(None) == 1

    message.refresh_from_db()
    assert message.status == "sent"


def test_time_critical_messages_leave_before_older_ones(campaign, officer, sandbox):
    passwords = CampaignFactory(
        creator=officer, is_urgent=True, bodies={"english": "{{name}} at {{clinic}}"}
    )
    for n in range(3):
        single(campaign, f"659123456{n}")
    single(passwords, "6598765432")

    [first] = claiming.claim(None, limit=1)

    assert first.recipient == "6598765432"


def test_singles_over_the_pace_do_not_keep_those_of_other_accounts(
    campaign, sandbox, settings, hundred_a_second
):
    settings.SMS_SEGMENTS_PER_SECOND = 1
    for n in range(30):
        single(campaign, f"65912345{n:02}")

    taken = len(claiming.claim(None))

    assert 0 < taken < 30
    assert Message.objects.filter(status="created", due_at__isnull=False).count() == 30 - taken


def agencies_with_batches(*numbers):
    lanes = []
    for number in numbers:
        officer = UserFactory(agency=AgencyFactory())
        campaign = CampaignFactory(
            creator=officer, agency=officer.agency, bodies={"english": "{{name}} at {{clinic}}"}
        )
        lanes += [accepted_batch(campaign, 2).id for _ in range(number)]
    return lanes


def test_of_each_agency_one_batch_has_its_turn(now):
    first, second, other = agencies_with_batches(2, 1)
    turns, seen = Turns(), []
    for _ in range(2):
        order = turns.next(Batch.objects.lanes(now))
        seen.append({batch for _, batch in order})
        for agency, batch in order:
            turns.gave(agency, batch, 10)

    assert seen == [{first, other}, {second, other}]


def test_who_had_the_least_is_first(now):
    agencies_with_batches(1, 1)
    turns = Turns()
    (fed, batch), (hungry, _) = turns.next(Batch.objects.lanes(now))
    turns.gave(fed, batch, 10)

    assert [agency for agency, _ in turns.next(Batch.objects.lanes(now))] == [hungry, fed]


def test_a_newcomer_starts_level_with_the_others(now):
    agencies_with_batches(1)
    turns = Turns()
    [(old, batch)] = turns.next(Batch.objects.lanes(now))
    turns.gave(old, batch, 100_000)
    agencies_with_batches(1)
    order = turns.next(Batch.objects.lanes(now))
    newcomer = next((agency, batch) for agency, batch in order if agency != old)
    turns.gave(*newcomer, 1)

    assert turns.next(Batch.objects.lanes(now))[0][0] == old


def test_everything_is_sent_though_it_takes_many_turns(sandbox):
    agencies_with_batches(2, 1)

    tasks.send_batches()

    assert set(Message.objects.values_list("status", flat=True)) == {"sent"}
    assert Campaign.objects.count() == 2
