"""Two people at once, or one person twice: a number is one person's, and a person has one."""

import pytest

from campaigns.models import BotSubscription, TelegramSubscriber
from campaigns.telegram import subscribers
from messaging.delivery import claiming
from tests.factories import TelegramBotFactory

from .telegram import accepted, subscribe
from .test_races import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)

MEI, RAVI = 1001, 1002


@pytest.fixture
def bot():
    return TelegramBotFactory()


def known() -> dict[str, int]:
    return dict(TelegramSubscriber.objects.values_list("phone", "telegram_id"))


def test_of_two_who_share_one_number_at_once_the_later_has_it(bot):
    meanwhile(
        lambda: subscribers.subscribe(bot, telegram_id=MEI, phone="6581230001"),
        lambda: subscribers.subscribe(bot, telegram_id=RAVI, phone="6581230001"),
    )

    assert known() == {"6581230001": RAVI}
    assert BotSubscription.objects.count() == 1


def test_who_shares_two_numbers_at_once_has_the_later(bot):
    meanwhile(
        lambda: subscribers.subscribe(bot, telegram_id=MEI, phone="6581230001"),
        lambda: subscribers.subscribe(bot, telegram_id=MEI, phone="6581230002"),
    )

    assert known() == {"6581230002": MEI}


def test_an_update_that_comes_twice_at_once_subscribes_once(bot):
    second = meanwhile(
        lambda: subscribers.subscribe(bot, telegram_id=MEI, phone="6581230001"),
        lambda: subscribers.subscribe(bot, telegram_id=MEI, phone="6581230001"),
    )

    assert second is False
    assert BotSubscription.objects.count() == 1


def test_two_workers_at_once_write_to_nobody_twice_in_a_second(telegram_campaign):
    subscribe(telegram_campaign, "6581230001")
    batches = [accepted(telegram_campaign, ["6581230001"]) for _ in range(2)]
    claimed = []

    others = meanwhile(
        lambda: claimed.extend(claiming.claim(batches[0].id)),
        lambda: claiming.claim(batches[1].id),
    )

    assert (len(claimed), len(others)) == (1, 0)
