"""Settings → Email senders: who sees what, and what they can do there."""

import uuid

import pytest
from django.urls import reverse

from campaigns.email import dns_records, domains
from campaigns.models import DomainState, Sender, SenderDomain
from postman.accounts.models import AuditEvent, EmailDomain
from tests.factories import AgencyFactory, EmailCampaignFactory, UserFactory

pytestmark = pytest.mark.django_db

LIST = "/settings/senders"


@pytest.fixture(autouse=True)
def provider(sandbox, settings):
    settings.DNS_TIMEOUT_SECONDS = 1.0
    return sandbox


@pytest.fixture
def administrator(officer):
    EmailDomain.objects.create(domain="health.gov.sg", agency=officer.agency)
    return UserFactory(
        email="pic@health.gov.sg", agency=officer.agency, is_agency_administrator=True
    )


@pytest.fixture
def domain(administrator):
    return domains.add_domain("health.gov.sg", agency=administrator.agency, by=administrator)


@pytest.fixture
def mailbox(domain, administrator):
    return domains.add_mailbox(
        "clinic@health.gov.sg", name="Clinic", agency=domain.agency, by=administrator
    )


@pytest.fixture
def stranger():
    """The administrator of another agency."""
    return UserFactory(email="pic@moe.gov.sg", is_agency_administrator=True)


def zone(domain):
    domain.refresh_from_db()
    return "\n".join(record.line for record in dns_records.restored(domain.records))


def test_the_settings_lead_to_everything_there_is_to_set(client_of, officer):
    page = client_of(officer).get("/settings/")

    assert page.status_code == 200
    for name in ("senders", "account-keys", "sms-credentials", "sessions"):
        assert f'href="{reverse(name)}"' in page.content.decode()
    assert "Your own address is not set up" in page.content.decode()


@pytest.mark.parametrize("path", ["/settings/", LIST])
def test_nobody_sees_settings_without_signing_in(client, path):
    assert client.get(path).status_code == 302


def test_an_officer_adds_their_own_address_and_sees_the_records(client_of, officer, administrator):
    client = client_of(officer)

    added = client.post(f"{LIST}/own", {"name": "Tan Mei Ling"}, follow=True)

    sender = Sender.objects.get()
    assert (sender.owner, sender.name) == (officer, "Tan Mei Ling")
    assert added.redirect_chain == [(reverse("sender-domain", args=[sender.domain_id]), 302)]
    text = added.content.decode()
    assert "4 of 4 required records are not found yet" in text
    for row in SenderDomain.objects.get().records:
        assert row["value"].replace("'", "&#x27;") in text
    assert "mei.ling@health.gov.sg" in client.get(LIST).content.decode()


def test_a_name_that_is_refused_is_kept_beside_the_reason(client_of, officer, administrator):
    page = client_of(officer).post(f"{LIST}/own", {"name": "Boss <x>"})

    assert page.status_code == 422
    assert page.context["own_form"].errors["name"] == [
        "Remove “<”: a name holds letters, digits, spaces and - _ & . ' ( )."
    ]
    assert 'value="Boss &lt;x&gt;"' in page.content.decode()
    assert not Sender.objects.exists()


def test_records_that_stand_make_the_address_usable(client_of, officer, administrator, provider):
    client = client_of(officer)
    client.post(f"{LIST}/own", {"name": ""})
    domain = SenderDomain.objects.get()
    provider.publish(zone(domain))

    page = client.post(reverse("sender-domain-check", args=[domain.pk]), follow=True)

    assert "Its records stand: emails can be sent." in page.content.decode()
    assert SenderDomain.objects.get().state == DomainState.VERIFIED
    assert "Verified" in client.get(LIST).content.decode()


def test_while_ses_is_away_the_page_says_so_and_keeps_the_domain(
    client_of, administrator, provider
):
    provider.control(down=True)

    page = client_of(administrator).post(
        f"{LIST}/domains", {"domain": "health.gov.sg"}, follow=True
    )

    assert "Amazon SES could not be asked just now" in page.content.decode()
    assert SenderDomain.objects.get().state == DomainState.PENDING


