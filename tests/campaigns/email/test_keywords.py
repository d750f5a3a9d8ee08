import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.email import keywords

LINK = 'target="_blank" rel="noopener noreferrer"'


def html(text, **values):
    return keywords.compile(text).render_html(values)


def test_keywords_have_no_case_and_come_once_in_order_of_first_appearance():
    assert keywords.variables("{{Name}} {{ clinic }}", "{{NAME}} {{1st_choice}}") == [
        "name",
        "clinic",
        "1st_choice",
    ]


def test_a_space_that_must_not_break_is_a_space_within_braces():
    assert keywords.variables("{{&nbsp;name\xa0}}") == ["name"]


@pytest.mark.parametrize(
    ("text", "code", "marked"),
    [
        ("Hi {{}}", "blank_keyword", "{{}}"),
        ("Hi {{ &nbsp; }}", "blank_keyword", "{{ &nbsp; }}"),
        ("Hi {{first name}}", "illegal_keyword", "{{first name}}"),
        ("Hi {{näme}}", "illegal_keyword", "{{näme}}"),
        ("Hi {{a.b}}", "illegal_keyword", "{{a.b}}"),
        ("Hi {{na<b>me</b>}}", "formatted_keyword", "{{na<b>me</b>}}"),
        ("Hi {{#if}}", "unknown_marker", "{{#if}}"),
        ("Hi {{^if}}", "unknown_marker", "{{^if}}"),
        ("Hi {{/if}}", "unknown_marker", "{{/if}}"),
        ("Hi {{> part}}", "unknown_marker", "{{> part}}"),
        ("Hi {{! note}}", "unknown_marker", "{{! note}}"),
        ("Hi {{&name}}", "unknown_marker", "{{&name}}"),
        ("Hi {{=<% %>=}}", "unknown_marker", "{{=<% %>=}}"),
        ("Hi {{{name}}}", "triple_braces", "{{{name}}}"),
        ("Hi {{name", "unclosed_braces", "{{"),
        ("Hi {{name} there", "unclosed_braces", "{{"),
        ("Hi name}}", "unopened_braces", "}}"),
    ],
)
def test_what_is_no_keyword_says_where_and_why(text, code, marked):
    [fault] = keywords.check(text)

    assert (fault.code, text[fault.start : fault.end]) == (code, marked)
    assert fault.message.endswith(".")


def test_all_faults_are_told_at_once_in_order():
    faults = keywords.check("{{}} {{ok}} {{#a}} {{b")

    assert [fault.code for fault in faults] == [
        "blank_keyword",
        "unknown_marker",
        "unclosed_braces",
    ]


def test_the_advice_shows_the_keyword_to_use():
    [fault] = keywords.check("{{Clinic Name}}")

    assert fault.message == (
        "“Clinic Name” cannot be a keyword: use letters, digits and underscores only. "
        "Try {{clinic_name}}."
    )


def test_a_good_text_has_no_faults():
    assert keywords.check("<p>Dear {{ Name }}, { {{a_url}} } {x}</p>") == []


def test_a_value_is_found_whatever_the_case_of_its_name():
    assert html("{{NAME}}", Name="Mei") == "Mei"


def test_a_blank_or_missing_value_is_nothing():
    assert html("[{{a}}{{b}}]", a="") == "[]"


@pytest.mark.parametrize("values", [{}, {"recipient": ""}, {"recipient": " "}])
def test_the_recipient_must_not_be_blank(values):
    with pytest.raises(keywords.MissingValue) as caught:
        html("For {{recipient}}", **values)

    assert caught.value.name == "recipient"


def test_a_value_is_escaped_in_text_and_in_attributes():
    assert html('<img alt="{{a}}"> {{a}}', a="<b title='x'>\"&") == (
        '<img alt="&lt;b title=&#x27;x&#x27;&gt;&quot;&amp;"> '
        "&lt;b title=&#x27;x&#x27;&gt;&quot;&amp;"
    )


def test_the_lines_of_a_value_stay_lines_in_text_and_become_spaces_in_an_attribute():
    address = "1 A Road\r\nSingapore"

    assert html('<p title="{{a}}">{{a}}</p>', a=address) == (
        '<p title="1 A Road Singapore">1 A Road <br>Singapore</p>'
    )


