"""The npm client of v1, unchanged, against our `/v1`: its users change the address and no more."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from messaging.delivery.pipeline import send_chunk
from messaging.models import Transactional
from postman.accounts import keys
from tests.factories import UserFactory

SCRIPT = Path(__file__).with_name("published_client.cjs")
# The machine's, or the one that set-up fetched beside this Python.
NODE = shutil.which("node") or str(Path(sys.executable).with_name("node"))


@pytest.fixture
def said(transactional_db, live_server, settings):
    """What the client was told."""
    settings.ALLOWED_HOSTS = ["*"]
    account = UserFactory(email="mei.ling@health.gov.sg")
    _, secret = keys.create(account, label="Client", contacts=[account.email])
    done = subprocess.run(
        [NODE, SCRIPT, f"{live_server.url}/v1", secret],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_published_client_sends_gets_and_lists(said, sandbox):
    assert said["sent"]["status"] == 201
    assert said["sent"]["data"]["status"] == "ACCEPTED"
    assert said["one"] == said["sent"]["data"]
    assert said["list"] == {"has_more": False, "data": [said["one"]]}

    assert said["html"]["response"] == "ACCEPTED"
    assert said["html"]["message"] == "Product <b>launched!</b>"
    by_html = Transactional.objects.get(pk=said["html"]["messageId"])
    assert by_html.content["cc"] == ["lee@example.org", "kim@example.org"]
    assert by_html.content["reply_to"] == "desk@health.gov.sg"
    assert Transactional.objects.get(pk=said["text"]["messageId"]).content["body"] == (
        "Product launched!"
    )

    assert said["refused"]["status"] == 400
    assert said["refused"]["data"]["code"] == "api_validation"
    assert Transactional.objects.count() == 3

    send_chunk(None)
    assert {mail["subject"] for mail in sandbox.outbox(channel="email")} == {
        "From the API client",
        "From nodemailer",
        "Plain",
    }
