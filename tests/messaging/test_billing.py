import csv
import io
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.email import pinning
from campaigns.membership import delete_campaign
from campaigns.models import Campaign
from messaging import billing, tasks
from messaging.models import Charge, ChargedDay, Message
from postman.accounts.models import AuditEvent
from postman.ids import first_id_of
from tests.factories import CampaignFactory, UserFactory
from tests.messaging.rows import make_attempt, make_message, member

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)  # noon in Singapore
NOVEMBER = date(2026, 11, 1)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def campaign(clock, campaign):
    return campaign


@pytest.fixture
def administrator(officer):
    return UserFactory(
        email="pic@health.gov.sg", agency=officer.agency, is_agency_administrator=True
    )


def sent(campaign, outcome="success", recipient="6591234567", *, segments=1, at=NOON, message=None):
    """One attempt made at this time; with `message`, a retry of it."""
    message = message or make_message(campaign, recipient=recipient, segments=segments)
    is_status = outcome in ("success", "sent_to_telco", "sent", "unknown", "enqueued", "sending")
    facts = {"status": outcome} if is_status else {"status": "failure", "error_code": outcome}
    # As claim makes them: the id a moment after the time.
    id_ = UUID(int=first_id_of(at).int | uuid4().int & (1 << 62) - 1)
    number = message.attempts_made + 1
    make_attempt(message, number=number, id=id_, created_at=at, **facts)
    return message


def charges(*fields):
    return sorted(Charge.objects.values_list(*fields))


def count():
    billing.charge_days(seconds=60)


# --- What a day comes to --------------------------------------------------------------------------


# v2-sms §13.22
def test_a_day_is_charged_by_segment_country_and_outcome(campaign):
    sent(campaign, segments=2)
    sent(campaign, segments=1)
    sent(campaign, "recipient_unavailable", segments=3)
    sent(campaign, "server_unknown_error", segments=7)
    sent(campaign, "delivery_unknown_error", segments=8)
    sent(campaign, "sent_to_telco", segments=5)
    sent(campaign, "sent_to_telco", "60123456789", segments=5)
    sent(campaign, "unknown", "60123456789", segments=9)

    count()

    assert charges("is_local", "outcome", "sends", "segments", "micros") == [
        (False, "pending", 1, 9, 0),
        (False, "sent_to_telco", 1, 5, 1_150_000),
        (True, "delivery_unknown_error", 1, 8, 0),
        (True, "recipient_unavailable", 1, 3, 138_000),
        (True, "sent_to_telco", 1, 5, 0),
        (True, "server_unknown_error", 1, 7, 0),
        (True, "success", 2, 3, 138_000),
    ]


def test_emails_cost_nothing(email_campaign):
    body = pinning.pin(email_campaign)
    message = Message.objects.create(
        campaign=email_campaign,
        template_body=body,
        creator=email_campaign.creator,
        recipient="mei@example.org",
        values={},
        segments=1,
    )
    sent(email_campaign, message=message)

    billing.charge_days(seconds=10)

    assert not Charge.objects.exists()


def test_each_try_is_charged_by_its_own_outcome(campaign):
    message = sent(campaign, "recipient_unavailable")
    sent(campaign, "server_unknown_error", message=message)
    sent(campaign, "success", message=message)

    count()

    assert charges("outcome", "sends", "micros") == [
        ("recipient_unavailable", 1, 46_000),
        ("server_unknown_error", 1, 0),
        ("success", 1, 46_000),
    ]


def test_staff_campaigns_are_billed_by_their_own_twilio_account(campaign):
    Campaign.objects.update(recipient_type="internal_staff")
    sent(campaign)

    count()

    assert not Charge.objects.exists()


def test_other_sites_count_and_charge_nothing(campaign, settings):
    settings.SMS_PRICES = {"local": 0, "foreign": 0}
    sent(campaign, segments=4)

    count()

    assert charges("outcome", "segments", "micros") == [("success", 4, 0)]


def test_a_message_that_waits_was_not_sent(campaign):
    make_message(campaign)

    count()

    assert not Charge.objects.exists()


def test_days_begin_at_midnight_in_singapore(campaign):
    midnight = datetime(2026, 11, 19, 16, 0, tzinfo=UTC)
    sent(campaign, at=midnight - timedelta(milliseconds=1))
    sent(campaign, at=midnight)

    count()

    assert charges("day", "sends") == [(date(2026, 11, 19), 1), (date(2026, 11, 20), 1)]


