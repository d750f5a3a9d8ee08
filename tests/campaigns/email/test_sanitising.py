import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.email import keywords, sanitising, theme

REL = 'target="_blank" rel="noopener noreferrer"'


def cleaned(html):
    return sanitising.clean(html).html


def removed(html):
    return sanitising.clean(html).removed


LETTER = (
    '<h1 style="color:red">Hi</h1><p style="text-align:center"><b>a</b> <strong>b</strong> '
    "<i>c</i> <em>d</em> <u>e</u> <ins>f</ins> <sup>2</sup> <mark>g</mark> <span "
    'style="white-space:pre-wrap">h</span><br></p><ol start="3" type="a"><li>x</li></ol>'
    "<ul><li>y</li></ul><table><caption>t</caption><thead><tr>"
    '<th colspan="2" scope="col">z</th></tr></thead><tbody><tr><td colspan="2" rowspan="1">{{a}}'
    '</td></tr></tbody></table><hr><div>w</div><p lang="zh-Hans">您好</p>'
    '<img src="https://x.gov.sg/a.png" alt="A" title="t" width="50%" height="40">'
)


def test_what_a_letter_needs_stays_as_it_is():
    assert sanitising.clean(LETTER) == sanitising.Cleaned(LETTER, [])


def test_a_tag_goes_and_its_text_stays():
    assert cleaned("<font>a</font><center>b</center>") == "ab"
    assert removed("<font>a</font><center>b</center><center>c</center>") == [
        "Removed old font markup (font); its text stays.",
        "Removed the tag <center>; its text stays (2 times).",
    ]


def test_a_script_goes_with_its_text():
    assert sanitising.clean("a<script>if (1 < 2) b()</script>c") == sanitising.Cleaned(
        "ac", ["Removed a script."]
    )


def test_attributes_are_told_with_their_tags():
    assert removed('<p class="x" onclick="y">a</p><p class="x">b</p>') == [
        "Removed the attribute class of <p> (2 times).",
        "Removed a script (onclick) on <p>.",
    ]


def test_a_part_of_a_table_outside_of_one_is_told():
    assert removed("<tr><td>x</td></tr>") == [
        "Removed the tag <tr>; its text stays.",
        "Removed the tag <td>; its text stays.",
    ]


def test_links_open_beside_the_mail_and_tell_nothing_of_it():
    assert cleaned('<a href="https://x.gov.sg" target="_top" rel="opener">x</a>') == (
        f'<a href="https://x.gov.sg" {REL}>x</a>'
    )


@pytest.mark.parametrize(
    "address",
    [
        "https://x.gov.sg",
        "http://x.gov.sg/a?b=c#d",
        "mailto:a@b.sg",
        "tel:+6561234567",
        "{{url}}",
        "{{ Url }}",
        "https://x.gov.sg/{{id}}?q={{ b }}",
        "mailto:{{officer}}",
    ],
)
def test_an_address_that_a_link_may_have_stays(address):
    html = f'<a href="{address}" {REL}>x</a>'

    assert sanitising.clean(html) == sanitising.Cleaned(html, [])


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (
            "javascript:alert(1)",
            "starts with javascript:, and only https://, http://, mailto: and tel: may",
        ),
        ("ftp://x.gov.sg", "starts with ftp:, and only https://, http://, mailto: and tel: may"),
        ("/a", "does not have a full address that starts with https://, mailto: or tel:"),
        ("#a", "does not have a full address that starts with https://, mailto: or tel:"),
        ("x.gov.sg", "does not have a full address that starts with https://, mailto: or tel:"),
        ("https://{{host}}/a", "has a keyword where it decides whom the link leads to"),
        ("https://x.gov.sg{{a}}", "has a keyword where it decides whom the link leads to"),
        ("{{a}}{{b}}", "has a keyword where it decides whom the link leads to"),
        ("https://x.gov.sg/" + "a" * 2000, "is longer than 2,000 characters"),
    ],
)
def test_an_address_that_a_link_may_not_have_goes_and_says_why(address, why):
    assert sanitising.clean(f'<a href="{address}">x</a>') == sanitising.Cleaned(
        f"<a {REL}>x</a>", [f"Removed the target of a link: it {why}."]
    )


def test_spaces_in_an_address_become_what_mail_apps_read():
    assert cleaned('<a href=" https://x.gov.sg/a b ">x</a>') == (
        f'<a href="https://x.gov.sg/a%20b" {REL}>x</a>'
    )


@pytest.mark.parametrize("source", ["https://x/a.png", "http://x/a.png", "cid:0", "{{photo}}"])
def test_an_image_may_come_from_the_web_the_mail_or_a_keyword(source):
    html = f'<img src="{source}" alt="x">'

    assert sanitising.clean(html) == sanitising.Cleaned(html, [])


def test_an_image_within_the_text_goes_and_says_why():
    assert sanitising.clean('<img src="data:image/png;base64,AAAA" alt="x">') == (
        sanitising.Cleaned(
            '<img alt="x">',
            [
                "Removed the image: it is part of the text itself (data:), which most mail apps do "
                "not show: upload it."
            ],
        )
    )


