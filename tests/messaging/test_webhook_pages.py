"""Settings → Webhooks: what owners see of their webhooks and of every event, and nobody else."""

import html
import re
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from messaging import webhooks
from messaging.models import Webhook, WebhookDelivery, WebhookTry
from messaging.views import webhooks as pages
from postman.accounts.models import AuditEvent
from postman.ids import now_ms
from tests.factories import CampaignFactory, UserFactory
from tests.messaging.rows import make_message, member

pytestmark = pytest.mark.django_db

URL = "https://hooks.health.gov.sg/postman?token=t0p"
GET, POST = "get", "post"
ROUTES = [
    ("campaign-webhooks", GET),
    ("campaign-webhooks", POST),
    ("webhook-log", GET),
    ("webhook-pause", POST),
    ("webhook-resume", POST),
    ("webhook-test", POST),
    ("webhook-rotate", GET),
    ("webhook-rotate", POST),
    ("webhook-delete", GET),
    ("webhook-delete", POST),
    ("webhook-delivery", GET),
    ("webhook-replay", POST),
    ("webhook-replay-all", POST),
]
OF_AN_EVENT = ("webhook-delivery", "webhook-replay")


@pytest.fixture
def client(client_of, officer):
    return client_of(officer)


@pytest.fixture
def webhook(campaign, officer):
    return webhooks.add_webhook(campaign=campaign, url=URL, by=officer)[0]


@pytest.fixture
def event(campaign, webhook):
    return told(webhook, make_message(campaign, status="success"))


def told(webhook, message=None, state="delivered", **facts):
    """An event as the engine leaves it, with the one try that came to that."""
    now = now_ms()
    event = WebhookDelivery.objects.create(
        webhook=webhook,
        message_id=message and message.id,
        number=1,
        status="success" if message else "test",
        state=state,
        **{"at": now, "due_at": now, "retry_until": now + Webhook.TRIED_FOR, "tries": 1, **facts},
    )
    status = 200 if state == "delivered" else 500
    WebhookTry.objects.create(
        delivery=event, at=now, status=status, milliseconds=87, excerpt="<told>"
    )
    return event


def url_of(name, webhook, event=None):
    parts = [] if name == "campaign-webhooks" else [webhook.pk]
    if name in OF_AN_EVENT:
        parts.append(event.pk)
    return reverse(name, args=[webhook.campaign_id, *parts])


def text_of(answer):
    """What a person reads in the page's main part."""
    main = answer.content.decode().split("<main")[1]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def secret_in(answer):
    found = re.findall(r"<code>(whsec_[^<]+)</code>", answer.content.decode())
    return html.unescape(found[0]) if found else None


def everything():
    return [list(model.objects.order_by("pk").values()) for model in (Webhook, WebhookDelivery)]


def actions():
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


# Who may -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "method"), ROUTES)
def test_whoever_is_not_signed_in_is_sent_to_sign_in(webhook, event, name, method):
    answer = getattr(Client(), method)(url_of(name, webhook, event))

    assert answer.url.startswith("/login?next=")


@pytest.mark.parametrize("role", [None, "member", "member_restricted"])
@pytest.mark.parametrize(("name", "method"), ROUTES)
def test_to_anybody_but_an_owner_there_is_nothing(
    client_of, campaign, webhook, event, name, method, role
):
    person = member(campaign, role) if role else UserFactory()
    before = everything()

    answer = getattr(client_of(person), method)(url_of(name, webhook, event), {"url": URL + "2"})

    assert (answer.status_code, everything()) == (404, before)


@pytest.mark.parametrize(("name", "method"), ROUTES[2:])
def test_a_webhook_is_not_found_under_another_campaign(
    client, officer, webhook, event, name, method
):
    address = url_of(name, webhook, event)
    other = CampaignFactory(creator=officer)
    before = everything()

    answer = getattr(client, method)(address.replace(str(webhook.campaign_id), str(other.pk)))

    assert (answer.status_code, everything()) == (404, before)


@pytest.mark.parametrize("name", OF_AN_EVENT)
def test_an_event_is_not_found_under_another_webhook(client, campaign, officer, event, name):
    other, _ = webhooks.add_webhook(campaign=campaign, url=URL + "2", by=officer)

    answer = client.post(url_of(name, other, event))

    assert answer.status_code in (404, 405)
    assert client.get(url_of("webhook-delivery", other, event)).status_code == 404


@pytest.mark.parametrize("number", ["0", "9" * 30])
def test_an_event_that_never_was_is_not_found(client, webhook, event, number):
    address = url_of("webhook-delivery", webhook, event)

    assert client.get(address.replace(f"/{event.pk}", f"/{number}")).status_code == 404


