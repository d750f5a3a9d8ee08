"""What may stand in a message of Telegram's, and what values make of it."""

import pytest

from campaigns.telegram import texts


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("<b>b</b><i>i</i><u>u</u><s>s</s><strike>k</strike><del>d</del>",) * 2,
        ("<pre>p</pre><code>c</code>",) * 2,
        ('<code class="language-python">c</code>',) * 2,
        ('<code class="evil">c</code>', "<code>c</code>"),
        ('<a href="https://go.gov.sg/x">x</a>',) * 2,
        ('<a href="tg://user?id=7">x</a>',) * 2,
        ('<a href="{{link}}">x</a>',) * 2,
        ('<a href="https://go.gov.sg/{{id}}">x</a>',) * 2,
        ('<a href="javascript:alert(1)">x</a>', "x"),
        ('<a href="/relative">x</a>', "x"),
        ("<strong>a</strong> <em>b</em> <ins>c</ins>", "<b>a</b> <i>b</i> <u>c</u>"),
        ("<script>alert(1)</script>Hi<img src=x onerror=y>", "Hi"),
        ("one\r\ntwo<br>three", "one\ntwo\nthree"),
        ("<p>one</p>\n<p>two</p>", "one\n\ntwo"),
        ("2 < 3 & 4", "2 &lt; 3 &amp; 4"),
        ("<b>open", "<b>open</b>"),
        ("a\u00a0b", "a\u00a0b"),
    ],
)
def test_only_what_telegram_shows_stays(typed, kept):
    assert texts.clean(typed) == kept
    assert texts.clean(kept) == kept


def test_a_value_is_text_whatever_it_holds():
    rendered = texts.render("Hi {{Name}}", {"name": "<b>A & B</b>\n{{other}}"}, "6581230001")

    assert rendered == "Hi &lt;b&gt;A &amp; B&lt;/b&gt;\n{{other}}"


def test_a_value_in_a_link_cannot_lead_elsewhere():
    rendered = texts.render(
        '<a href="https://go.gov.sg/{{id}}">a</a> <a href="{{link}}">b</a>',
        {"id": "../x?y", "link": "javascript:alert(1)"},
        "6581230001",
    )

    assert rendered == '<a href="https://go.gov.sg/..%2Fx%3Fy">a</a> b'


def test_the_recipient_may_stand_in_the_text_and_is_no_keyword():
    assert texts.variables("{{recipient}} {{ Clinic }}") == ["clinic"]
    assert texts.render("{{recipient}}", {}, "6581230001") == "6581230001"


def test_length_is_that_of_the_text_as_it_is_read_in_utf_16():
    assert texts.length('<b>a&amp;</b><a href="https://long.example">😀</a>') == 4


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("Hi", 0),
        ("", 1),
        ("<b> </b>", 1),
        ("x" * 4096, 0),
        ("x" * 4097, 1),
        ("😀" * 2049, 1),
        ("{{not a name}}", 1),
    ],
)
def test_what_keeps_a_text_from_being_sent_is_said(text, faults):
    assert len(texts.faults_of(text)) == faults


def test_an_ampersand_stands_as_it_was_typed():
    kept = texts.clean("Tom & Jerry, 5 &lt; 6, &amp;lt;")

    assert texts.as_typed(kept) == "Tom & Jerry, 5 &lt; 6, &amp;lt;"
    assert texts.clean(texts.as_typed(kept)) == kept
