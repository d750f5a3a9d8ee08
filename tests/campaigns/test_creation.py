import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections
from django.urls import reverse

from campaigns import creation
from campaigns.models import (
    Campaign,
    CampaignDraft,
    Channel,
    Membership,
    RecipientType,
    Role,
    TwilioCredentials,
)
from campaigns.sms import FOOTERS
from messaging.sandbox import constants
from postman.accounts.models import Agency, AuditEvent
from postman.ids import new_id
from tests.factories import EmailCampaignFactory, UserFactory

STAFF = {
    "recipient_type": "internal_staff",
    "account_sid": constants.STAFF_ACCOUNT_SID,
    "api_key_sid": constants.STAFF_API_KEY_SID,
    "api_secret": constants.STAFF_API_SECRET,
    "messaging_service_sid": constants.STAFF_MESSAGING_SERVICE_SID,
    "auth_token": constants.STAFF_AUTH_TOKEN,
    "sender_name": "MOH Staff",
}


@pytest.fixture
def draft(officer):
    return CampaignDraft.objects.create(
        creator=officer, name="Flu jabs", recipient_type=RecipientType.PUBLIC
    )


@pytest.fixture
def browser(officer, client_of):
    return client_of(officer)


def url(step, draft):
    return reverse(f"campaign-new-{step}", args=[draft.pk])


def new_campaign(**changes):
    return {"campaign_id": str(new_id()), "name": "Flu jabs", "kind": "sms"} | changes


def texts(**bodies):
    return {"languages": list(bodies), **{f"body_{code}": text for code, text in bodies.items()}}


def post_text(browser, draft, do="create", **bodies):
    return browser.post(url("content", draft), texts(**bodies) | {"do": do})


def errors_of(response, language="english"):
    return response.context["form"].errors.get(f"body_{language}", [])


# The whole way -------------------------------------------------------------------------------


def test_three_steps_make_a_campaign(officer, browser):
    step_2 = browser.post(reverse("campaign-new"), new_campaign(name="  Flu   jabs ")).url
    step_3 = browser.post(step_2, {"recipient_type": "member_of_public"}).url
    done = browser.post(
        step_3,
        texts(english="Dear {{name}},\r\nsee you at {{clinic}}.", tamil="{{name}} {{clinic}}")
        | {"do": "create"},
    )

    campaign = Campaign.objects.get()
    assert done.url == reverse("campaign", args=[campaign.pk])
    assert campaign.name == "Flu jabs"
    assert campaign.sender_id == "gov.sg"
    assert campaign.agency == officer.agency
    assert [(code, body.body) for code, body in campaign.bodies.items()] == [
        ("english", "Dear {{name}},\nsee you at {{clinic}}."),
        ("tamil", "{{name}} {{clinic}}"),
    ]
    assert {(body.header, body.footer) for body in campaign.bodies.values()} == {
        ("Ministry of Health", FOOTERS["english"]),
        ("Ministry of Health", FOOTERS["tamil"]),
    }
    assert Membership.objects.get().role == Role.OWNER
    assert not CampaignDraft.objects.exists()
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.object_id) == (
        "campaign.created",
        officer,
        campaign.public_id,
    )


def test_a_second_press_of_the_button_leads_to_the_same_campaign(browser, draft):
    first = post_text(browser, draft, english="Hello")
    second = post_text(browser, draft, english="Hello")

    assert second.url == first.url
    assert Campaign.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_presses_at_once_make_one_campaign(officer, draft):
    draft.bodies = {"english": "Hello"}
    draft.save()
    together = threading.Barrier(2)

    def press():
        together.wait()
        try:
            return creation.create_campaign(draft.pk, by=officer).pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        made = {job.result() for job in [pool.submit(press), pool.submit(press)]}

    assert made == {Campaign.objects.get().pk}


def test_the_address_of_a_draft_leads_to_what_became_of_it(browser, draft):
    post_text(browser, draft, english="Hello")

    for step in ("name", "channel", "content"):
        assert browser.get(url(step, draft)).url == reverse("campaign", args=[draft.pk])


