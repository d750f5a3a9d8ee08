"""The page behind the link in every email: public, in four languages, and it asks for no reason first."""

import html
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from campaigns.email import pinning
from messaging import unsubscribing
from messaging.models import Suppression
from messaging.views import unsubscribe as page
from messaging.views.unsubscribe_words import LANGUAGES
from postman.ids import now_ms

pytestmark = pytest.mark.django_db

MEI = "mei.ling@example.org"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def stranger():
    """Somebody's browser that would be caught by a check for CSRF."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def link(email_campaign):
    return "/u/" + unsubscribing.token_of(email_campaign.id, MEI)


def text_of(response):
    return html.unescape(response.content.decode())


def standing():
    rows = Suppression.objects.standing().values_list("recipient", "reason", "note")
    return list(rows)


def test_looking_at_the_page_changes_nothing(stranger, link):
    for _ in range(2):
        assert stranger.get(link).status_code == 200
    assert stranger.head(link).status_code == 200

    assert not Suppression.objects.exists()


def test_the_page_says_who_wrote_what_to_whom_and_shows_no_address(stranger, link, email_campaign):
    pinning.pin(email_campaign)

    shown = text_of(stranger.get(link))

    assert email_campaign.agency.name in shown
    assert "Your visit to …" in shown
    assert "m•••@example.org" in shown
    assert MEI not in shown


def test_one_press_unsubscribes_at_once(stranger, link, email_campaign):
    response = stranger.post(link, {"action": "unsubscribe"}, follow=True)

    only = Suppression.objects.get()
    assert (only.recipient, only.reason, only.agency) == (
        MEI, "unsubscribed", email_campaign.agency,
    )  # fmt: skip
    assert only.campaign == email_campaign
    assert "You are unsubscribed" in text_of(response)
    assert response.redirect_chain[-1][0].startswith(link)


def test_the_link_shows_later_that_one_is_unsubscribed(stranger, link):
    stranger.post(link)

    assert "You are unsubscribed" in text_of(stranger.get(link))


@pytest.mark.parametrize("content_type", ["form", "multipart"])
def test_mail_apps_unsubscribe_with_one_click(stranger, link, content_type):
    if content_type == "form":
        response = stranger.post(
            link, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
        )
    else:
        response = stranger.post(link, ONE_CLICK)

    assert (response.status_code, response["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert not response.cookies
    assert standing() == [(MEI, "unsubscribed", "")]


def test_a_reason_is_asked_for_afterwards_and_kept(stranger, link):
    stranger.post(link)

    response = stranger.post(link, {"action": "reason", "reason": "never"}, follow=True)

    assert standing() == [(MEI, "unsubscribed", "Never signed up for these emails")]
    assert "Thank you for telling us why." in text_of(response)


def test_a_reason_may_be_in_ones_own_words(stranger, link):
    stranger.post(link)

    stranger.post(link, {"action": "reason", "reason": "other", "own_words": " too \n many\0 "})
    assert standing() == [(MEI, "unsubscribed", "too many")]
    stranger.post(link, {"action": "reason", "reason": "spam", "own_words": "Daily!"})
    assert standing() == [(MEI, "unsubscribed", "Takes the emails for spam. Daily!")]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ({"reason": "other", "own_words": " "}, "Choose a reason, or write one."),
        ({}, "Choose a reason, or write one."),
        ({"own_words": "x" * 256}, "Write at most 255 characters."),
    ],
)
def test_an_answer_that_cannot_be_kept_comes_back_with_what_is_wrong(stranger, link, answer, fault):
    stranger.post(link)

    response = stranger.post(link, {"action": "reason", **answer})

    assert response.status_code == 422
    assert fault in text_of(response)
    assert answer.get("own_words", "").strip() in text_of(response)
    assert standing() == [(MEI, "unsubscribed", "")]


def test_a_reason_of_somebody_who_is_not_unsubscribed_is_kept_nowhere(stranger, link):
    stranger.post(link, {"action": "reason", "reason": "never"})

    assert not Suppression.objects.exists()


def test_it_can_be_taken_back_by_the_same_link(stranger, link):
    stranger.post(link)

    response = stranger.post(link, {"action": "undo"}, follow=True)

    assert standing() == []
    assert "again" in text_of(response)
    assert "Stop emails from" in text_of(response)


def test_after_thirty_days_it_is_the_agency_that_must_be_asked(stranger, link, email_campaign):
    with time_machine.travel(timezone.now() - timedelta(days=31)):
        stranger.post(link)

    response = stranger.post(link, {"action": "undo"}, follow=True)

    assert len(standing()) == 1
    assert f"ask {email_campaign.agency.name}" in text_of(response)
    assert "Changed your mind?" not in text_of(response)


def test_the_link_of_a_deleted_campaign_still_works(stranger, link, email_campaign):
    email_campaign.deleted_at = now_ms()
    email_campaign.save()

    assert stranger.get(link).status_code == 200
    stranger.post(link)

    assert standing() == [(MEI, "unsubscribed", "")]


@pytest.mark.parametrize(
    "token", ["x", "bm9wZQ", "%00", "ü", "A" * 4000, "test2"], ids=lambda token: token[:6]
)
def test_a_link_that_is_not_ours_says_so_and_changes_nothing(stranger, token):
    for response in (stranger.get(f"/u/{token}"), stranger.post(f"/u/{token}", ONE_CLICK)):
        assert response.status_code == 404
        assert "This link does not work" in text_of(response)
    assert not Suppression.objects.exists()


def test_a_link_that_was_changed_on_its_way_does_not_work(stranger, link):
    for place in range(3, len(link), 7):
        other = "A" if link[place] != "A" else "B"
        changed = link[:place] + other + link[place + 1 :]
        assert stranger.post(changed, ONE_CLICK).status_code == 404
    assert not Suppression.objects.exists()


def test_the_link_of_a_test_email_shows_the_page_and_changes_nothing(stranger):
    shown = stranger.get("/u/test")
    done = stranger.post("/u/test", {"action": "unsubscribe"}, follow=True)
    answered = stranger.post("/u/test", {"action": "reason", "reason": "spam"}, follow=True)
    undone = stranger.post("/u/test", {"action": "undo"}, follow=True)

    assert "This link is from a test email" in text_of(shown)
    assert "You are unsubscribed" in text_of(done)
    assert "Thank you" in text_of(answered)
    assert "Stop emails from" in text_of(undone)
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_speaks_the_four_languages(stranger, link, language):
    words = LANGUAGES[language]

    asked = stranger.get(f"{link}?lang={language}")
    stranger.post(f"{link}?lang={language}", {"action": "unsubscribe"})
    done = stranger.get(f"{link}?lang={language}")

    assert f'<html lang="{words.tag}">' in text_of(asked)
    assert words.unsubscribe in text_of(asked)
    for sentence in (words.done, words.why, *words.reasons.values(), words.undo):
        assert sentence in text_of(done)
    assert "{" not in text_of(asked) + text_of(done)


def test_a_language_that_was_chosen_stays(stranger, link):
    response = stranger.post(f"{link}?lang=malay", follow=True)

    assert response.redirect_chain[-1][0] == f"{link}?lang=malay&said=done"
    assert "Anda telah berhenti melanggan" in text_of(response)


@pytest.mark.parametrize(
    ("accepted", "tag"),
    [
        ("zh-SG,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("fr-FR,ta;q=0.5", "ta"),
        ("fr-FR", "en-SG"),
        ("en-GB,zh;q=0.1", "en-SG"),
        ("*;q=x,,,", "en-SG"),
    ],
)
def test_the_page_opens_in_a_language_of_the_browser(stranger, link, accepted, tag):
    response = stranger.get(link, headers={"Accept-Language": accepted})

    assert f'<html lang="{tag}">' in text_of(response)


@pytest.mark.parametrize("path", ["/u/test", "/u/forged"])
def test_nobody_keeps_indexes_or_passes_on_the_address(stranger, path):
    response = stranger.get(path)

    assert "no-store" in response["Cache-Control"]
    assert response["X-Robots-Tag"] == "noindex, nofollow"
    assert response["Referrer-Policy"] == "no-referrer"
    assert not response.cookies


def test_a_flood_from_one_network_is_slowed_down(stranger, link, monkeypatch):
    monkeypatch.setitem(page.RATES, "links", "2/10m")
    for _ in range(2):
        assert stranger.get(link).status_code == 200

    response = stranger.post(link, ONE_CLICK)

    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 600
    assert not Suppression.objects.exists()


def test_whoever_makes_links_up_is_told_sooner(stranger, link, monkeypatch):
    monkeypatch.setitem(page.RATES, "wrong links", "1/10m")
    assert stranger.get("/u/one").status_code == 404

    assert stranger.get("/u/two").status_code == 429
    assert stranger.get(link).status_code == 200
