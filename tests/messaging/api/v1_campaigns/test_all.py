"""The campaigns of an account, `/v1/campaigns` (v1-backend §2.2, §3.3)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.models import Campaign, Membership
from messaging.models import Batch
from postman.accounts import keys
from tests.factories import CampaignFactory, EmailCampaignFactory, UserFactory
from tests.messaging.api.v1_campaigns.workers import refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def listed(call):
    def ask(**query):
        answer = call("get", "/campaigns", query)
        assert answer.status_code == 200, answer.json()
        return [each["name"] for each in answer.json()["campaigns"]]

    return ask


def batch_of(campaign, status, **facts):
    return Batch.objects.create(
        campaign=campaign,
        creator=campaign.creator,
        status=status,
        original_file_name="people.csv",
        total_messages=3,
        **facts,
    )


# Making ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Visits"},
        {"name": "", "type": "EMAIL"},
        {"name": "   ", "type": "EMAIL"},
        {"name": "x" * 256, "type": "EMAIL"},
        {"name": "x" * 255 + " ", "type": "EMAIL"},
        {"name": 7, "type": "EMAIL"},
        {"name": "Visits\x01", "type": "EMAIL"},
        {"name": "\u202estisiV", "type": "EMAIL"},
        {"name": "Visits", "type": "FAX"},
        {"name": "Visits", "type": "EMAIL", "protect": "no"},
        {"name": "Visits", "type": "EMAIL", "demo_message_limit": 3},
        {"name": "Visits", "type": "EMAIL", "surprise": 1},
        [],
        "Visits",
    ],
)
def test_a_campaign_that_is_not_described_right_is_not_made(call, body):
    refused(call("post", "/campaigns", body), 400, "api_validation")
    assert not Campaign.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Visits", "type": "EMAIL", "protect": True},
        {"name": "Visits", "type": "SMS", "protect": True},
        {"name": "Visits", "type": "GOVSG"},
    ],
)
def test_what_only_the_browser_can_make_is_refused(call, body):
    refused(call("post", "/campaigns", body), 403, "unauthorized")
    assert not Campaign.objects.exists()


def test_whoever_may_create_no_campaigns_makes_none_here_either(call, account):
    account.can_create_campaigns = False
    account.save()

    refused(call("post", "/campaigns", {"name": "Visits", "type": "EMAIL"}), 403, "unauthorized")


def test_a_call_without_a_key_is_told_so(client):
    refused(client.get("/v1/campaigns"), 401, "unauthenticated")


def test_a_name_is_one_line_as_it_is_the_subject_of_mails(call, account):
    number = call(
        "post", "/campaigns", {"name": "Visits\nBcc: a@example.org", "type": "EMAIL"}
    ).json()["id"]
    call("put", f"/campaigns/{number}", {"name": "Visits\r\nin\u2028May"})

    assert Campaign.objects.get(number=number).name == "Visits in May"


def test_the_name_is_kept_without_the_spaces_around_it(call):
    answer = call("post", "/campaigns", {"name": "  Visits ", "type": "SMS"})

    assert answer.json()["name"] == "Visits"


def test_a_campaign_is_made_once_under_one_idempotency_key(call):
    body, key = {"name": "Visits", "type": "EMAIL"}, {"Idempotency-Key": "visits-1"}

    first, second = (call("post", "/campaigns", body, headers=key) for _ in range(2))

    assert first.json() == second.json()
    assert Campaign.objects.count() == 1


# The list --------------------------------------------------------------------------------------


def test_an_account_sees_what_it_owns_and_nothing_else(listed, account):
    EmailCampaignFactory(creator=account, name="Mine")
    EmailCampaignFactory(name="Another's")
    joined = EmailCampaignFactory(name="Joined")
    Membership.objects.create(campaign=joined, user=account, role="member")
    EmailCampaignFactory(creator=account, name="Deleted", deleted_at=timezone.now())
    EmailCampaignFactory(creator=account, name="API calls", is_programmatic=True)

    assert listed() == ["Mine"]


def test_a_campaign_in_the_list_tells_where_it_stands(call, account):
    campaign = EmailCampaignFactory(creator=account, name="Mine")
    at = timezone.now() + timedelta(days=1)
    batch = batch_of(campaign, "scheduled", scheduled_at=at)

    answer = call("get", "/campaigns").json()

    def stamp(moment):
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    assert answer == {
        "campaigns": [
            {
                "id": campaign.number,
                "name": "Mine",
                "type": "EMAIL",
                "created_at": stamp(campaign.created_at),
                "valid": False,
                "has_credential": True,
                "halted": False,
                "protect": False,
                "redacted": False,
                "demo_message_limit": None,
                "should_bcc_to_me": False,
                "job_queue": [
                    {
                        "status": "READY",
                        "visible_at": stamp(at),
                        "sent_at": stamp(batch.updated_at),
                        "status_updated_at": stamp(batch.updated_at),
                    }
                ],
            }
        ],
        "total_count": 1,
    }


def test_the_list_is_filtered_by_type_name_and_status(listed, account):
    CampaignFactory(creator=account, name="Text")
    draft, sending, sent, scheduled = (
        EmailCampaignFactory(creator=account, name=name)
        for name in ("Draft", "Sending", "Sent", "Scheduled")
    )
    now = timezone.now()
    batch_of(draft, "ready")
    batch_of(sending, "messages_enqueued", accepted_at=now)
    batch_of(sent, "messages_enqueued", accepted_at=now, dispatched_at=now)
    batch_of(scheduled, "scheduled", scheduled_at=now + timedelta(days=1))

    assert listed(type="SMS") == ["Text"]
    assert listed(name="SEND") == ["Sending"]
    assert listed(status="Draft", type="EMAIL") == ["Draft"]
    assert listed(status="Sending") == ["Sending"]
    assert listed(status="Sent") == ["Sent"]
    assert listed(status="Scheduled") == ["Scheduled"]


def test_the_list_is_sorted_and_paged_with_files_counting_for_nothing(call, listed, account):
    for name in ("A", "B", "C"):
        campaign = EmailCampaignFactory(creator=account, name=name)
        for _ in range(3):
            batch_of(campaign, "messages_enqueued", accepted_at=timezone.now())

    assert listed() == ["C", "B", "A"]
    assert listed(order_by="ASC", limit=2) == ["A", "B"]
    assert listed(sort_by="sent_at", offset=1, limit=1) == ["B"]
    assert call("get", "/campaigns", {"limit": 1}).json()["total_count"] == 3


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "x"},
        {"limit": ""},
        {"type": ""},
        {"offset": -1},
        {"type": "email"},
        {"status": "Halted"},
        {"name": "x" * 256},
        {"name": "\0"},
        {"sort_by": "name"},
        {"order_by": "down"},
        {"surprise": 1},
        {"limit": [1, 2]},
    ],
)
def test_a_list_that_is_not_asked_for_right_is_refused(call, query):
    refused(call("get", "/campaigns", query), 400, "api_validation")


def test_a_hundred_campaigns_take_as_many_queries_as_one(
    call, account, django_assert_max_num_queries
):
    for n in range(20):
        batch_of(EmailCampaignFactory(creator=account, name=str(n)), "ready")

    with django_assert_max_num_queries(12):
        call("get", "/campaigns", {"limit": 100})


# Renaming, deleting, cancelling ----------------------------------------------------------------


def test_a_campaign_is_renamed(call, account):
    campaign = EmailCampaignFactory(creator=account)

    answer = call("put", f"/campaigns/{campaign.number}", {"name": "Visits in May"})

    assert (answer.status_code, answer.json()["name"]) == (200, "Visits in May")
    assert Campaign.objects.get().name == "Visits in May"


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"should_bcc_to_me": True}, {"should_save_list": True}, {"id": 7}]
)
def test_what_a_campaign_cannot_be_made_is_refused(call, account, body):
    campaign = EmailCampaignFactory(creator=account)

    refused(call("put", f"/campaigns/{campaign.number}", body), 400, "api_validation")


def test_a_deleted_campaign_is_gone(call, account):
    campaign = EmailCampaignFactory(creator=account)

    answer = call("delete", f"/campaigns/{campaign.number}")

    assert (answer.status_code, answer.json()) == (200, {"id": str(campaign.number)})
    assert Campaign.objects.get().deleted_at
    refused(call("delete", f"/campaigns/{campaign.number}"), 403, "unauthorized")


def test_cancelling_a_draft_leaves_it_one(call, account):
    campaign = EmailCampaignFactory(creator=account)

    assert call("post", f"/campaigns/{campaign.number}/cancel").status_code == 200


def test_cancelling_what_is_being_sent_keeps_the_rest(call, account):
    campaign = EmailCampaignFactory(creator=account)
    batch = batch_of(campaign, "messages_enqueued", accepted_at=timezone.now())

    assert call("post", f"/campaigns/{campaign.number}/cancel").status_code == 200
    batch.refresh_from_db()
    assert batch.stopped_at
    assert batch.cancelled_at
    assert call("post", f"/campaigns/{campaign.number}/cancel").status_code == 200


def test_what_has_left_cannot_be_cancelled(call, account):
    campaign, now = EmailCampaignFactory(creator=account), timezone.now()
    batch_of(campaign, "messages_enqueued", accepted_at=now, dispatched_at=now)

    refused(call("post", f"/campaigns/{campaign.number}/cancel"), 403, "already_sent")


# Others' -----------------------------------------------------------------------------------------

CALLS = [
    ("put", "/campaigns/{}", {"name": "Mine now"}),
    ("delete", "/campaigns/{}", None),
    ("post", "/campaigns/{}/cancel", None),
    ("get", "/campaign/{}", None),
    ("get", "/campaign/{}/stats", None),
    ("get", "/campaign/{}/email", None),
    ("put", "/campaign/{}/email/template", {"subject": "a", "body": "b", "reply_to": None}),
    ("get", "/campaign/{}/email/upload/start?mime_type=text/csv&md5=x", None),
    ("post", "/campaign/{}/email/upload/complete", {"transaction_id": "x", "filename": "a.csv"}),
    ("get", "/campaign/{}/email/upload/status", None),
    ("delete", "/campaign/{}/email/upload/status", None),
    ("post", "/campaign/{}/email/credentials", {"recipient": "a@health.gov.sg"}),
    ("get", "/campaign/{}/email/preview", None),
    ("post", "/campaign/{}/email/send", {}),
    ("post", "/campaign/{}/email/retry", None),
    ("get", "/campaign/{}/email/stats", None),
    ("post", "/campaign/{}/email/refresh-stats", None),
    ("get", "/campaign/{}/email/export", None),
    ("post", "/campaign/{}/email/duplicate", {"name": "Mine"}),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_anothers_campaign_and_one_that_never_was_look_the_same(call, account, method, path, body):
    others = EmailCampaignFactory()
    Membership.objects.create(campaign=others, user=account, role="member")
    batch_of(others, "scheduled", scheduled_at=timezone.now() + timedelta(days=1))

    answers = [
        call(method, path.format(number), body)
        for number in (others.number, others.number + 1000, 0, "x", 10**30, "-1")
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {
        (403, "unauthorized")
    }
    assert len({answer.json()["message"] for answer in answers}) == 1
    assert Batch.objects.get().status == "scheduled"
    assert Campaign.objects.count() == 1


@pytest.mark.parametrize("type_", ["sms", "telegram", "govsg"])
def test_a_campaign_of_another_type_is_none(call, account, type_):
    campaign = EmailCampaignFactory(creator=account)

    refused(call("get", f"/campaign/{campaign.number}/{type_}"), 403, "unauthorized")


def test_a_member_who_is_no_owner_any_more_changes_nothing(client, account):
    campaign = EmailCampaignFactory(creator=account)
    _, secret = keys.create(account, label="System", contacts=[account.email])
    Membership.objects.create(campaign=campaign, user=UserFactory(), role="owner")
    Membership.objects.filter(user=account).update(role="member")

    answer = client.post(
        f"/v1/campaigns/{campaign.number}/cancel", headers={"Authorization": f"Bearer {secret}"}
    )

    refused(answer, 403, "unauthorized")


# Without a type ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("", ""),
        ("/stats", "/stats"),
        ("/upload/status", "/upload/status"),
        (
            "/upload/start?md5=a%2Bb&mime_type=text/csv",
            "/upload/start?md5=a%2Bb&mime_type=text/csv",
        ),
    ],
)
def test_an_address_without_the_type_leads_to_the_one_with_it(call, account, path, leads_to):
    campaign = CampaignFactory(creator=account)

    answer = call("get", f"/campaign/{campaign.number}{path}")

    assert answer.status_code == 307
    assert answer.headers["Location"] == f"/v1/campaign/{campaign.number}/sms{leads_to}"


def test_a_changing_call_is_repeated_there_as_it_was(call, account):
    campaign = EmailCampaignFactory(creator=account)

    assert call("post", f"/campaign/{campaign.number}/send", {}).status_code == 307
    assert call("get", f"/campaign/{campaign.number}/email/nothing").status_code == 404


# How often -----------------------------------------------------------------------------------------


def test_reading_counts_among_the_calls_a_second(call, account):
    account.calls_per_second = 1
    account.save()

    first, second = (call("get", "/campaigns") for _ in range(2))

    assert (first.status_code, first["RateLimit-Remaining"]) == (200, "0")
    refused(second, 429, "rate_limit")
    assert second["Retry-After"]
