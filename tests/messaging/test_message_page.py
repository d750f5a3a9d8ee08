import re
from io import BytesIO

import pytest
from django.conf import settings
from django.urls import reverse
from PIL import Image as Pillow

from campaigns.email import images
from campaigns.models import EmailDraft, Membership, Role
from messaging.models import Batch, BatchStatus, StagedRow
from postman.ids import new_id
from tests.factories import EmailCampaignFactory, UserFactory

HTMX = {"HX-Request": "true"}
SENDER = "donotreply@mail.postman.gov.sg"


@pytest.fixture
def browser(officer, client_of):
    return client_of(officer)


@pytest.fixture
def colleague(email_campaign):
    user = UserFactory(email="ahmad@health.gov.sg", agency=email_campaign.agency)
    Membership.objects.create(campaign=email_campaign, user=user, role=Role.MEMBER)
    return user


@pytest.fixture
def page(email_campaign):
    return reverse("campaign-message", args=[email_campaign.pk])


@pytest.fixture
def preview(email_campaign):
    return reverse("campaign-message-preview", args=[email_campaign.pk])


def typed(campaign, **changes):
    """What the form of the page would send now, with these changes."""
    draft = EmailDraft.objects.get(campaign=campaign)
    return {
        "version": draft.version,
        "from_name": draft.from_name,
        "from_address": draft.from_address or SENDER,
        "reply_to": draft.reply_to,
        "subject": draft.subject,
        "preheader": draft.preheader,
        "html": draft.html,
        "shows_logo": "on",
        "tracks_opens": "on",
    } | changes


def checked_batch(campaign, rows, columns=("recipient", "name", "clinic"), **facts):
    """A file of recipients that waits to be sent."""
    batch = Batch.objects.create(
        campaign=campaign,
        creator=campaign.creator,
        status=BatchStatus.READY,
        original_file_name="residents.csv",
        summary={"columns": list(columns)},
        total_messages=len(rows),
        **facts,
    )
    StagedRow.objects.bulk_create(
        StagedRow(
            batch=batch,
            row=number,
            message_id=new_id(),
            template_body_id=new_id(),  # the draft is pinned once it is sent
            recipient=recipient,
            values=values,
            segments=0,
        )
        for number, (recipient, values) in enumerate(rows, start=2)
    )
    return batch


RESIDENTS = [
    ("siti@example.com", {"name": "Siti", "clinic": "Clementi"}),
    ("ravi@example.com", {"name": "Ravi", "clinic": "Bedok"}),
    ("mei@example.com", {"name": "<b>Mei</b>", "clinic": ""}),
]


# Saving --------------------------------------------------------------------------------------


def test_what_is_written_is_saved(browser, page, email_campaign, officer):
    answer = browser.post(
        page,
        typed(
            email_campaign, subject="Hello {{Name}}", html="<p>See {{clinic}}, {{recipient}}</p>"
        ),
    )

    draft = EmailDraft.objects.get()
    assert answer.url == page
    assert (draft.subject, draft.html) == ("Hello {{Name}}", "<p>See {{clinic}}, {{recipient}}</p>")
    assert draft.variables == ["name", "clinic"]
    assert (draft.version, draft.updated_by) == (2, officer)


def test_saving_and_going_on_leads_to_the_recipients(browser, page, email_campaign):
    answer = browser.post(page, typed(email_campaign, subject="Hello", next="yes"))

    assert answer.url == reverse("compose-multiple", args=[email_campaign.pk])


def test_everything_of_an_email_can_be_written(browser, page, email_campaign):
    written = {
        "from_name": "Ministry of Health",
        "reply_to": "clinic@health.gov.sg",
        "subject": "Hello",
        "preheader": "A word before",
        "html": "<p>Hello</p>",
    }
    data = typed(email_campaign, **written)
    del data["shows_logo"], data["tracks_opens"]

    browser.post(page, data)

    draft = EmailDraft.objects.get()
    assert {name: getattr(draft, name) for name in written} == written
    assert (draft.from_address, draft.shows_logo, draft.tracks_opens) == (SENDER, False, False)


