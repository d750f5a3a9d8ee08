"""Settings → Telegram bots: whose token opens, is connected, and can be used under its label."""

import io
import re

import pytest
import segno
from django.test import Client
from django.urls import reverse
from PIL import Image

from campaigns.models import Membership, TelegramBot
from campaigns.telegram import inviting, subscribers
from messaging.callbacks.telegram import SHARE
from postman.accounts.models import Agency, AuditEvent
from tests.factories import TelegramBotFactory, TelegramCampaignFactory, UserFactory

pytestmark = pytest.mark.django_db

TOKEN = "700000001:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"


@pytest.fixture
def person(officer, sandbox):
    Agency.objects.update(may_use_telegram=True)
    officer.refresh_from_db()
    return officer


def add(client, label="clinic-bot", token=TOKEN):
    return client.post(reverse("telegram-bots"), {"label": label, "token": token})


def connected(sandbox) -> dict[int, str]:
    return {bot["id"]: bot["url"] for bot in sandbox.get("/telegram.json")["bots"]}


def test_a_bot_is_asked_for_its_name_and_its_updates_come_to_us(person, client_of, sandbox):
    answer = add(client_of(person))

    assert answer.status_code == 302
    bot = TelegramBot.objects.get()
    assert (bot.owner, bot.label, bot.bot_id) == (person, "clinic-bot", 700000001)
    assert bot.username == "sandbox_700000001_bot"
    path = reverse("telegram-callback", args=[bot.pk])
    assert connected(sandbox)[700000001].endswith(path)


def test_the_token_is_sealed_and_shown_to_nobody(person, client_of):
    client = client_of(person)
    add(client)

    page = client.get(reverse("telegram-bots")).content.decode()

    bot = TelegramBot.objects.get()
    assert str(bot.token) == TOKEN
    assert TOKEN.partition(":")[2] not in page
    assert "https://t.me/sandbox_700000001_bot" in page


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"token": "not a token"}, "This is not a bot token"),
        ({"token": f"700000001:revoked{'a' * 30}"}, "Telegram does not know a bot"),
        ({"token": f"700000001:unreachable{'a' * 30}"}, "cannot reach Postman"),
        ({"label": "Clinic Bot"}, "small letters, digits and hyphens"),
        ({"label": ""}, "Give the bot a label"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(person, client_of, typed, words):
    answer = add(client_of(person), **typed)

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not TelegramBot.objects.exists()


def test_a_bot_that_telegram_does_not_connect_is_not_kept(person, client_of, sandbox):
    sandbox.control(down=True)

    answer = add(client_of(person))

    assert answer.status_code == 422
    assert not TelegramBot.objects.exists()


def test_a_label_is_given_once(person, client_of):
    client = client_of(person)
    add(client)

    answer = add(client, token=TOKEN.replace("700000001", "700000002"))

    assert "You have a bot labelled" in answer.content.decode()


def test_a_bot_of_another_account_cannot_be_taken(person, client_of):
    TelegramBotFactory(bot_id=700000001)

    answer = add(client_of(person))

    assert answer.status_code == 422
    assert "belongs to another account" in answer.content.decode()


def test_adding_a_bot_again_replaces_its_token_and_keeps_its_subscribers(person, client_of):
    client = client_of(person)
    add(client)
    bot = TelegramBot.objects.get()
    subscribers.subscribe(bot, telegram_id=1001, phone="6581230001")
    client.post(reverse("telegram-bot-remove", args=[bot.pk]))
    new = f"700000001:{'b' * 35}"

    add(client, token=new)

    bot = TelegramBot.objects.get()
    assert (str(bot.token), bot.removed_at, bot.subscriptions.count()) == (new, None, 1)


def test_before_a_bot_is_removed_its_campaigns_are_named(person, client_of, sandbox):
    client = client_of(person)
    add(client)
    bot = TelegramBot.objects.get()
    campaign = TelegramCampaignFactory(creator=person, name="Flu season")
    campaign.telegram_draft.bot = bot
    campaign.telegram_draft.save()
    url = reverse("telegram-bot-remove", args=[bot.pk])

    assert "Flu season" in client.get(url).content.decode()
    assert client.post(url).status_code == 302

    bot.refresh_from_db()
    assert bot.removed_at is not None
    assert (bot.token, bot.webhook_secret) == ("", "")
    assert connected(sandbox) == {}
    assert AuditEvent.objects.filter(action="telegram_bot.removed").exists()


@pytest.mark.parametrize("page", ["telegram-bot-check", "telegram-bot-remove"])
def test_a_bot_of_somebody_else_does_not_exist(person, client_of, page):
    bot = TelegramBotFactory(owner=UserFactory(agency=person.agency))

    answer = client_of(person).post(reverse(page, args=[bot.pk]))

    assert answer.status_code == 404


def test_a_new_bot_leads_to_inviting_people_to_it(person, client_of):
    client = client_of(person)
    answer = add(client)
    bot = TelegramBot.objects.get()

    page = client.get(answer.url).content.decode()

    assert answer.url == reverse("telegram-bot-invite", args=[bot.pk])
    assert "Nobody has subscribed yet." in page
    assert f'data-copy="{bot.subscribe_url}"' in page
    # What the bot answers and what the letters say is one thing.
    assert f"“{SHARE}”" in inviting.words(bot)
    assert "Get messages of Ministry of Health on Telegram" in page


def test_the_code_in_the_page_and_the_picture_lead_to_the_bot(person, client_of):
    bot = TelegramBotFactory(owner=person)
    client = client_of(person)

    page = client.get(reverse("telegram-bot-invite", args=[bot.pk])).content.decode()
    picture = client.get(reverse("telegram-bot-qr", args=[bot.pk]))

    modules = segno.make_qr(f"https://t.me/{bot.username}?start=subscribe", error="m")
    drawn = re.search(r'<path class="qrline"[^>]*d="([^"]+)"', modules.svg_inline())[1]
    assert drawn in page
    shown = Image.open(io.BytesIO(picture.content))
    assert (shown.width, picture["Content-Type"]) == (modules.symbol_size(16)[0], "image/png")


def test_members_of_a_campaign_invite_to_its_bot_and_strangers_do_not(person, client_of):
    campaign = TelegramCampaignFactory(creator=person)
    colleague = UserFactory()
    Membership.objects.create(campaign=campaign, user=colleague, role="member")
    bot = campaign.telegram_draft.bot

    for page in ("telegram-bot-invite", "telegram-bot-qr"):
        url = reverse(page, args=[bot.pk])
        assert client_of(colleague).get(url).status_code == 200
        assert client_of(UserFactory(agency=person.agency)).get(url).status_code == 404
        assert Client().get(url).status_code == 302


def test_verifying_connects_a_bot_again(person, client_of, sandbox):
    client = client_of(person)
    add(client)
    sandbox.reset()
    bot = TelegramBot.objects.get()

    client.post(reverse("telegram-bot-check", args=[bot.pk]))

    assert list(connected(sandbox)) == [700000001]


def test_where_telegram_is_not_switched_on_no_bot_is_added(officer, client_of, sandbox):
    answer = add(client_of(officer))

    assert answer.status_code == 422
    assert "Telegram is not switched on" in answer.content.decode()
    assert not TelegramBot.objects.exists()
