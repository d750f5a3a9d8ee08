"""A domain's way to be one that emails may be sent from, with SES and DNS on the wire."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from campaigns import tasks
from campaigns.email import dns_records, domains, identities, sender_mails, senders
from campaigns.models import DomainState, Sender, SenderDomain
from postman.accounts.models import AuditEvent, EmailDomain
from postman.errors import Refused
from tests.factories import AgencyFactory, EmailCampaignFactory, UserFactory
from tests.messaging.sandbox.process import SandboxProcess

pytestmark = pytest.mark.django_db

NAME = "health.gov.sg"
NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def post_office(sandbox: SandboxProcess, settings) -> SandboxProcess:
    """Our own mails leave as in production, through SES, whose place the sandbox takes."""
    settings.EMAIL_BACKEND = "anymail.backends.amazon_ses.EmailBackend"
    settings.DNS_TIMEOUT_SECONDS = 1.0
    return sandbox


@pytest.fixture
def administrator(officer):
    EmailDomain.objects.create(domain=NAME, agency=officer.agency, includes_subdomains=True)
    return UserFactory(
        email="pic@health.gov.sg", agency=officer.agency, is_agency_administrator=True
    )


@pytest.fixture
def domain(administrator):
    return domains.add_domain(NAME, agency=administrator.agency, by=administrator)


@pytest.fixture
def clock():
    """It stands still, so DNS must not be left waiting for an answer."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def lines(domain, *, leave_out=()):
    """The records of the domain for DNS, all but those for some purposes."""
    records = dns_records.restored(domain.records)
    return "\n".join(record.line for record in records if record.purpose not in leave_out)


def states(domain):
    return [(record["purpose"], record["state"]) for record in domain.records]


def verified(domain, sandbox):
    sandbox.publish(lines(domains.check(domain)))
    return domains.check(domain)


def claim(name, agency):
    with pytest.raises(Refused) as refused:
        domains.add_domain(name, agency=agency, by=UserFactory(agency=agency))
    return refused.value.code


# Whose a domain is ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("health", "domain_is_malformed"),
        ("health..gov.sg", "domain_is_malformed"),
        ("-x.gov.sg", "domain_is_malformed"),
        ("192.168.0.1", "domain_is_malformed"),
        ("ann@health.gov.sg", "domain_is_malformed"),
        ("hеalth.gov.sg", "domain_is_malformed"),
        ("health.gov.sg\nX", "domain_is_malformed"),
        ("health.gov.sg\0", "domain_is_malformed"),
        ("x" * 64 + ".sg", "domain_is_malformed"),
        ("postman.gov.sg", "domain_is_ours"),
        ("mail.postman.gov.sg", "domain_is_ours"),
        ("moe.gov.sg", "domain_is_anothers"),
        ("schools.moe.gov.sg", "domain_is_anothers"),
        ("gov.sg", "domain_is_ours"),
        ("edu.sg", "domain_is_shared"),
    ],
)
def test_a_domain_that_cannot_be_the_agencys_is_refused(administrator, name, code):
    EmailDomain.objects.create(
        domain="moe.gov.sg", agency=AgencyFactory(), includes_subdomains=True
    )
    EmailDomain.objects.get_or_create(domain="edu.sg", defaults={"agency": None})

    assert claim(name, administrator.agency) == code
    assert not SenderDomain.objects.exists()


def test_a_domain_is_pending_once_and_on_record(administrator):
    first = domains.add_domain(" @Health.gov.sg. ", agency=administrator.agency, by=administrator)
    again = domains.add_domain(NAME, agency=administrator.agency, by=administrator)

    assert again == first
    assert (first.domain, first.state) == (NAME, DomainState.PENDING)
    event = AuditEvent.objects.get(action="sender_domain.added")
    assert (event.actor, event.object_id) == (administrator, str(first.pk))


def test_a_domain_that_another_agency_sends_from_is_refused_and_those_around_it_too(administrator):
    other = AgencyFactory()
    domains.add_domain("healthy.sg", agency=other, by=UserFactory(agency=other))

    assert claim("healthy.sg", administrator.agency) == "domain_is_anothers"
    assert claim("clinic.healthy.sg", administrator.agency) == "domain_is_anothers"
    assert domains.add_domain("veryhealthy.sg", agency=administrator.agency, by=administrator)


def test_a_claim_that_nobody_proved_in_time_is_free_for_others(administrator):
    other = AgencyFactory()
    theirs = domains.add_domain("healthy.sg", agency=other, by=UserFactory(agency=other))
    SenderDomain.objects.update(state=DomainState.FAILED)

    mine = domains.add_domain("healthy.sg", agency=administrator.agency, by=administrator)

    assert mine.proof != theirs.proof
    assert list(SenderDomain.objects.all()) == [mine]