def test_a_second_press_of_save_changes_nothing(browser, page, email_campaign):
    data = typed(email_campaign, subject="Hello")

    browser.post(page, data)
    again = browser.post(page, data)

    assert again.status_code == 302
    assert EmailDraft.objects.get().version == 2


def test_a_faulty_text_is_saved_as_typed_with_its_faults_beside_it(browser, page, email_campaign):
    html = "<p>Dear {{first name}}, {{#if}} {{</p>"
    browser.post(
        page, typed(email_campaign, subject="Hello {{", html=html, reply_to="nobody at all")
    )

    draft = EmailDraft.objects.get()
    notes = browser.get(page).context["notes"]
    assert (draft.subject, draft.html, draft.reply_to) == ("Hello {{", html, "nobody at all")
    assert notes["reply_to"]["faults"] == ["This is not an email address."]
    assert notes["subject"]["faults"] == [
        "In the subject: Close this keyword with }} after its name."
    ]
    assert [sentence.split(":")[0] for sentence in notes["html"]["faults"]] == [
        "In the message"
    ] * len(notes["html"]["faults"])
    assert len(notes["html"]["faults"]) == 3


def test_a_new_email_is_not_called_faulty_before_it_is_begun(client_of, officer):
    campaign = EmailCampaignFactory(creator=officer, draft={"subject": "", "html": ""})

    answer = client_of(officer).get(reverse("campaign-message", args=[campaign.pk]))

    assert not any(note["faults"] for note in answer.context["notes"].values())


def test_one_field_that_cannot_be_stored_does_not_lose_the_others(browser, page, email_campaign):
    answer = browser.post(
        page, typed(email_campaign, subject="s" * 501, html="<p>New</p>", reply_to="a@b.gov.sg")
    )

    draft = EmailDraft.objects.get()
    form = answer.context["form"]
    assert answer.status_code == 422
    assert "at most 500" in form.errors["subject"][0]
    assert form["subject"].value() == "s" * 501
    assert (draft.subject, draft.html) == ("Your visit to {{clinic}}", "<p>New</p>")
    assert answer.context["version"] == draft.version == 2


@pytest.mark.parametrize("field", ["from_name", "reply_to", "subject", "preheader"])
def test_no_field_can_start_another_header(browser, page, email_campaign, field):
    browser.post(page, typed(email_campaign, **{field: "a\r\nBcc: x@evil.example\x0bb\u2028c"}))

    assert getattr(EmailDraft.objects.get(), field) == "a Bcc: x@evil.example b c"


def test_an_address_that_is_not_theirs_to_use_is_refused(browser, page, email_campaign):
    answer = browser.post(page, typed(email_campaign, from_address="pm@pmo.gov.sg"))

    assert answer.status_code == 422
    assert answer.context["form"].errors["from_address"] == ["You may not send from this address."]
    assert EmailDraft.objects.get().from_address == ""


