"""Every address of a campaign is its owner's alone, whatever is asked there."""

import re

import pytest
from django.utils import timezone

from campaigns.models import Campaign, Membership
from messaging.api.v1.urls import urlpatterns
from messaging.models import Batch
from tests.factories import EmailCampaignFactory
from tests.messaging.api.v1_campaigns.workers import refused
from tests.messaging.emails import ready_batch

pytestmark = pytest.mark.django_db

OF_ONE = [str(each.pattern) for each in urlpatterns if "number" in str(each.pattern)]
ADDRESSES = [
    # As templates: `{}` is the campaign's number.
    "/"
    + re.sub(r"\(\?P<number>[^)]*\)|<str:number>", "{}", pattern)
    .replace("(?P<type_>email|sms|telegram|govsg)", "email")
    .lstrip("^")
    .removesuffix("$")
    .removesuffix("/?")
    for pattern in OF_ONE
    if "transactional" not in pattern and "rest" not in pattern
] + ["/campaign/{}", "/campaign/{}/send"]


def of_somebody_else(account):
    return EmailCampaignFactory()


def of_a_fellow_member(account):
    campaign = EmailCampaignFactory()
    Membership.objects.create(campaign=campaign, user=account, role="member")
    return campaign


def deleted(account):
    return EmailCampaignFactory(creator=account, deleted_at=timezone.now())


def of_its_calls(account):
    return EmailCampaignFactory(creator=account, is_programmatic=True)


@pytest.mark.parametrize("whose", [of_somebody_else, of_a_fellow_member, deleted, of_its_calls])
def test_no_address_opens_what_is_not_ones_own_to_send(call, account, whose):
    campaign = whose(account)
    ready_batch(campaign)
    campaign.refresh_from_db()
    before = (Campaign.objects.values().get(pk=campaign.pk), Batch.objects.values().get())

    for address in ADDRESSES:
        for answer in answers(call, address.format(campaign.number)):
            refused(answer, 403, "unauthorized")

    assert before == (Campaign.objects.values().get(pk=campaign.pk), Batch.objects.values().get())


def test_who_was_deactivated_opens_nothing(call, account):
    campaign = EmailCampaignFactory(creator=account)
    campaign.refresh_from_db()
    account.is_active = False
    account.save()

    for address in ADDRESSES:
        for answer in answers(call, address.format(campaign.number)):
            refused(answer, 401, "unauthenticated")


def answers(call, address):
    """To every method that the address has."""
    every = [call(method, address, {}) for method in ("get", "post", "put", "delete")]
    heard = [answer for answer in every if answer.status_code != 405]
    assert heard, address
    return heard