def test_records_that_a_former_holder_left_behind_prove_nothing(administrator, post_office):
    other = AgencyFactory()
    theirs = domains.add_domain("healthy.sg", agency=other, by=UserFactory(agency=other))
    verified(theirs, post_office)
    domains.remove_domain(SenderDomain.objects.get(), by=UserFactory(agency=other))

    mine = domains.add_domain("healthy.sg", agency=administrator.agency, by=administrator)
    mine = domains.check(mine)

    assert mine.state == DomainState.PENDING
    assert states(mine)[0] == ("ownership", "wrong")


# Verification --------------------------------------------------------------------------------


def test_each_record_is_shown_with_its_own_state(domain, post_office):
    domain = domains.check(domain)
    one, two, three = domain.dkim_tokens
    post_office.publish(
        f"{one}._domainkey.{NAME} CNAME {one}.dkim.amazonses.com\n"
        f"{two}._domainkey.{NAME} CNAME elsewhere.example.com\n"
        f'bounces.{NAME} TXT "v=spf1 -all"\n'
        f'_dmarc.gov.sg TXT "v=DMARC1; p=reject"'
    )
    post_office.silence(f"{three}._domainkey.{NAME}")

    domain = domains.check(domain)

    assert states(domain) == [
        ("ownership", "missing"),
        ("dkim", "found"),
        ("dkim", "wrong"),
        ("dkim", "unknown"),
        ("return_path", "missing"),
        ("spf", "wrong"),
        ("dmarc", "found"),
    ]
    assert domain.records[2]["seen"] == ["elsewhere.example.com"]
    assert domain.records[5]["seen"] == ["v=spf1 -all"]
    assert (domain.state, domain.provider_state) == (DomainState.PENDING, "PENDING")


def test_a_domain_is_verified_when_ses_and_dns_agree(domain, post_office):
    domain = domains.check(domain)

    post_office.publish(lines(domain))
    domain = domains.check(domain)

    assert domain.state == DomainState.VERIFIED
    assert {state for _, state in states(domain)} == {"found"}
    assert AuditEvent.objects.filter(action="sender_domain.verified").count() == 1


def test_what_is_only_recommended_holds_nothing_up(domain, post_office):
    domain = domains.check(domain)

    post_office.publish(lines(domain, leave_out=("return_path", "spf", "dmarc")))

    assert domains.check(domain).state == DomainState.VERIFIED


@pytest.mark.parametrize("left_out", ["ownership", "dkim"])
def test_ses_alone_does_not_verify_a_domain(domain, post_office, left_out):
    domain = domains.check(domain)
    post_office.publish(lines(domain, leave_out=(left_out,)))
    post_office.decree(NAME, "SUCCESS")

    assert domains.check(domain).state == DomainState.PENDING


def test_dns_alone_does_not_verify_a_domain(domain, post_office):
    domain = domains.check(domain)
    post_office.publish(lines(domain))
    post_office.decree(NAME, "PENDING")

    assert domains.check(domain).state == DomainState.PENDING


def test_while_ses_is_away_nothing_changes(domain, post_office):
    domain = verified(domain, post_office)
    post_office.control(down=True)

    with pytest.raises(identities.Unreachable):
        domains.check(domain)

    domain.refresh_from_db()
    assert domain.state == DomainState.VERIFIED


def test_what_was_found_earlier_does_not_overwrite_what_was_found_later(domain, post_office, clock):
    clock.move_to(NOON)
    domain = verified(domain, post_office)
    found = identities.find(NAME)
    before = dns_records.restored(domain.records)

    late = domains._settle(domain, found, [], at=NOON - timedelta(seconds=5), by=None)

    assert dns_records.restored(late.records) == before


# In the background ---------------------------------------------------------------------------


def test_a_pending_domain_is_looked_at_every_few_minutes(domain, post_office, clock):
    domains.check(domain)
    assert domains.due(NOON + timedelta(minutes=4)) == []
    assert domains.due(NOON + timedelta(minutes=5)) == [domain]
    post_office.publish(lines(domains.check(domain)))

    clock.shift(timedelta(minutes=5))
    tasks.check_sender_domain(str(domain.pk))

    domain.refresh_from_db()
    assert domain.state == DomainState.VERIFIED
    assert domain.check_at == NOON + timedelta(minutes=5, days=1)


def test_a_domain_is_looked_at_by_one_process_at_a_time(domain, post_office):
    asked = len(post_office.get("/identities.json")["identities"])
    stale = SenderDomain.objects.get()
    domains.check_in_turn(domain)
    seen = SenderDomain.objects.get().checked_at

    domains.check_in_turn(stale)

    assert SenderDomain.objects.get().checked_at == seen
    assert asked == 0


