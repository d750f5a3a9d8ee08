import pytest

from campaigns.email import composing, keywords, sanitising
from campaigns.email.theme import Facts

FACTS = Facts(agency_name="Ministry of Health")
BODY = sanitising.clean(
    '<p>Dear {{Name}},</p><p>come to {{clinic}}: {{map_url}} or <a href="{{change}}">change</a>.</p>'
).html
VALUES = {
    "recipient": "mei@example.sg",
    "name": "Mei & Ling",
    "clinic": "Clementi\nPolyclinic",
    "map_url": "https://maps.gov.sg/?a=1&b=2",
    "change": "https://x.gov.sg/1",
}
UNSUBSCRIBE = "https://postman.gov.sg/u/1"


def compose(subject="Visit of {{NAME}}", body=BODY, preheader=""):
    return composing.compose(subject, body, preheader, FACTS)


def test_a_recipient_gets_a_subject_a_page_and_its_text():
    mail = compose().mail_parts(VALUES, UNSUBSCRIBE)

    assert mail.subject == "Visit of Mei & Ling"
    assert ">Dear Mei &amp; Ling,</p>" in mail.html
    assert ">come to Clementi<br>Polyclinic: <a " in mail.html
    assert 'href="https://maps.gov.sg/?a=1&amp;b=2"' in mail.html
    assert f'href="{UNSUBSCRIBE}"' in mail.html
    assert mail.text == (
        "Dear Mei & Ling,\n\ncome to Clementi\nPolyclinic: https://maps.gov.sg/?a=1&b=2 or "
        "change (https://x.gov.sg/1).\n\n--\nSent by Ministry of Health through Postman.\n"
        "This email is meant only for the person it is addressed to. If it reached you by mistake, "
        f"please delete it and do not pass it on.\nUnsubscribe: {UNSUBSCRIBE}\n"
    )


def test_the_same_values_give_the_same_mail_byte_for_byte():
    again = composing.Composed("Visit of {{NAME}}", BODY, "", FACTS)

    assert compose().mail_parts(VALUES, UNSUBSCRIBE) == again.mail_parts(VALUES, UNSUBSCRIBE)


def test_one_recipient_s_values_leave_nothing_for_the_next():
    composed = compose()

    composed.mail_parts(VALUES, UNSUBSCRIBE)

    assert "Mei" not in str(composed.mail_parts({}, UNSUBSCRIBE))


def test_keywords_of_subject_preheader_and_body_are_all_known():
    composed = compose("{{B}}", "<p>{{a}} {{b}}</p>", "{{c}}")

    assert composed.variables == ["b", "c", "a"]


def test_a_preheader_has_its_keywords_filled_and_is_the_body_s_beginning_where_none_was_written():
    assert "Bring <b>" not in compose(preheader="Bring {{a}}").mail_parts({"a": "<b>"}).html
    assert "Bring &lt;b&gt;" in compose(preheader="Bring {{a}}").mail_parts({"a": "<b>"}).html
    assert '">Dear Mei &amp; Ling, come to Clementi Polyclinic' in compose().mail_parts(VALUES).html


def test_a_mail_to_nobody_is_refused():
    with pytest.raises(keywords.MissingValue):
        compose(body="<p>{{recipient}}</p>").mail_parts({"recipient": ""})


def test_values_that_mean_something_in_html_are_shown_as_they_are():
    value = '<b>"it\'s" `{{clinic}}` javascript:x\tNote: &#106;'

    mail = compose(body="<p>[{{a}}]</p>").mail_parts({"a": value})

    assert '[&lt;b&gt;"it\'s" `{{clinic}}` javascript:x Note: &amp;#106;]' in mail.html
    assert f"[{value}]" in mail.text


NOTICE = sanitising.clean("<p>For {{recipient}}: {{ProtectedLink}}</p>").html


def test_a_notice_leads_to_its_page():
    link = "https://postman.gov.sg/p/1/abc"

    mail = compose("A letter", NOTICE).mail_parts({"recipient": "a@b.sg", "protectedlink": link})

    assert f'href="{link}"' in mail.html
    assert link in mail.text
    assert composing.notice_faults("A letter for {{recipient}}", NOTICE) == []


def test_a_notice_must_lead_to_its_page():
    assert composing.notice_faults("{{protectedlink}}", "<p>Hello</p>") == [
        "Write {{protectedlink}} in the message: it becomes the link to the page."
    ]


def test_a_notice_says_nothing_of_its_recipient():
    faults = composing.notice_faults("For {{Name}}", NOTICE + "<p>{{nric}}</p>")

    assert [fault.split(":")[0] for fault in faults] == [
        "Remove {{name}} from the subject",
        "Remove {{nric}} from the message",
    ]