@pytest.mark.parametrize("name", ["pause", "resume", "test", "replay", "replay-all"])
def test_nothing_is_done_by_following_a_link(client, webhook, event, name):
    assert client.get(url_of(f"webhook-{name}", webhook, event)).status_code == 405


# Add ---------------------------------------------------------------------------------------


def test_an_owner_adds_a_webhook_and_sees_its_secret_once(client, campaign, officer):
    page = reverse("campaign-webhooks", args=[campaign.pk])

    answer = client.post(page, {"url": f" {URL} "})

    webhook = Webhook.objects.get()
    assert (webhook.url, webhook.creator, secret_in(answer)) == (URL, officer, webhook.secret)
    assert "no-store" in answer["Cache-Control"]
    assert secret_in(client.get(page)) is None
    assert actions() == ["webhook.added"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "Type the address that events are to be posted to."),
        ("http://health.gov.sg/", "Type an address that begins with https://."),
        ("https://10.0.0.1/<b>", "This address exists only inside a network."),
        ("https://health.gov.sg/" + "x" * 500, "Ensure this value has at most 500 characters"),
    ],
)
def test_a_refusal_stands_beside_the_field_and_what_was_typed_stays(
    client, campaign, settings, url, reason
):
    settings.WEBHOOKS_MAY_GO_INSIDE = False

    answer = client.post(reverse("campaign-webhooks", args=[campaign.pk]), {"url": url})

    assert answer.status_code == 422
    assert answer.context["form"].errors["url"][0].startswith(reason)
    assert text_of(answer).count(reason) == 2  # in the summary and beside the field
    assert f'value="{html.escape(url)}"' in answer.content.decode() or not url
    assert not Webhook.objects.exists()


def test_an_address_is_told_only_once(client, webhook):
    answer = client.post(url_of("campaign-webhooks", webhook), {"url": URL})

    assert answer.status_code == 422
    assert "This address is in the list already." in text_of(answer)


def test_three_webhooks_are_the_most(client, campaign, officer):
    for number in range(3):
        webhooks.add_webhook(campaign=campaign, url=f"{URL}{number}", by=officer)
    page = reverse("campaign-webhooks", args=[campaign.pk])

    assert "This campaign has 3 webhooks, the most it can have." in text_of(client.get(page))
    answer = client.post(page, {"url": URL})

    assert answer.status_code == 422
    assert "A campaign can have 3 webhooks. Delete one first." in text_of(answer)


# The list ----------------------------------------------------------------------------------


def test_the_list_says_where_to_how_it_goes_and_how_much_waits(client, webhook, monkeypatch):
    monkeypatch.setattr(pages, "MOST_COUNTED", 2)
    page = url_of("campaign-webhooks", webhook)
    shown = text_of(client.get(page))
    for part in (URL, "State Working", "Last success None yet", "Waiting No event", "by mei.ling@"):
        assert part in shown

    told(webhook, state="waiting")
    assert "Waiting 1 event Created" in text_of(client.get(page))
    told(webhook, state="waiting")
    told(webhook, state="waiting")

    assert "Waiting 2+ events" in text_of(client.get(page))


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("officer", "Paused by an owner, since"),
        ("gone", "Paused as its server answered that it is gone (410), since"),
        ("failing", "Paused as its server has not taken an event for three days, since"),
    ],
)
def test_the_list_says_why_a_webhook_is_paused(client, webhook, why, said):
    Webhook.objects.update(paused_at=timezone.now(), pause=why)

    answer = client.get(url_of("campaign-webhooks", webhook))

    assert said in text_of(answer)
    assert url_of("webhook-resume", webhook) in answer.content.decode()


def test_a_server_that_takes_nothing_is_shown_and_can_be_tried_at_once(client, webhook):
    now = timezone.now()
    Webhook.objects.update(failures=3, failing_since=now, held_until=now + timedelta(minutes=9))
    told(webhook, state="waiting")
    shown = text_of(client.get(url_of("campaign-webhooks", webhook)))
    assert "Its server has taken nothing since" in shown
    assert "Try again now" in shown
    assert webhooks.to_be_served(timezone.now()) == []

    client.post(url_of("webhook-resume", webhook))

    assert webhooks.to_be_served(timezone.now()) == [webhook.pk]
    assert "Try again now" not in text_of(client.get(url_of("campaign-webhooks", webhook)))


def test_the_settings_lead_to_the_webhooks(client, webhook):
    answer = client.get(reverse("campaign-about", args=[webhook.campaign_id]))

    assert url_of("campaign-webhooks", webhook) in answer.content.decode()


# What can be done --------------------------------------------------------------------------


