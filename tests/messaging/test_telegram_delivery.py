"""A message of a bot leaves once, to who lets it write, and ends where Telegram's word on it ends."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from campaigns.models import BotSubscription, TelegramBot
from campaigns.telegram import subscribers
from messaging import reconciling
from messaging.channels.base import Throttled
from messaging.delivery import claiming, recording
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Batch, Message, Pace
from messaging.sending import retrying
from tests.factories import TelegramBotFactory

from .telegram import accepted, subscribe

pytestmark = pytest.mark.django_db

MEI, RAVI = "6581230001", "6581230002"
BLOCKED, NO_CHAT = "6581130001", "6581130002"
BUSY, BROKEN, LOST = "6581130031", "6581130032", "6581130033"


def outcome(batch: Batch) -> dict[str, tuple[str, str, str]]:
    """Number → (status, our error, the provider's code) of its latest attempt."""
    rows = Attempt.objects.filter(message__batch=batch).order_by("number")
    return {
        each.message.recipient: (each.message.status, each.error_code, each.provider_code)
        for each in rows.select_related("message")
    }


def test_a_message_that_telegram_took_is_at_its_end(telegram_campaign, sandbox):
    subscribe(telegram_campaign, MEI)
    batch = accepted(telegram_campaign, [MEI])

    send_chunk(batch.id)

    (sent,) = sandbox.outbox(channel="telegram")
    assert (sent["to"], sent["html"]) == (f"+{MEI}", "Dear <b>Mei</b>, see you at Bedok.")
    attempt = Attempt.objects.get()
    assert (attempt.status, attempt.reference, attempt.ask_at) == ("success", sent["sid"], None)
    assert attempt.delivered_at is not None


def test_numbers_that_no_bot_knows_fail_and_telegram_is_never_asked(telegram_campaign, sandbox):
    batch = accepted(telegram_campaign, [MEI])

    send_chunk(batch.id)

    assert outcome(batch) == {MEI: ("failure", "recipient_invalid", "1")}
    assert sandbox.outbox(channel="telegram") == []


def test_who_subscribed_to_another_bot_only_is_not_written_to(telegram_campaign, sandbox):
    subscribers.subscribe(TelegramBotFactory(), telegram_id=int(MEI), phone=MEI)
    batch = accepted(telegram_campaign, [MEI])

    send_chunk(batch.id)

    assert outcome(batch) == {MEI: ("failure", "recipient_unavailable", "2")}
    assert sandbox.outbox(channel="telegram") == []


def test_a_retry_looks_again_who_has_subscribed(telegram_campaign, sandbox):
    batch = accepted(telegram_campaign, [MEI])
    send_chunk(batch.id)
    subscribe(telegram_campaign, MEI)

    retrying.retry_batch(telegram_campaign, batch.id, by=telegram_campaign.creator)
    send_chunk(batch.id)

    assert outcome(batch) == {MEI: ("success", "", "")}


def test_who_blocked_the_bot_fails_and_is_no_subscriber_any_more(telegram_campaign, sandbox):
    subscribe(telegram_campaign, BLOCKED, MEI)
    batch = accepted(telegram_campaign, [BLOCKED, MEI])

    send_chunk(batch.id)

    assert outcome(batch) == {
        BLOCKED: ("failure", "recipient_unavailable", "403"),
        MEI: ("success", "", ""),
    }
    left = BotSubscription.objects.values_list("subscriber__phone", flat=True)
    assert list(left) == [MEI]


def test_a_chat_that_telegram_does_not_find_is_an_invalid_recipient(telegram_campaign, sandbox):
    subscribe(telegram_campaign, NO_CHAT)
    batch = accepted(telegram_campaign, [NO_CHAT])

    send_chunk(batch.id)

    assert outcome(batch) == {NO_CHAT: ("failure", "recipient_invalid", "400")}


def test_telegram_is_left_alone_for_as_long_as_it_asks(telegram_campaign, sandbox):
    subscribe(telegram_campaign, BUSY)
    batch = accepted(telegram_campaign, [BUSY])
    before = timezone.now()

    send_chunk(batch.id)

    batch.refresh_from_db()
    assert batch.hold_until - before >= timedelta(seconds=1)
    message = Message.objects.get()
    assert (message.status, message.attempts_made) == ("enqueued", 1)
    assert sandbox.outbox(channel="telegram") == []


def test_while_telegram_has_a_bot_wait_nothing_else_leaves_by_it(telegram_campaign, sandbox):
    subscribe(telegram_campaign, MEI, RAVI)
    asked_to_wait, other = (accepted(telegram_campaign, [phone]) for phone in (MEI, RAVI))
    [claimed] = claiming.claim(asked_to_wait.id)

    recording.record([(claimed, Throttled(300))])

    in_a_while, afterwards = (timezone.now() + timedelta(seconds=n) for n in (298, 301))
    with time_machine.travel(in_a_while, tick=False):
        assert send_chunk(other.id) == 0
        assert asked_to_wait not in Batch.objects.being_sent(timezone.now())
    with time_machine.travel(afterwards, tick=False):
        assert send_chunk(other.id) == send_chunk(asked_to_wait.id) == 1
    assert len(sandbox.outbox(channel="telegram")) == 2


@pytest.mark.parametrize("number", [LOST, BROKEN])
def test_a_lost_answer_is_unknown_and_never_sent_again_by_itself(
    telegram_campaign, sandbox, number
):
    subscribe(telegram_campaign, number)
    batch = accepted(telegram_campaign, [number])

    send_chunk(batch.id)
    send_chunk(batch.id)
    Attempt.objects.update(ask_at=timezone.now(), updated_at=timezone.now() - timedelta(hours=1))
    reconciling.ask_about_unknown()
    send_chunk(batch.id)

    assert outcome(batch) == {number: ("unknown", "", "")}
    assert len(sandbox.outbox(channel="telegram")) == (number == LOST)


def test_a_hostile_telegram_neither_doubles_nor_loses(telegram_campaign, sandbox):
    sandbox.control(seed=7, rate_429=0.1, rate_5xx=0.05, rate_lost=0.1, rate_refused_auth=0.05)
    phones = [f"65812{n:05}" for n in range(100)]
    subscribe(telegram_campaign, *phones)
    batch = accepted(telegram_campaign, phones)

    with time_machine.travel(timezone.now(), tick=False) as clock:
        while Message.objects.filter(status__in=("created", "enqueued")).exists():
            send_chunk(batch.id)
            clock.shift(6)

    # What nobody heard of is unknown: the lost ones were taken, the broken ones were not.
    statuses = batch.counts()
    taken = sandbox.outbox(channel="telegram")
    assert statuses["success"] + statuses["unknown"] == 100
    assert statuses["success"] < len(taken) < 100
    assert len({sent["to"] for sent in taken}) == len(taken)


def test_nobody_gets_two_messages_within_a_second(telegram_campaign, sandbox):
    subscribe(telegram_campaign, MEI, RAVI)
    batch = accepted(telegram_campaign, [MEI, MEI, RAVI, MEI])
    now = timezone.now()

    send_chunk(batch.id)
    send_chunk(batch.id)

    assert sorted(sent["to"] for sent in sandbox.outbox(channel="telegram")) == [
        f"+{MEI}",
        f"+{RAVI}",
    ]
    waiting = Message.objects.filter(status="created").order_by("row")
    assert [round((each.due_at - now).total_seconds()) for each in waiting] == [1, 2]


def test_a_bot_sends_no_more_than_thirty_messages_a_second(telegram_campaign, sandbox):
    phones = [f"65812{n:05}" for n in range(60)]
    subscribe(telegram_campaign, *phones)
    batch = accepted(telegram_campaign, phones)

    first = claiming.claim(batch.id)

    # The burst that every account may begin with; the rest waits for its pace.
    assert len(first) == 20
    assert len(claiming.claim(batch.id)) <= 10
    assert Pace.objects.get().account.startswith("tg:")


def test_nothing_leaves_by_a_bot_that_was_removed(telegram_campaign, sandbox):
    subscribe(telegram_campaign, MEI)
    batch = accepted(telegram_campaign, [MEI])
    TelegramBot.objects.update(removed_at=timezone.now())

    send_chunk(batch.id)

    assert outcome(batch) == {MEI: ("failure", "routing_error", "bot_removed")}
    assert sandbox.outbox(channel="telegram") == []


def test_a_token_that_was_taken_back_keeps_the_messages_waiting(telegram_campaign, sandbox):
    subscribe(telegram_campaign, MEI)
    batch = accepted(telegram_campaign, [MEI])
    bot = telegram_campaign.telegram_draft.bot
    bot.token = f"{bot.bot_id}:revoked{'a' * 30}"
    bot.save()

    send_chunk(batch.id)

    assert Message.objects.get().status == "enqueued"


def test_a_value_cannot_become_markup(telegram_campaign, sandbox):
    subscribe(telegram_campaign, MEI)
    batch = accepted(telegram_campaign, [MEI])
    Message.objects.update(values={"name": "<a href='https://evil.example'>x</a>", "clinic": "&"})

    send_chunk(batch.id)

    (sent,) = sandbox.outbox(channel="telegram")
    assert sent["text"] == "Dear <a href='https://evil.example'>x</a>, see you at &."