# Who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_without_the_right_every_step_says_whom_to_ask(method, client_of, draft, officer):
    officer.can_create_campaigns = False
    officer.save()
    UserFactory(email="pic@health.gov.sg", agency=officer.agency, is_agency_administrator=True)
    browser = client_of(officer)
    pages = [
        reverse("campaign-new"),
        *(url(step, draft) for step in ("name", "channel", "content")),
    ]

    for page in pages:
        answer = getattr(browser, method)(page)
        assert answer.status_code == 403
        assert "pic@health.gov.sg" in answer.content.decode()


def test_without_an_agency_no_campaign_can_be_created(client_of, db):
    answer = client_of(UserFactory(agency=None)).get(reverse("campaign-new"))

    assert answer.status_code == 403
    assert "does not belong to an agency" in answer.content.decode()


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("step", ["name", "channel", "content", "discard"])
def test_somebody_elses_draft_does_not_exist(method, step, client_of, draft):
    browser = client_of(UserFactory(agency=draft.creator.agency))

    status = getattr(browser, method)(url(step, draft)).status_code

    assert status == (405 if (method, step) == ("get", "discard") else 404)
    assert CampaignDraft.objects.filter(pk=draft.pk).exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_whoever_is_not_signed_in_is_sent_to_sign_in(method, client, draft):
    pages = [reverse("campaign-list"), reverse("campaign-new")]
    pages += [url(step, draft) for step in ("name", "channel", "content", "discard")]

    for page in pages:
        assert getattr(client, method)(page).url == f"/login?next={page}"


# Step 1 --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "Give the campaign a name."),
        ("   ", "Give the campaign a name."),
        ("N" * 26, "at most 25"),
        ("Flu\u200bjabs", "invisible"),
        ("Flu\0jabs", "Null"),
    ],
)
def test_a_name_that_will_not_do_is_kept_and_refused(browser, name, reason):
    answer = browser.post(reverse("campaign-new"), new_campaign(name=name))

    assert answer.status_code == 422
    assert reason in answer.context["form"].errors["name"][0]
    assert answer.context["form"]["name"].value() == name
    assert not CampaignDraft.objects.exists()


def test_the_name_can_be_changed_later(browser, draft):
    answer = browser.post(url("name", draft), {"name": "Flu and Covid"})

    draft.refresh_from_db()
    assert (answer.status_code, draft.name) == (302, "Flu and Covid")


# Step 2 --------------------------------------------------------------------------------------


def test_nobody_receiving_is_refused(browser, draft):
    answer = browser.post(url("channel", draft), {"recipient_type": "everybody"})

    assert answer.status_code == 422


def test_twilio_is_asked_and_the_credentials_are_sealed(browser, draft, sandbox, officer):
    answer = browser.post(url("channel", draft), STAFF)
    assert answer.url == url("content", draft)

    post_text(browser, draft, english="Hello")

    campaign = Campaign.objects.get()
    credentials = TwilioCredentials.objects.get(campaign=campaign)
    assert campaign.sender_id == "MOH Staff"
    assert credentials.api_secret == constants.STAFF_API_SECRET
    assert credentials.auth_token == constants.STAFF_AUTH_TOKEN
    assert credentials.verified_at
    assert AuditEvent.objects.filter(action="credentials.saved", actor=officer).count() == 1


def stored_secrets(table):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT row_to_json(t)::text FROM {table} t")
        return "".join(row[0] for row in cursor.fetchall())