# --- When days are counted ------------------------------------------------------------------------


def test_counting_twice_counts_once(campaign, clock):
    sent(campaign, segments=2)
    count()
    before = charges("campaign", "day", "outcome", "sends", "segments", "micros")
    clock.shift(timedelta(minutes=2))

    count()

    assert charges("campaign", "day", "outcome", "sends", "segments", "micros") == before
    assert ChargedDay.objects.get().as_of == NOON + timedelta(minutes=2)


def test_a_late_report_changes_a_day_that_is_not_final(campaign, clock):
    message = sent(campaign, "sent")
    count()
    clock.shift(2 * DAY)
    message.attempts.update(status="success")

    count()

    assert charges("day", "outcome", "micros") == [(date(2026, 11, 20), "success", 46_000)]


def test_figures_are_final_three_days_after_the_day(campaign, clock, settings):
    message = sent(campaign)
    clock.shift(4 * DAY)
    count()
    message.attempts.update(status="failure", error_code="server_unknown_error")
    settings.SMS_PRICES = {"local": 1, "foreign": 1}
    clock.shift(DAY)

    count()
    billing.charge_day(date(2026, 11, 20), NOON + 5 * DAY)

    assert charges("outcome", "micros") == [("success", 46_000)]
    assert ChargedDay.objects.filter(is_final=True).order_by("-day").first().day == date(
        2026, 11, 21
    )


def test_days_that_nobody_counted_in_time_are_made_up_for(campaign, clock):
    sent(campaign, at=NOON - 40 * DAY)
    sent(campaign, at=NOON - 10 * DAY)

    count()

    assert charges("day", "sends") == [(date(2026, 10, 11), 1), (date(2026, 11, 10), 1)]
    assert ChargedDay.objects.count() == 41


def test_past_days_are_counted_once_a_day_and_today_at_most_each_minute(campaign, clock):
    sent(campaign, at=NOON - DAY)
    count()
    clock.shift(timedelta(seconds=50))
    count()
    assert set(ChargedDay.objects.values_list("as_of", flat=True)) == {NOON}
    clock.shift(timedelta(seconds=20))

    tasks.charge_days()

    as_of = dict(ChargedDay.objects.values_list("day", "as_of"))
    assert as_of == {date(2026, 11, 19): NOON, date(2026, 11, 20): NOON + timedelta(seconds=70)}


def test_nothing_sent_is_nothing_to_count():
    count()

    assert not ChargedDay.objects.exists()


# --- Pages ----------------------------------------------------------------------------------------


def test_an_administrator_sees_the_agencys_month_by_campaign(
    client_of, administrator, campaign, officer
):
    other = CampaignFactory(creator=officer, name="Vaccinations")
    sent(campaign, segments=2)
    sent(other, "sent_to_telco", "60123456789", segments=3)
    sent(other, "server_unknown_error", segments=4)
    sent(CampaignFactory(name="Elsewhere"), segments=100)
    count()

    answer = client_of(administrator).get(reverse("agency-billing"))

    bill = answer.context["bill"]
    assert bill.month == NOVEMBER
    assert bill.total == billing.Sums(
        sends=3, local_segments=2, foreign_segments=3, free_segments=4, micros=782_000
    )
    assert [(c.name, sums.micros) for c, sums in bill.by_campaign] == [
        ("Vaccinations", 690_000),
        ("Appointments", 92_000),
    ]
    html = answer.content.decode()
    assert "SGD\u00a00.782" in html
    assert "Elsewhere" not in html


def test_a_deleted_campaign_stays_in_the_bill(client_of, administrator, campaign, officer):
    sent(campaign)
    delete_campaign(campaign, typed_name="Appointments", by=officer)
    count()

    whole = client_of(administrator).get(reverse("agency-billing"))
    alone = client_of(administrator).get(reverse("campaign-billing", args=[campaign.pk]))

    assert "(deleted)" in whole.content.decode()
    assert whole.context["bill"].total.micros == 46_000
    assert alone.context["bill"].total.micros == 46_000
    assert (
        client_of(officer).get(reverse("campaign-billing", args=[campaign.pk])).status_code == 404
    )


