import pytest

from campaigns.email.lints import lints

BODY = '<p>Hello <a href="https://www.moh.gov.sg">us</a></p>'


def codes(subject="Your visit", html=BODY):
    return [lint.code for lint in lints(subject, html)]


@pytest.mark.parametrize(
    "subject", ["Your visit", "Your MOH visit", "MOH", "{{NAME}}: your visit", "您好"]
)
def test_a_good_subject_needs_no_advice(subject):
    assert codes(subject) == []


@pytest.mark.parametrize("subject", ["PAY NOW", "PAY UP {{name}}", "Pay now!!"])
def test_a_shouting_subject_is_told(subject):
    assert codes(subject) == ["shouting"]


def test_a_subject_of_more_than_ten_words_is_told():
    [lint] = lints("a b c d e f g h i j k", BODY)

    assert (lint.field, lint.code) == ("subject", "long_subject")
    assert lint.message == "The subject has 11 words. Phones show about 10."


def test_a_keyword_counts_as_one_word():
    assert codes("a b c d e f g h i {{ name }}") == []


def test_a_missing_subject_is_told():
    assert codes(" ") == ["missing_subject"]


def test_images_that_say_nothing_are_counted():
    [lint] = lints(
        "Your visit", BODY + '<img src="cid:1"><img src="cid:2" alt=" "><img src="cid:3" alt="x">'
    )

    assert (lint.field, lint.code) == ("body", "image_without_alt")
    assert lint.message.startswith("2 images have no description.")


def test_links_outside_government_are_named_once():
    [lint] = lints(
        "Your visit",
        '<p>x <a href="https://a.example/1">x</a><a href="https://a.example/2">x</a>'
        '<a href="https://go.gov.sg">x</a><a href="https://notgov.sg">x</a>'
        '<a href="https://gov.sg@evil.example">x</a><a href="{{url}}">x</a>'
        '<a href="mailto:a@b.example">x</a></p>',
    )

    assert lint.code == "link_outside_government"
    assert lint.message.endswith("Outside it: a.example, notgov.sg, evil.example.")


def test_a_link_that_leads_nowhere_is_told():
    assert codes(html="<p>x <a>y</a></p>") == ["link_without_target"]


def test_a_body_of_images_alone_is_told():
    assert codes(html='<p><img src="cid:1" alt="All there is to say"></p>') == ["missing_text"]


def test_a_body_that_gmail_would_clip_is_told():
    assert codes(html="<p>" + "x" * 102_400 + "</p>") == ["large"]
