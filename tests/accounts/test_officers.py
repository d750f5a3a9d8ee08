from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from postman.accounts import officers
from postman.accounts.models import Agency, EmailDomain, User
from tests.factories import AgencyFactory, UserFactory


@pytest.mark.parametrize(
    "email",
    ["ann@moh.gov.sg", "ann@hq.moh.gov.sg", "bo@nus.edu.sg", "cy@synapxe.sg", "di@aic.sg"],
)
def test_addresses_of_the_default_domains_may_sign_in(db, email):
    assert officers.may_sign_in(email)


@pytest.mark.parametrize(
    "email",
    [
        "mallory@example.com",
        "mallory@gov.sg.example.com",
        "mallory@notgov.sg",
        "mallory@moh-gov.sg",
        "gov.sg@example.com",
        "mallory@gov",
    ],
)
def test_others_may_not(db, email):
    assert not officers.may_sign_in(email)


def test_a_user_made_beforehand_may_sign_in_from_any_domain(db):
    UserFactory(email="vendor@example.com")

    assert officers.may_sign_in("vendor@example.com")


def test_a_deactivated_user_may_not_sign_in_though_the_domain_is_allowed(db):
    UserFactory(email="gone@moh.gov.sg", is_active=False)

    assert not officers.may_sign_in("gone@moh.gov.sg")


def test_the_first_officer_of_a_host_makes_its_agency(db):
    ann = officers.arrive("ann@moh.gov.sg")

    domain = EmailDomain.objects.get(domain="moh.gov.sg")
    assert ann.agency.name == "MOH"
    assert (domain.agency, domain.includes_subdomains, domain.members_only) == (
        ann.agency,
        True,
        False,
    )
    assert not ann.can_create_campaigns


def test_the_next_officers_join_it_also_from_below(db):
    ann = officers.arrive("ann@hq.moh.gov.sg")
    ben = officers.arrive("ben@moh.gov.sg")
    cat = officers.arrive("cat@lab.moh.gov.sg")

    assert ann.agency == ben.agency == cat.agency
    assert Agency.objects.get().name == "MOH"


def test_an_agency_that_stands_beside_the_domain_is_taken(db):
    agency = AgencyFactory(name="Ministry of Health")
    EmailDomain.objects.create(domain="moh.gov.sg", agency=agency)

    assert officers.arrive("ann@moh.gov.sg").agency == agency


def test_hosts_below_a_members_only_domain_stay_members_only(db):
    officers.arrive("bo@nus.edu.sg")

    assert EmailDomain.objects.get(domain="nus.edu.sg").members_only


def test_an_address_of_a_shared_domain_itself_has_no_agency(db):
    assert officers.arrive("cy@synapxe.sg").agency is None


def test_arriving_again_changes_nothing(db):
    ann = UserFactory(email="ann@moh.gov.sg", can_create_campaigns=True)

    again = officers.arrive("ann@moh.gov.sg")

    assert (again, again.agency, again.can_create_campaigns) == (ann, ann.agency, True)


@pytest.mark.django_db(transaction=True)
def test_newcomers_at_once_make_one_agency():
    EmailDomain.objects.get_or_create(domain="gov.sg", includes_subdomains=True)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(_arrive, [f"officer{n % 3}@moh.gov.sg" for n in range(6)]))

    assert Agency.objects.get().name == "MOH"
    assert User.objects.count() == 3


def test_make_admin_lets_an_address_open_the_admin_site(db):
    call_command("make_admin", "Boss@Open.gov.sg", stdout=StringIO())

    boss = User.objects.get()
    assert (boss.email, boss.is_staff, boss.is_superuser) == ("boss@open.gov.sg", True, True)


def test_make_admin_refuses_what_is_no_address(db):
    with pytest.raises(CommandError, match="boss is not an email address"):
        call_command("make_admin", "boss")


def test_createsuperuser_needs_no_password(db):
    call_command("createsuperuser", interactive=False, email="boss@open.gov.sg", verbosity=0)

    assert User.objects.get().is_superuser


def _arrive(email: str) -> None:
    try:
        officers.arrive(email)
    finally:
        connection.close()
