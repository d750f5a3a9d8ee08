"""Every page and every action: who is turned away, and how."""

import pytest
from django.test import Client
from django.urls import reverse

from messaging.models import Batch
from postman.accounts.models import AuditEvent
from tests.factories import CampaignFactory, UserFactory
from tests.messaging.rows import make_batch, make_message, member

PAGES = [
    "campaign",
    "campaign-batches",
    "campaign-stats",
    "campaign-log",
    "compose-single",
    "compose-multiple",
    "csv-template",
]
OF_A_BATCH = ["batch", "batch-log", "batch-report"]
ACTIONS = ["batch-send", "batch-schedule", "batch-unschedule", "batch-discard"]


@pytest.fixture
def addresses(campaign):
    batch = make_batch(campaign, "messages_enqueued", report="reports/x.csv")
    message = make_message(campaign, batch=batch, row=2)
    return (
        {name: reverse(name, args=[campaign.pk]) for name in PAGES}
        | {name: reverse(name, args=[campaign.pk, batch.pk]) for name in OF_A_BATCH + ACTIONS}
        | {"message": reverse("message", args=[campaign.pk, message.pk])}
    )


def ask(client, name, url):
    return client.post(url) if name in ACTIONS else client.get(url)


@pytest.mark.parametrize("name", [*PAGES, *OF_A_BATCH, *ACTIONS, "message"])
def test_whoever_is_not_signed_in_is_sent_to_sign_in(addresses, name):
    answer = ask(Client(), name, addresses[name])

    assert answer.status_code == 302
    assert answer.url.startswith(reverse("login"))


@pytest.mark.parametrize("name", [*PAGES, *OF_A_BATCH, *ACTIONS, "message"])
def test_to_a_stranger_the_campaign_does_not_exist(client_of, addresses, name):
    assert ask(client_of(UserFactory()), name, addresses[name]).status_code == 404


@pytest.mark.parametrize("name", [*OF_A_BATCH, *ACTIONS, "message"])
def test_a_restricted_member_finds_nothing_of_others(client_of, campaign, addresses, name):
    clerk = member(campaign, "member_restricted")

    assert ask(client_of(clerk), name, addresses[name]).status_code == 404


@pytest.mark.parametrize("name", ["batch", *ACTIONS])
def test_a_batch_is_not_found_under_another_campaign(client_of, officer, campaign, name):
    batch = make_batch(campaign)
    other = CampaignFactory(creator=officer)

    answer = ask(client_of(officer), name, reverse(name, args=[other.pk, batch.pk]))

    assert answer.status_code == 404


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_are_not_done_by_following_a_link(client_of, officer, campaign, name):
    batch = make_batch(campaign)

    answer = client_of(officer).get(reverse(name, args=[campaign.pk, batch.pk]))

    assert answer.status_code == 405
    assert Batch.objects.get(pk=batch.pk).status == "ready"


@pytest.mark.parametrize("name", [*ACTIONS, "compose-single", "compose-multiple"])
def test_a_form_of_another_site_is_refused(officer, campaign, name):
    batch = make_batch(campaign)
    client = Client(enforce_csrf_checks=True)
    client.force_login(officer)
    args = [campaign.pk, batch.pk] if name in ACTIONS else [campaign.pk]

    answer = client.post(reverse(name, args=args), {"file": ""})

    assert answer.status_code == 403
    assert Batch.objects.get(pk=batch.pk).status == "ready"


@pytest.mark.parametrize("name", PAGES)
def test_a_member_may_open_every_page_and_download_without_changing_anything(
    client_of, campaign, name
):
    answer = client_of(member(campaign)).get(reverse(name, args=[campaign.pk]))

    assert answer.status_code == 200
    logged = ["log.downloaded"] if name == "campaign-log" else []
    assert list(AuditEvent.objects.values_list("action", flat=True)) == logged
