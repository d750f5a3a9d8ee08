import pytest

from messaging.models import Message, ProviderEvent
from tests.factories import UserFactory
from tests.messaging.rows import make_batch, make_message


@pytest.fixture
def support(client_of, db):
    return client_of(UserFactory(is_staff=True, is_superuser=True))


def test_support_finds_a_message_by_its_id_with_the_number_masked(support, campaign):
    message = make_message(campaign, status="failure", recipient="6591234567")
    other = make_message(campaign)

    html = support.get("/admin/messaging/message/", {"q": message.public_id}).content.decode()
    assert message.public_id in html
    assert other.public_id not in html

    html += support.get(f"/admin/messaging/message/{message.pk}/change/").content.decode()
    assert "65••••4567" in html
    assert "6591234567" not in html
    assert "Mei Ling" not in html


@pytest.mark.parametrize("model", ["batch", "message", "attempt", "providerevent"])
@pytest.mark.parametrize("typed", ["", "nonsense", "message_x"])
def test_nothing_is_listed_that_was_not_asked_for_by_id(support, campaign, model, typed):
    make_message(campaign, status="failure", batch=make_batch(campaign), row=2)

    answer = support.get(f"/admin/messaging/{model}/", {"q": typed})

    assert answer.context["cl"].result_count == 0


def test_a_batch_its_attempts_and_their_events_are_found(support, campaign):
    batch = make_batch(campaign)
    message = make_message(campaign, status="failure")
    attempt = message.attempts.get()
    ProviderEvent.objects.create(
        provider="twilio", event_id="1", attempt_id=attempt.pk, kind="failed"
    )

    def found(model, typed):
        return support.get(f"/admin/messaging/{model}/", {"q": typed}).context["cl"].result_count

    assert found("batch", campaign.public_id) == found("batch", str(batch.pk)) == 1
    assert found("attempt", message.public_id) == found("attempt", str(attempt.pk)) == 1
    assert found("providerevent", str(attempt.pk)) == 1
    assert support.get(f"/admin/messaging/batch/{batch.pk}/change/").status_code == 200
    assert support.get(f"/admin/messaging/attempt/{attempt.pk}/change/").status_code == 200


def test_support_can_change_nothing(support, campaign):
    message = make_message(campaign)
    address = f"/admin/messaging/message/{message.pk}"

    assert support.post(f"{address}/change/", {"status": "success"}).status_code == 403
    assert support.post(f"{address}/delete/", {"post": "yes"}).status_code == 403
    assert support.get("/admin/messaging/message/add/").status_code == 403
    assert Message.objects.get().status == "created"


def test_officers_have_no_admin(client_of, officer, campaign):
    assert client_of(officer).get("/admin/messaging/message/").status_code == 302