def test_after_three_days_nobody_looks_any_more_until_somebody_asks(
    domain, administrator, post_office, clock
):
    SenderDomain.objects.update(pending_since=NOON)
    clock.shift(timedelta(hours=72))

    domains.check_in_turn(SenderDomain.objects.get())
    failed = SenderDomain.objects.get()

    assert (failed.state, failed.check_at) == (DomainState.FAILED, None)
    again = domains.check(failed, by=administrator)
    assert again.state == DomainState.PENDING
    assert again.check_at == NOON + timedelta(hours=72, minutes=5)


def test_three_days_are_over_even_while_ses_is_away(domain, post_office, clock):
    SenderDomain.objects.update(pending_since=NOON)
    post_office.control(down=True)
    clock.shift(timedelta(hours=73))

    domains.check_in_turn(SenderDomain.objects.get())

    assert SenderDomain.objects.get().state == DomainState.FAILED


def test_records_that_are_gone_twice_are_lost_and_may_come_back(domain, post_office, clock):
    domain = verified(domain, post_office)
    kept = lines(domain)
    post_office.decree(NAME, "SUCCESS")
    post_office.unpublish(NAME)

    doubted = domains.check(domain)
    assert (doubted.state, doubted.check_at) == (DomainState.VERIFIED, NOON + timedelta(hours=1))
    clock.shift(timedelta(minutes=1))
    assert domains.check(domain).state == DomainState.VERIFIED
    clock.shift(timedelta(hours=1))
    assert domains.check(domain).state == DomainState.LOST
    post_office.publish(kept)
    assert domains.check(domain).state == DomainState.VERIFIED


def test_dns_that_does_not_answer_loses_nothing(domain, post_office):
    verified(domain, post_office)
    SenderDomain.objects.update(doubted_at=NOON - timedelta(days=400))
    post_office.silence("")

    domain = domains.check(domain)

    assert {state for _, state in states(domain)} == {"unknown"}
    assert domain.state == DomainState.VERIFIED


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("FAILED", DomainState.LOST),
        ("NOT_STARTED", DomainState.LOST),
        ("TEMPORARY_FAILURE", DomainState.VERIFIED),
    ],
)
def test_what_ses_no_longer_signs_is_lost_at_once(domain, post_office, said, state):
    domain = verified(domain, post_office)

    post_office.decree(NAME, said)

    assert domains.check(domain).state == state


def test_an_identity_that_is_gone_from_ses_is_asked_for_again(domain, post_office):
    domain = verified(domain, post_office)
    identities.delete(NAME)
    post_office.unpublish(NAME)

    lost = domains.check(domain)

    assert lost.state == DomainState.LOST
    assert identities.find(NAME).return_path == f"bounces.{NAME}"


# Addresses -----------------------------------------------------------------------------------


def test_an_officer_asks_for_the_domain_of_their_address(officer, administrator, post_office):
    own = domains.add_own_address(officer, name="Tan Mei Ling")

    assert (own.address, own.domain.domain) == ("mei.ling@health.gov.sg", NAME)
    assert [choice.address for choice in senders.choices(officer)] == [senders.default().address]
    verified(own.domain, post_office)
    assert senders.choices(officer)[1] == ("mei.ling@health.gov.sg", "Tan Mei Ling")


def test_a_verified_domain_vouches_for_addresses_below_it(administrator, domain, post_office):
    domain = verified(domain, post_office)
    nurse = UserFactory(email="nurse@ward1.health.gov.sg", agency=administrator.agency)

    own = domains.add_own_address(nurse, name="")

    assert own.domain == domain
    assert SenderDomain.objects.count() == 1


def test_partners_and_people_of_no_agency_have_no_address_of_their_own(administrator):
    EmailDomain.objects.create(domain="vendor.com", agency=administrator.agency, members_only=True)
    for user, code in (
        (UserFactory(email="sam@vendor.com", agency=administrator.agency), "not_an_agency"),
        (UserFactory(email="ann@gov.sg", agency=None), "no_agency"),
    ):
        with pytest.raises(Refused) as refused:
            domains.add_own_address(user, name="")
        assert refused.value.code == code


@pytest.mark.parametrize(
    "address",
    [
        "clinic",
        "clinic@",
        "clinic@moe.gov.sg",
        "clinic@nothealth.gov.sg",
        "clinic@wards.health.gov.sg",
        "mei.ling@health.gov.sg",
        "a b@health.gov.sg",
        "x\r\nBcc: y@health.gov.sg",
        "cli\0nic@health.gov.sg",
    ],
)
def test_an_address_that_cannot_be_a_mailbox_is_refused(officer, administrator, domain, address):
    EmailDomain.objects.create(domain="wards.health.gov.sg", agency=AgencyFactory())

    with pytest.raises(Refused) as refused:
        domains.add_mailbox(address, name="", agency=administrator.agency, by=administrator)

    assert refused.value.code == "address"
    assert not Sender.objects.exists()


