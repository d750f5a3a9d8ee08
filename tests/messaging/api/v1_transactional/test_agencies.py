"""For which agency an account's calls send (v1-backend §1.2)."""

import pytest

from messaging.models import Message
from postman.accounts.models import Agency
from tests.factories import AgencyFactory

pytestmark = pytest.mark.django_db

SWITCHES = {"email": "may_use_email", "sms": "may_use_sms", "govsg": "may_use_whatsapp"}


def test_an_agency_whose_channel_is_switched_off_cannot_send_by_it(post, kind, account):
    Agency.objects.filter(pk=account.agency_id).update(**{SWITCHES[kind.name]: False})

    answer = post(kind)

    assert (answer.status_code, answer.json()["code"]) == (403, "unauthorized")
    assert not Message.objects.exists()


def test_who_moves_to_another_agency_sends_for_that_one_from_then_on(post, email, account):
    first = account.agency
    assert post(email).status_code == 201
    account.agency = AgencyFactory()
    account.save()

    assert post(email).status_code == 201

    sent = Message.objects.order_by("created_at", "id").select_related("campaign__agency")
    assert [message.campaign.agency for message in sent] == [first, account.agency]
