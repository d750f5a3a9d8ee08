"""Mondays, the owners of a campaign are mailed how many unsubscribed, and why."""

import pytest
from celery.schedules import crontab
from django.conf import settings as configured
from django.core import mail
from django.urls import reverse

from messaging import owner_mails, suppression
from messaging.models import Suppression
from messaging.tasks import send_digest
from postman.ids import now_ms
from tests.factories import EmailCampaignFactory, UserFactory
from tests.messaging.rows import member

pytestmark = pytest.mark.django_db

PRESETS = suppression.REASONS


def leave(campaign, *notes):
    """As many people unsubscribe from it, with these reasons."""
    earlier = Suppression.objects.count()
    for n, note in enumerate(notes, earlier):
        suppression.unsubscribe(campaign, f"person{n}@example.org")
        suppression.say_why(campaign, f"person{n}@example.org", note)


def mails():
    return {message.to[0]: message for message in mail.outbox}


def test_owners_learn_how_many_left_and_why_and_no_address(email_campaign, officer):
    leave(email_campaign, PRESETS["spam"], PRESETS["spam"], "", PRESETS["never"], "Too many!")

    send_digest()

    [message] = mail.outbox
    assert (message.to, message.subject) == (
        [officer.email], "5 people unsubscribed from your emails last week",
    )  # fmt: skip
    for part in (message.body, message.alternatives[0][0]):
        assert "Newsletter: 5" in part
        assert "Takes the emails for spam: 2" in part
        assert "Never signed up for these emails: 1" in part
        assert "No reason given: 1" in part
        assert "Another reason, in their own words: 1" in part
        assert "@example.org" not in part
        assert "Too many!" not in part


def test_the_link_leads_to_those_who_left_the_campaign(email_campaign, officer, client_of):
    another = EmailCampaignFactory(creator=officer)
    leave(email_campaign, "")
    leave(another, "")

    owner_mails.send_digest()

    link = f"{reverse('suppressions')}?reason=unsubscribed&campaign={email_campaign.public_id}"
    assert configured.PUBLIC_URL + link in mail.outbox[0].body
    rows = client_of(officer).get(link).context["page"].rows
    assert [entry.recipient for entry in rows] == ["person0@example.org"]


def test_an_owner_of_another_agency_is_led_to_the_campaign(email_campaign):
    guest = member(email_campaign, "owner")
    leave(email_campaign, "")

    owner_mails.send_digest()

    body = mails()[guest.email].body
    assert reverse("campaign", args=[email_campaign.id]) in body
    assert reverse("suppressions") not in body


def test_each_is_told_once_however_often_it_runs(email_campaign):
    leave(email_campaign, "")

    assert owner_mails.send_digest() == 1
    assert owner_mails.send_digest() == 0
    leave(email_campaign, "")
    assert owner_mails.send_digest() == 1

    assert [message.subject.partition(" unsub")[0] for message in mail.outbox] == ["1 person"] * 2


def test_an_owner_of_several_campaigns_gets_one_mail(email_campaign, officer):
    leave(email_campaign, "", "")
    leave(EmailCampaignFactory(creator=officer, name="Events"), "")
    colleague = member(email_campaign, "owner")
    member(email_campaign)

    owner_mails.send_digest()

    assert set(mails()) == {officer.email, colleague.email}
    assert "Newsletter: 2" in mails()[officer.email].body
    assert "Events: 1" in mails()[officer.email].body
    assert "Events" not in mails()[colleague.email].body


def test_who_came_back_and_what_officers_or_providers_listed_is_not_counted(email_campaign):
    leave(email_campaign, "")
    suppression.undo(email_campaign, "person0@example.org")
    suppression.add(email_campaign.agency, "added@example.org", "", by=UserFactory())
    Suppression.objects.create(
        agency=None, recipient="bounced@example.org", reason="hard_bounce", campaign=email_campaign
    )

    assert owner_mails.send_digest() == 0
    assert mail.outbox == []


def test_nobody_is_mailed_of_a_deleted_campaign_or_with_a_closed_account(email_campaign, officer):
    deleted = EmailCampaignFactory(creator=officer, deleted_at=now_ms())
    leave(deleted, "")
    closed = EmailCampaignFactory(creator=UserFactory(is_active=False))
    leave(closed, "")

    assert owner_mails.send_digest() == 0


def test_while_no_mail_can_be_sent_nobody_counts_as_told(email_campaign, settings):
    leave(email_campaign, "")
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    assert owner_mails.send_digest() == 0

    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert owner_mails.send_digest() == 1


def test_it_goes_out_on_mondays_at_half_past_nine_in_singapore():
    schedule = configured.CELERY_BEAT_SCHEDULE["send-digest"]

    assert schedule["task"] == send_digest.name
    assert configured.CELERY_TIMEZONE == "UTC"
    assert schedule["schedule"] == crontab(day_of_week=1, hour=1, minute=30)
