"""Settings → Webhooks of an account: its own alone, on the pages that campaigns have for theirs."""

import pytest
from django.test import Client
from django.urls import reverse

from messaging import transactional, webhooks
from messaging.models import Webhook, WebhookDelivery
from postman.accounts.models import AuditEvent
from tests.factories import UserFactory
from tests.messaging.test_webhook_pages import (
    OF_AN_EVENT,
    URL,
    actions,
    everything,
    secret_in,
    text_of,
    told,
)

pytestmark = pytest.mark.django_db

GET, POST = "get", "post"
PAGE = "/settings/webhooks"
ROUTES = [
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


@pytest.fixture
def client(client_of, officer):
    return client_of(officer)


@pytest.fixture
def webhook(officer):
    return webhooks.add_webhook(url=URL, by=officer)[0]


@pytest.fixture
def call(officer):
    return transactional.send_email(
        officer, recipient="pat@example.org", subject="Visit", body="<p>Hi</p>"
    )


@pytest.fixture
def event(webhook, call):
    return told(webhook, call.message)


def url_of(name, webhook, event):
    return webhook.url_of(name, *([event.pk] if name in OF_AN_EVENT else []))


# Who may -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "method"), ROUTES)
def test_whoever_is_not_signed_in_is_sent_to_sign_in(webhook, event, name, method):
    answer = getattr(Client(), method)(url_of(name, webhook, event))

    assert answer.url.startswith("/login?next=")
    assert Client().get(PAGE).url.startswith("/login?next=")


@pytest.mark.parametrize(("name", "method"), ROUTES)
def test_to_another_account_there_is_no_such_webhook(client_of, webhook, event, name, method):
    before = everything()
    stranger = client_of(UserFactory(agency=webhook.account.agency))

    answer = getattr(stranger, method)(url_of(name, webhook, event))

    assert (answer.status_code, everything()) == (404, before)
    assert URL not in text_of(stranger.get(PAGE))


@pytest.mark.parametrize(("name", "method"), ROUTES)
def test_a_campaigns_webhook_is_not_found_among_those_of_an_account(
    client, officer, campaign, name, method
):
    of_campaign, _ = webhooks.add_webhook(campaign=campaign, url=URL, by=officer)
    event = told(of_campaign)
    before = everything()
    address = url_of(name, of_campaign, event)

    answer = getattr(client, method)(address.removeprefix(f"/campaigns/{campaign.public_id}"))

    assert address.startswith(f"/campaigns/{campaign.public_id}")
    assert (answer.status_code, everything()) == (404, before)


def test_an_accounts_webhook_is_not_found_under_a_campaign_of_its_own(client, campaign, webhook):
    address = reverse("webhook-log", args=[campaign.pk, webhook.pk])

    assert client.get(address).status_code == 404


# The list ----------------------------------------------------------------------------------


def test_an_account_adds_a_webhook_and_sees_its_secret_once(client, officer):
    answer = client.post(PAGE, {"url": f" {URL} "})

    webhook = Webhook.objects.get()
    assert (webhook.url, webhook.account, webhook.campaign) == (URL, officer, None)
    assert secret_in(answer) == webhook.secret
    assert "no-store" in answer["Cache-Control"]
    again = client.get(PAGE)
    assert secret_in(again) is None
    assert URL in text_of(again)
    assert actions() == ["webhook.added"]
    assert AuditEvent.objects.get().object_id == officer.public_id


def test_three_webhooks_are_the_most(client, officer):
    for number in range(3):
        webhooks.add_webhook(url=f"{URL}{number}", by=officer)

    assert "Your account has 3 webhooks, the most it can have." in text_of(client.get(PAGE))
    answer = client.post(PAGE, {"url": URL})
    assert answer.status_code == 422
    assert "An account can have 3 webhooks. Delete one first." in text_of(answer)


@pytest.mark.parametrize("page", ["settings", "account-keys"])
def test_the_settings_and_the_keys_lead_to_the_webhooks(client, page):
    assert f'href="{PAGE}"' in client.get(reverse(page)).content.decode()


# What can be done --------------------------------------------------------------------------


def test_an_account_pauses_and_resumes(client, webhook):
    assert client.post(webhook.url_of("webhook-pause")).url == PAGE
    webhook.refresh_from_db()
    assert webhook.pause == "officer"
    assert "Paused by you, since" in text_of(client.get(PAGE))

    client.post(webhook.url_of("webhook-resume"))
    webhook.refresh_from_db()
    assert webhook.pause == ""


def test_a_changed_secret_is_shown_once(client, webhook):
    address = webhook.url_of("webhook-rotate")
    seen = {"seen": client.get(address).context["seen"]}

    answer = client.post(address, seen)

    webhook.refresh_from_db()
    assert secret_in(answer) == webhook.secret
    assert "The new secret of the webhook to hooks.health.gov.sg" in text_of(answer)
    assert client.post(address, seen).url == PAGE
    assert Webhook.objects.get().secret == webhook.secret


def test_a_test_event_leads_to_the_page_that_shows_its_answer(client, webhook):
    answer = client.post(webhook.url_of("webhook-test"), follow=True)

    [event] = WebhookDelivery.objects.all()
    assert answer.redirect_chain[-1][0] == webhook.url_of("webhook-delivery", event.pk)
    assert "webhook.test" in text_of(answer)


def test_a_webhook_is_deleted(client, webhook):
    assert "Delete the webhook to" in text_of(client.get(webhook.url_of("webhook-delete")))

    answer = client.post(webhook.url_of("webhook-delete"), follow=True)

    assert "The webhook to hooks.health.gov.sg is deleted." in answer.content.decode()
    assert not Webhook.objects.exists()


# The log -----------------------------------------------------------------------------------


def test_the_log_names_messages_and_states_as_v1_does(client, webhook, event, call):
    told(webhook)

    shown = text_of(client.get(webhook.url_of("webhook-log"))).split("Last answer")[1]

    assert f"email {call.pk} DELIVERED Delivered 1 HTTP 200" in shown
    assert "– Test event Delivered 1 HTTP 200" in shown


def test_an_event_shows_what_was_posted_and_every_try(client, webhook, event, call):
    shown = text_of(client.get(webhook.url_of("webhook-delivery", event.pk)))

    body = webhooks.body_of(webhook, event, webhooks.calls_of(webhook, [event])).decode()
    assert body in shown
    assert f'"id":"{call.pk}","channel":"email","status":"DELIVERED"' in body
    assert f"Message email {call.pk}" in shown
    assert "HTTP 200 87 ms <told>" in shown


def test_one_event_and_all_that_were_given_up_can_be_sent_again(client, webhook, event):
    lost = told(webhook, state="gave_up")
    client.post(webhook.url_of("webhook-replay", event.pk))
    event.refresh_from_db()
    assert event.state == "waiting"

    answer = client.post(webhook.url_of("webhook-replay-all"), follow=True)

    assert "1 event will be sent again." in answer.content.decode()
    lost.refresh_from_db()
    assert lost.state == "waiting"


# The mail ----------------------------------------------------------------------------------


def test_the_account_is_mailed_when_its_server_is_gone(
    webhook, officer, sandbox, settings, django_capture_on_commit_callbacks
):
    settings.EMAIL_BACKEND = "anymail.backends.amazon_ses.EmailBackend"
    sandbox.control(webhooks={"status": 410})
    Webhook.objects.update(url=f"{sandbox.url}/webhooks/t0p")
    webhooks.send_test(webhook, by=officer)
    with django_capture_on_commit_callbacks(execute=True):
        webhooks.serve(webhook.pk, seconds=5)

    [mail] = sandbox.outbox(channel="email")
    assert mail["to"] == officer.email
    assert mail["subject"] == "Webhook paused: 127.0.0.1"
    for part in (mail["text"], mail["html"]):
        assert "the messages that your systems send with your API keys: it answered" in part
        assert "http://localhost:8000/settings/webhooks" in part
        assert "t0p" not in part
