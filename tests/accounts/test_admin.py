import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from postman.accounts import audit
from postman.accounts.models import Agency, AuditEvent, EmailDomain, Session, User
from tests.factories import AgencyFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss() -> User:
    return UserFactory(email="boss@open.gov.sg", is_staff=True, is_superuser=True)


@pytest.fixture
def browser(client_of, boss):
    return client_of(boss)


def change_page(user: User) -> str:
    return reverse("admin:accounts_user_change", args=[user.pk])


def form_of(user: User, **changes: object) -> dict[str, object]:
    """What the browser posts: boxes that are not ticked are left out."""
    fields = {
        "email": user.email,
        "agency": user.agency_id,
        "can_create_campaigns": user.can_create_campaigns,
        "is_agency_administrator": user.is_agency_administrator,
        "is_active": user.is_active,
        "is_staff": user.is_staff,
        "is_superuser": user.is_superuser,
    } | changes
    return {name: "on" if value is True else value for name, value in fields.items() if value}


def written() -> list[tuple[str, str, dict]]:
    rows = AuditEvent.objects.order_by("id")
    return [(row.action, row.object_id, row.details) for row in rows]


def test_the_admin_site_sends_strangers_to_our_own_sign_in(client):
    answer = client.get("/admin/accounts/user/", follow=True)

    assert answer.redirect_chain[-1][0] == "/login?next=/admin/accounts/user/"


def test_officers_who_are_no_staff_are_refused(client_of, officer):
    assert client_of(officer).get("/admin/", follow=True).status_code == 403


def test_there_are_no_passwords(browser, boss):
    index = browser.get("/admin/")

    assert index.status_code == 200
    assert "password" not in index.text.lower()
    assert browser.get("/admin/password_change/").status_code == 404
    assert "password" not in browser.get(change_page(boss)).text.lower()


def test_signing_out_of_the_admin_site_is_signing_out(browser):
    assert browser.post("/admin/logout/")["Location"] == "/login"
    assert browser.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/login")


@pytest.mark.parametrize("model", ["agency", "emaildomain", "user", "auditevent"])
def test_every_list_can_be_opened_and_searched(browser, officer, model):
    audit.record("login.succeeded", by=officer, on=officer)

    assert browser.get(f"/admin/accounts/{model}/").status_code == 200
    assert browser.get(f"/admin/accounts/{model}/?q=health").status_code == 200


def test_the_right_to_create_is_granted_and_taken_on_the_record(browser, boss):
    ann = UserFactory(email="ann@moh.gov.sg", can_create_campaigns=False)

    browser.post(change_page(ann), form_of(ann, can_create_campaigns=True))
    ann.refresh_from_db()
    assert ann.can_create_campaigns
    browser.post(change_page(ann), form_of(ann, can_create_campaigns=False))
    ann.refresh_from_db()

    assert not ann.can_create_campaigns
    assert written() == [
        ("user.changed", ann.public_id, {"fields": ["can_create_campaigns"]}),
        ("creation_right.granted", ann.public_id, {}),
        ("user.changed", ann.public_id, {"fields": ["can_create_campaigns"]}),
        ("creation_right.removed", ann.public_id, {}),
    ]
    assert {row.actor for row in AuditEvent.objects.all()} == {boss}


def test_members_only_domains_never_get_the_right_to_create(browser):
    bo = UserFactory(email="bo@nus.edu.sg", can_create_campaigns=False)

    refused = browser.post(change_page(bo), form_of(bo, can_create_campaigns=True))

    bo.refresh_from_db()
    assert "Addresses of edu.sg may only be members of campaigns." in refused.text
    assert not bo.can_create_campaigns


def test_deactivating_someone_ends_their_sessions(browser, client_of, officer):
    theirs = client_of(officer)
    assert theirs.get("/account/sessions").status_code == 200

    browser.post(change_page(officer), form_of(officer, is_active=False))

    assert theirs.get("/account/sessions").status_code == 302
    assert not Session.objects.filter(user=officer).exists()
    assert [action for action, _, _ in written()] == ["user.changed", "sessions.ended"]


def test_a_user_can_be_made_beforehand(browser):
    agency = AgencyFactory()

    browser.post(
        "/admin/accounts/user/add/",
        {"email": "Vendor@Example.com", "agency": agency.pk, "is_active": "on"},
    )

    vendor = User.objects.get(email="vendor@example.com")
    assert vendor.agency == agency
    assert [action for action, _, _ in written()] == ["user.created"]


def test_users_cannot_be_deleted(browser, officer):
    page = reverse("admin:accounts_user_delete", args=[officer.pk])

    assert browser.post(page, {"post": "yes"}).status_code == 403


def test_staff_who_may_edit_users_cannot_make_themselves_more(client_of, boss):
    helper = UserFactory(email="helper@open.gov.sg", is_staff=True)
    helper.user_permissions.set(
        Permission.objects.filter(codename__in=["view_user", "change_user"])
    )
    browser = client_of(helper)

    saved = browser.post(change_page(helper), form_of(helper, is_superuser=True))
    refused = browser.post(change_page(boss), form_of(boss, is_active=False))

    helper.refresh_from_db()
    boss.refresh_from_db()
    assert (saved.status_code, refused.status_code) == (302, 403)
    assert not helper.is_superuser
    assert boss.is_active


def test_agencies_and_domains_are_changed_on_the_record(browser):
    inlines = {"domains-TOTAL_FORMS": 0, "domains-INITIAL_FORMS": 0}
    channels = {"may_use_sms": "on", "may_use_email": "on"}
    browser.post(
        "/admin/accounts/agency/add/", {"name": "Ministry of Health", **channels, **inlines}
    )
    agency = Agency.objects.get(name="Ministry of Health")
    browser.post("/admin/accounts/emaildomain/add/", {"domain": "@MOH.gov.sg", "agency": agency.pk})
    domain = EmailDomain.objects.get(domain="moh.gov.sg")
    browser.post(reverse("admin:accounts_emaildomain_delete", args=[domain.pk]), {"post": "yes"})

    assert not EmailDomain.objects.filter(domain="moh.gov.sg").exists()
    assert written() == [
        ("agency.created", str(agency.pk), {"fields": ["name"]}),
        ("emaildomain.created", str(domain.pk), {"fields": ["domain", "agency"]}),
        ("emaildomain.deleted", str(domain.pk), {}),
    ]


def test_the_audit_log_is_read_only(browser, officer):
    row = audit.record("login.succeeded", by=officer, on=officer)
    page = f"/admin/accounts/auditevent/{row.pk}"

    assert browser.get(f"{page}/change/").status_code == 200
    assert browser.post(f"{page}/change/", {"action": "nothing"}).status_code == 403
    assert browser.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    assert browser.get("/admin/accounts/auditevent/add/").status_code == 403
    AuditEvent.objects.get(action="login.succeeded")


def test_the_audit_log_is_searched_by_the_id_of_an_object(browser, officer):
    other = UserFactory()
    audit.record("login.succeeded", by=officer, on=officer)
    audit.record("login.succeeded", by=other, on=other)

    page = browser.get("/admin/accounts/auditevent/", {"q": officer.public_id})

    assert officer.public_id in page.text
    assert other.public_id not in page.text


def test_sessions_and_codes_are_not_shown(browser):
    for model in ("session", "logincode"):
        assert browser.get(f"/admin/accounts/{model}/").status_code == 404
