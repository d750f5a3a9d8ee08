import re
from email.message import EmailMessage

import pytest
import requests

from messaging.sandbox import constants
from messaging.sandbox.numbers import NUMBERS

from .conftest import ses_client
from .process import SandboxProcess
from .test_ses import simple
from .test_twilio import MARIA, TARIQ, send


def test_json_is_newest_first_and_oldest_first_after_a_message(client, sandbox):
    for body in ("one", "two", "three"):
        send(client, body=body)

    assert [message["text"] for message in sandbox.outbox()] == ["three", "two", "one"]
    assert [message["text"] for message in sandbox.outbox(after=1)] == ["two", "three"]
    page = sandbox.get("/outbox.json?after=0&limit=2")
    assert [message["seq"] for message in page["messages"]] == [1, 2]
    assert page["next_after"] == 2
    assert sandbox.get("/outbox.json?after=3") == {"messages": [], "next_after": 3}


def test_json_is_searched_by_part_of_the_recipient(client, sandbox):
    send(client, to=MARIA)
    send(client, to=TARIQ)

    assert [message["to"] for message in sandbox.outbox(to="0001")] == [MARIA]
    assert [message["to"] for message in sandbox.outbox(to="+65 8123 0002")] == [TARIQ]
    assert sandbox.outbox(to="9999") == []
    assert sandbox.outbox(channel="email") == []


@pytest.mark.parametrize("query", ["channel=fax", "after=x", "limit=-1"])
def test_a_query_that_makes_no_sense_is_refused(sandbox, query):
    assert requests.get(f"{sandbox.url}/outbox.json?{query}").status_code == 422


def test_the_page_shows_messages_as_text_never_as_markup(client, sandbox):
    send(client, body="<script>alert(1)</script> & more")

    answer = requests.get(sandbox.url)

    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in answer.text
    assert "<script>alert" not in answer.text
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    search = requests.get(sandbox.url, params={"to": '"><script>alert(2)'})
    assert "<script>alert" not in search.text


def test_a_mails_html_is_shown_without_any_power(ses, sandbox):
    ses.send_email(**simple())

    answer = requests.get(f"{sandbox.url}/outbox/1/html")

    assert answer.text == "<b>123456</b>"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert requests.get(f"{sandbox.url}/outbox/2/html").status_code == 404


def test_the_page_is_paged_and_keeps_the_search(client, sandbox):
    for n in range(30):
        send(client, body=f"text {n}")
    send(client, to=TARIQ, body="not this")

    first = requests.get(f"{sandbox.url}/?to=0001").text
    older = re.search(r'href="(/\?[^"]+)">Older', first)[1].replace("&amp;", "&")
    second = requests.get(sandbox.url + older).text

    assert "text 29<" in first and "text 5<" in first and "text 4<" not in first
    assert "text 4<" in second and "text 0<" in second and "text 5<" not in second
    assert "not this" not in first + second


def test_the_page_tells_a_newcomer_what_to_try(sandbox):
    page = requests.get(sandbox.url).text

    assert "Nothing leaves this machine" in page
    assert all(number.to in page for number in NUMBERS)
    assert constants.STAFF_API_SECRET in page
    assert "Nothing has been sent yet." in page


def test_the_page_leads_back_to_the_app():
    with SandboxProcess(args=("--app-url", "http://localhost:8000/")) as sandbox:
        assert (
            '<a href="http://localhost:8000/">Back to the app</a>' in requests.get(sandbox.url).text
        )


def test_an_email_has_a_page_with_all_that_its_recipient_does_not_see(ses, sandbox):
    mail = simple() | {"ReplyToAddresses": ["clinic@example.gov.sg"]}
    mail["Content"]["Simple"]["Subject"]["Data"] = "<b>Your</b> code"
    mail["Content"]["Simple"]["Headers"] = [
        {"Name": "List-Unsubscribe", "Value": "<https://postman.example/u/1>"}
    ]
    ses.send_email(**mail)

    answer = requests.get(f"{sandbox.url}/outbox/1")

    for shown in ("clinic@example.gov.sg", "&lt;https://postman.example/u/1&gt;", "It is 123456."):
        assert shown in answer.text
    assert '<iframe class="letter" src="/outbox/1/frame" sandbox="allow-popups' in answer.text
    assert "<b>Your" not in answer.text
    assert requests.get(f"{sandbox.url}/outbox/2").status_code == 404


def test_links_in_a_framed_email_open_a_window_and_images_come_from_the_app_alone(ses):
    with SandboxProcess(args=("--app-url", "http://localhost:8000/")) as sandbox:
        mail = simple()
        html = '<!doctype html><html><head><title>x</title></head><body><a href="http://x/">x</a>'
        mail["Content"]["Simple"]["Body"]["Html"]["Data"] = html
        ses_client(sandbox).send_email(**mail)

        answer = requests.get(f"{sandbox.url}/outbox/1/frame")

    assert answer.text == html.replace("<head>", '<head><base target="_blank">')
    assert answer.headers["Content-Security-Policy"] == (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
        "style-src 'unsafe-inline'; img-src data: http://localhost:8000"
    )


def test_images_that_came_along_are_shown_where_they_belong(ses, sandbox):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@b.sg", "maria@example.gov.sg", "Map"
    mail.set_content('<img src="cid:map">', subtype="html")
    mail.add_related(b"png", "image", "png", cid="<map>")
    ses.send_email(Content={"Raw": {"Data": mail.as_bytes()}})

    assert 'src="data:image/png;base64,cG5n"' in requests.get(f"{sandbox.url}/outbox/1/html").text


def test_an_sms_has_no_email_page(client, sandbox):
    send(client)

    assert requests.get(f"{sandbox.url}/outbox/1").status_code == 404
    assert requests.get(f"{sandbox.url}/outbox/1/html").status_code == 404
