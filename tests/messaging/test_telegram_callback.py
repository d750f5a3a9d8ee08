"""What people tell a bot counts only where Telegram says that it is theirs to tell."""

import asyncio
import json
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.models import BotSubscription, TelegramBot, TelegramSubscriber
from campaigns.telegram import bots
from messaging import providers, tasks
from tests.factories import TelegramBotFactory

pytestmark = pytest.mark.django_db

MEI_LING, AH_SENG = 5550001, 5550002


@pytest.fixture
def bot(sandbox, officer) -> TelegramBot:
    return TelegramBotFactory(owner=officer, webhook_secret="telegram knows this")


def tell(bot: TelegramBot, update: dict, *, secret: str = "telegram knows this") -> int:
    return (
        Client()
        .post(
            reverse("telegram-callback", args=[bot.pk]),
            json.dumps({"update_id": 1, **update}),
            content_type="application/json",
            headers={"X-Telegram-Bot-Api-Secret-Token": secret},
        )
        .status_code
    )


def message(person: int, **content: object) -> dict:
    chat = {"id": person, "type": "private"}
    return {"message": {"message_id": 7, "from": {"id": person}, "chat": chat, **content}}


def contact(person: int, number: str, *, of: int | None = None, **content: object) -> dict:
    shared = {"phone_number": number, "first_name": "Mei Ling", "user_id": of or person}
    return message(person, contact=shared, **content)


def blocked_by(person: int, **facts: object) -> dict:
    chat = {"id": person, "type": "private"}
    status = {"status": "kicked"}
    return {
        "my_chat_member": {"from": {"id": person}, "chat": chat, "new_chat_member": status, **facts}
    }


def answers(sandbox, person: int) -> list[str]:
    """What the bot has answered, the newest first."""

    async def all_sent() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    providers.wait_for(all_sent())
    return [entry["text"] for entry in sandbox.outbox(to=str(person), channel="telegram")]


def subscribers_of(bot: TelegramBot) -> dict[str, int]:
    rows = BotSubscription.objects.filter(bot=bot)
    return dict(rows.values_list("subscriber__phone", "subscriber__telegram_id"))


def test_start_asks_for_the_contact_and_subscribes_nobody(bot, sandbox):
    assert tell(bot, message(MEI_LING, text="/start")) == 200

    (words,) = answers(sandbox, MEI_LING)
    assert "share the phone number" in words
    assert "Ministry of Health" in words
    assert sandbox.outbox(channel="telegram")[0]["keyboard"] is True
    assert subscribers_of(bot) == {}


def test_who_shares_their_own_contact_has_subscribed(bot, sandbox):
    assert tell(bot, contact(MEI_LING, "6581230001")) == 200

    assert subscribers_of(bot) == {"6581230001": MEI_LING}
    assert answers(sandbox, MEI_LING)[0].startswith("Thank you. You have subscribed")


def test_who_shares_it_again_is_told_that_they_had_subscribed(bot, sandbox):
    tell(bot, contact(MEI_LING, "+6581230001"))

    tell(bot, contact(MEI_LING, "6581230001"))

    assert subscribers_of(bot) == {"6581230001": MEI_LING}
    assert answers(sandbox, MEI_LING)[0].startswith("You have subscribed already")


@pytest.mark.parametrize(
    "update",
    [
        contact(MEI_LING, "6581230002", of=AH_SENG),
        contact(MEI_LING, "6581230002", forward_origin={"type": "user"}),
        contact(MEI_LING, "6581230002", forward_date=1),
        message(MEI_LING, contact={"phone_number": "6581230002", "first_name": "No id"}),
    ],
)
def test_a_contact_of_somebody_else_is_refused_with_a_word(bot, sandbox, update):
    assert tell(bot, update) == 200

    assert subscribers_of(bot) == {}
    assert "not your own contact" in answers(sandbox, MEI_LING)[0]


def test_a_number_that_is_typed_does_not_count(bot, sandbox):
    tell(bot, message(MEI_LING, text="6581230001"))

    assert subscribers_of(bot) == {}


def test_a_group_cannot_subscribe_anybody(bot, sandbox):
    update = contact(MEI_LING, "6581230001")
    update["message"]["chat"] = {"id": -100, "type": "group"}

    assert tell(bot, update) == 200

    assert subscribers_of(bot) == {}


def test_a_new_number_takes_the_place_of_the_old_one_in_all_bots(bot, sandbox):
    other = TelegramBotFactory(webhook_secret="telegram knows this")
    tell(bot, contact(MEI_LING, "6581230001"))
    tell(other, contact(MEI_LING, "6581230001"))

    tell(bot, contact(MEI_LING, "6581230009"))

    assert subscribers_of(bot) == subscribers_of(other) == {"6581230009": MEI_LING}


def test_a_number_that_somebody_else_has_now_is_theirs_alone(bot, sandbox):
    tell(bot, contact(MEI_LING, "6581230001"))
    tell(bot, contact(AH_SENG, "6581230002"))

    tell(bot, contact(AH_SENG, "6581230001"))

    assert subscribers_of(bot) == {"6581230001": AH_SENG}
    assert list(TelegramSubscriber.objects.values_list("phone", flat=True)) == ["6581230001"]


