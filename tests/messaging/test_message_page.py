import pytest
from django.urls import reverse

from campaigns.models import EmailDraft


@pytest.fixture
def browser(officer, client_of):
    return client_of(officer)


@pytest.fixture
def page(email_campaign):
    return reverse("campaign-message", args=[email_campaign.pk])


def typed(campaign, **changes):
    """What the form of the page would send now, with these changes."""
    draft = EmailDraft.objects.get(campaign=campaign)
    return {
        "version": draft.version,
        "from_name": draft.from_name,
        "from_address": draft.from_address or "donotreply@mail.postman.gov.sg",
        "reply_to": draft.reply_to,
        "subject": draft.subject,
        "preheader": draft.preheader,
        "html": draft.html,
        "shows_logo": "on",
        "tracks_opens": "on",
    } | changes


def test_what_is_written_is_saved(browser, page, email_campaign, officer):
    answer = browser.post(
        page,
        typed(
            email_campaign, subject="Hello {{Name}}", html="<p>See {{clinic}}, {{recipient}}</p>"
        ),
    )

    draft = EmailDraft.objects.get()
    assert answer.url == page
    assert (draft.subject, draft.html) == (
        "Hello {{Name}}",
        "<p>See {{clinic}}, {{recipient}}</p>",
    )
    assert draft.variables == ["name", "clinic"]
    assert (draft.version, draft.updated_by) == (2, officer)
