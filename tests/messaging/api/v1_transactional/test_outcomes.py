"""What became of a message, as its sender reads it (v1-backend §3.5–§3.8; v1-web-app §22)."""

from itertools import permutations

import pytest
from django.utils import timezone

from messaging import receipts
from messaging.channels.base import Event
from messaging.delivery.pipeline import send_chunk
from messaging.models import Attempt, Message, Suppression, Transactional
from messaging.sandbox.constants import SES_CONFIGURATION_SET, SES_UNTRACKED_CONFIGURATION_SET
from tests.messaging.api.v1_transactional.conftest import code_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(post, get, sandbox):
    """A message that its provider has taken; answers how to report on it and how to read it."""

    def send(kind, provider, **fields):
        number = post(kind, **fields).json()["id"]
        send_chunk(None)

        def tell(status, code=""):
            attempt = Attempt.objects.get(message__transactional=number)
            event = Event(
                f"{attempt.id}{status}{code}",
                attempt.reference,
                attempt.id,
                status,
                code,
                {},
                timezone.now(),
            )
            receipts.keep_events([(provider, attempt.id, event)])
            receipts.apply_events()
            return shown()

        def shown():
            one = get(f"{kind.path}/{number}")
            [listed] = get(kind.path)["data"]
            assert one == listed
            return one

        return tell, shown

    return send


