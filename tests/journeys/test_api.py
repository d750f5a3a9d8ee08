import json
import shlex
import urllib.request

import pytest

from tests.journeys.product import until

pytestmark = pytest.mark.journey


def test_the_line_that_the_demo_prints_sends_a_message_which_is_then_read_until_delivered(
    product, sandbox
):
    printed = product.output.read_text()
    line = printed[printed.index("curl ") : printed.index("\n\n", printed.index("curl "))]
    _, url, _, key, _, content_type, _, body = shlex.split(line.replace("\\\n", ""))
    headers = dict(header.split(": ", 1) for header in (key, content_type))
    mark = sandbox.mark()

    status, message = answer(urllib.request.Request(url, body.encode(), headers))
    assert (status, message["latestStatus"]) == (201, "created")

    asked = urllib.request.Request(f"{url}/{message['id']}", headers=headers)
    until("the message to arrive", lambda: answer(asked)[1]["latestStatus"] == "success")
    (taken,) = sandbox.accepted(after=mark)
    assert taken["to"] == f"+{json.loads(body)['recipient']}"


def answer(request):
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status, json.load(response)