# What may not stand in an email ---------------------------------------------------------------

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<a href="javascript:alert(1)">click</a>',
    '<a href=" jav&#x09;ascript:alert(1)">click</a>',
    "<svg onload=alert(1)><animate onbegin=alert(1)>",
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    '<p style="background:url(javascript:alert(1))">x</p>',
    "<form action=https://evil.example><button>Log in</button></form>",
    "<textarea></textarea><script>alert(1)</script>",
    '"><script>alert(1)</script>',
    '<base href="https://evil.example/">',
    '<meta http-equiv="refresh" content="0;url=https://evil.example">',
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
]
DANGER = re.compile(
    r"<script|<iframe|<form|<svg|<base|<meta|<object|\bon\w+\s*=|href=\"?\s*javascript", re.I
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_script_gets_through_the_form(browser, page, preview, email_campaign, attack):
    browser.post(
        page,
        typed(email_campaign, html=f"<p>Hello {{{{name}}}}</p>{attack}", subject=attack),
    )

    assert not DANGER.search(EmailDraft.objects.get().html)
    body = browser.get(preview).content.decode().partition("<body")[2]
    assert not DANGER.search(body)
    # In the page the text stands in its fields, as text.
    shown = browser.get(page).content.decode()
    assert f'value="{attack}"' not in shown
    assert "alert(1)</script>" not in shown


def test_what_was_taken_out_is_said_in_plain_words(browser, page, email_campaign):
    data = typed(email_campaign, html="<p onclick='x()'>Hi</p><script>alert(1)</script>")

    shown = browser.post(page, data, follow=True).content.decode()

    assert "Removed a script." in shown
    assert "Removed a script (onclick) on &lt;p&gt;." in shown
    assert EmailDraft.objects.get().html == "<p>Hi</p>"


def test_values_of_a_row_are_text_in_the_preview(browser, preview, email_campaign):
    checked_batch(
        email_campaign,
        [("x@example.com", {"name": "<script>alert(1)</script>", "clinic": '"><img src=x>'})],
    )

    shown = browser.get(preview).content.decode()

    assert "&lt;script&gt;alert(1)" in shown
    assert "<script" not in shown
    assert "<img src=x" not in shown


# Two at once ----------------------------------------------------------------------------------


def test_of_two_who_write_at_once_the_second_sees_both_texts(
    browser, page, email_campaign, colleague, client_of
):
    mine = typed(email_campaign, subject="Mine", html="<p>My text</p>")
    client_of(colleague).post(page, typed(email_campaign, html="<p>Their text</p>"))

    answer = browser.post(page, mine)

    shown = answer.content.decode()
    assert answer.status_code == 409
    assert EmailDraft.objects.get().html == "<p>Their text</p>"
    assert answer.context["form"]["html"].value() == "<p>My text</p>"
    assert dict(answer.context["differences"]) == {
        "Subject": "Your visit to {{clinic}}",
        "Message": "<p>Their text</p>",
    }
    assert "&lt;p&gt;Their text&lt;/p&gt;" in shown
    assert "ahmad@health.gov.sg" in shown
    # Nothing is saved by itself while somebody decides.
    assert "hx-post" not in shown.partition('id="message"')[2].partition(">")[0]


def test_after_seeing_both_the_second_may_save_theirs(
    browser, page, email_campaign, colleague, client_of
):
    mine = typed(email_campaign, html="<p>My text</p>")
    client_of(colleague).post(page, typed(email_campaign, html="<p>Their text</p>"))
    seen = browser.post(page, mine).context["version"]

    browser.post(page, mine | {"version": seen})

    assert EmailDraft.objects.get().html == "<p>My text</p>"


def test_saving_by_itself_overwrites_nobody(browser, page, email_campaign, colleague, client_of):
    mine = typed(email_campaign, html="<p>My text</p>")
    client_of(colleague).post(page, typed(email_campaign, html="<p>Their text</p>"))

    answer = browser.post(page, mine, headers=HTMX)

    assert answer.status_code == 422
    assert "ahmad@health.gov.sg saved another text" in answer.content.decode()
    assert EmailDraft.objects.get().html == "<p>Their text</p>"


@pytest.mark.parametrize("version", ["", "0", "x", "999"])
def test_a_form_without_its_version_overwrites_nothing(browser, page, email_campaign, version):
    answer = browser.post(page, typed(email_campaign, version=version, html="<p>New</p>"))

    assert answer.status_code == 409
    assert EmailDraft.objects.get().version == 1


# Saved by itself -------------------------------------------------------------------------------


def test_saved_by_itself_the_page_learns_what_changed(browser, page, email_campaign):
    answer = browser.post(
        page, typed(email_campaign, subject="Hello {{x y}}", width="phone"), headers=HTMX
    )

    shown = answer.content.decode()
    assert answer.status_code == 200
    assert re.search(r"Saved \d\d:\d\d", shown)
    assert "<html" not in shown
    assert 'value="2" id="id_version"' in shown
    assert "“x y” cannot be a keyword" in shown
    assert 'class="look-frame look-phone"' in shown


def test_saved_by_itself_what_cannot_be_stored_is_named(browser, page, email_campaign):
    answer = browser.post(page, typed(email_campaign, subject="s" * 501), headers=HTMX)

    assert "Subject: Ensure this value has at most 500 characters" in answer.content.decode()


# With somebody's values ------------------------------------------------------------------------


def test_the_preview_shows_any_row_of_the_newest_file(browser, page, preview, email_campaign):
    checked_batch(email_campaign, [("old@example.com", {"name": "Old", "clinic": "Old"})])
    checked_batch(email_campaign, RESIDENTS)

    assert "Dear Siti, see you at Clementi." in browser.get(preview).content.decode()
    assert "Dear Ravi, see you at Bedok." in browser.get(preview + "?row=3").content.decode()
    assert "Dear &lt;b&gt;Mei&lt;/b&gt;" in browser.get(preview + "?row=99").content.decode()
    look = browser.get(page + "?row=3").context["look"]
    assert (look["previous"], look["row"].recipient, look["next"]) == (2, "ravi@example.com", 4)
    assert look["parts"].subject == "Your visit to Bedok"


@pytest.mark.parametrize("row", ["", "x", "-1", "9" * 30, "٣", "0"])
def test_a_row_that_is_none_shows_the_first(browser, preview, email_campaign, row):
    checked_batch(email_campaign, RESIDENTS)

    assert "Dear Siti" in browser.get(preview, {"row": row}).content.decode()


def test_without_a_file_the_preview_shows_examples(browser, preview):
    assert "Dear [name], see you at [clinic]." in browser.get(preview).content.decode()


def test_a_file_that_is_not_checked_or_was_thrown_away_shows_nothing(
    browser, preview, email_campaign
):
    batch = checked_batch(email_campaign, RESIDENTS)
    for status in (BatchStatus.INVALID, BatchStatus.DISCARDED, BatchStatus.ENQUEUED):
        Batch.objects.filter(pk=batch.pk).update(status=status)
        assert "Dear [name]" in browser.get(preview).content.decode()


def test_the_preview_may_run_and_load_nothing_but_pictures(browser, preview):
    answer = browser.get(preview)

    policy = answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "sandbox" in policy
    assert "unsafe-eval" not in policy
    assert "no-store" in answer.headers["Cache-Control"]


def test_the_plain_text_can_be_read(browser, page):
    assert (
        "Dear [name], see you at [clinic]."
        in (browser.get(page + "?width=text").content.decode().partition('class="look-text"')[2])
    )


def test_a_text_that_needs_more_columns_keeps_its_recipients_and_names_them(
    browser, page, email_campaign
):
    checked_batch(email_campaign, RESIDENTS)

    browser.post(page, typed(email_campaign, html="<p>{{name}} {{clinic}} {{Date}} {{doctor}}</p>"))

    answer = browser.get(page)
    assert answer.context["missing"] == ["date", "doctor"]
    assert "residents.csv has no column for" in answer.content.decode()
    assert StagedRow.objects.count() == 3


def test_keywords_to_choose_from_are_the_columns_of_the_file(browser, page, email_campaign):
    checked_batch(email_campaign, RESIDENTS, columns=["recipient", "Name", "clinic", "home town"])

    assert browser.get(page).context["words"] == ["recipient", "name", "clinic"]


def test_an_email_that_mail_apps_cut_off_is_told_so(browser, page, email_campaign):
    browser.post(page, typed(email_campaign, html=f"<p>{'many words ' * 12_000}</p>"))

    look = browser.get(page).context["look"]
    assert look["is_clipped"]
    assert "Gmail cuts off the end" in browser.get(page).content.decode()


# Pictures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("picture", "kind", "words"),
    [
        ('<img src="https://file.go.gov.sg/a.png">', "faults", "Describe each picture"),
        ('<img src="http://file.go.gov.sg/a.png" alt="A">', "faults", "starts with https://"),
        ('<img src="https://tracker.example/a.png" alt="A">', "advice", "tracker.example"),
        ('<img src="https://evilgov.sg/a.png" alt="A">', "advice", "evilgov.sg"),
    ],
)
def test_a_picture_that_had_better_be_otherwise_is_told(
    browser, page, email_campaign, picture, kind, words
):
    browser.post(page, typed(email_campaign, html=f"<p>Hello</p>{picture}"))

    assert words in " ".join(browser.get(page).context["notes"]["html"][kind])


