"""The suppression list of an agency: found, added, imported, taken off and downloaded by its officers."""

import csv
import html
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from messaging import suppression
from messaging.models import Suppression
from postman.accounts.models import AuditEvent
from tests.factories import AgencyFactory, EmailCampaignFactory, UserFactory
from tests.messaging.rows import member

pytestmark = pytest.mark.django_db

MEI, RAVI = "mei@example.org", "ravi@example.org"
LIST, IMPORT, CSV = "suppressions", "suppressions-import", "suppressions-csv"


@pytest.fixture
def client(client_of, officer, email_campaign):
    """The browser of an officer who owns an email campaign."""
    return client_of(officer)


@pytest.fixture
def agency(email_campaign):
    return email_campaign.agency


def suppress(agency=None, recipient=MEI, reason="added", **facts):
    return Suppression.objects.create(agency=agency, recipient=recipient, reason=reason, **facts)


def text_of(response):
    return html.unescape(response.content.decode())


def shown(client, **asked):
    """The addresses in the table, in their order."""
    return [entry.recipient for entry in client.get(reverse(LIST), asked).context["page"].rows]


def lines(response):
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


def file_of(*rows, header="recipient,note"):
    content = "\n".join([header, *rows]).encode()
    return {"file": SimpleUploadedFile("people.csv", content)}


def audited(action):
    return [(e.object_id, e.details) for e in AuditEvent.objects.filter(action=action)]


# --- Who ---


def routes(entry):
    return [
        reverse(LIST),
        reverse(IMPORT),
        reverse(CSV),
        reverse("suppression-remove", args=[entry.pk]),
    ]


def test_only_who_owns_a_campaign_of_the_agency_may_look(client_of, email_campaign, agency):
    entry = suppress(agency)
    another = EmailCampaignFactory()
    pic = UserFactory(agency=agency, is_agency_administrator=True)
    others = [
        member(email_campaign),  # of another agency, too
        UserFactory(agency=agency),
        UserFactory(agency=None),
        member(email_campaign, "owner"),  # owns it, but works elsewhere
    ]

    for url in routes(entry):
        assert client_of(pic).get(url).status_code == 200
        for user in others:
            assert client_of(user).get(url).status_code == 404
    assert client_of(another.creator).get(routes(entry)[3]).status_code == 404


def test_nobody_looks_before_signing_in(db, agency):
    for url in routes(suppress(agency)):
        assert Client().get(url).status_code == 302


def test_an_officer_whose_campaign_was_deleted_has_no_list_any_more(client, email_campaign):
    email_campaign.deleted_at = email_campaign.created_at
    email_campaign.save()

    assert client.get(reverse(LIST)).status_code == 404


def test_the_campaign_list_leads_owners_of_emails_there(client, client_of, campaign, agency):
    link = f'href="{reverse(LIST)}"'

    assert link in text_of(client.get(reverse("campaign-list")))
    assert link not in text_of(client_of(UserFactory(agency=agency)).get(reverse("campaign-list")))


# --- What is shown ---


def test_the_newest_stand_first_and_lifted_ones_nowhere(client, agency):
    suppress(agency, MEI)
    suppress(agency, RAVI, "unsubscribed", note="Never signed up for these emails")
    suppression.lift(suppress(agency, "gone@example.org"), by=UserFactory())

    assert shown(client) == [RAVI, MEI]
    assert "Never signed up for these emails" in text_of(client.get(reverse(LIST)))


def test_of_everybodys_list_only_what_ones_own_campaigns_led_to_is_shown(client, email_campaign):
    suppress(None, MEI, "hard_bounce", campaign=email_campaign)
    suppress(None, RAVI, "hard_bounce", campaign=EmailCampaignFactory())
    suppress(AgencyFactory(), "secret@example.org")

    assert shown(client) == [MEI]
    assert "secret@example.org" not in text_of(client.get(reverse(LIST)))


def test_whoever_asks_for_an_address_learns_whether_anybody_may_write_to_it(client):
    suppress(None, RAVI, "complaint", campaign=EmailCampaignFactory(name="Hush"))

    found = text_of(client.get(reverse(LIST), {"search": " Ravi@Example.org "}))
    free = text_of(client.get(reverse(LIST), {"search": MEI}))

    assert "Nobody may write to this address" in found
    assert "Reported as spam" in found
    assert "Hush" not in found
    assert "Nobody may write" not in text_of(client.get(reverse(LIST), {"search": "ravi@exam"}))
    assert f"{MEI} is not suppressed" in free