def test_an_owner_pauses_and_resumes(client, webhook, officer):
    client.post(url_of("webhook-pause", webhook))
    webhook.refresh_from_db()
    assert webhook.pause == "officer"

    client.post(url_of("webhook-resume", webhook))
    webhook.refresh_from_db()
    assert webhook.pause == ""

    assert actions() == ["webhook.added", "webhook.paused", "webhook.resumed"]
    assert set(AuditEvent.objects.values_list("actor", flat=True)) == {officer.pk}


def test_a_changed_secret_is_shown_once_and_the_page_says_that_both_sign(client, webhook):
    earlier = webhook.secret
    address = url_of("webhook-rotate", webhook)
    page = client.get(address)
    assert "For 24 hours every event is signed with both" in text_of(page)

    answer = client.post(address, {"seen": page.context["seen"]})

    webhook.refresh_from_db()
    assert webhook.secret != earlier == webhook.earlier_secret
    assert secret_in(answer) == webhook.secret
    assert "no-store" in answer["Cache-Control"]
    assert actions() == ["webhook.added", "webhook.rotated"]


def test_sending_the_same_form_again_does_not_change_the_secret_again(client, webhook):
    address = url_of("webhook-rotate", webhook)
    seen = {"seen": client.get(address).context["seen"]}
    client.post(address, seen)
    webhook.refresh_from_db()

    answer = client.post(address, seen, follow=True)

    assert "The secret was changed meanwhile." in answer.content.decode()
    assert Webhook.objects.get().secret == webhook.secret
    assert "The one before that stops signing at once." in text_of(client.get(address))


def test_a_test_event_leads_to_the_page_that_shows_its_answer(client, webhook):
    answer = client.post(url_of("webhook-test", webhook), follow=True)

    [event] = WebhookDelivery.objects.all()
    assert answer.redirect_chain[-1][0] == url_of("webhook-delivery", webhook, event)
    assert "webhook.test" in text_of(answer)
    assert "Not tried yet." in text_of(answer)
    assert 'hx-trigger="every 2s"' in answer.content.decode()
    assert actions() == ["webhook.added", "webhook.tested"]


def test_deleting_says_what_is_lost_and_closes_the_log(
    client, webhook, event, django_capture_on_commit_callbacks
):
    told(webhook, state="waiting")
    address = url_of("webhook-delete", webhook)
    assert "1 event waits to be sent and will be dropped." in text_of(client.get(address))
    assert Webhook.objects.exists()

    with django_capture_on_commit_callbacks() as bells:
        client.post(address)

    assert len(bells) == 1  # for the log, see `test_webhooks`
    assert not Webhook.objects.exists()
    assert client.get(url_of("webhook-delivery", webhook, event)).status_code == 404
    assert actions() == ["webhook.added", "webhook.deleted"]


def test_a_form_of_another_site_is_refused(officer, webhook):
    client = Client(enforce_csrf_checks=True)
    client.force_login(officer)

    assert client.post(url_of("webhook-delete", webhook)).status_code == 403
    assert Webhook.objects.exists()


# The log -----------------------------------------------------------------------------------


def test_the_log_says_of_each_event_what_became_of_it(client, campaign, webhook):
    message = make_message(campaign, status="success")
    told(webhook, message)

    answer = client.get(url_of("webhook-log", webhook))

    row = text_of(answer).split("Last answer")[1]
    assert f"message_…{str(message.id)[-5:]} Delivered Delivered 1 HTTP 200" in row
    assert reverse("message", args=[campaign.pk, message.pk]) in answer.content.decode()


def test_a_try_without_an_answer_says_why(client, webhook, event):
    WebhookTry.objects.create(
        delivery=event, at=timezone.now(), fault="The server could not be reached.", milliseconds=3
    )

    for name in ("webhook-log", "webhook-delivery"):
        assert "The server could not be reached." in text_of(
            client.get(url_of(name, webhook, event))
        )


@pytest.mark.parametrize("state", ["waiting", "delivered", "gave_up"])
def test_the_log_can_be_asked_for_one_state(client, webhook, state):
    events = {state: told(webhook, state=state) for state in WebhookDelivery.State.values}

    answer = client.get(url_of("webhook-log", webhook), {"state": state})

    assert [row["delivery"].pk for row in answer.context["rows"]] == [events[state].pk]


def test_the_log_goes_on_page_by_page_newest_first(client, webhook, monkeypatch):
    monkeypatch.setattr(pages, "PAGE_SIZE", 2)
    events = [told(webhook).pk for _ in range(5)]
    log = url_of("webhook-log", webhook)
    found, asked = [], {}
    while asked is not None:
        answer = client.get(log, asked)
        found += [row["delivery"].pk for row in answer.context["rows"]]
        older = answer.context["page"].older
        asked = {"older": older} if older else None

    assert found == events[::-1]
    assert client.get(log, {"older": "9" * 40}).status_code == 200


