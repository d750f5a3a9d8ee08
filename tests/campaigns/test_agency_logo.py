from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image as Pillow

from campaigns.email import pinning
from campaigns.models import EmailDraft, Image
from postman.accounts.models import AuditEvent
from tests.factories import UserFactory


@pytest.fixture
def administrator(officer):
    officer.is_agency_administrator = True
    officer.save()
    return officer


def logo_file():
    out = BytesIO()
    Pillow.new("RGB", (300, 100), "navy").save(out, "PNG")
    return SimpleUploadedFile("logo.png", out.getvalue())


def test_the_logo_that_an_administrator_uploads_stands_in_the_agencys_emails(
    administrator, client_of, email_campaign
):
    answer = client_of(administrator).post(reverse("agency-logo"), {"file": logo_file()})

    image = Image.objects.get()
    email = pinning.email_of(EmailDraft.objects.get(campaign=email_campaign))
    event = AuditEvent.objects.get(action="agency.logo_changed")
    assert answer.url == reverse("agency-logo")
    assert email.logo_url == image.url
    assert (event.actor, event.details["image"]) == (administrator, str(image.pk))


def test_a_logo_can_be_removed_and_mails_that_were_sent_keep_it(
    administrator, client_of, email_campaign
):
    browser = client_of(administrator)
    browser.post(reverse("agency-logo"), {"file": logo_file()})
    sent = pinning.pin(email_campaign)

    browser.post(reverse("agency-logo"), {"remove": "yes"})

    administrator.agency.refresh_from_db()
    assert administrator.agency.logo_key == ""
    assert sent.email.logo_url == Image.objects.get().url


def test_what_is_no_picture_is_refused_and_the_logo_stays(administrator, client_of):
    browser = client_of(administrator)
    browser.post(reverse("agency-logo"), {"file": logo_file()})
    before = Image.objects.get().key

    answer = browser.post(
        reverse("agency-logo"), {"file": SimpleUploadedFile("logo.svg", b"<svg onload=x()>")}
    )

    administrator.agency.refresh_from_db()
    assert answer.status_code == 422
    assert "cannot be read" in answer.context["form"].errors["file"][0]
    assert administrator.agency.logo_key == before


@pytest.mark.parametrize("method", ["get", "post"])
def test_only_an_administrator_of_the_agency_has_this_page(method, officer, client_of):
    UserFactory(agency=officer.agency, is_agency_administrator=True)

    assert getattr(client_of(officer), method)(reverse("agency-logo")).status_code == 404