def test_the_list_can_be_searched_by_the_beginning_of_an_address(client, agency):
    for recipient in (MEI, "mei_ling@example.org", "meixling@example.org", RAVI):
        suppress(agency, recipient)

    assert shown(client, search="MEI") == ["meixling@example.org", "mei_ling@example.org", MEI]
    assert shown(client, search="mei_") == ["mei_ling@example.org"]
    assert shown(client, search="%") == []


def test_the_list_can_be_narrowed_to_a_reason_and_a_campaign(client, agency, email_campaign):
    suppress(agency, MEI, "unsubscribed", campaign=email_campaign)
    suppress(agency, RAVI, "unsubscribed")
    suppress(agency, MEI, "added")

    assert shown(client, reason="unsubscribed") == [RAVI, MEI]
    assert shown(client, campaign=email_campaign.public_id) == [MEI]
    foreign = EmailCampaignFactory()
    assert shown(client, campaign=foreign.public_id) == []
    assert shown(client, campaign="nonsense", reason="nonsense") == []


def test_the_name_of_a_campaign_is_shown_to_its_members_only(client, agency, email_campaign):
    colleague = UserFactory(agency=agency)
    secret = EmailCampaignFactory(creator=colleague, name="Restructuring")
    suppress(agency, MEI, "unsubscribed", campaign=secret)
    suppress(agency, RAVI, "unsubscribed", campaign=email_campaign)

    page = text_of(client.get(reverse(LIST)))
    narrowed = text_of(client.get(reverse(LIST), {"campaign": secret.public_id}))

    assert "Newsletter" in page
    assert "Restructuring" not in page + narrowed


def test_long_lists_come_in_pages(client, agency):
    for n in range(120):
        suppress(agency, f"p{n:03}@example.org")

    first = client.get(reverse(LIST)).context["page"]
    second = client.get(reverse(LIST), {"older": first.older}).context["page"]
    third = client.get(reverse(LIST), {"older": second.older}).context["page"]

    rows = [entry.recipient for page in (first, second, third) for entry in page.rows]
    assert rows == [f"p{n:03}@example.org" for n in range(119, -1, -1)]
    assert (first.newer, third.older) == ("", "")


def test_the_list_costs_as_many_queries_for_one_row_as_for_three(client, agency, email_campaign):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            client.get(reverse(LIST))
        return len(captured)

    officer = UserFactory()
    suppress(agency, MEI, creator=officer, campaign=email_campaign)
    queries()  # the first look also notes the visit
    one = queries()
    for n in range(2):
        campaign = EmailCampaignFactory(creator=UserFactory(agency=agency))
        suppress(agency, f"{n}@example.org", creator=UserFactory(), campaign=campaign)

    assert queries() == one


# --- Adding ---


def test_an_officer_adds_an_address_for_their_agency(client, agency, officer):
    typed = {"recipient": " Mei@Example.ORG ", "note": "Asked by telephone"}

    response = client.post(reverse(LIST), typed, follow=True)

    only = Suppression.objects.get()
    assert (only.recipient, only.agency, only.reason) == (MEI, agency, "added")
    assert (only.note, only.creator) == ("Asked by telephone", officer)
    assert f"{MEI} is added" in text_of(response)
    assert audited("suppression.added") == [(str(agency.pk), {"addresses": 1})]


def test_adding_an_address_twice_adds_it_once(client):
    client.post(reverse(LIST), {"recipient": MEI})

    response = client.post(reverse(LIST), {"recipient": MEI}, follow=True)

    assert Suppression.objects.count() == 1
    assert "had been added before" in text_of(response)


@pytest.mark.parametrize(
    ("recipient", "fault"),
    [
        ("", "Enter an email address."),
        ("mei", "There is no @ in it."),
        ("mei@example.org, ravi@example.org", "Write one address only"),
    ],
)
def test_what_is_no_address_is_not_added_and_what_was_typed_is_kept(client, recipient, fault):
    response = client.post(reverse(LIST), {"recipient": recipient, "note": "Why not"})

    assert response.status_code == 422
    assert fault in text_of(response)
    assert "Why not" in text_of(response)
    assert not Suppression.objects.exists()


def test_an_added_address_is_not_taken_off_by_its_own_undo(client, agency, email_campaign):
    client.post(reverse(LIST), {"recipient": MEI})

    suppression.undo(email_campaign, MEI)

    assert Suppression.objects.standing().count() == 1


# --- Importing ---


