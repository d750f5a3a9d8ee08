import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from django.urls import reverse

from campaigns.membership import NotAnOwner, add_member, remove_member
from campaigns.models import Campaign, Membership, Role
from postman.accounts.models import AuditEvent, EmailDomain, User
from postman.errors import Refused
from tests.factories import UserFactory


@pytest.fixture
def browser(officer, client_of):
    return client_of(officer)


@pytest.fixture
def page(campaign):
    return reverse("campaign-members", args=[campaign.pk])


@pytest.fixture
def member(campaign):
    return Membership.objects.create(
        campaign=campaign, user=UserFactory(email="siti@health.gov.sg"), role=Role.MEMBER
    )


def url(name, row):
    return reverse(name, args=[row.campaign_id, row.pk])


def actions():
    return list(AuditEvent.objects.order_by("id").values_list("action", "details"))


def test_a_person_who_never_signed_in_can_be_added(campaign, browser, page):
    answer = browser.post(page, {"email": "New.Person@MOH.gov.sg", "role": "member_restricted"})

    user = User.objects.get(email="new.person@moh.gov.sg")
    assert answer.status_code == 302
    assert (user.agency.name, user.can_create_campaigns) == ("MOH", False)
    assert campaign.memberships.get(user=user).role == Role.RESTRICTED
    assert actions() == [("member.added", {"user": user.public_id, "role": "member_restricted"})]


def test_a_person_of_another_agency_can_be_added_and_sees_the_campaign(
    campaign, browser, page, client_of
):
    colleague = UserFactory(email="raj@transport.gov.sg")

    browser.post(page, {"email": "raj@transport.gov.sg", "role": "member"})

    assert campaign in Campaign.objects.visible_to(colleague)


@pytest.mark.parametrize(
    ("email", "role", "field", "reason"),
    [
        ("", "member", "email", "Type the person's email address."),
        ("siti", "member", "email", "This is not an email address."),
        ("siti@gmail.com", "member", "email", "siti@gmail.com cannot sign in to Postman"),
        ("siti@fakegov.sg", "member", "email", "siti@fakegov.sg cannot sign in to Postman"),
        ("mei.ling@health.gov.sg", "member", "email", "is a member already"),
        ("ann@school.edu.sg", "owner", "role", "only gov.sg addresses can"),
        ("siti@health.gov.sg", "boss", "role", "Select a valid choice"),
    ],
)
def test_who_cannot_be_added_is_refused_and_what_was_typed_stays(
    campaign, browser, page, email, role, field, reason
):
    EmailDomain.objects.update_or_create(
        domain="edu.sg", defaults={"includes_subdomains": True, "members_only": True}
    )

    answer = browser.post(page, {"email": email, "role": role})

    assert answer.status_code == 422
    assert reason in answer.context["form"].errors[field][0]
    assert answer.context["form"]["email"].value() == email
    assert campaign.memberships.count() == 1
    assert actions() == []


def test_a_refused_newcomer_leaves_no_user_behind(campaign, browser, page):
    EmailDomain.objects.update_or_create(
        domain="edu.sg", defaults={"includes_subdomains": True, "members_only": True}
    )
    browser.post(page, {"email": "ann@school.edu.sg", "role": "owner"})

    assert not User.objects.filter(email="ann@school.edu.sg").exists()


def test_a_partner_may_be_a_member(campaign, browser, page):
    EmailDomain.objects.update_or_create(
        domain="edu.sg", defaults={"includes_subdomains": True, "members_only": True}
    )

    assert browser.post(page, {"email": "ann@school.edu.sg", "role": "member"}).status_code == 302


def test_somebody_switched_off_cannot_be_added(campaign, browser, page):
    UserFactory(email="gone@health.gov.sg", is_active=False)

    assert browser.post(page, {"email": "gone@health.gov.sg", "role": "member"}).status_code == 422


def test_a_role_can_be_changed(browser, member):
    answer = browser.post(url("campaign-member-role", member), {"role": "owner"})

    member.refresh_from_db()
    assert (answer.status_code, member.role) == (302, Role.OWNER)
    assert actions() == [
        (
            "member.role_changed",
            {"user": member.user.public_id, "before": "member", "role": "owner"},
        )
    ]


def test_a_partner_cannot_become_an_owner(browser, member):
    EmailDomain.objects.update_or_create(
        domain="edu.sg", defaults={"includes_subdomains": True, "members_only": True}
    )
    User.objects.filter(pk=member.user_id).update(email="ann@school.edu.sg")

    answer = browser.post(url("campaign-member-role", member), {"role": "owner"})

    member.refresh_from_db()
    assert (answer.status_code, member.role) == (422, Role.MEMBER)
    assert "only gov.sg addresses" in answer.content.decode()


@pytest.mark.parametrize("role", ["", "boss"])
def test_an_unknown_role_is_refused(browser, member, role):
    assert browser.post(url("campaign-member-role", member), {"role": role}).status_code == 422


def test_removal_takes_effect_at_once(browser, member, client_of):
    theirs = client_of(member.user)
    assert "Appointments" in theirs.get(reverse("campaign-list")).content.decode()

    browser.post(url("campaign-member-remove", member))

    assert "Appointments" not in theirs.get(reverse("campaign-list")).content.decode()
    assert actions() == [("member.removed", {"user": member.user.public_id})]


@pytest.mark.parametrize(
    ("name", "typed"),
    [("campaign-member-role", {"role": "member"}), ("campaign-member-remove", {})],
)
def test_ones_own_row_is_read_only(campaign, officer, browser, page, name, typed):
    own = campaign.memberships.get(user=officer)

    answer = browser.post(url(name, own), typed)

    own.refresh_from_db()
    assert (answer.status_code, own.role) == (422, Role.OWNER)
    assert url(name, own) not in browser.get(page).content.decode()
    assert "mei.ling@health.gov.sg (you)" in browser.get(page).content.decode()


def test_an_owner_can_remove_another_owner(browser, member):
    Membership.objects.filter(pk=member.pk).update(role=Role.OWNER)

    assert browser.post(url("campaign-member-remove", member)).status_code == 302
    assert list(member.campaign.memberships.values_list("user__email", flat=True)) == [
        "mei.ling@health.gov.sg"
    ]


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_remove_each_other_at_once_leave_one(campaign, officer):
    second = Membership.objects.create(campaign=campaign, user=UserFactory(), role=Role.OWNER)
    first = campaign.memberships.select_related("campaign", "user").get(user=officer)
    second = campaign.memberships.select_related("campaign", "user").get(pk=second.pk)
    together = threading.Barrier(2)

    def remove(row, by):
        together.wait()
        try:
            remove_member(row, by=by)
        except NotAnOwner:
            return "refused"
        finally:
            connections.close_all()
        return "removed"

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(remove, second, first.user), pool.submit(remove, first, second.user)]
        outcomes = sorted(job.result() for job in jobs)

    assert outcomes == ["refused", "removed"]
    assert campaign.memberships.filter(role=Role.OWNER).count() == 1


def test_who_stopped_being_an_owner_changes_nothing_more(campaign, officer, member):
    Membership.objects.filter(campaign=campaign, user=officer).update(role=Role.MEMBER)

    with pytest.raises(NotAnOwner):
        add_member(campaign=campaign, email="x@health.gov.sg", role=Role.MEMBER, by=officer)
    with pytest.raises(NotAnOwner):
        remove_member(member, by=officer)


def test_removing_somebody_twice_is_told(campaign, officer, member):
    remove_member(member, by=officer)

    with pytest.raises(Refused, match="no longer a member"):
        remove_member(member, by=officer)