def test_the_log_costs_the_same_for_one_event_and_for_thirty(client, campaign, webhook):
    def queries():
        with CaptureQueriesContext(connection) as made:
            client.get(url_of("webhook-log", webhook))
        return len(made)

    told(webhook, make_message(campaign, status="success"))
    queries()  # the first request of a browser renews its session
    one = queries()
    for _ in range(29):
        told(webhook, make_message(campaign, status="success"), state="waiting")

    assert queries() == one


def test_an_event_shows_what_was_posted_and_every_try(client, webhook, event):
    answer = client.get(url_of("webhook-delivery", webhook, event))

    shown = text_of(answer)
    assert webhooks.body_of(webhook, event, {}).decode() in shown
    assert event.public_id in shown
    assert "HTTP 200 87 ms <told>" in shown
    assert "every 2s" not in answer.content.decode()


def test_only_an_event_that_is_about_to_be_answered_is_watched(client, webhook):
    event = told(webhook, state="waiting")
    address = url_of("webhook-delivery", webhook, event)
    assert "every 2s" in client.get(address).content.decode()

    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        assert "every 2s" not in client.get(address).content.decode()


def test_one_event_can_be_sent_again(client, webhook, event):
    client.post(url_of("webhook-replay", webhook, event))
    event.refresh_from_db()
    assert event.state == "waiting"

    answer = client.post(url_of("webhook-replay", webhook, event), follow=True)

    assert "This event is waiting to be sent already." in answer.content.decode()
    assert actions() == ["webhook.added", "webhook.replayed"]


def test_all_that_were_given_up_can_be_sent_again(client, webhook, event):
    lost = [told(webhook, state="gave_up").pk for _ in range(2)]
    assert "2 events were given up after three days." in text_of(
        client.get(url_of("webhook-log", webhook))
    )

    answer = client.post(url_of("webhook-replay-all", webhook), follow=True)

    assert "2 events will be sent again." in answer.content.decode()
    waiting = WebhookDelivery.objects.filter(state="waiting")
    assert sorted(waiting.values_list("pk", flat=True)) == lost
    assert "given up after" not in text_of(answer)
    assert actions()[-1] == "webhook.replayed"


# The mail ----------------------------------------------------------------------------------


@pytest.fixture
def post_office(sandbox, settings):
    settings.EMAIL_BACKEND = "anymail.backends.amazon_ses.EmailBackend"
    return sandbox


@pytest.fixture
def serve(webhook, officer, sandbox, django_capture_on_commit_callbacks):
    """Send a test event to a server of the sandbox that answers so."""

    def serve(status):
        sandbox.control(webhooks={"status": status})
        Webhook.objects.update(url=f"{sandbox.url}/webhooks/t0p")
        webhooks.send_test(webhook, by=officer)
        with django_capture_on_commit_callbacks(execute=True):
            webhooks.serve(webhook.pk, seconds=5)

    return serve


def test_owners_are_mailed_when_a_server_is_gone(campaign, serve, post_office, officer):
    second = member(campaign, "owner")
    member(campaign)

    serve(410)

    mails = post_office.outbox(channel="email")
    assert {mail["to"] for mail in mails} == {officer.email, second.email}
    page = f"http://localhost:8000/campaigns/{campaign.public_id}/settings/webhooks"
    for part in (mails[0]["text"], mails[0]["html"]):
        assert "Postman no longer tells 127.0.0.1 what becomes of the messages" in part
        assert "410 Gone" in part
        assert page in part
        assert "t0p" not in part


def test_owners_are_mailed_once_when_a_server_failed_for_three_days(serve, post_office):
    began = timezone.now()
    for hours in (0, 72, 80):
        with time_machine.travel(began + timedelta(hours=hours, minutes=1)):
            serve(500)

    [mail] = post_office.outbox(channel="email")
    assert mail["subject"] == "Webhook paused: Appointments"
    assert "it has not taken an event for three days" in mail["text"]


def test_a_pause_stands_although_its_mail_could_not_be_sent(serve, post_office, officer, caplog):
    post_office.control(down=True)

    serve(410)

    assert Webhook.objects.get().pause == "gone"
    assert "a mail (webhook_paused) was not sent" in caplog.text
    assert officer.email not in caplog.text


def test_an_owner_who_pauses_needs_no_mail(client, webhook, post_office):
    client.post(url_of("webhook-pause", webhook))

    assert post_office.outbox(channel="email") == []