def test_checking_again_is_limited(client_of, administrator, domain):
    client, url = client_of(administrator), reverse("sender-domain-check", args=[domain.pk])
    answers = [client.post(url) for _ in range(11)]

    assert [answer.status_code for answer in answers] == [302] * 10 + [429]
    assert "That was too often" in answers[-1].content.decode()
    assert int(answers[-1]["Retry-After"]) > 0


def test_an_administrator_adds_a_domain_and_a_mailbox(client_of, administrator):
    client = client_of(administrator)

    client.post(f"{LIST}/domains", {"domain": "health.gov.sg"})
    page = client.post(
        f"{LIST}/mailboxes", {"address": "clinic@health.gov.sg", "name": "诊所"}, follow=True
    )

    assert "clinic@health.gov.sg is added." in page.content.decode()
    assert Sender.objects.get().owner is None
    assert [event.action for event in AuditEvent.objects.order_by("id")] == [
        "sender_domain.added",
        "sender.added",
    ]


@pytest.mark.parametrize(
    ("path", "data", "form"),
    [
        ("domains", {"domain": ""}, "domain_form"),
        ("domains", {"domain": "gov.sg"}, "domain_form"),
        ("mailboxes", {"address": "x@moe.gov.sg", "name": "X"}, "mailbox_form"),
        ("mailboxes", {"address": "x@health.gov.sg", "name": "🎉"}, "mailbox_form"),
    ],
)
def test_what_an_administrator_typed_is_kept_beside_the_reason(
    client_of, administrator, domain, path, data, form
):
    page = client_of(administrator).post(f"{LIST}/{path}", data)

    assert page.status_code == 422
    assert page.context[form].errors
    assert page.context[form].data.dict() == data


def test_an_officer_who_is_no_administrator_adds_neither_domain_nor_mailbox(
    client_of, officer, administrator
):
    client = client_of(officer)

    assert client.post(f"{LIST}/domains", {"domain": "health.gov.sg"}).status_code == 404
    added = client.post(f"{LIST}/mailboxes", {"address": "x@health.gov.sg", "name": ""})
    assert added.status_code == 404
    assert "Add a domain" not in client.get(LIST).content.decode()


def test_what_is_another_agencys_does_not_exist(client_of, stranger, domain, mailbox):
    client = client_of(stranger)
    of_domain, of_sender = {"domain_id": domain.pk}, {"sender_id": mailbox.pk}

    for name, ids in (
        ("sender-domain", of_domain),
        ("sender-domain-records", of_domain),
        ("sender-domain-remove", of_domain),
        ("sender-name", of_sender),
        ("sender-remove", of_sender),
    ):
        assert client.get(reverse(name, kwargs=ids)).status_code == 404
    for name, ids in (
        ("sender-domain-check", of_domain),
        ("sender-domain-remove", of_domain),
        ("sender-name", of_sender),
        ("sender-remove", of_sender),
    ):
        assert client.post(reverse(name, kwargs=ids), {"name": "Mine"}).status_code == 404
    page = client.get(LIST)
    assert (list(page.context["domains"]), list(page.context["mailboxes"])) == ([], [])
    assert (Sender.objects.get().name, SenderDomain.objects.count()) == ("Clinic", 1)
    assert client.get(reverse("sender-domain", args=[uuid.uuid4()])).status_code == 404


def test_a_mailbox_is_changed_by_administrators_only(client_of, officer, mailbox):
    client = client_of(officer)

    assert "clinic@health.gov.sg" in client.get(LIST).content.decode()
    assert client.get(reverse("sender-name", args=[mailbox.pk])).status_code == 404
    assert client.post(reverse("sender-remove", args=[mailbox.pk])).status_code == 404


