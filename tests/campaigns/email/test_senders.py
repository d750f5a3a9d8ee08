"""Who an email may say it is from (v1-backend §2.6, B-DOM-1)."""

from email.header import decode_header, make_header
from email.utils import getaddresses

import pytest

from campaigns.email import senders
from campaigns.models import DomainState, Membership, Sender, SenderDomain
from postman.errors import Refused
from tests.factories import AgencyFactory, EmailCampaignFactory, UserFactory

pytestmark = pytest.mark.django_db

DEFAULT = "donotreply@mail.postman.gov.sg"


def domain_of(agency, domain="health.gov.sg", state=DomainState.VERIFIED, by=None):
    by = by or UserFactory(agency=agency)
    return SenderDomain.objects.create(agency=agency, domain=domain, state=state, asked_by=by)


def own_address(user, domain, name=""):
    return Sender.objects.create(
        agency=domain.agency,
        domain=domain,
        address=user.email,
        name=name,
        owner=user,
        creator=user,
    )


def mailbox(domain, address="clinic@health.gov.sg", name="Clementi Clinic"):
    return Sender.objects.create(
        agency=domain.agency,
        domain=domain,
        address=address,
        name=name,
        creator=domain.asked_by,
    )


@pytest.fixture
def domain(officer):
    return domain_of(officer.agency, by=officer)


def read(header):
    """The one mailbox that a mail program reads in this header."""
    ((name, address),) = getaddresses([header])
    return str(make_header(decode_header(name))), address


def test_an_officer_with_nothing_set_up_may_use_the_default_sender(officer):
    assert senders.choices(officer) == [(DEFAULT, "Postman")]
    assert senders.check_usable(DEFAULT.upper(), officer) == (DEFAULT, "Postman")


def test_an_officer_may_use_their_own_address_and_the_mailboxes_of_the_agency(officer, domain):
    own_address(officer, domain, name="Tan Mei Ling")
    mailbox(domain)
    own_address(UserFactory(email="lee@health.gov.sg", agency=officer.agency), domain)
    mailbox(domain_of(AgencyFactory(), "moe.gov.sg"), address="hello@moe.gov.sg")

    assert senders.choices(officer) == [
        (DEFAULT, "Postman"),
        ("mei.ling@health.gov.sg", "Tan Mei Ling"),
        ("clinic@health.gov.sg", "Clementi Clinic"),
    ]


@pytest.mark.parametrize("state", [DomainState.PENDING, DomainState.FAILED, DomainState.LOST])
def test_an_address_whose_domain_is_not_verified_cannot_be_used(
    officer, email_campaign, domain, state
):
    own_address(officer, domain)
    SenderDomain.objects.filter(pk=domain.pk).update(state=state)

    assert [choice.address for choice in senders.choices(officer)] == [DEFAULT]
    with pytest.raises(Refused) as refused:
        senders.check_usable(officer.email, officer)
    assert refused.value.code == "invalid_from_address"
    with pytest.raises(Refused) as refused:
        senders.mailbox(campaign=email_campaign, from_name="", from_address=officer.email)
    assert refused.value.code == "invalid_from_address"


def test_a_colleagues_own_address_is_not_ones_own(officer, domain):
    colleague = UserFactory(email="lee@health.gov.sg", agency=officer.agency)
    own_address(colleague, domain)

    with pytest.raises(Refused):
        senders.check_usable("lee@health.gov.sg", officer)


def test_a_campaign_offers_the_mailboxes_of_its_own_agency(officer, domain):
    mailbox(domain)
    partner = UserFactory(email="ann@moe.gov.sg")
    elsewhere = EmailCampaignFactory(creator=UserFactory())

    assert [c.address for c in senders.choices(partner)] == [DEFAULT]
    campaign = EmailCampaignFactory(creator=officer)
    offered = senders.choices(partner, campaign=campaign)
    assert [c.address for c in offered] == [DEFAULT, "clinic@health.gov.sg"]
    with pytest.raises(Refused):
        senders.mailbox(campaign=elsewhere, from_name="", from_address="clinic@health.gov.sg")


