"""No order of calls is answered by a fault of ours, whatever was written before.

Each call alone, in every way that its description knows: test_fuzz.py. There each is undone, so
nothing that was written awkwardly is ever filled, read, tried out or sent.
"""

import random

import pytest

from tests.factories import TelegramBotFactory
from tests.messaging.api.fuzzing import AWKWARD
from tests.messaging.api.v1_campaigns.workers import deliver

pytestmark = pytest.mark.django_db

FILES = {
    "EMAIL": b"recipient,name\na@example.org,Ann\n",
    "SMS": b"recipient,name\n81230001,Ann\n",
    "TELEGRAM": b"recipient,name\n81230001,Ann\n",
}
TESTS = {
    "EMAIL": {"recipient": "mei.ling@health.gov.sg"},
    "SMS": {"label": "clinic", "recipient": "81230001"},
    "TELEGRAM": {"label": "clinic"},
}
READING = ["", "/upload/status", "/preview", "/stats", "/export"]


@pytest.mark.parametrize("type_", FILES)
def test_whatever_was_done_before_the_answer_is_a_described_one(
    call, upload, account, clinic, type_
):
    chance = random.Random(type_)
    account.agency.may_use_telegram = True
    account.agency.save()
    TelegramBotFactory(owner=account, label="clinic")
    paths = []

    def make():
        number = call("post", "/campaigns", {"name": "V", "type": type_}).json()["id"]
        paths.append(f"/campaign/{number}/{type_.lower()}")

    def write(path):
        text = chance.choice([*AWKWARD, *["<p>{{name}}</p>"] * len(AWKWARD)])
        about = {"subject": chance.choice([text, "Visit"]), "reply_to": None}
        body = {"body": text, **(about if type_ == "EMAIL" else {})}
        return call("put", f"{path}/template", body)

    steps = [
        write,
        write,
        lambda path: upload(path, FILES[type_]),
        lambda path: upload(path, FILES[type_]),
        lambda path: call("post", f"{path}/credentials", TESTS[type_]),
        lambda path: call("post", f"{path}/send"),
        lambda path: deliver(),
        lambda path: call("post", f"{path}/duplicate", {"name": chance.choice(AWKWARD)}),
        lambda path: call("post", f"{path}/retry"),
        lambda path: call("delete", f"{path}/upload/status"),
        lambda path: call("post", f"/campaigns/{path.split('/')[2]}/cancel"),
    ]
    make()
    met = set()
    for _ in range(60):
        path = chance.choice(paths)
        # The client looks at each answer.
        told = chance.choice(steps)(path)
        read = call("get", path + chance.choice(READING))
        met |= {answer.status_code for answer in (told, read) if answer}
        if len(paths) < 4 and chance.random() < 0.2:
            make()
    assert {200, 202, 400} <= met < {*range(500)}