def test_a_file_of_addresses_is_added_whole(client, agency, officer):
    suppress(agency, RAVI)
    rows = [
        "MEI@example.org,moved",
        "ravi@example.org,",
        "",
        "lee@example.org,=1+1",
        "lee@example.org,",
    ]

    response = client.post(reverse(IMPORT), file_of(*rows), follow=True)

    added = Suppression.objects.filter(creator=officer).order_by("id")
    assert list(added.values_list("recipient", "note", "reason")) == [
        (MEI, "moved", "added"),
        ("lee@example.org", "=1+1", "added"),
    ]
    assert "2 addresses added. 2 stood there before" in text_of(response)
    assert audited("suppression.added") == [(str(agency.pk), {"addresses": 2, "from_file": True})]


def test_our_own_download_can_be_imported_again(client, agency):
    for n in range(3):
        suppress(agency, f"p{n}@example.org", note="From a fair, 2024")
    content = b"".join(client.get(reverse(CSV)).streaming_content)
    Suppression.objects.all().delete()

    client.post(reverse(IMPORT), {"file": SimpleUploadedFile("list.csv", content)})

    assert set(Suppression.objects.values_list("recipient", "note")) == {
        (f"p{n}@example.org", "From a fair, 2024") for n in range(3)
    }


def test_one_wrong_row_refuses_the_file_and_names_each(client):
    rows = [f"p{n}@example.org," for n in range(600)]
    rows[3], rows[550] = "p3 at example.org,", f"p550@example.org,{'x' * 256}"

    response = client.post(reverse(IMPORT), file_of(*rows))

    assert response.status_code == 422
    faults = response.context["faults"]
    assert [fault.row for fault in faults] == [5, 552]
    assert "2 rows are wrong in all" in text_of(response)
    assert "There is no @ in it." in text_of(response)
    assert not Suppression.objects.exists()
    assert audited("suppression.added") == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"address\nmei@example.org\n", "Name the column with the addresses"),
        (b"recipient\n\n \n", "There are no addresses below the header."),
        (b"recipient\nm\xe9i@example.org\n", "not in UTF-8"),
        (b"PK\x03\x04", "Excel"),
        (b"", "empty"),
    ],
)
def test_a_file_that_is_no_list_is_refused_with_advice(client, content, fault):
    upload = {"file": SimpleUploadedFile("people.csv", content)}

    response = client.post(reverse(IMPORT), upload)

    assert response.status_code == 422
    assert fault in text_of(response)


def test_more_than_can_be_read_while_the_officer_waits_is_refused(client, monkeypatch):
    monkeypatch.setattr(suppression, "MOST_ROWS", 2)

    response = client.post(reverse(IMPORT), file_of("a@x.org,", "b@x.org,", "c@x.org,"))

    assert response.status_code == 422
    assert "at most 2 addresses" in text_of(response)
    assert not Suppression.objects.exists()


# --- Taking off ---


def test_taking_off_is_asked_for_first_and_recorded(client, agency, officer):
    entry = suppress(agency, MEI, "unsubscribed")
    url = reverse("suppression-remove", args=[entry.pk])

    assert "This person unsubscribed" in text_of(client.get(url))
    assert Suppression.objects.standing().exists()
    client.post(url)

    entry.refresh_from_db()
    assert entry.lifted_at
    assert entry.lifted_by == officer
    assert audited("suppression.lifted") == [(str(entry.pk), {"reason": "unsubscribed"})]


def test_nobody_takes_off_what_is_everybodys_or_anothers(client, email_campaign):
    entries = [
        suppress(None, MEI, "hard_bounce", campaign=email_campaign),
        suppress(None, MEI, "complaint", campaign=email_campaign),
        suppress(AgencyFactory(), MEI),
    ]

    for entry in entries:
        url = reverse("suppression-remove", args=[entry.pk])
        assert client.post(url).status_code == 404
    assert Suppression.objects.standing().count() == 3
    assert "Remove" not in text_of(client.get(reverse(LIST)))


# --- Downloading ---


def test_the_list_is_downloaded_as_it_is_shown_and_runs_no_formulas(client, agency, officer):
    suppress(agency, MEI, note="=cmd", creator=officer)
    suppress(agency, RAVI, "unsubscribed")

    rows = lines(client.get(reverse(CSV), {"reason": "added"}))

    header = ["recipient", "reason", "note", "listedFor", "campaignId", "addedAt", "addedBy"]
    assert rows[0] == header
    [row] = rows[1:]
    assert row[:5] == [MEI, "added", "'=cmd", "agency", ""]
    assert row[6] == officer.email
    assert audited("suppressions.downloaded") == [(str(agency.pk), {})]
