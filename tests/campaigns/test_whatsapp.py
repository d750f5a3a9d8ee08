"""The catalogue of WhatsApp's templates: what may stand in it, and who keeps it."""

import json

import pytest
from django.urls import reverse

from campaigns import whatsapp
from campaigns.models import OfficerProfile, WhatsappGrant, WhatsappTemplate
from postman.accounts.models import AuditEvent
from tests.factories import UserFactory
from tests.messaging import whatsapp as wa

pytestmark = pytest.mark.django_db
GOOD = {
    "name": "Call",
    "label": "call_ahead",
    "body": "Hello {{ name }}, {{agency}} will call.",
    "params": ["name", "agency"],
    "param_metadata": {"agency": {"defaultFromMetaField": "agency"}},
    "languages": [
        {"code": "ms", "language": "Malay", "body": "{{name}}, {{agency}} akan hubungi."}
    ],
}


def test_a_good_template_has_no_faults():
    assert whatsapp.faults_of(WhatsappTemplate(**GOOD)) == {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"label": "Call Ahead"}, "label"),
        ({"label": ""}, "label"),
        ({"body": " "}, "body"),
        ({"body": "Hello {{name}}"}, "body"),
        ({"body": "Hello {{name}} {{agency}} {{more}}"}, "body"),
        ({"body": "{{name}} {{agency}} {{"}, "body"),
        ({"body": "{{name}} {{agency}}" + "x" * 1024}, "body"),
        ({"params": ["name", "name"]}, "params"),
        ({"params": "name"}, "params"),
        ({"params": ["Name"]}, "params"),
        ({"params": ["recipient"]}, "params"),
        ({"params": ["sealed_passcode"]}, "params"),
        ({"param_metadata": []}, "param_metadata"),
        ({"param_metadata": {"other": {"displayName": "x"}}}, "param_metadata"),
        ({"param_metadata": {"name": {"displayName": " "}}}, "param_metadata"),
        ({"param_metadata": {"name": {"defaultFromMetaField": "salary"}}}, "param_metadata"),
        ({"param_metadata": {"name": {"label": "x"}}}, "param_metadata"),
        ({"languages": {}}, "languages"),
        ({"languages": [{"code": "ms"}]}, "languages"),
        ({"languages": [{**GOOD["languages"][0], "code": "fr"}]}, "languages"),
        ({"languages": [{**GOOD["languages"][0], "code": "en_GB"}]}, "languages"),
        ({"languages": [{**GOOD["languages"][0], "language": "Tamil"}]}, "languages"),
        ({"languages": GOOD["languages"] * 2}, "languages"),
        ({"languages": [{**GOOD["languages"][0], "body": "{{name}}"}]}, "languages"),
    ],
)
def test_what_whatsapp_could_not_be_sent_is_refused(changes, field):
    assert field in whatsapp.faults_of(WhatsappTemplate(**(GOOD | changes)))


@pytest.fixture
def back_office(client_of):
    return client_of(UserFactory(is_staff=True, is_superuser=True))


def posted(**changes):
    asked = GOOD | changes
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in asked.items()
    } | {"is_approved": "on"}


def test_an_administrator_adds_a_template_and_it_is_audited(back_office):
    answer = back_office.post(reverse("admin:campaigns_whatsapptemplate_add"), posted())

    assert answer.status_code == 302
    assert WhatsappTemplate.objects.get().params == ["name", "agency"]
    assert AuditEvent.objects.filter(action="whatsapptemplate.created").exists()


def test_a_template_with_faults_is_not_kept(back_office):
    answer = back_office.post(
        reverse("admin:campaigns_whatsapptemplate_add"), posted(params=["name"])
    )

    assert answer.status_code == 200
    assert "differ: agency" in answer.text
    assert not WhatsappTemplate.objects.exists()


def test_grants_are_given_and_taken_with_a_trace(back_office, officer):
    template = wa.template()
    add = reverse("admin:campaigns_whatsappgrant_add")

    back_office.post(add, {"user": officer.pk, "template": template.pk})
    grant = WhatsappGrant.objects.get()
    assert list(whatsapp.granted_to(officer)) == [template]
    back_office.post(
        reverse("admin:campaigns_whatsappgrant_delete", args=[grant.pk]), {"post": "yes"}
    )

    assert not whatsapp.granted_to(officer).exists()
    events = AuditEvent.objects.filter(object_type="whatsappgrant").order_by("id")
    assert [event.action.partition(".")[2] for event in events] == ["created", "deleted"]
    assert {event.details["template"] for event in events} == {template.pk}


def test_a_template_cannot_be_deleted(back_office):
    template = wa.template()

    answer = back_office.get(reverse("admin:campaigns_whatsapptemplate_delete", args=[template.pk]))

    assert answer.status_code == 403


@pytest.mark.parametrize("model", ["whatsapptemplate", "whatsappgrant", "officerprofile"])
def test_the_lists_of_the_back_office_open(back_office, officer, model):
    wa.granted(officer)
    OfficerProfile.objects.create(user=officer, officer_name="Tan")

    answer = back_office.get(reverse(f"admin:campaigns_{model}_changelist"))

    assert answer.status_code == 200


def test_params_are_filled_from_the_profile_and_the_agency(officer):
    OfficerProfile.objects.create(user=officer, officer_name="Tan", designation="Nurse")
    template = wa.template(
        param_metadata={
            "recipient_name": {"defaultFromMetaField": "officer_name"},
            "slot": {"defaultFromMetaField": "officer_designation"},
            "agency": {"defaultFromMetaField": "agency"},
        }
    )

    assert whatsapp.defaults_for(officer, template) == {
        "recipient_name": "Tan",
        "slot": "Nurse",
        "agency": "Ministry of Health",
    }


def test_without_a_profile_nothing_is_made_up(officer):
    template = wa.template(param_metadata={"slot": {"defaultFromMetaField": "officer_name"}})

    assert whatsapp.defaults_for(officer, template) == {"slot": ""}
