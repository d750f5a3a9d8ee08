import pytest
from django.utils import timezone

from campaigns.models import TwilioCredentials
from messaging import providers
from messaging.channels.base import Callback, InvalidSignature
from messaging.channels.loadtest import Loadtest, LoadtestMail
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Message
from tests.messaging.builders import accepted_batch, report, single
from tests.messaging.emails import expanded, ready_batch

pytestmark = pytest.mark.django_db


@pytest.fixture
def loadtest(settings):
    settings.CHANNELS = settings.LOADTEST_CHANNELS
    providers.channel_of.cache_clear()
    yield
    providers.channel_of.cache_clear()


def test_every_message_is_taken_and_none_leaves(campaign, sandbox, loadtest):
    batch = accepted_batch(campaign, 3)
    single(campaign)

    send_chunk(batch.id)
    send_chunk(None)

    assert set(Message.objects.values_list("status", flat=True)) == {"sent"}
    references = set(Attempt.objects.values_list("reference", flat=True))
    assert references == {f"loadtest-{attempt.id}" for attempt in Attempt.objects.all()}
    assert len(references) == 4
    assert sandbox.outbox(channel="sms") == []


def test_an_agencys_own_account_is_left_alone_as_well(campaign, sandbox, loadtest):
    TwilioCredentials.objects.create(
        campaign=campaign,
        account_sid="AC" + "1" * 32,
        api_key_sid="SK" + "1" * 32,
        api_secret="secret",
        messaging_service_sid="MG" + "1" * 32,
        auth_token="token",
        verified_at=timezone.now(),
    )
    single(campaign)

    send_chunk(None)

    assert Message.objects.get().status == "sent"
    assert sandbox.outbox(channel="sms") == []


def test_emails_are_taken_as_well(email_campaign, sandbox, loadtest):
    batch = ready_batch(email_campaign, status="messages_enqueuing", accepted_at=timezone.now())

    send_chunk(expanded(batch).id)

    assert set(Message.objects.values_list("status", flat=True)) == {"sent"}
    assert sandbox.outbox(channel="email") == []
    assert LoadtestMail().clean_recipient("Mei@Example.org") == "mei@example.org"
    with pytest.raises(ValueError, match="@"):
        LoadtestMail().clean_recipient("6581230001")


def test_a_report_on_a_message_of_a_load_test_is_not_believed(campaign, settings, loadtest):
    single(campaign)
    send_chunk(None)
    attempt = Attempt.objects.get()
    settings.CHANNELS = {
        "sms": settings.LOADTEST_CHANNELS["sms"]
        | {"OPTIONS": {"account_sid": "AC" + "1" * 32, "auth_token": "a guess"}}
    }

    assert report(attempt, "delivered") == 403

    assert Message.objects.get().status == "sent"


def test_recipients_are_checked_as_anywhere_else():
    assert Loadtest().clean_recipient("6581230001") == "6581230001"
    with pytest.raises(ValueError, match="number"):
        Loadtest().clean_recipient("6511111111")
    with pytest.raises(InvalidSignature):
        Loadtest().read_events(Callback("https://postman.gov.sg/callbacks/"))