def test_secrets_are_in_no_page_and_readable_in_no_table(browser, draft, sandbox):
    browser.post(url("channel", draft), STAFF)
    page = browser.get(url("channel", draft)).content.decode()
    of_draft = stored_secrets("campaigns_campaigndraft")
    post_text(browser, draft, english="Hello")
    of_campaign = stored_secrets("campaigns_twiliocredentials")
    log = stored_secrets("accounts_auditevent")

    assert constants.STAFF_ACCOUNT_SID in page
    assert constants.STAFF_ACCOUNT_SID in of_campaign
    for secret in (constants.STAFF_API_SECRET, constants.STAFF_AUTH_TOKEN):
        for where in (page, of_draft, of_campaign, log):
            assert secret not in where
            assert secret.encode().hex() not in where


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"api_secret": "wrong-secret"}, "api_secret", "does not accept this API Secret"),
        ({"api_secret": "秘密"}, "api_secret", "does not accept this API Secret"),
        ({"auth_token": "秘密"}, "auth_token", "does not accept this Auth Token"),
        ({"api_key_sid": "SK123"}, "api_key_sid", "starts with SK"),
        ({"account_sid": "AC" + "a" * 32}, "account_sid", "different Twilio account"),
        ({"messaging_service_sid": "MG" + "f" * 32}, "messaging_service_sid", "no Messaging"),
        ({"auth_token": "0" * 32}, "auth_token", "does not accept this Auth Token"),
        ({"sender_name": "AB"}, "sender_name", "3 to 11"),
        ({"sender_name": "Kementerian!"}, "sender_name", "3 to 11"),
        ({"sender_name": "12345"}, "sender_name", "at least one of them a letter"),
        ({"account_sid": ""}, "account_sid", "Fill in the Account SID"),
        ({"api_secret": ""}, "api_secret", "Fill in the API Secret"),
    ],
)
def test_credentials_that_fail_are_refused_beside_their_field(
    browser, draft, sandbox, change, field, reason
):
    answer = browser.post(url("channel", draft), STAFF | change)

    page = answer.content.decode()
    assert answer.status_code == 422
    assert reason in answer.context["form"].errors[field][0]
    assert STAFF["api_key_sid"] in page or "SK123" in page
    assert constants.STAFF_API_SECRET not in page
    assert constants.STAFF_AUTH_TOKEN not in page
    draft.refresh_from_db()
    assert draft.twilio is None


def test_without_an_answer_from_twilio_nothing_is_saved(browser, draft, settings):
    settings.TWILIO_BASE_URL = "http://127.0.0.1:9"

    answer = browser.post(url("channel", draft), STAFF)

    assert answer.status_code == 422
    assert "could not be reached" in answer.context["form"].non_field_errors()[0]


def test_the_auth_token_may_be_left_out(browser, draft, sandbox):
    browser.post(url("channel", draft), STAFF | {"auth_token": ""})
    post_text(browser, draft, english="Hello")

    assert TwilioCredentials.objects.get().auth_token is None


def test_saved_secrets_are_kept_when_left_blank(browser, draft, sandbox):
    browser.post(url("channel", draft), STAFF)
    assert "Leave blank to keep it" in browser.get(url("channel", draft)).content.decode()

    browser.post(
        url("channel", draft), STAFF | {"api_secret": "", "auth_token": "", "sender_name": "MOH"}
    )

    draft.refresh_from_db()
    sender = creation.staff_sender(draft)
    assert sender.sender_name == "MOH"
    assert sender.credentials.api_secret == constants.STAFF_API_SECRET
    assert sender.credentials.auth_token == constants.STAFF_AUTH_TOKEN


def test_choosing_the_public_forgets_the_credentials(browser, draft, sandbox):
    browser.post(url("channel", draft), STAFF)
    browser.post(url("channel", draft), STAFF | {"recipient_type": "member_of_public"})

    draft.refresh_from_db()
    assert (draft.recipient_type, draft.twilio) == ("member_of_public", None)


def test_what_is_left_in_the_hidden_fields_does_not_stop_a_public_campaign(browser, draft):
    answer = browser.post(
        url("channel", draft), {"recipient_type": "member_of_public", "account_sid": "typo"}
    )

    assert answer.status_code == 302


def test_step_3_waits_for_step_2(browser, officer):
    draft = CampaignDraft.objects.create(creator=officer, name="Flu jabs")

    assert browser.get(url("content", draft)).url == url("channel", draft)
    assert post_text(browser, draft, english="Hello").url == url("channel", draft)
    assert not Campaign.objects.exists()


# Step 3 --------------------------------------------------------------------------------------


# v2-sms §13.20
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Write the message in English, or remove this language."),
        (" \r\n ", "Write the message in English, or remove this language."),
        ("Dear {{Name}}", "“{{Name}}”: “Name” cannot be a variable name"),
        ("Dear {{1a}}", "“{{1a}}”: “1a” cannot be a variable name"),
        ("Dear {{name", "“{{”: Close this variable"),
        ("Dear {{recipient}}", "“{{recipient}}”: “recipient” is the name of a column"),
        ("Pay 5€", "Replace € (euro sign) with EUR."),
        ("Well done \N{THUMBS UP SIGN}", "Remove the emoji"),
        ("It`s you", "Replace ` (grave accent) with '."),
        ("x" * 1001, "The message has 1,001 characters; the most is 1,000. Take out 1."),
    ],
)
def test_a_text_that_cannot_be_sent_is_kept_and_refused_with_its_fault(
    browser, draft, text, reason
):
    answer = post_text(browser, draft, english=text)

    assert answer.status_code == 422
    assert reason in " ".join(errors_of(answer))
    assert answer.context["form"]["body_english"].value() == text
    assert not Campaign.objects.exists()