def test_styles_are_letters_colours_and_boxes():
    html = (
        "<p style=\"color: rgb(1, 2, 3); FONT: bold 14px/1.5 'Segoe UI', Arial; position: fixed;"
        'background: #fff; background-image: url(x); margin: -5px; width: expression(1); padding: 4px">'
        "x</p>"
    )

    result = sanitising.clean(html)

    assert result.html == (
        '<p style="color:rgb(1, 2, 3);font:bold 14px / 1.5 &quot;Segoe UI&quot; , Arial;'
        'background-color:#fff;padding:4px">x</p>'
    )
    assert result.removed == [
        "Removed the style position.",
        "Removed the style background-image.",
        "Removed the style margin.",
        "Removed the style width.",
    ]


def test_a_keyword_cannot_stand_in_a_style():
    assert cleaned('<p style="color: {{colour}}">x</p>') == "<p>x</p>"


@pytest.mark.parametrize("piece", ["<b>", "<div>", "<ul><li>", '<b style="width:1px"><p>'])
def test_of_what_is_nested_too_deep_the_words_stay(piece):
    result = sanitising.clean(piece * 101 + "a &lt; {{name}}")

    assert result.html == "a &lt; {{name}}"
    assert result.removed == [
        "Kept the words alone: the layout was nested more than 100 levels deep."
    ]


PIECES = (
    "<p> </p> <b> </b> <a> </a> <table> <tr> <td> </td> </table> <ul> <li> </ul> <svg> </svg> "
    "<math> <mtext> <style> </style> <script> </script> <template> <select> <form> <h1> </h1> "
    "<caption> <img> <!-- --> {{a}} {{ &lt; &amp; &#0; &#1; &#x27; \" ' ` = x\n < > "
    "<p/style='color:red;margin:-1px'> <a/href='{{a}}'> <img/src=x/alt='\"'> <plaintext> "
    "<noscript> <textarea> </textarea> <title>"
)
pieces = st.sampled_from(PIECES.split(" "))
markup = st.lists(pieces | st.text(max_size=5), max_size=25).map("".join)


@given(markup)
def test_what_was_cleaned_is_not_cleaned_again(html):
    once = cleaned(html)

    assert sanitising.clean(once) == sanitising.Cleaned(once, [])


@given(markup)
def test_cleaning_after_the_merge_finds_nothing_more_in_what_has_no_keywords(html):
    once = cleaned(html.replace("{", ""))

    assert sanitising.clean_merged(once) == once


words = st.text(alphabet="<>\"'&`=:/ \nab{}\x00\t;#", max_size=12)
values = st.lists(
    st.sampled_from(["https://", "javascript:", "<b>", "&#x27;", "onclick=", "x"]) | words,
    max_size=4,
).map("".join)


@given(markup, values)
def test_a_merge_that_is_taken_for_harmless_is(html, value):
    """Cleaning is left out where its inputs show that it would find nothing: so it must not."""
    template = keywords.compile(
        cleaned(html + '<p title="{{a}}"><a href="{{a}}">{{b_url}}</a>{{b_url}}')
    )

    merged, filled = template.merge_html({"a": value, "b_url": value})

    if sanitising.are_inert(filled):
        assert _parsed(sanitising.clean_merged(merged)) == _parsed(merged)


def _parsed(html):
    """As the cleaner writes it: quotes in a text may be written in two ways."""
    return html.replace("&#x27;", "'").replace("&quot;", '"')


@pytest.mark.parametrize(
    "value",
    [
        "<b>",
        '"',
        "'",
        "`",
        "&x",
        "&#106;",
        "javascript:x",
        "\t",
        " data:x",
        ' href="x"',
        ' src="data:x"',
    ],
)
def test_what_could_mean_something_is_looked_at_again(value):
    assert not sanitising.are_inert(["fine", value])


@pytest.mark.parametrize(
    "value", ["", "Mei", "A &amp; B", "1 A Road<br>Singapore", "https://x/?a&amp;b", "Note: x"]
)
def test_what_means_nothing_is_not_looked_at_again(value):
    assert sanitising.are_inert([value])


def test_the_links_we_make_are_not_looked_at_again():
    template = keywords.compile(
        '{{a_url}} <a href="{{a_url}}">x</a> <img src="{{a_url}}">', "color:#fff"
    )

    _, filled = template.merge_html({"a_url": "https://x.gov.sg/?a=1&b=2"})

    assert len(filled) == 3
    assert sanitising.are_inert(filled)


@pytest.mark.parametrize(
    "html",
    [
        "",
        " \n&nbsp;<p>&nbsp;</p>",
        "<script>alert(1)</script><style>p {}</style><!-- words -->",
        "<title>Hello</title><svg><text>Hello</text></svg>",
        "&#1;<b></b>",
    ],
)
def test_an_email_without_a_word_or_a_picture_is_blank(html):
    assert sanitising.is_blank(html)


@pytest.mark.parametrize(
    "html",
    ["Hello", "<p>.</p>", "<nobody><x>Hello</x>", '<img src="https://x.gov.sg/a.png" alt="">'],
)
def test_an_email_with_a_word_or_a_picture_is_not_blank(html):
    assert not sanitising.is_blank(html)


@given(st.text(alphabet="<>/&;! ap#1\"'script"))
def test_what_is_blank_has_no_words_once_it_is_cleaned(html):
    if sanitising.is_blank(html):
        assert not theme.plain_text(sanitising.clean(html).html).strip()