def test_a_campaign_comes_from_the_own_address_of_somebody_who_is_still_its_member(
    officer, domain, email_campaign
):
    own_address(officer, domain, name="Tan Mei Ling")

    def asked():
        return senders.mailbox(campaign=email_campaign, from_name="", from_address=officer.email)

    assert read(asked()) == ("Tan Mei Ling", "mei.ling@health.gov.sg")
    Membership.objects.filter(campaign=email_campaign, user=officer).delete()
    with pytest.raises(Refused):
        asked()


def test_the_own_address_of_a_closed_account_cannot_be_used(officer, domain, email_campaign):
    own_address(officer, domain)
    officer.is_active = False
    officer.save()

    with pytest.raises(Refused):
        senders.mailbox(campaign=email_campaign, from_name="", from_address=officer.email)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("", "Clementi Clinic"),
        ("Clementi Clinic", "Clementi Clinic"),
        ("Flu Jabs", "Flu Jabs via Postman"),
        ("Flu Jabs via Postman", "Flu Jabs via Postman"),
        ("  Flu   Jabs ", "Flu Jabs via Postman"),
        ("O’Brien & Sons (S.G.)", "O'Brien & Sons (S.G.) via Postman"),
        ("金文泰诊所", "金文泰诊所 via Postman"),
        ("கிளெமெண்டி மருந்தகம்", "கிளெமெண்டி மருந்தகம் via Postman"),
        ("诊" * 88, "诊" * 88 + " via Postman"),
    ],
)
def test_a_name_that_is_not_the_one_on_record_says_via_postman(
    domain, email_campaign, typed, shown
):
    mailbox(domain)

    header = senders.mailbox(
        campaign=email_campaign, from_name=typed, from_address="Clinic@health.gov.sg"
    )

    assert header.isascii()
    assert header.isprintable()
    assert read(header) == (shown, "clinic@health.gov.sg")


def test_without_an_address_the_default_sender_is_meant(email_campaign):
    sent = senders.mailbox(campaign=email_campaign, from_name="", from_address="")
    assert sent == f"Postman <{DEFAULT}>"
    named = senders.mailbox(campaign=email_campaign, from_name="Flu Jabs", from_address=DEFAULT)
    assert named == f"Flu Jabs via Postman <{DEFAULT}>"


@pytest.mark.parametrize(
    "name",
    [
        "Clinic\r\nBcc: all@health.gov.sg",
        "Clinic\nX",
        "Clinic\x00",
        "Clinic\u2028Bcc: x",
        "Clinic\u202e",
        "Clinic\u200b",
        "Clinic <boss@pmo.gov.sg>",
        "boss@pmo.gov.sg",
        'Clinic" <x',
        "Clinic, Boss",
        "Clinic; Boss",
        "a\\b",
        "=?utf-8?q?Boss?=",
        "Prize 🎉",
        "&&&",
        "x" * 101,
        "x" * 89,  # with what is added to it
    ],
)
def test_a_name_that_could_be_read_as_something_else_is_refused(email_campaign, name):
    with pytest.raises(Refused) as refused:
        senders.mailbox(campaign=email_campaign, from_name=name, from_address="")
    assert refused.value.code == "invalid_from_name"


@pytest.mark.parametrize(
    "address",
    [
        f"{DEFAULT}\r\nBcc: all@health.gov.sg",
        f"Boss <{DEFAULT}>",
        f"{DEFAULT}, boss@pmo.gov.sg",
        "boss@pmo.gov.sg",
        "donotreply@mail.postman.gov.sg.evil.com",
        "\0",
    ],
)
def test_an_address_that_is_not_one_on_record_is_refused(email_campaign, address):
    with pytest.raises(Refused) as refused:
        senders.mailbox(campaign=email_campaign, from_name="", from_address=address)
    assert refused.value.code == "invalid_from_address"


def test_asking_takes_one_look_into_the_database(
    officer, domain, email_campaign, django_assert_num_queries
):
    own_address(officer, domain)
    mailbox(domain)

    with django_assert_num_queries(1):
        senders.check_usable("clinic@health.gov.sg", officer)
    with django_assert_num_queries(1):
        senders.mailbox(campaign=email_campaign, from_name="", from_address=officer.email)