def test_a_mailbox_is_there_once(administrator, domain):
    added = domains.add_mailbox(
        "Clinic@health.gov.sg", name="Clinic", agency=administrator.agency, by=administrator
    )
    with pytest.raises(Refused):
        domains.add_mailbox(
            "clinic@health.gov.sg", name="", agency=administrator.agency, by=administrator
        )
    assert list(Sender.objects.all()) == [added]


def test_a_domain_that_was_asked_for_in_vain_goes_with_the_address(
    officer, administrator, post_office
):
    own = domains.add_own_address(officer, name="")
    domains.check(own.domain)

    domains.remove_sender(own, by=officer)

    assert not SenderDomain.objects.exists()


def test_ses_forgets_a_domain_only_if_nothing_can_have_been_sent_from_it(
    administrator, post_office, django_capture_on_commit_callbacks
):
    never = domains.add_domain("never.sg", agency=administrator.agency, by=administrator)
    once = domains.add_domain("once.sg", agency=administrator.agency, by=administrator)
    domains.check(never)
    once = verified(once, post_office)

    with django_capture_on_commit_callbacks(execute=True):
        domains.remove_domain(never, by=administrator)
        domains.remove_domain(once, by=administrator)

    assert [row["name"] for row in post_office.get("/identities.json")["identities"]] == ["once.sg"]


def test_the_drafts_that_use_an_address_are_told_to_those_who_may_know(officer, administrator):
    draft = {"subject": "x", "html": "x", "from_address": officer.email}
    mine = EmailCampaignFactory(creator=officer, draft=draft)
    EmailCampaignFactory(creator=UserFactory(), draft=draft)
    EmailCampaignFactory(creator=officer)

    assert domains.drafts_from([officer.email], seen_by=officer) == [mine]
    assert domains.drafts_from([officer.email], seen_by=administrator) == [mine]
    assert domains.drafts_from([officer.email], seen_by=UserFactory()) == []


# Mails ---------------------------------------------------------------------------------------


def test_a_mail_from_an_address_shows_once_that_it_works(
    officer, administrator, domain, post_office
):
    domains.add_own_address(officer, name="Tan Mei Ling")
    domains.add_mailbox("clinic@health.gov.sg", name="", agency=officer.agency, by=administrator)
    sender_mails.mail_what_waits()
    assert post_office.outbox(channel="email") == []

    verified(domain, post_office)
    sender_mails.mail_what_waits()
    sender_mails.mail_what_waits()

    mails = [(mail["from"], mail["to"]) for mail in post_office.outbox(channel="email", after=0)]
    assert mails == [
        ("Tan Mei Ling <mei.ling@health.gov.sg>", officer.email),
        ("clinic@health.gov.sg", administrator.email),
    ]
    assert "Emails can be sent from" in post_office.outbox(to=officer.email)[0]["subject"]


def test_a_mail_that_did_not_leave_is_tried_again(officer, administrator, domain, post_office):
    domains.add_own_address(officer, name="")
    verified(domain, post_office)
    post_office.control(down=True)
    sender_mails.mail_what_waits()
    assert Sender.objects.get().mailed_at is None

    post_office.control(down=False)
    sender_mails.mail_what_waits()

    assert len(post_office.outbox(to=officer.email)) == 1


def test_those_who_rely_on_a_domain_are_told_once_that_it_is_lost(
    officer, administrator, domain, post_office
):
    domains.add_own_address(officer, name="")
    UserFactory(email="other@health.gov.sg", agency=officer.agency)
    verified(domain, post_office)
    sender_mails.mail_what_waits()
    mark = max(mail["seq"] for mail in post_office.outbox())
    post_office.decree(NAME, "FAILED")
    domains.check(domain)

    sender_mails.mail_what_waits()
    domains.check(domain)
    sender_mails.mail_what_waits()

    mails = post_office.outbox(after=mark)
    assert sorted(mail["to"] for mail in mails) == [officer.email, administrator.email]
    assert {mail["subject"] for mail in mails} == {
        "Emails can no longer be sent from addresses of health.gov.sg"
    }
    with pytest.raises(Refused):
        senders.check_usable(officer.email, officer)


def test_the_one_who_asked_is_told_when_a_domain_was_not_set_up_in_time(
    domain, administrator, post_office
):
    SenderDomain.objects.update(pending_since=NOON - timedelta(days=400))
    domains.check(domain)

    sender_mails.mail_what_waits()

    (mail,) = post_office.outbox(channel="email")
    assert mail["to"] == administrator.email
    assert mail["subject"] == "health.gov.sg was not set up in time"