def test_a_value_that_looks_like_a_keyword_stays_text():
    text = html("{{a}} {{b}}", a="{{b}} %(0)s %s", b="{{a}}")

    assert text == "{{b}} %(0)s %s {{a}}"


def test_percent_signs_of_the_text_stay_as_typed():
    assert html("100% of %s, {{a}}%", a="5%") == "100% of %s, 5%%"


@pytest.mark.parametrize("name", ["pay_url", "PAY_LINK", "protectedlink"])
def test_a_keyword_named_for_a_link_is_one(name):
    assert html(f"{{{{{name}}}}}", **{name: "https://x.gov.sg/?a=1&b=2"}) == (
        f'<a href="https://x.gov.sg/?a=1&amp;b=2" {LINK}>https://x.gov.sg/?a=1&amp;b=2</a>'
    )


def test_a_link_looks_as_the_theme_says():
    text = keywords.compile("{{a_url}}", "color:red").render_html({"a_url": "https://x.gov.sg"})

    assert text == f'<a style="color:red" href="https://x.gov.sg" {LINK}>https://x.gov.sg</a>'


@pytest.mark.parametrize(
    "value", ["javascript:alert(1)", "ftp://x", "x.gov.sg", "https://", "https://x y", "https:///x"]
)
def test_what_is_no_web_address_is_text_and_no_link(value):
    assert html("{{a_url}}", a_url=value) == value


def test_a_link_within_a_link_is_text():
    assert html('<a href="https://x.gov.sg">to {{a_url}}</a> {{b}}', a_url="https://y", b="c") == (
        '<a href="https://x.gov.sg">to https://y</a> c'
    )


@pytest.mark.parametrize("value", ["https://x.gov.sg/a", "http://x", "mailto:a@b.sg", "tel:+6561"])
def test_a_link_may_lead_where_its_only_keyword_says(value):
    assert html('<a href="{{ Url }}" title="x">y</a>', url=value) == (
        f'<a href="{value}" title="x">y</a>'
    )


@pytest.mark.parametrize("value", ["javascript:alert(1)", "", "data:text/html,x", "//x", "/x", "x"])
def test_a_link_that_may_not_lead_there_leads_nowhere(value):
    assert html('<a href="{{url}}" title="x">y</a>', url=value) == '<a title="x">y</a>'


def test_an_image_comes_from_the_web_alone():
    assert html('<img src="{{a}}" alt="x">', a="https://x/a.png") == (
        '<img src="https://x/a.png" alt="x">'
    )
    assert html('<img src="{{a}}" alt="x">', a="mailto:a@b.sg") == '<img alt="x">'


def test_a_value_within_an_address_cannot_lead_elsewhere():
    text = html('<a href="https://x.gov.sg/{{a}}?q={{b}}">y</a>', a="../@e", b="1&r=2 #é")

    assert text == '<a href="https://x.gov.sg/..%2F@e?q=1%26r%3D2%20%23%C3%A9">y</a>'


def test_nothing_is_put_into_a_style():
    assert html('<p style="color:{{a}}">x</p>', a="red") == '<p style="color:">x</p>'


def test_a_subject_is_one_line_of_plain_text():
    subject = keywords.compile("For  {{name}} & {{b}}")

    assert subject.render_text({"name": "Mei\r\nBcc: x@y.z\x00 ", "b": "<b>\u202e"}) == (
        "For Mei Bcc: x@y.z & <b>"
    )


def test_plain_text_keeps_its_lines_and_shows_addresses():
    text = keywords.compile("Dear {{name}},\n\nPay ({{url}}) or https://x.gov.sg/{{id}}")

    assert text.render_plain({"name": "A & B", "url": "https://y", "id": "a b"}) == (
        "Dear A & B,\n\nPay (https://y) or https://x.gov.sg/a%20b"
    )


def test_plain_text_shows_no_empty_brackets():
    assert keywords.compile("Pay ({{url}}) now").render_plain({}) == "Pay now"


@given(st.text(alphabet="{}ab #<>\"'=/ \n&;", max_size=60), st.text(max_size=20))
def test_any_text_is_checked_and_rendered_without_an_exception(text, value):
    keywords.check(text)
    compiled = keywords.compile(text)
    values = dict.fromkeys(compiled.variables, value)

    compiled.render_html(values)
    compiled.render_plain(values)
    assert "\n" not in compiled.render_text(values)
