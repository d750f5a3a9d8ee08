"""No call of the campaign API is answered by a fault of ours."""

import random

import pytest

from tests.factories import CampaignFactory, EmailCampaignFactory, TelegramBotFactory

pytestmark = pytest.mark.django_db

VALUES = [
    None, True, 0, -1, 1.5, 10**40, "", " ", "x" * 70_000, "\0", "\u202e", "{{", "{{recipient}}",
    "{{a}}" * 2000, "<p>", "<a href=javascript:x>", "Name <a@b.sg>", "a@health.gov.sg",
    "2030-01-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", [], [1], {}, {"a": 1},
    "81230001", "EMAIL", "SMS", "TELEGRAM", "NaN", "-", "a\r\nBcc: b@example.org",
]  # fmt: skip
FIELDS = [
    "name", "type", "protect", "label", "subject", "body", "reply_to", "from", "show_logo",
    "recipient", "rate", "scheduledTiming", "transaction_id", "filename", "etag",
    "should_bcc_to_me", "demo_message_limit",
]  # fmt: skip
CALLS = [
    ("post", ""), ("put", "/template"), ("post", "/upload/complete"), ("get", "/upload/start"),
    ("post", "/credentials"), ("post", "/credentials/verify"), ("post", "/send"),
    ("post", "/duplicate"), ("post", "/retry"), ("get", "/upload/status"), ("get", "/preview"),
    ("get", ""), ("get", "/stats"), ("delete", "/upload/status"), ("post", "/upload"),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_sent_the_answer_is_ours(call, account, seed, sandbox):
    chance = random.Random(seed)
    account.agency.may_use_telegram = True
    account.agency.save()
    TelegramBotFactory(owner=account, label="clinic")
    paths = []
    for type_ in ("EMAIL", "SMS", "TELEGRAM"):
        number = call("post", "/campaigns", {"name": "V", "type": type_}).json()["id"]
        paths.append(f"/campaign/{number}/{type_.lower()}")
    paths.append(f"/campaign/{EmailCampaignFactory(creator=account).number}/email")
    paths.append(f"/campaign/{CampaignFactory(creator=account).number}/sms")
    good = {
        "subject": "Hi", "body": "<p>Hi {{name}}</p>", "reply_to": None, "name": "V",
        "type": "EMAIL", "recipient": "a@health.gov.sg", "label": "clinic", "filename": "a.csv",
    }  # fmt: skip
    wanted = {
        "/template": ["subject", "body", "reply_to"], "/credentials": ["recipient", "label"],
        "/duplicate": ["name"], "/upload/complete": ["transaction_id", "filename"],
    }  # fmt: skip
    for _ in range(150):
        method, rest = chance.choice(CALLS)
        path = chance.choice(paths)
        names = list(wanted.get(rest, []))
        body = {name: good.get(name, "x") for name in names}
        if "sms" in path or "telegram" in path:
            body = {n: v for n, v in body.items() if n not in ("subject", "reply_to")}
        for _ in range(chance.randrange(3)):
            known = list(body) if body and chance.random() < 0.7 else FIELDS
            body[chance.choice(known)] = chance.choice(VALUES)
        if chance.random() < 0.05:
            body = chance.choice(VALUES)
        if method == "get":
            query = {"mime_type": "text/csv", "md5": str(chance.choice(VALUES))[:200]}
            body = query if rest == "/upload/start" else None

        answer = call(method, path + rest, body)

        assert answer.status_code < 500, (method, path + rest, body, answer.content[:500])