def test_nobody_changes_a_colleagues_own_address(client_of, officer, administrator):
    own = domains.add_own_address(officer, name="")

    for name in ("sender-name", "sender-remove"):
        url = reverse(name, args=[own.pk])
        assert client_of(administrator).post(url, {"name": "Boss"}).status_code == 404
    assert Sender.objects.get().name == ""


def test_people_without_an_agency_share_no_mailboxes(client_of):
    loner = UserFactory(email="ann@gov.sg", agency=None, is_agency_administrator=True)

    page = client_of(loner).get(LIST)

    assert page.status_code == 200
    assert client_of(loner).post(f"{LIST}/domains", {"domain": "x.sg"}).status_code == 404


def test_a_display_name_is_changed_on_record(client_of, administrator, mailbox):
    url = reverse("sender-name", args=[mailbox.pk])
    client = client_of(administrator)

    assert client.post(url, {"name": "a\tb"}).status_code == 422
    changed = client.post(url, {"name": "Clementi  Clinic"}, follow=True)

    assert "is changed" in changed.content.decode()
    assert Sender.objects.get().name == "Clementi Clinic"
    assert AuditEvent.objects.filter(action="sender.renamed", actor=administrator).exists()


def test_before_an_address_is_removed_the_campaigns_that_use_it_are_named(
    client_of, administrator, officer, mailbox
):
    draft = {"subject": "x", "html": "x", "from_address": mailbox.address}
    EmailCampaignFactory(creator=officer, name="Flu jabs", draft=draft)
    EmailCampaignFactory(creator=UserFactory(agency=AgencyFactory()), name="Secret", draft=draft)
    client, url = client_of(administrator), reverse("sender-remove", args=[mailbox.pk])

    asked = client.get(url).content.decode()
    assert "Flu jabs" in asked
    assert "Secret" not in asked
    client.post(url)

    assert not Sender.objects.exists()


def test_a_domain_is_removed_with_its_addresses(client_of, administrator, domain, mailbox):
    client, url = client_of(administrator), reverse("sender-domain-remove", args=[domain.pk])

    assert "clinic@health.gov.sg" in client.get(url).content.decode()
    page = client.post(url, follow=True)

    assert "health.gov.sg is removed." in page.content.decode()
    assert not SenderDomain.objects.exists()
    assert not Sender.objects.exists()
    assert AuditEvent.objects.filter(action="sender_domain.removed").count() == 1


def test_the_records_can_be_taken_along_as_a_zone_file(client_of, administrator, domain):
    domain = domains.check(domain)

    got = client_of(administrator).get(reverse("sender-domain-records", args=[domain.pk]))

    assert got["Content-Disposition"] == 'attachment; filename="health.gov.sg.txt"'
    lines = got.content.decode().splitlines()
    assert lines[1] == f'_postman.health.gov.sg. TXT "postman-domain={domain.proof}"'
    assert lines[5] == ("bounces.health.gov.sg. MX 10 feedback-smtp.ap-southeast-1.amazonses.com.")
    assert len(lines) == 8


def test_a_pending_page_looks_again_by_itself_and_a_settled_one_does_not(
    client_of, administrator, domain
):
    client, url = client_of(administrator), reverse("sender-domain", args=[domain.pk])

    part = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="domain" hx-get=')
    for state in (DomainState.VERIFIED, DomainState.FAILED, DomainState.LOST):
        SenderDomain.objects.update(state=state, settled_at=domain.created_at)
        page = client.get(url)
        assert page.status_code == 200
        assert "hx-trigger" not in page.content.decode()


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_keeps_its_query_count(
    client_of, administrator, domain, django_assert_max_num_queries, count
):
    for number in range(count):
        domains.add_mailbox(
            f"box{number}@health.gov.sg", name="", agency=domain.agency, by=administrator
        )
    client = client_of(administrator)

    with django_assert_max_num_queries(9):
        client.get(LIST)


def test_changes_are_posted(client_of, administrator, domain):
    assert client_of(administrator).get(f"{LIST}/domains").status_code == 405
    url = reverse("sender-domain-check", args=[domain.pk])
    assert client_of(administrator).get(url).status_code == 405