def test_an_email_goes_on_from_taken_to_opened(sent, email):
    tell, shown = sent(email, "ses")

    seen = [shown(), tell("Send"), tell("Delivery"), tell("Open")]

    assert [each["status"] for each in seen] == ["ACCEPTED", "SENT", "DELIVERED", "OPENED"]
    times = ("sent_at", "delivered_at", "opened_at")
    assert [[bool(each[name]) for name in times] for each in seen] == [
        [False, False, False],
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    last = seen[-1]
    assert last["accepted_at"] <= last["sent_at"] <= last["delivered_at"] <= last["opened_at"]
    assert (last["error_code"], last["error_sub_type"]) == (None, None)
    assert last["updated_at"] > seen[0]["updated_at"]


@pytest.mark.parametrize("order", list(permutations(("Send", "Delivery", "Open"))))
def test_no_order_of_its_reports_takes_an_email_back(sent, email, order):
    tell, _ = sent(email, "ses")
    rank = ["ACCEPTED", "SENT", "DELIVERED", "OPENED"]

    seen = [rank.index(tell(kind)["status"]) for kind in order]

    assert seen == sorted(seen)
    assert seen[-1] == rank.index("OPENED")


@pytest.mark.parametrize("late", ["Send", "Delivery", "Open"])
@pytest.mark.parametrize(
    ("kind", "code", "told"),
    [
        ("Bounce", "Permanent/NoEmail", ("BOUNCED", "Hard bounce", "NoEmail")),
        ("Bounce", "Transient/MailboxFull", ("BOUNCED", "Soft bounce", "MailboxFull")),
        ("Bounce", "Undetermined/Undetermined", ("BOUNCED", "Soft bounce", "Undetermined")),
        ("Complaint", "abuse", ("COMPLAINT", "abuse", None)),
        (
            "Complaint",
            "abuse/OnAccountSuppressionList",
            ("COMPLAINT", "abuse", "OnAccountSuppressionList"),
        ),
        ("Complaint", "", ("COMPLAINT", "complaint", None)),
    ],
)
def test_what_went_wrong_stays_whatever_comes_late(sent, email, kind, code, told, late):
    tell, _ = sent(email, "ses")

    tell(kind, code)
    shown = tell(late)

    assert (shown["status"], shown["error_code"], shown["error_sub_type"]) == told


def test_an_email_that_ses_refuses_was_not_sent_and_says_why(sent, get, email):
    _, shown = sent(email, "ses", recipient="rejected@example.org")

    assert (shown()["status"], shown()["error_code"]) == ("UNSENT", "mail_rejected")
    assert shown()["sent_at"] is None
    assert len(get(email.path, "?status=UNSENT")["data"]) == 1


def test_whoever_bounced_for_good_is_written_to_no_more(sent, post, email):
    tell, _ = sent(email, "ses")
    tell("Bounce", "Permanent/General")

    answer = post(email)

    assert code_of(answer) == (400, "invalid_template")
    assert answer.json()["message"].startswith("Blacklisted recipient")
    assert Transactional.objects.count() == 1


def test_whose_mailbox_was_full_may_be_written_to_again(sent, post, email):
    tell, _ = sent(email, "ses")
    tell("Bounce", "Transient/MailboxFull")

    assert post(email).status_code == 201


def test_an_email_taken_before_its_recipient_bounced_elsewhere_is_not_sent(
    post, get, email, sandbox
):
    number = post(email).json()["id"]
    Suppression.objects.create(recipient="pat@example.org", reason="hard_bounce")

    send_chunk(None)

    shown = get(f"{email.path}/{number}")
    assert (shown["status"], shown["error_code"]) == ("UNSENT", "Error 400: Blacklisted recipient")
    assert sandbox.outbox(channel="email") == []
    assert [row["id"] for row in get(email.path, "?status=unsent")["data"]] == [number]


def test_copies_to_whoever_bounced_are_left_out_wherever_they_stand(post, get, email, sandbox):
    Suppression.objects.create(recipient="a@example.org", reason="hard_bounce")

    shown = post(
        email, cc=["a@example.org", "b@example.org"], bcc=["A@example.org", "c@example.org"]
    ).json()
    send_chunk(None)

    assert (shown["cc"], shown["bcc"]) == (["b@example.org"], ["c@example.org"])
    assert get(f"{email.path}/{shown['id']}")["cc"] == ["b@example.org"]
    [mail] = sandbox.outbox(channel="email")
    assert mail["recipients"] == ["pat@example.org", "b@example.org", "c@example.org"]


def test_at_most_fifty_get_one_email(post, email):
    others = [f"p{n}@example.org" for n in range(50)]

    assert post(email, cc=others[:49]).status_code == 201
    assert post(email, cc=others[:24], bcc=others[24:49]).status_code == 201
    for fields in ({"cc": others}, {"bcc": others}, {"cc": others[:1], "bcc": others[1:]}):
        assert code_of(post(email, **fields)) == (400, "too_many_recipients")
    assert Message.objects.count() == 2


def test_one_address_may_be_a_copy_and_a_blind_copy_but_not_twice_the_same(post, email):
    assert post(email, cc=["a@example.org"], bcc=["a@example.org"]).status_code == 201
    assert code_of(post(email, cc=["a@example.org", "A@Example.org"])) == (400, "api_validation")


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("classification", "urgent", "URGENT"),
        ("classification", "For_Action", "FOR_ACTION"),
        ("classification", "FOR_INFO", "FOR_INFO"),
        ("tag", "x" * 255, "x" * 255),
        ("tag", "诊所 & <b>", "诊所 & <b>"),
    ],
)
def test_what_the_caller_marks_it_with_is_kept(post, get, email, field, value, shown):
    answer = post(email, **{field: value}).json()

    assert answer[field] == shown
    assert get(f"{email.path}/{answer['id']}")[field] == shown


def test_what_was_written_is_answered_as_it_was_and_leaves_alone_and_clean(
    post, get, email, sandbox
):
    body = '<p onclick="x()">Hi <b>Pat</b> &amp; {{name}}</p><script>x()</script>'

    shown = post(email, body=body).json()
    send_chunk(None)

    assert shown["params"]["body"] == body
    assert get(f"{email.path}/{shown['id']}")["params"] == shown["params"]
    [mail] = sandbox.outbox(channel="email")
    # No theme around it, no link to unsubscribe: those are of campaigns.
    assert mail["html"] == "<p>Hi <b>Pat</b> &amp; {{name}}</p>"
    assert "List-Unsubscribe" not in mail["headers"]


