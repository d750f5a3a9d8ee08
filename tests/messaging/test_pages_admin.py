import pytest
from django.contrib.auth.models import Permission

from messaging.models import Message, ProviderEvent, Suppression
from postman.accounts.models import AuditEvent
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


def suppress(recipient="mei@example.org", reason="complaint"):
    return Suppression.objects.create(recipient=recipient, reason=reason, note="Her own words")


def lift(client, *entries):
    data = {"action": "lift", "_selected_action": [entry.pk for entry in entries]}
    return client.post("/admin/messaging/suppression/?q=mei@example.org", data)


def test_a_suppression_is_found_by_its_whole_address_which_is_masked(support):
    entry = suppress()
    suppress("ravi@example.org")

    def found(typed):
        return support.get("/admin/messaging/suppression/", {"q": typed})

    assert found(" Mei@example.org").context["cl"].result_count == 1
    assert [found(typed).context["cl"].result_count for typed in ("", "mei", "%")] == [0, 0, 0]
    html = support.get(f"/admin/messaging/suppression/{entry.pk}/change/").content.decode()
    assert "m•••@example.org" in html
    assert "mei@" not in html
    assert "Her own words" not in html


def test_an_admin_lifts_what_is_everybodys_and_it_is_recorded(support):
    complaint, bounce = suppress(), suppress(reason="hard_bounce")

    lift(support, complaint, bounce)
    lift(support, complaint)

    assert not Suppression.objects.standing().exists()
    admin = AuditEvent.objects.filter(action="suppression.lifted").order_by("id")
    assert [(event.object_id, event.details) for event in admin] == [
        (str(complaint.pk), {"reason": "complaint"}),
        (str(bounce.pk), {"reason": "hard_bounce"}),
    ]
    assert admin[0].actor.is_superuser


def test_support_that_may_only_look_lifts_nothing(client_of, db):
    looker = UserFactory(is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_suppression"))

    lift(client_of(looker), suppress())

    assert Suppression.objects.standing().exists()