@pytest.mark.parametrize(
    "picture",
    [
        '<img src="https://file.go.gov.sg/a.png" alt="A">',
        '<img src="{{photo_url}}" alt="A">',
        f'<img src="{settings.PUBLIC_URL}/images/x" alt="A">',
    ],
)
def test_a_described_picture_of_the_government_is_right(browser, page, email_campaign, picture):
    browser.post(page, typed(email_campaign, html=f"<p>Hello</p>{picture}"))

    assert browser.get(page).context["notes"]["html"] == {"faults": [], "advice": []}


def test_the_agencys_logo_is_shown_unless_its_writer_leaves_it_out(
    browser, page, preview, email_campaign
):
    agency = email_campaign.agency
    agency.logo_key = "the-logo"
    agency.save()

    assert "/images/the-logo" in browser.get(preview).content.decode()
    data = typed(email_campaign)
    del data["shows_logo"]
    browser.post(page, data)
    assert "/images/the-logo" not in browser.get(preview).content.decode()


# Password-protected ----------------------------------------------------------------------------


@pytest.fixture
def notice(officer):
    return EmailCampaignFactory(
        creator=officer, is_protected=True, draft={"subject": "Your result", "html": ""}
    )


def test_the_notice_of_a_protected_page_leads_there_and_tells_nothing_else(browser, notice):
    page = reverse("campaign-message", args=[notice.pk])

    browser.post(page, typed(notice, subject="Result of {{name}}", html="<p>{{result}}</p>"))

    answer = browser.get(page)
    notes = answer.context["notes"]
    assert answer.context["words"] == ["protectedlink", "recipient"]
    assert [sentence[:15] for sentence in notes["subject"]["faults"]] == ["Remove {{name}}"]
    assert [sentence[:17] for sentence in notes["html"]["faults"]] == [
        "Write {{protected",
        "Remove {{result}}",
    ]