def test_who_blocks_the_bot_is_no_subscriber_of_it_any_more(bot, sandbox):
    other = TelegramBotFactory(webhook_secret="telegram knows this")
    for each in (bot, other):
        tell(each, contact(MEI_LING, "6581230001"))

    assert tell(bot, blocked_by(MEI_LING)) == 200

    assert subscribers_of(bot) == {}
    assert subscribers_of(other) == {"6581230001": MEI_LING}


def test_commands_are_answered(bot, sandbox):
    for command in ("/updatenumber", "/help@sandbox_bot"):
        tell(bot, message(MEI_LING, text=command))

    assert sorted(words.split(" ")[0] for words in answers(sandbox, MEI_LING)) == ["Press", "This"]


@pytest.mark.parametrize("secret", ["", "guessed", "telegram knows thi", "télégram"])
def test_an_update_without_the_secret_of_the_bot_is_forged(bot, secret):
    assert tell(bot, contact(MEI_LING, "6581230001"), secret=secret) == 403
    assert subscribers_of(bot) == {}


def test_a_bot_that_was_removed_hears_nothing(bot):
    TelegramBot.objects.update(removed_at="2026-01-01T00:00:00Z")

    assert tell(bot, contact(MEI_LING, "6581230001")) == 403


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"message": 7},
        {"message": {"from": None, "chat": []}},
        {"message": {"from": {"id": "x"}, "chat": {"id": "x", "type": "private"}}},
        {"message": {"from": {"id": True}, "chat": {"id": True, "type": "private"}}},
        {"message": {"from": {"id": 2**70}, "chat": {"id": 2**70, "type": "private"}}},
        contact(MEI_LING, "\0"),
        message(MEI_LING, contact={"user_id": MEI_LING}),
        message(MEI_LING, sticker={}),
        {"my_chat_member": {"from": {"id": 3}, "chat": {"id": 3, "type": "private"}}},
    ],
)
def test_whatever_telegram_tells_is_met_with_a_200(bot, sandbox, update):
    assert tell(bot, update) == 200
    assert subscribers_of(bot) == {}
    answers(sandbox, MEI_LING)


# Late, again, and in any order --------------------------------------------------------------


def test_a_number_that_is_told_late_does_not_take_the_place_of_a_later_one(bot, sandbox):
    tell(bot, contact(MEI_LING, "6581230009", date=2_000))

    assert tell(bot, contact(MEI_LING, "6581230001", date=1_000)) == 200

    assert subscribers_of(bot) == {"6581230009": MEI_LING}


def test_who_had_a_number_before_does_not_get_it_back_by_an_update_that_comes_again(bot, sandbox):
    tell(bot, contact(MEI_LING, "6581230001", date=1_000))
    tell(bot, contact(AH_SENG, "6581230001", date=2_000))

    assert tell(bot, contact(MEI_LING, "6581230001", date=1_000)) == 200

    assert subscribers_of(bot) == {"6581230001": AH_SENG}


def test_who_subscribed_to_another_bot_meanwhile_is_subscribed_to_this_one_as_well(bot, sandbox):
    other = TelegramBotFactory(webhook_secret="telegram knows this")
    tell(other, contact(MEI_LING, "6581230009", date=2_000))

    tell(bot, contact(MEI_LING, "6581230001", date=1_000))

    assert subscribers_of(bot) == subscribers_of(other) == {"6581230009": MEI_LING}


def test_who_came_back_is_not_sent_away_by_what_is_told_late(bot, sandbox):
    tell(bot, contact(MEI_LING, "6581230001", date=2_000))

    tell(bot, blocked_by(MEI_LING, date=1_999))
    assert subscribers_of(bot) == {"6581230001": MEI_LING}

    tell(bot, blocked_by(MEI_LING, date=2_000))
    assert subscribers_of(bot) == {}


@pytest.mark.parametrize("date", [0, -1, 2**70, "soon", None, 1.5, True])
def test_a_time_that_is_none_counts_as_now(bot, sandbox, date):
    assert tell(bot, contact(MEI_LING, "6581230001", date=date)) == 200

    assert subscribers_of(bot) == {"6581230001": MEI_LING}


# What is kept of people ---------------------------------------------------------------------


def test_nothing_is_kept_of_who_has_blocked_the_last_bot(bot, sandbox):
    other = TelegramBotFactory(webhook_secret="telegram knows this")
    for each in (bot, other):
        tell(each, contact(MEI_LING, "6581230001"))
    tell(bot, contact(AH_SENG, "6581230002"))

    tell(bot, blocked_by(MEI_LING))
    assert TelegramSubscriber.objects.count() == 2

    tell(other, blocked_by(MEI_LING))
    assert [each.phone for each in TelegramSubscriber.objects.all()] == ["6581230002"]


def test_a_month_after_their_bot_was_removed_people_are_erased(bot, officer, sandbox):
    other = TelegramBotFactory(webhook_secret="telegram knows this")
    tell(bot, contact(MEI_LING, "6581230001"))
    tell(bot, contact(AH_SENG, "6581230002"))
    tell(other, contact(AH_SENG, "6581230002"))
    bots.remove(bot, by=officer)

    with time_machine.travel(timezone.now() + timedelta(days=29)):
        tasks.forget()
    assert TelegramSubscriber.objects.count() == 2

    with time_machine.travel(timezone.now() + timedelta(days=31)):
        tasks.forget()
    assert [each.phone for each in TelegramSubscriber.objects.all()] == ["6581230002"]
    assert (subscribers_of(bot), subscribers_of(other)) == ({}, {"6581230002": AH_SENG})
