"""Each attempt, wherever an officer or a row of a file can put it, read as a mail app reads it."""

import re
from html.parser import HTMLParser

import lxml.html
import pytest

from campaigns.email import composing, sanitising
from campaigns.email.theme import Facts
from tests.campaigns.email.xss_attempts import ATTEMPTS


def words(text):
    return set(text.split())


# Written out here, so that a slip in the allow-list shows.
HARMLESS_TAGS = words(
    "span b strong i em u ins br p ul ol li h1 h2 h3 h4 h5 h6 a img div table thead tbody tr td th "
    "sup caption mark hr"
)
HARMLESS_ATTRIBUTES = words(
    "style href title target rel src alt width height data-link start type colspan rowspan scope"
)
HARMLESS_ADDRESS = re.compile(r"(?:https?://[^/?#]|mailto:|tel:|cid:|\{\{\s*\w+\s*\}\}$)", re.I)
HARMFUL_STYLE = re.compile(
    r"url|expression|script|import|behaviou?r|binding|position|z-index|image|\\|@|-\d", re.I
)
FACTS = Facts(agency_name="Ministry of Health", has_masthead=True)
UNSUBSCRIBE = "https://postman.gov.sg/u/1"

VALUE_BODY = (
    '<p>Dear {{name}}, <img src="https://x.gov.sg/a.png" alt="{{name}}">'
    '<a href="{{target}}" title="{{name}}">there</a> '
    '<a href="https://x.gov.sg/?q={{part}}">find</a> {{pay_url}} '
    '<img src="{{picture}}" alt="x"></p><table><tbody><tr><td>{{name}}</td></tr></tbody></table>'
)
VALUE_NAMES = ("name", "target", "part", "pay_url", "picture")

attempts = pytest.mark.parametrize("attempt", ATTEMPTS, ids=range(len(ATTEMPTS)))


class Reader(HTMLParser):
    """Every start tag with its attributes, as one independent parser sees them."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.others = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, [(name, value or "") for name, value in attrs]))

    def handle_comment(self, data):
        self.others.append(data)

    def handle_decl(self, decl):
        self.others.append(decl)

    unknown_decl = handle_pi = handle_decl


def elements_of(html):
    """As two parsers of different make see them, one of them forgiving as a browser is."""
    yield from Reader(html).elements
    for element in lxml.html.fromstring(f"<div>{html}</div>").iterdescendants():
        yield element.tag, element.items()


def dangers(html):
    found = [f"not an element: {other}" for other in Reader(html).others]
    for tag, attributes in elements_of(html):
        if tag not in HARMLESS_TAGS:
            found.append(f"the tag {tag}")
        for name, value in attributes:
            if name not in HARMLESS_ATTRIBUTES:
                found.append(f"{name} of <{tag}>")
            if name in ("href", "src", "data-link") and value and not HARMLESS_ADDRESS.match(value):
                found.append(f"{name}={value}")
            if name == "style" and HARMFUL_STYLE.search(value):
                found.append(f"style={value}")
    return found


def shape(html):
    """The elements of a document and the names of their attributes, without what stands in them."""
    return [
        (tag, sorted(name for name, _ in attributes)) for tag, attributes in Reader(html).elements
    ]


def body_of(composed, mail, preheader):
    """What stands within the frame, which is ours."""
    before, after = composed.shell.html("BODY", UNSUBSCRIBE, preheader).split("BODY")
    return mail.html.removeprefix(before).removesuffix(after)


def test_the_reader_sees_danger_where_there_is_some():
    assert dangers("<script>x</script>")
    assert dangers("<img src=x onerror=alert(1)>")
    assert dangers('<a href="javascript:x">x</a>')
    assert dangers('<p style="background:url(x)">x</p>')
    assert dangers("<p><!-- x --></p>")
    assert not dangers('<p style="color:red"><a href="https://x.gov.sg">x</a></p>')


@attempts
def test_nothing_dangerous_is_stored_in_a_template(attempt):
    assert dangers(sanitising.clean(attempt).html) == []
    assert dangers(sanitising.clean(f"<p>Dear {attempt}</p><table><tr><td>{attempt}").html) == []
    assert dangers(sanitising.clean(f'<p title="{attempt}">x</p>').html) == []
    assert dangers(sanitising.clean(f"<a href='{attempt}'>x</a>").html) == []


@attempts
def test_what_was_cleaned_is_not_cleaned_again(attempt):
    once = sanitising.clean(f"<p>{attempt}</p>{attempt}").html

    again = sanitising.clean(once)

    assert again.html == once
    assert again.removed == []


@attempts
def test_no_template_gets_anything_dangerous_past_the_cleaning_after_the_merge(attempt):
    """As if nobody had cleaned it when it was saved."""
    assert dangers(sanitising.clean_merged(f"<p>Dear {attempt}</p>")) == []


@attempts
def test_a_subject_is_one_line_of_text(attempt):
    for subject, values in ((attempt, {}), ("For {{name}}", {"name": attempt})):
        mail = composing.Composed(subject, "<p>x</p>", "", FACTS).mail_parts(values, UNSUBSCRIBE)

        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", mail.subject)
        mail.subject.encode()


@attempts
def test_a_value_stays_a_value_wherever_it_stands(attempt):
    composed = composing.Composed("s", sanitising.clean(VALUE_BODY).html, "x", FACTS)
    harmless = composed.mail_parts(
        {**dict.fromkeys(VALUE_NAMES, "https://x.gov.sg/a"), "name": "Mei"}, UNSUBSCRIBE
    )

    for name in VALUE_NAMES:
        values = {**dict.fromkeys(VALUE_NAMES, "https://x.gov.sg/a"), "name": "Mei", name: attempt}
        mail = composed.mail_parts(values, UNSUBSCRIBE)

        body = body_of(composed, mail, "x")
        assert len(body) < len(mail.html) / 2
        assert dangers(body) == [], name
        assert list(elements_of(sanitising.clean_merged(body))) == list(elements_of(body))
        if name in ("name", "part"):
            without_breaks = [(tag, names) for tag, names in shape(mail.html) if tag != "br"]
            assert without_breaks == shape(harmless.html)
        mail.html.encode()
        mail.text.encode()


@attempts
def test_a_link_leads_only_where_links_may_lead(attempt):
    composed = composing.Composed(
        "s", sanitising.clean('<a href="{{target}}">x</a>').html, "x", FACTS
    )

    mail = composed.mail_parts({"target": attempt}, UNSUBSCRIBE)

    [link, unsubscribe] = lxml.html.fromstring(mail.html).iter("a")
    assert unsubscribe.get("href") == UNSUBSCRIBE
    assert HARMLESS_ADDRESS.match(link.get("href") or "https://nowhere")


@attempts
def test_a_preheader_is_text(attempt):
    composed = composing.Composed("s", "<p>x</p>", "{{name}}", FACTS)

    mail = composed.mail_parts({"name": attempt}, UNSUBSCRIBE)

    assert shape(mail.html) == shape(composed.mail_parts({"name": "Mei"}, UNSUBSCRIBE).html)


@attempts
def test_what_the_frame_is_told_is_text(attempt):
    def mail(words):
        facts = Facts(agency_name=words, logo_url=words, footer=(words,), lang=words)
        return composing.Composed("s", "<p>x</p>", words, facts).mail_parts({}, words)

    assert shape(mail(attempt).html) == shape(mail("Mei").html)
