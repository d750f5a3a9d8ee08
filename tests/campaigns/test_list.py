from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.membership import delete_campaign
from campaigns.models import CampaignDraft, Membership, Role
from tests.factories import CampaignFactory, UserFactory

LIST = "/campaigns/"


def names(response):
    return [campaign.name for campaign in response.context["page"]]


def opened(campaign, user, at):
    Membership.objects.filter(campaign=campaign, user=user).update(last_opened_at=at)


def test_last_opened_comes_first_and_never_opened_last_newest_first(officer, client_of):
    first_of_may = datetime(2026, 5, 1, tzinfo=UTC)
    for name, opened_at in [
        ("Old", first_of_may),
        ("Never A", None),
        ("Never B", None),
        ("New", first_of_may + timedelta(days=1)),
    ]:
        opened(CampaignFactory(creator=officer, name=name), officer, opened_at)

    assert names(client_of(officer).get(LIST)) == ["New", "Old", "Never B", "Never A"]


def test_last_opened_is_the_persons_own_and_not_a_colleagues(officer, client_of, campaign):
    colleague = UserFactory()
    Membership.objects.create(campaign=campaign, user=colleague, role=Role.MEMBER)
    opened(campaign, colleague, datetime(2026, 5, 1, 1, 30, tzinfo=UTC))

    mine, theirs = client_of(officer).get(LIST), client_of(colleague).get(LIST)

    assert [row.last_opened_at for row in mine.context["page"]] == [None]
    assert 'data-label="Last opened">Never<' in mine.content.decode()
    assert "1 May 2026, 9:30 am SGT" in theirs.content.decode()


@pytest.mark.parametrize(
    ("sort", "expected"),
    [("name", ["alpha", "Beta", "Gamma"]), ("created", ["alpha", "Gamma", "Beta"])],
)
def test_the_list_can_be_sorted(officer, client_of, sort, expected):
    for name in ["Beta", "Gamma", "alpha"]:
        CampaignFactory(creator=officer, name=name)

    assert names(client_of(officer).get(LIST, {"sort": sort})) == expected


def test_an_unknown_order_is_the_usual_one(officer, client_of, campaign):
    response = client_of(officer).get(LIST, {"sort": "password"})

    assert response.context["sort"] == "opened"


def test_search_finds_a_part_of_the_name_in_any_case(officer, client_of):
    for name in ["Flu jab", "Dental", "Reflux 100%"]:
        CampaignFactory(creator=officer, name=name)
    client = client_of(officer)

    assert sorted(names(client.get(LIST, {"q": " FLU "}))) == ["Flu jab", "Reflux 100%"]
    assert names(client.get(LIST, {"q": "%"})) == ["Reflux 100%"]
    assert names(client.get(LIST, {"q": "\0dent"})) == ["Dental"]


def test_live_search_gets_the_rows_alone_and_caches_tell_them_apart(officer, client_of, campaign):
    client = client_of(officer)

    part = client.get(LIST, {"q": "app"}, headers={"HX-Request": "true"})
    restored = client.get(
        LIST, headers={"HX-Request": "true", "HX-History-Restore-Request": "true"}
    )

    assert "Appointments" in part.content.decode()
    assert "<html" not in part.content.decode()
    assert "HX-Request" in part["Vary"]
    assert "<html" in restored.content.decode()


def test_nothing_found_and_nothing_there_read_differently(officer, client_of):
    client = client_of(officer)

    assert "No campaigns yet" in client.get(LIST).content.decode()
    CampaignFactory(creator=officer, name="Dental")
    assert "Nothing found" in client.get(LIST, {"q": "flu"}).content.decode()


def test_twenty_a_page(officer, client_of):
    for _ in range(21):
        CampaignFactory(creator=officer)
    client = client_of(officer)

    first, second = client.get(LIST), client.get(LIST, {"page": 2})

    assert (len(names(first)), len(names(second))) == (20, 1)
    assert not set(names(first)) & set(names(second))
    assert "Page 2 of 2" in second.content.decode()


def test_one_row_and_three_rows_cost_the_same_queries(
    officer, client_of, django_assert_num_queries, campaign
):
    client = client_of(officer)
    client.get(LIST)
    with CaptureQueriesContext(connection) as one:
        assert len(names(client.get(LIST))) == 1
    colleague = UserFactory()
    for _ in range(2):
        other = CampaignFactory(creator=colleague)
        Membership.objects.create(campaign=other, user=officer, role=Role.MEMBER)
    with django_assert_num_queries(len(one.captured_queries)):
        assert len(names(client.get(LIST))) == 3


def test_strangers_campaigns_and_deleted_ones_are_not_listed(officer, client_of, campaign):
    CampaignFactory(name="Of a stranger")
    gone = CampaignFactory(creator=officer, name="Gone")
    delete_campaign(gone, typed_name="Gone", by=officer)

    assert names(client_of(officer).get(LIST)) == ["Appointments"]


def test_a_name_is_text_and_never_markup(officer, client_of):
    CampaignFactory(creator=officer, name="<b>Bold</b>")

    assert "&lt;b&gt;Bold&lt;/b&gt;" in client_of(officer).get(LIST).content.decode()


def test_without_the_right_the_button_is_there_but_says_whom_to_ask(client_of, db):
    page = client_of(UserFactory(can_create_campaigns=False)).get(LIST).content.decode()

    assert 'aria-disabled="true"' in page
    assert "Ask your agency administrator" in page
    assert reverse("campaign-new") not in page


def test_unfinished_drafts_are_offered_to_their_creator_alone(officer, client_of):
    draft = CampaignDraft.objects.create(creator=officer, name="Half done")

    mine = client_of(officer).get(LIST).content.decode()
    theirs = client_of(UserFactory()).get(LIST).content.decode()

    assert "Half done" in mine
    assert reverse("campaign-new-content", args=[draft.pk]) in mine
    assert reverse("campaign-new-discard", args=[draft.pk]) in mine
    assert "Half done" not in theirs


# v2-sms §13.16
def test_administrators_see_who_deleted_which_campaign_of_their_agency(officer, client_of):
    gone = CampaignFactory(creator=officer, name="Gone")
    delete_campaign(gone, typed_name="Gone", by=officer)
    of_others = CampaignFactory(name="Elsewhere")
    delete_campaign(of_others, typed_name="Elsewhere", by=of_others.creator)
    administrator = UserFactory(agency=officer.agency, is_agency_administrator=True)

    page = client_of(administrator).get(LIST, {"show": "deleted"})

    assert [(row.name, row.deleter) for row in page.context["page"]] == [("Gone", officer)]
    assert gone.public_id not in page.content.decode()


def test_others_ask_for_deleted_campaigns_in_vain(officer, client_of):
    gone = CampaignFactory(creator=officer, name="Gone")
    delete_campaign(gone, typed_name="Gone", by=officer)

    page = client_of(officer).get(LIST, {"show": "deleted"}).content.decode()

    assert "Gone" not in page
    assert "Deleted campaigns" not in page


def test_an_administrator_without_an_agency_sees_no_deleted_campaign(client_of, officer):
    gone = CampaignFactory(creator=officer, name="Gone")
    delete_campaign(gone, typed_name="Gone", by=officer)
    nobodys = UserFactory(agency=None, is_agency_administrator=True)

    assert names(client_of(nobodys).get(LIST, {"show": "deleted"})) == []