def test_the_notice_may_name_its_recipient_and_the_page(browser, notice):
    page = reverse("campaign-message", args=[notice.pk])

    browser.post(page, typed(notice, html="<p>{{recipient}}: {{protectedlink}}</p>"))

    assert not any(note["faults"] for note in browser.get(page).context["notes"].values())


# Who may ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["campaign-message", "campaign-message-preview"])
def test_only_owners_and_members_see_the_message(name, email_campaign, colleague, client_of):
    restricted, stranger = (UserFactory(agency=email_campaign.agency) for _ in range(2))
    Membership.objects.create(campaign=email_campaign, user=restricted, role=Role.RESTRICTED)
    address = reverse(name, args=[email_campaign.pk])

    statuses = {
        user.email: client_of(user).get(address).status_code
        for user in (email_campaign.creator, colleague, restricted, stranger)
    }

    assert list(statuses.values()) == [200, 200, 404, 404]


def test_who_may_not_see_the_message_cannot_save_one(page, email_campaign, client_of):
    restricted, stranger = (UserFactory(agency=email_campaign.agency) for _ in range(2))
    Membership.objects.create(campaign=email_campaign, user=restricted, role=Role.RESTRICTED)

    for user in (restricted, stranger):
        answer = client_of(user).post(page, typed(email_campaign, subject="Mine now"))
        assert answer.status_code == 404
    assert EmailDraft.objects.get().version == 1


def test_a_campaign_of_sms_has_no_such_page(campaign, officer, client_of):
    address = reverse("campaign-message", args=[campaign.pk])

    assert client_of(officer).get(address).status_code == 404


def test_whoever_is_not_signed_in_is_sent_to_sign_in(client, page, preview):
    for address in (page, preview):
        assert client.get(address).url == f"/login?next={address}"


def test_the_page_runs_no_script_of_its_own_text(browser, page):
    answer = browser.get(page)

    scripts = re.findall(r"<script[^>]*>(.*?)</script>", answer.content.decode(), re.S)
    assert set(scripts) == {""}
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_a_picture_uploaded_here_is_ours(browser, page, email_campaign, officer):
    file = BytesIO()
    Pillow.new("RGB", (4, 4)).save(file, "PNG")
    image = images.keep(file, alt="A clinic", agency=officer.agency, by=officer)

    browser.post(page, typed(email_campaign, html=f"<p>Hello {image.html}</p>"))

    assert image.url in EmailDraft.objects.get().html
    assert browser.get(page).context["notes"]["html"] == {"faults": [], "advice": []}