def test_every_fault_is_told_at_once(browser, draft):
    answer = post_text(browser, draft, english="{{Name}} pays 5€ and 6€", malay="{{name}")

    assert len(errors_of(answer)) == 2
    assert errors_of(answer, "malay")


def test_a_thousand_characters_do_and_variables_do_not_count(browser, draft):
    answer = post_text(browser, draft, english="x" * 1000 + "{{a_long_variable_name}}")

    assert answer.status_code == 302


# v2-sms §13.20
def test_languages_with_different_variables_say_which_is_missing_where(browser, draft):
    answer = post_text(
        browser, draft, english="{{name}} {{date}}", malay="{{name}}", chinese="{{date}}"
    )

    assert errors_of(answer) == []
    assert errors_of(answer, "malay") == [
        "{{date}} is missing in Malay but used in English and Chinese. "
        "Every language needs the same variables."
    ]
    assert errors_of(answer, "chinese") == [
        "{{name}} is missing in Chinese but used in English and Malay. "
        "Every language needs the same variables."
    ]


def test_a_campaign_needs_a_language(browser, draft):
    answer = browser.post(url("content", draft), {"do": "create"})

    assert answer.status_code == 422
    assert answer.context["form"].non_field_errors() == ["Add at least one language."]


def test_a_new_draft_opens_in_english(browser, draft):
    assert browser.get(url("content", draft)).context["form"].languages == ["english"]


def test_adding_and_removing_a_language_keeps_what_was_typed(browser, draft):
    post_text(browser, draft, do="add malay", english="Half a mess")
    assert browser.get(url("content", draft)).context["form"].bodies == {
        "english": "Half a mess",
        "malay": "",
    }

    post_text(browser, draft, do="remove english", english="Half a mess", malay="Setengah")
    assert browser.get(url("content", draft)).context["form"].bodies == {"malay": "Setengah"}


def test_english_can_be_removed(browser, draft):
    assert post_text(browser, draft, malay="Selamat").status_code == 302
    assert list(Campaign.objects.get().bodies) == ["malay"]


@pytest.mark.parametrize(("do", "page"), [("leave", "campaign-list"), ("back", "channel")])
def test_leaving_keeps_what_was_typed_faults_and_all(browser, draft, do, page):
    changed_at = draft.updated_at

    answer = post_text(browser, draft, do=do, english="Dear {{Name}}")

    draft.refresh_from_db()
    assert draft.updated_at > changed_at
    assert answer.url == (reverse(page) if do == "leave" else url(page, draft))
    assert draft.bodies == {"english": "Dear {{Name}}"}


# v2-sms §13.20
def test_checking_shows_faults_counts_and_preview_without_creating(browser, draft):
    answer = post_text(browser, draft, do="check", english="Dear {{Name}} " + "x" * 320)

    page = answer.content.decode()
    assert answer.status_code == 422
    assert "cannot be a variable name" in page
    assert "longer than 320 characters" in page
    assert "Ministry of Health" in page
    assert FOOTERS["english"] in page
    assert not Campaign.objects.exists()


def test_a_null_character_is_refused_and_not_stored(browser, draft):
    for do in ("create", "leave", "add malay"):
        assert post_text(browser, draft, do=do, english="Dear\0").status_code == 422
    draft.refresh_from_db()
    assert draft.bodies == {}


def test_an_unknown_button_or_language_does_nothing_odd(browser, draft):
    answer = post_text(browser, draft, do="add klingon", english="Hello", klingon="nuqneH")

    draft.refresh_from_db()
    assert answer.status_code == 302
    assert draft.bodies == {"english": "Hello"}


def test_text_is_shown_as_text(browser, draft):
    draft.bodies = {"english": "<script>alert(1)</script> {{name}}"}
    draft.save()

    page = browser.get(url("content", draft)).content.decode()

    assert "<script>alert(1)" not in page
    assert "<mark>{{name}}</mark>" in page


