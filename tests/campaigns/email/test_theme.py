import re

import lxml.html
import pytest

from campaigns.email import sanitising, theme
from campaigns.email.theme import Facts

MOH = Facts(
    agency_name="Ministry of Health",
    logo_url="https://file.go.gov.sg/moh.png",
    has_masthead=True,
    footer=("16 College Road", "Call <1800> & ask"),
)
UNSUBSCRIBE = "https://postman.gov.sg/u/1?a=1&b=2"


def page(body="<p>x</p>", facts=MOH, **options):
    shell = theme.build(sanitising.clean(body).html, facts)
    return shell.html(shell.body, UNSUBSCRIBE, **options)


def tree(*args, **options):
    return lxml.html.fromstring(page(*args, **options))


def test_a_mail_says_who_sends_it_before_and_after_its_body():
    mail = tree("<p>Your visit</p>")

    assert mail.xpath('//td[@class="masthead"]')[0].text == theme.MASTHEAD
    [logo] = mail.xpath("//img")
    assert (logo.get("src"), logo.get("alt")) == (MOH.logo_url, "Ministry of Health")
    assert [line.text for line in mail.xpath('//p[@class="footer-line"]')[:-1]] == [
        "Sent by Ministry of Health through Postman.",
        "16 College Road",
        "Call <1800> & ask",
        theme.CONFIDENTIALITY,
    ]


def test_the_last_link_of_a_mail_leaves_the_list():
    links = tree('<a href="https://unsubscribe.invalid/">x</a>').xpath("//a/@href")

    assert links == ["https://unsubscribe.invalid/", UNSUBSCRIBE]


def test_a_mail_that_nobody_can_leave_has_no_such_link():
    shell = theme.build("<p>x</p>", Facts(agency_name="MOH", can_unsubscribe=False))

    assert "nsubscribe" not in shell.html(shell.body, "")
    assert "nsubscribe" not in shell.text("x", "")


def test_a_sender_outside_government_has_no_masthead_and_an_agency_may_have_no_logo():
    mail = tree(facts=Facts(agency_name="MOH"))

    assert mail.xpath('//td[@class="masthead"]') == []
    assert mail.xpath("//img") == []


def test_the_styles_stand_in_the_elements_and_those_for_phones_and_the_dark_in_the_head():
    mail = tree('<p>a</p><p style="margin: 0">b</p><h1>c</h1>')

    first, second = mail.xpath('//div[@class="scroll"]/p')
    assert "margin:0 0 16px" in first.get("style")
    assert second.get("style").endswith("margin:0")
    assert "font-size:28px" in mail.xpath("//h1/@style")[0]
    [sheet] = mail.xpath("//style/text()")
    assert "@media (max-width: 500px)" in sheet
    assert "@media (prefers-color-scheme: dark)" in sheet
    assert ".content p {" not in sheet


def test_a_mail_reads_in_its_language_and_its_frame_is_no_table_to_a_screen_reader():
    mail = tree(facts=Facts(agency_name="MOH", lang="ta"))

    assert mail.get("lang") == "ta"
    assert mail.xpath("//title/text()") == ["MOH"]
    assert {table.get("role") for table in mail.xpath("//table")} == {"presentation"}


def test_no_text_is_smaller_than_12_px():
    visible = re.sub(r'<div class="preheader".*?</div>', "", page(), flags=re.DOTALL)

    assert min(int(size) for size in re.findall(r"font-size: ?(\d+)px", visible)) >= 12


def test_a_preheader_is_there_for_the_inbox_and_hidden_in_the_mail():
    mail = tree(preheader="Bring <your> card")

    [preheader] = mail.xpath('//div[@class="preheader"]')
    assert preheader.text.startswith("Bring <your> card")
    assert "display: none" in preheader.get("style")


def test_the_body_with_its_styles_is_as_the_cleaner_writes_it():
    body = (
        '<h1>a</h1><p style="color: red">{{a}}</p><ul><li>b</li></ul><hr><img src="cid:1" alt="x">'
    )

    shell = theme.build(sanitising.clean(body).html, MOH)

    assert sanitising.clean(shell.body).html == shell.body
    assert sanitising.clean_merged(shell.body) == shell.body


def test_plain_text_has_the_frame_s_words_too():
    assert theme.build("<p>x</p>", MOH).text("Hello", UNSUBSCRIBE) == (
        "Hello\n\n--\nSent by Ministry of Health through Postman.\n16 College Road\n"
        f"Call <1800> & ask\n{theme.CONFIDENTIALITY}\nUnsubscribe: {UNSUBSCRIBE}\n"
    )


def text(html):
    return theme.plain_text(sanitising.clean(html).html)


def test_plain_text_keeps_paragraphs_and_lines():
    assert text("<h1>Hi</h1><p>Dear <span>{{ name }}</span>, a &amp; b</p><p>c<br>d</p>") == (
        "Hi\n\nDear {{ name }}, a & b\n\nc\nd"
    )


def test_plain_text_shows_lists():
    assert text("<p>a</p><ul><li>x<ul><li>y</li></ul></li></ul><ol start=3><li>z</li></ol>b") == (
        "a\n\n  * x\n      + y\n\n 3. z\n\nb"
    )


def test_plain_text_shows_tables():
    assert text(
        "<table><caption>C</caption><tr><th>When</th><th>Where</th></tr><tr><td>1</td>"
        "<td>{{b}}</td></tr></table>"
    ) == ("C\n\nWhen | Where\n1    | {{b}}")


def test_plain_text_shows_where_links_lead():
    assert text(
        '<a href="https://x.gov.sg/a">site</a>, <a href="{{ url }}">pay</a>, '
        '<a href="mailto:a@b.sg">write</a>, {{pay_url}}'
    ) == ("site (https://x.gov.sg/a), pay ({{url}}), write (a@b.sg), {{pay_url}}")


def test_plain_text_shows_an_address_once():
    assert text(
        '<a href="https://x.gov.sg">https://x.gov.sg</a> <a href="mailto:a@b.sg">a@b.sg</a> '
        '<a href="{{url}}">{{ url }}</a> <a>nowhere</a>'
    ) == ("https://x.gov.sg a@b.sg {{ url }} nowhere")


def test_plain_text_says_what_images_show():
    assert text(
        '<a href="https://x"><img src="https://x/a.png" alt="Map"></a><img src="cid:0" alt="">'
    ) == ("[Map] (https://x)")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "<p>Dear {{name}},</p><p>see <a href='https://x'>this</a>.</p>",
            "Dear {{name}}, see this.",
        ),
        ("<p>" + "word " * 40 + "</p>", ("word " * 30).strip()),
        ("<p>" + "x" * 145 + " {{ name }}</p>", "x" * 145),
    ],
)
def test_a_preheader_nobody_wrote_is_how_the_body_begins(body, expected):
    assert theme.opening(body) == expected


def test_size_is_counted_in_bytes():
    assert theme.size("é€") == 5