def test_another_month_is_chosen_by_its_name(client_of, administrator, campaign, clock):
    sent(campaign)
    count()
    clock.shift(15 * DAY)
    page = reverse("agency-billing")
    browser = client_of(administrator)

    december = browser.get(page)
    november = browser.get(page, {"month": "2026-11"})
    nonsense = browser.get(page, {"month": "1066-10"})

    assert december.context["months"] == [date(2026, 12, 1), NOVEMBER]
    assert "No message was sent to the public in this month." in december.content.decode()
    assert november.context["bill"].total.micros == 46_000
    assert nonsense.context["bill"].month == date(2026, 12, 1)


def test_the_page_says_how_far_the_figures_are_final(client_of, administrator, campaign, clock):
    sent(campaign, at=NOON - 10 * DAY)
    count()
    page = reverse("agency-billing")

    so_far = client_of(administrator).get(page).content.decode()
    clock.shift(20 * DAY)
    count()
    done = client_of(administrator).get(page, {"month": "2026-11"}).content.decode()

    assert "Final up to 16 November." in so_far
    assert "These figures are final." in done


def test_other_sites_say_that_they_cost_nothing(client_of, administrator, campaign, settings):
    settings.POSTMAN_ENVIRONMENT = "test"

    page = client_of(administrator).get(reverse("agency-billing")).content.decode()

    assert "Messages of this site cost nothing." in page


def test_an_owner_sees_the_bill_of_the_campaign(client_of, officer, campaign):
    sent(campaign, "content_invalid", segments=2)
    count()

    answer = client_of(officer).get(reverse("campaign-billing", args=[campaign.pk]))

    [row] = answer.context["bill"].by_outcome
    assert (row["line"].outcome, row["segments"], row["micros"]) == ("content_invalid", 2, 92_000)
    assert answer.context["is_member"] is True


def test_the_file_tells_the_same_line_by_line(client_of, administrator, campaign):
    Campaign.objects.update(name="=Appointments")
    sent(campaign, segments=3)
    sent(campaign, "delivery_unknown_error", "60123456789", segments=2)
    count()

    answer = client_of(administrator).get(reverse("agency-billing-csv"), {"month": "2026-11"})

    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(text))
    named = ["2026-11", campaign.public_id, "'=Appointments", ""]
    assert rows == [
        [*named, "local", "success", "yes", "1", "3", "0.138"],
        [*named, "foreign", "delivery_unknown_error", "no", "1", "2", "0"],
    ]
    assert len(header) == len(rows[0])
    event = AuditEvent.objects.get(action="bill.downloaded")
    assert (event.actor, event.details) == (administrator, {"month": "2026-11"})


PAGES = ["agency-billing", "agency-billing-csv", "campaign-billing", "campaign-billing-csv"]


def address(name, campaign):
    return reverse(name, args=[campaign.pk] if name.startswith("campaign") else [])


@pytest.mark.parametrize("name", PAGES)
def test_whoever_is_not_signed_in_is_sent_to_sign_in(client, campaign, name):
    assert client.get(address(name, campaign)).url.startswith(reverse("login"))


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("role", [None, "member", "member_restricted"])
def test_the_bill_does_not_exist_for_those_it_is_not_sent_to(client_of, campaign, name, role):
    person = member(campaign, role) if role else UserFactory(agency=campaign.agency)

    assert client_of(person).get(address(name, campaign)).status_code == 404


@pytest.mark.parametrize("name", ["campaign-billing", "campaign-billing-csv"])
def test_another_agencys_administrator_finds_no_bill(client_of, campaign, name):
    stranger = UserFactory(is_agency_administrator=True)
    of_nowhere = UserFactory(agency=None, is_agency_administrator=True)

    assert client_of(stranger).get(address(name, campaign)).status_code == 404
    assert client_of(of_nowhere).get(address(name, campaign)).status_code == 404


def test_another_agencys_administrator_sees_a_bill_without_our_campaigns(client_of, campaign):
    sent(campaign)
    count()
    stranger = UserFactory(is_agency_administrator=True)

    answer = client_of(stranger).get(reverse("agency-billing"))

    assert answer.context["bill"].lines == []


@pytest.mark.parametrize("campaigns", [1, 3])
def test_the_page_reads_no_message_and_keeps_its_query_count(
    client_of, administrator, officer, campaigns
):
    for _ in range(campaigns):
        sent(CampaignFactory(creator=officer))
    count()
    browser, page = client_of(administrator), reverse("agency-billing")
    browser.get(page)

    with CaptureQueriesContext(connection) as queries:
        browser.get(page)

    assert not [q for q in queries if "messaging_message" in q["sql"]]
    assert not [q for q in queries if "messaging_attempt" in q["sql"]]
    assert len(queries) == 7