def test_the_right_is_looked_at_again_when_the_campaign_is_made(officer, draft):
    draft.bodies = {"english": "Hello"}
    draft.save()
    officer.can_create_campaigns = False

    with pytest.raises(creation.NotReady, match="do not have the right"):
        creation.create_campaign(draft.pk, by=officer)


def test_discarding_takes_the_draft_away(browser, draft):
    answer = browser.post(url("discard", draft))

    assert answer.url == reverse("campaign-list")
    assert not CampaignDraft.objects.exists()


# The channel ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "is_protected"), [("email", False), ("protected", True)])
def test_an_email_campaign_is_made_at_once_and_leads_to_its_message(browser, kind, is_protected):
    answer = browser.post(
        reverse("campaign-new"), new_campaign(name="  News " + "n" * 250, kind=kind)
    )

    campaign = Campaign.objects.get()
    assert answer.url == reverse("campaign-message", args=[campaign.pk])
    assert campaign.name == "News " + "n" * 250
    assert (campaign.channel, campaign.is_protected) == ("email", is_protected)


def test_a_second_press_makes_no_second_email_campaign(browser):
    typed = new_campaign(kind="email")

    first = browser.post(reverse("campaign-new"), typed)
    second = browser.post(reverse("campaign-new"), typed)

    assert second.url == first.url
    assert Campaign.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_presses_at_once_make_one_email_campaign(officer):
    id_ = new_id()
    together = threading.Barrier(2)

    def press():
        together.wait()
        try:
            return creation.create_email_campaign(
                id=id_, name="News", is_protected=False, by=officer
            ).pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        made = {job.result() for job in [pool.submit(press), pool.submit(press)]}

    assert made == {id_}


def test_the_id_of_somebody_elses_campaign_makes_nothing(browser):
    theirs = EmailCampaignFactory()

    answer = browser.post(
        reverse("campaign-new"), new_campaign(campaign_id=str(theirs.pk), kind="email")
    )

    assert answer.status_code == 422
    assert list(Campaign.objects.all()) == [theirs]


def test_a_name_too_long_for_an_sms_campaign_is_kept_and_refused(browser):
    answer = browser.post(reverse("campaign-new"), new_campaign(name="N" * 26))

    assert answer.status_code == 422
    assert answer.context["form"].errors["name"] == [
        "The name of an SMS campaign has at most 25 characters; this one has 26."
    ]
    assert answer.context["form"]["name"].value() == "N" * 26
    assert answer.context["form"]["kind"].value() == "sms"


@pytest.mark.parametrize("kind", ["", "telegram", None])
def test_without_a_channel_nothing_is_made(browser, kind):
    typed = {key: value for key, value in new_campaign(kind=kind).items() if value is not None}

    answer = browser.post(reverse("campaign-new"), typed)

    assert answer.status_code == 422
    assert answer.context["form"].errors["kind"]
    assert not Campaign.objects.exists()
    assert not CampaignDraft.objects.exists()


# Channels that an agency may use -------------------------------------------------------------


def test_a_channel_that_is_off_for_the_agency_is_shown_with_the_reason(browser, officer):
    Agency.objects.filter(pk=officer.agency_id).update(may_use_email=False)

    page = browser.get(reverse("campaign-new"))

    assert "Email is not switched on for Ministry of Health." in page.text
    assert re.search(r'<input[^>]*value="email"[^>]*disabled', page.text)
    assert not re.search(r'<input[^>]*value="sms"[^>]*disabled', page.text)


@pytest.mark.parametrize(
    ("kind", "switch"), [("email", "email"), ("protected", "email"), ("sms", "sms")]
)
def test_nothing_is_made_on_a_channel_that_is_off_for_the_agency(browser, officer, kind, switch):
    Agency.objects.filter(pk=officer.agency_id).update(**{f"may_use_{switch}": False})

    answer = browser.post(reverse("campaign-new"), new_campaign(kind=kind))

    assert answer.status_code == 422
    assert "is not switched on" in answer.context["form"].errors["kind"][0]
    assert not Campaign.objects.exists()
    assert not CampaignDraft.objects.exists()


def test_agencies_start_with_sms_and_email():
    agency = Agency(name="New")

    assert [c for c in Channel.values if agency.may_use(c)] == ["sms", "email"]