def test_a_body_may_have_a_megabyte_however_it_comes(client, headers, post, email):
    body = "é" * (512 * 1024)

    assert post(email, body=body).status_code == 201
    assert client.post(email.send, email.good | {"body": body}, headers=headers).status_code == 201
    assert code_of(post(email, body=f"{body}x")) == (400, "api_validation")


@pytest.mark.parametrize(
    ("asked", "configuration_set"),
    [
        ({}, SES_CONFIGURATION_SET),
        ({"disable_tracking": False}, SES_CONFIGURATION_SET),
        ({"disable_tracking": True}, SES_UNTRACKED_CONFIGURATION_SET),
        ({"disable_tracking": "TRUE"}, SES_UNTRACKED_CONFIGURATION_SET),
    ],
)
def test_opening_is_tracked_unless_the_call_says_otherwise(
    post, email, sandbox, asked, configuration_set
):
    post(email, **asked)

    send_chunk(None)

    assert sandbox.outbox(channel="email")[0]["configuration_set"] == configuration_set


# SMS -------------------------------------------------------------------------------------------


def test_an_sms_goes_on_from_taken_to_delivered(sent, sms):
    tell, shown = sent(sms, "twilio")

    seen = [shown(), tell("queued"), tell("sending"), tell("sent"), tell("delivered")]

    assert [each["status"] for each in seen] == [
        "ACCEPTED",
        "ACCEPTED",
        "ACCEPTED",
        "SENT",
        "DELIVERED",
    ]
    last = seen[-1]
    assert last["accepted_at"] <= last["sent_at"] <= last["delivered_at"]
    assert (last["error_code"], last["errored_at"]) == (None, None)
    assert last["message_id"] == Attempt.objects.get().reference
    assert len(last["message_id"]) == 34


@pytest.mark.parametrize("order", list(permutations(("queued", "sent", "delivered"))))
def test_no_order_of_its_reports_takes_an_sms_back(sent, sms, order):
    tell, _ = sent(sms, "twilio")
    rank = ["ACCEPTED", "SENT", "DELIVERED"]

    seen = [rank.index(tell(kind)["status"]) for kind in order]

    assert seen == sorted(seen)
    assert seen[-1] == rank.index("DELIVERED")


@pytest.mark.parametrize("failed", ["failed", "undelivered"])
def test_an_sms_that_failed_says_why_and_stays_failed(sent, get, sms, failed):
    tell, _ = sent(sms, "twilio")

    tell(failed, "30005")
    shown = [tell("sent"), tell("delivered")][-1]

    assert (shown["status"], shown["error_code"]) == ("ERROR", "30005")
    assert shown["errored_at"] == shown["updated_at"]
    assert shown["delivered_at"] is None
    assert len(get(sms.path, "?status=error")["data"]) == 1


def test_a_number_that_twilio_refuses_at_once_is_an_error_with_twilios_code(sent, sms):
    _, shown = sent(sms, "twilio", recipient="81110001")

    assert (shown()["status"], shown()["error_code"]) == ("ERROR", "21211")
    assert shown()["errored_at"]
    assert shown()["sent_at"] is None


# WhatsApp --------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(permutations(("sent", "delivered", "read"))))
def test_no_order_of_its_reports_takes_a_whatsapp_message_back(sent, govsg, order):
    tell, _ = sent(govsg, "whatsapp")
    rank = ["ACCEPTED", "SENT", "DELIVERED", "READ"]

    seen = [rank.index(tell(kind)["status"]) for kind in order]

    assert seen == sorted(seen)
    assert seen[-1] == rank.index("READ")


@pytest.mark.parametrize(("code", "status"), [("131026", "INVALID_RECIPIENT"), ("131049", "ERROR")])
def test_a_whatsapp_message_that_failed_says_why_and_stays_failed(sent, get, govsg, code, status):
    tell, _ = sent(govsg, "whatsapp")

    tell("failed", code)
    shown = [tell("sent"), tell("delivered")][-1]

    assert (shown["status"], shown["error_code"]) == (status, code)
    assert shown["error_description"]
    assert shown["errored_at"] == shown["updated_at"]
    assert len(get(govsg.path, f"?status={status}")["data"]) == 1
