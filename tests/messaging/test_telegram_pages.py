"""A Telegram campaign in the browser: from its name to what became of each message."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from campaigns.models import Campaign, TelegramDraft
from messaging import ingest
from messaging.delivery import expanding, starting
from messaging.delivery.pipeline import send_chunk
from messaging.models import Batch, Message, Pace
from postman.accounts.models import Agency
from postman.ids import new_id
from tests.factories import TelegramBotFactory, UserFactory

from .telegram import accepted, subscribe

pytestmark = pytest.mark.django_db

MEI, RAVI = "6581230001", "6581230002"
FILE = b"recipient,name,clinic,notes\n81230001,Mei,Bedok,x\n+6581230002,Ravi,Yishun,y\n"


@pytest.fixture
def client(client_of, telegram_campaign):
    return client_of(telegram_campaign.creator)


def uploaded(client, campaign, content: bytes = FILE) -> Batch:
    """A file that an officer uploaded and the worker checked."""
    file = SimpleUploadedFile("people.csv", content)
    client.post(reverse("compose-multiple", args=[campaign.pk]), {"file": file})
    batch = Batch.objects.latest("created_at")
    ingest.check(batch.id)
    batch.refresh_from_db()
    return batch


def page_of(client, batch) -> str:
    return client.get(reverse("batch", args=[batch.campaign_id, batch.pk])).content.decode()


# Creating ----------------------------------------------------------------------------------


@pytest.fixture
def creator(officer):
    Agency.objects.update(may_use_telegram=True)
    officer.refresh_from_db()
    return officer


def test_a_campaign_is_a_name_and_a_bot(creator, client_of):
    bot = TelegramBotFactory(owner=creator)
    client, id_ = client_of(creator), new_id()
    asked = {"campaign_id": id_, "name": "Flu season", "kind": "telegram"}

    step = client.post(reverse("campaign-new"), asked)
    page = client.get(step.url).content.decode()
    made = client.post(step.url, {"campaign_id": id_, "name": "Flu season", "bot": bot.pk})

    assert 'value="Flu season"' in page
    assert made.url == reverse("telegram-message", args=[id_])
    campaign = Campaign.objects.get()
    assert (campaign.channel, campaign.sender_id) == ("telegram", f"@{bot.username}")
    assert campaign.telegram_draft.bot == bot


def test_whoever_has_no_bot_is_led_to_adding_one(creator, client_of):
    page = client_of(creator).get(reverse("campaign-new-telegram")).content.decode()

    assert f'href="{reverse("telegram-bots")}"' in page
    assert "Add a bot first" in page


def test_the_second_step_can_be_opened_by_itself(creator, client_of):
    bot = TelegramBotFactory(owner=creator)
    client, url = client_of(creator), reverse("campaign-new-telegram")

    id_ = client.get(url).context["form"]["campaign_id"].value()
    client.post(url, {"campaign_id": id_, "name": "Flu season", "bot": bot.pk})

    assert Campaign.objects.get().name == "Flu season"


def test_a_bot_of_somebody_else_cannot_be_chosen(creator, client_of):
    TelegramBotFactory(owner=creator)
    theirs = TelegramBotFactory(owner=UserFactory(agency=creator.agency))

    answer = client_of(creator).post(
        reverse("campaign-new-telegram"), {"campaign_id": new_id(), "name": "x", "bot": theirs.pk}
    )

    assert answer.status_code == 422
    assert not Campaign.objects.exists()


def test_pressing_create_twice_makes_one_campaign(creator, client_of):
    bot = TelegramBotFactory(owner=creator)
    typed = {"campaign_id": new_id(), "name": "Flu season", "bot": bot.pk}

    for _ in range(2):
        client_of(creator).post(reverse("campaign-new-telegram"), typed)

    assert Campaign.objects.count() == 1


# The message -------------------------------------------------------------------------------


def save(client, campaign, body, *, version=1, **more):
    url = reverse("telegram-message", args=[campaign.pk])
    return client.post(url, {"version": version, "body": body, **more})


def test_a_message_is_kept_as_telegram_shows_it(client, telegram_campaign):
    answer = save(
        client, telegram_campaign, "<p>Hi <strong>{{name}}</strong></p><script>x</script>"
    )

    assert answer.status_code == 302
    assert TelegramDraft.objects.get().body == "Hi <b>{{name}}</b>"
    page = client.get(answer.url).content.decode()
    assert "Hi <b>{{name}}</b>" in page


def test_a_message_that_is_too_long_is_kept_and_goes_no_further(client, telegram_campaign):
    answer = save(client, telegram_campaign, "x" * 4100, next="yes")

    assert answer.status_code == 422
    assert "Take out 4." in answer.content.decode()
    assert len(TelegramDraft.objects.get().body) == 4100


def test_a_message_that_was_refused_can_be_mended_and_saved_again(client, telegram_campaign):
    refused = save(client, telegram_campaign, "x" * 4100, next="yes")
    version = refused.context["form"]["version"].value()

    answer = save(client, telegram_campaign, "x" * 4000, version=version, next="yes")

    assert answer.status_code == 302
    assert len(TelegramDraft.objects.get().body) == 4000


def test_of_two_who_write_at_once_the_second_is_told(client, telegram_campaign):
    save(client, telegram_campaign, "First")

    answer = save(client, telegram_campaign, "Second")

    assert answer.status_code == 409
    assert "Second" in answer.content.decode()
    assert TelegramDraft.objects.get().body == "First"


@pytest.mark.parametrize("page", ["telegram-message", "campaign", "compose-multiple"])
def test_the_campaign_of_somebody_else_does_not_exist(client_of, telegram_campaign, page):
    stranger = client_of(UserFactory(agency=telegram_campaign.agency))

    answer = stranger.get(reverse(page, args=[telegram_campaign.pk]))

    assert answer.status_code == 404


@pytest.mark.parametrize("page", ["telegram-message"])
def test_other_campaigns_have_no_such_page(client_of, campaign, page):
    answer = client_of(campaign.creator).get(reverse(page, args=[campaign.pk]))

    assert answer.status_code == 404


# A file ------------------------------------------------------------------------------------


def test_numbers_are_brought_into_one_form_and_unused_columns_are_not_kept(
    client, telegram_campaign
):
    batch = uploaded(client, telegram_campaign)

    rows = batch.staged_rows.order_by("row").values_list("row", "recipient", "values")
    assert list(rows) == [
        (2, MEI, {"name": "Mei", "clinic": "Bedok"}),
        (3, RAVI, {"name": "Ravi", "clinic": "Yishun"}),
    ]
    assert batch.summary["columns_ignored"] == ["notes"]


def test_one_bad_number_refuses_the_file_and_names_its_row(client, telegram_campaign):
    batch = uploaded(client, telegram_campaign, FILE + b"123,Ah Seng,Tampines,z\n")

    assert batch.status == "invalid"
    assert [fault["row"] for fault in batch.first_faults] == [4]
    assert "too short" in page_of(client, batch)


def test_a_row_whose_message_is_too_long_refuses_the_file(client, telegram_campaign):
    long = b"81230003," + b"x" * 4090 + b",Bedok,z\n"

    batch = uploaded(client, telegram_campaign, FILE + long)

    assert "Telegram takes 4,096" in page_of(client, batch)


def test_a_file_waits_until_the_message_is_written(client, telegram_campaign):
    TelegramDraft.objects.update(body="")
    file = SimpleUploadedFile("people.csv", FILE)

    url = reverse("compose-multiple", args=[telegram_campaign.pk])
    answer = client.post(url, {"file": file})

    assert answer.status_code == 422
    assert "Finish the message first" in answer.content.decode()


def test_the_review_says_who_can_be_reached_and_how_to_invite_the_others(client, telegram_campaign):
    subscribe(telegram_campaign, MEI)

    page = page_of(client, uploaded(client, telegram_campaign))

    assert "<strong>1</strong> can be reached now" in page
    assert "1 of 2 cannot be reached yet" in page
    assert telegram_campaign.telegram_draft.bot.invite_url in page
    for word in ("segment", "SMS costs", "SGD"):
        assert word not in page


def test_after_the_message_has_changed_the_file_is_checked_again(client, telegram_campaign):
    batch = uploaded(client, telegram_campaign)
    save(client, telegram_campaign, "See you at {{clinic}}, {{notes}}")
    send = reverse("batch-send", args=[telegram_campaign.pk, batch.pk])

    client.post(send)
    batch.refresh_from_db()
    assert batch.status == "ready"
    assert "was changed after this file was checked" in page_of(client, batch)

    client.post(reverse("telegram-check-again", args=[telegram_campaign.pk, batch.pk]))
    ingest.check(batch.id)
    client.post(send)

    batch.refresh_from_db()
    assert batch.status == "messages_enqueuing"
    row = batch.staged_rows.get(row=2)
    assert row.values == {"clinic": "Bedok", "notes": "x"}


def test_what_was_scheduled_leaves_as_it_was_then(client, telegram_campaign, sandbox):
    subscribe(telegram_campaign, MEI, RAVI)
    batch = uploaded(client, telegram_campaign)
    url = reverse("batch-schedule", args=[telegram_campaign.pk, batch.pk])
    client.post(url, {"when": "tomorrow", "date": "", "time": ""})
    assert Batch.objects.filter(status="scheduled").exists()
    Batch.objects.update(scheduled_at="2026-01-01T00:00:00Z")
    save(client, telegram_campaign, "Another text")

    starting.start_due_batches()
    expanding.expand(batch.id)
    send_chunk(batch.id)

    assert {sent["text"] for sent in sandbox.outbox(channel="telegram")} == {
        "Dear Mei, see you at Bedok.",
        "Dear Ravi, see you at Yishun.",
    }


# A test ------------------------------------------------------------------------------------


def send_test(client, batch, phone, id_=None):
    url = reverse("telegram-test", args=[batch.campaign_id, batch.pk])
    return client.post(url, {"phone": phone, "message_id": id_ or new_id()}, follow=True)


def test_a_test_goes_to_a_number_that_has_subscribed(client, telegram_campaign, sandbox):
    subscribe(telegram_campaign, "6591234567")
    batch, id_ = uploaded(client, telegram_campaign), new_id()

    for _ in range(2):
        send_test(client, batch, "9123 4567", id_)
    send_chunk(None)

    (sent,) = sandbox.outbox(channel="telegram")
    assert (sent["to"], sent["text"]) == ("+6591234567", "Dear Mei, see you at Bedok.")
    assert Message.objects.get().status == "success"


def test_a_test_to_anybody_else_is_refused_with_the_way_to_subscribe(client, telegram_campaign):
    batch = uploaded(client, telegram_campaign)

    answer = send_test(client, batch, "9123 4567")

    page = answer.content.decode()
    assert answer.status_code == 422
    assert "has not subscribed" in page
    assert 'value="9123 4567"' in page
    assert "Send 2 messages now" in page
    assert not Message.objects.exists()


def test_the_page_of_a_test_leads_back_to_the_file(client, telegram_campaign):
    subscribe(telegram_campaign, "6591234567")
    batch = uploaded(client, telegram_campaign)

    page = send_test(client, batch, "91234567").content.decode()

    assert f'href="{reverse("batch", args=[telegram_campaign.pk, batch.pk])}"' in page
    assert "None: this is a test" in page


@pytest.mark.parametrize("status", ["discarded", "messages_enqueued"])
def test_of_a_file_that_waits_no_more_nothing_is_tested(client, telegram_campaign, status):
    subscribe(telegram_campaign, "6591234567")
    batch = uploaded(client, telegram_campaign)
    Batch.objects.update(status=status, accepted_at="2026-11-21T00:00:00Z")

    page = send_test(client, batch, "91234567").content.decode()

    assert "waits to be tested" in page
    assert not Message.objects.exists()


# What became of them -----------------------------------------------------------------------


def test_the_pages_of_what_was_sent_say_why_somebody_was_not_reached(
    client, telegram_campaign, sandbox
):
    subscribe(telegram_campaign, MEI)
    batch = accepted(telegram_campaign, [MEI, RAVI])
    send_chunk(batch.id)
    failed = Message.objects.get(recipient=RAVI)

    page = client.get(reverse("message", args=[telegram_campaign.pk, failed.pk]))

    assert "not linked to a bot" in page.content.decode()
    assert "Retry" in page.content.decode()
    for name in ("campaign", "campaign-batches", "campaign-stats", "campaign-about"):
        shown = client.get(reverse(name, args=[telegram_campaign.pk]))
        assert shown.status_code == 200, name
        assert "egment" not in shown.content.decode(), name
    assert "Delivered" in page_of(client, batch)


def test_the_page_of_a_file_adds_up_why_messages_failed(client, telegram_campaign, sandbox):
    subscribe(telegram_campaign, MEI)
    batch = accepted(telegram_campaign, [MEI, RAVI, "6581230003"])
    send_chunk(batch.id)

    page = page_of(client, batch)

    assert "Why 2 failed" in page
    assert page.count("not linked to a bot") == 1
    assert "Retry the 2 that failed" in page


def test_files_are_found_by_their_names(client, telegram_campaign):
    for name in ("March.csv", "april.csv"):
        url = reverse("compose-multiple", args=[telegram_campaign.pk])
        client.post(url, {"file": SimpleUploadedFile(name, FILE)})

    page = client.get(reverse("campaign-batches", args=[telegram_campaign.pk]), {"search": "marc"})

    assert '<label class="form-label" for="filter-search">File name</label>' in page.text
    assert [card["batch"].original_file_name for card in page.context["cards"]] == ["March.csv"]


def test_the_list_of_messages_says_why_each_failed_in_as_many_queries_for_three(
    client, telegram_campaign, sandbox, django_assert_max_num_queries
):
    batch = accepted(telegram_campaign, [MEI, RAVI, "6581230003"])
    send_chunk(batch.id)
    url = reverse("campaign", args=[telegram_campaign.pk])
    client.get(url)

    with django_assert_max_num_queries(12):
        page = client.get(url).content.decode()

    assert page.count("not linked to a bot") == 3


def test_a_file_to_fill_in_has_the_columns_of_the_message(client, telegram_campaign):
    answer = client.get(reverse("csv-template", args=[telegram_campaign.pk]))

    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    assert content.decode("utf-8-sig").splitlines()[0] == "recipient,name,clinic"


def test_a_thousand_rows_go_through(client, telegram_campaign, sandbox):
    phones = [f"65812{n:05}" for n in range(1000)]
    subscribe(telegram_campaign, *phones)
    rows = "".join(f"{phone},Name {n},Clinic {n}\n" for n, phone in enumerate(phones))
    batch = uploaded(client, telegram_campaign, b"recipient,name,clinic\n" + rows.encode())
    client.post(reverse("batch-send", args=[telegram_campaign.pk, batch.pk]))
    expanding.expand(batch.id)

    # Its pace is proved elsewhere; here time would be all that is spent.
    while Message.objects.filter(status="created").exists():
        send_chunk(batch.id)
        Pace.objects.update(full_at="2026-01-01T00:00:00Z")

    assert batch.counts()["success"] == 1000
    assert sandbox.summary()["by_channel"]["telegram"] == 1000
    assert sandbox.summary()["same_to_and_text"] == 0
