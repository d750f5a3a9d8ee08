import subprocess
import sys
import time

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from messaging.sandbox import constants
from messaging.sandbox.control import DEFAULTS

from .conftest import SandboxHttpClient
from .process import SandboxProcess
from .test_twilio import MARIA, refusal, send


def test_switches_merge_and_return_to_their_defaults(running):
    running.reset()
    assert running.get("/control") == DEFAULTS

    running.control(rate_429=0.5, callbacks={"drop": 0.1})
    changed = running.control(latency_ms=3)

    assert changed == DEFAULTS | {
        "rate_429": 0.5,
        "latency_ms": 3,
        "callbacks": DEFAULTS["callbacks"] | {"drop": 0.1},
    }
    assert requests.delete(f"{running.url}/control").json() == DEFAULTS


@pytest.mark.parametrize(
    "switches",
    [
        {"rate_430": 0.1},
        {"rate_429": 1.5},
        {"rate_429": "0.1"},
        {"rate_429": True},
        {"rate_429": 0.6, "rate_5xx": 0.6},
        {"latency_ms": -1},
        {"down": 1},
        {"seed": "x"},
        {"callbacks": {"stages": ["read"]}},
        {"callbacks": {"tries": 0}},
        {"callbacks": True},
        {"callbacks": {"unknown": 1}},
    ],
)
def test_a_wrong_switch_is_named_and_nothing_changes(sandbox, switches):
    before = sandbox.get("/control")

    answer = requests.post(f"{sandbox.url}/control", json={"latency_ms": 9} | switches)

    assert answer.status_code == 422
    assert answer.json()["message"]
    assert sandbox.get("/control") == before


def test_a_body_that_is_not_json_is_refused(sandbox):
    assert requests.post(f"{sandbox.url}/control", data="{").status_code == 422


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({"rate_429": 1.0}, (429, 20429)),
        ({"rate_5xx": 1.0}, (500, 20500)),
        ({"rate_refused_auth": 1.0}, (401, 20003)),
        ({"down": True}, (503, 20503)),
    ],
)
def test_a_provider_with_a_bad_day_accepts_nothing(client, sandbox, switches, expected):
    sandbox.control(**switches)

    assert refusal(lambda: send(client)) == expected
    assert sandbox.outbox() == []


def test_a_timeout_is_not_accepted(client, sandbox):
    sandbox.control(rate_timeout=1.0)
    client.http_client.timeout = 0.3

    with pytest.raises(requests.Timeout):
        send(client)

    assert sandbox.outbox() == []


def test_a_lost_answer_belongs_to_an_accepted_message(client, sandbox, receiver):
    sandbox.control(rate_lost=1.0)

    with pytest.raises(requests.ConnectionError):
        send(client, status_callback=receiver.url)
    sandbox.flush()

    assert [message["status"] for message in sandbox.outbox()] == ["delivered"]
    assert receiver.reported == ["sent", "delivered"]
    assert [message.to for message in client.messages.list(to=MARIA)] == [MARIA]


def test_latency_delays_the_answer(client, sandbox):
    sandbox.control(latency_ms=200)

    started = time.monotonic()
    send(client)

    assert 0.2 <= time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("callbacks", "reported"),
    [
        ({"double": 1.0}, ["sent", "sent", "delivered", "delivered"]),
        ({"reorder": 1.0}, ["delivered", "sent"]),
        ({"drop": 1.0}, []),
        ({"enabled": False}, []),
        ({"stages": ["queued", "sending", "sent", "delivered"]}, "queued sending sent delivered"),
    ],
)
def test_callbacks_come_as_badly_as_asked(client, sandbox, receiver, callbacks, reported):
    sandbox.control(callbacks={"spread_ms": 60} | callbacks)

    sid = send(client, status_callback=receiver.url).sid
    sandbox.flush()

    assert receiver.reported == (reported.split() if isinstance(reported, str) else reported)
    assert client.messages(sid).fetch().status == "delivered"


def test_the_same_seed_brings_the_same_fates(client, sandbox):
    def fates():
        sandbox.control(seed=7, rate_429=0.3, rate_5xx=0.3)
        codes = []
        for _ in range(12):
            try:
                codes.append(send(client).error_code)
            except TwilioRestException as refused:
                codes.append(refused.code)
        return codes

    first = fates()

    assert fates() == first
    assert set(first) == {None, 20429, 20500}


def test_the_summary_shows_what_was_accepted_twice(client, sandbox, receiver):
    send(client, status_callback=receiver.url)
    send(client, status_callback=receiver.url)
    send(client, body="Another text", status_callback=receiver.url + "&n=2")
    sandbox.flush()

    summary = sandbox.summary()

    assert summary["accepted"] == 3
    assert summary["by_channel"] == {"sms": 3, "email": 0, "whatsapp": 0, "telegram": 0}
    assert summary["distinct"] == 2
    assert summary["same_to_and_text"] == 1
    assert summary["same_callback"] == 1
    assert summary["by_callback_duplicates"] == [{"status_callback": receiver.url, "accepted": 2}]
    assert summary["statuses"] == {"delivered": 3}
    assert len(requests.get(f"{sandbox.url}/control/log.jsonl").text.splitlines()) == 3


def test_a_killed_sandbox_comes_back_with_its_log(tmp_path, receiver):
    sandbox = SandboxProcess(data=tmp_path).start()
    client = Client(
        constants.PLATFORM_ACCOUNT_SID,
        constants.PLATFORM_AUTH_TOKEN,
        http_client=SandboxHttpClient(sandbox.url),
    )
    sandbox.control(callbacks={"delay_ms": 0, "spread_ms": 0})
    done = send(client).sid
    sandbox.flush()
    sandbox.control(callbacks={"delay_ms": 60_000})
    waiting = send(client, status_callback=receiver.url).sid
    sandbox.kill()
    with (tmp_path / "sandbox.jsonl").open("ab") as file:
        file.write(b'{"seq":3,"cut sho')

    sandbox.start()
    sandbox.flush()

    assert [m["sid"] for m in sandbox.outbox(after=0)] == [done, waiting]
    assert receiver.reported == ["sent", "delivered"]
    third = send(client).sid
    sandbox.kill()
    sandbox.start()
    assert [m["sid"] for m in sandbox.outbox(after=0)] == [done, waiting, third]
    assert client.messages(third).fetch().body == client.messages(done).fetch().body
    assert sandbox.stop() == 0


def test_a_held_connection_does_not_delay_the_end(tmp_path):
    sandbox = SandboxProcess().start()
    sandbox.control(rate_timeout=1.0)
    with pytest.raises(requests.Timeout):
        requests.get(f"{sandbox.url}/v1/Services/MG1", timeout=0.2)

    started = time.monotonic()

    assert sandbox.stop() == 0
    assert time.monotonic() - started < 1


def test_two_sandboxes_do_not_share_a_port(running):
    second = subprocess.run(
        [sys.executable, "-m", "messaging.sandbox", "--port", str(running.port)],
        capture_output=True,
        text=True,
        timeout=10,
    )

    assert second.returncode == 1
    assert second.stderr == f"Port {running.port} on 127.0.0.1 is taken.\n"
