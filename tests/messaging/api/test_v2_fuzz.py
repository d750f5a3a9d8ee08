"""The running API against its own description: whatever is sent, the answer is a described one.

The suite sends a few calls of each operation, `make fuzz` a thousand (SCHEMATHESIS_EXAMPLES).
"""

import copy

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import positive_data_acceptance

from messaging.channels.base import Accepted, Rejected
from messaging.delivery import claiming, recording
from messaging.models import Message
from messaging.sending import deciding
from postman.api.docs import document
from tests.messaging.api.described import USUAL_HEADERS
from tests.messaging.api.fuzzing import CALLS, behind, operations_of
from tests.messaging.builders import accepted_batch, csv_of, single

pytestmark = pytest.mark.django_db


# Ids that stand in the calls.
STANDINS = {
    "campaignId": [f"campaign_{'0' * 8}-0000-0000-0000-{'0' * 12}"],
    "messageId": [f"message_{'0' * 8}-0000-0000-0000-{n:012}" for n in range(4)],
    "batchId": [f"batch_{'0' * 8}-0000-0000-0000-{n:012}" for n in range(3)],
}


@pytest.fixture
def secret(campaign, key, _one_connection):
    """The key of a campaign without a limit, with messages and batches in every state."""
    campaign.calls_per_second = None
    campaign.save()
    failed, batch = single(campaign), accepted_batch(campaign, 2)
    for lane in (None, batch.id):
        recording.record(
            [
                (c, Rejected("recipient_unavailable", provider_code="30003"))
                for c in claiming.claim(lane)
            ]
        )
    sent = single(campaign)
    recording.record([(c, Accepted("SM1")) for c in claiming.claim(None)])
    stopped = accepted_batch(campaign, 1)
    deciding.stop_batch(stopped, by=campaign.creator)
    of_batch = Message.objects.filter(batch=batch).earliest("row")
    real = {
        "campaignId": [campaign],
        "messageId": [failed, of_batch, sent, single(campaign)],
        "batchId": [batch, accepted_batch(campaign, 1), stopped],
    }
    for name, standins in STANDINS.items():
        behind.update(zip(standins, [row.public_id for row in real[name]], strict=True))
    return key


def strict_document(*, sendable):
    """Ours, without room for a field that it does not name, and with ids of something. `sendable`:
    and only with what this campaign can send, to what is sure to be a number."""
    strict = copy.deepcopy(document())
    strict["servers"] = [{"url": "/api/v2"}]
    for shape in strict["components"]["schemas"].values():
        shape["additionalProperties"] = False
    if sendable:
        text = {"type": "string", "pattern": "^[A-Za-z0-9]{1,40}$"}
        strict["components"]["schemas"]["SingleSend"]["properties"] = {
            "recipient": {"type": "string", "pattern": "^658[2-7][0-9]{6}$"},
            "language": {"type": "string", "enum": ["english", "malay"]},
            "values": {
                "type": "object",
                "required": ["name", "clinic"],
                "additionalProperties": False,
                "properties": {"name": text, "clinic": text},
            },
        }
    for methods in strict["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                parameter.pop("examples", None)
                if known := STANDINS.get(parameter["name"]):
                    others = [parameter["schema"]] if len(known) > 1 and not sendable else []
                    parameter["schema"] = {"anyOf": [{"type": "string", "enum": known}, *others]}
    return strict


OPERATIONS = operations_of(strict_document(sendable=False))
SENDABLE = operations_of(strict_document(sendable=True))
SEND_BATCH = "POST /campaigns/{campaignId}/batch/messages"


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_a_described_one(label, secret):
    operation = OPERATIONS[label]
    right = SENDABLE[label].as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @CALLS
    @given(case=right | wrong)
    def call(case):
        with transaction.atomic():
            answer = case.call_and_validate(
                headers={"Authorization": f"Bearer {secret}"},
                # No schema can say which messages there are or may be retried.
                excluded_checks=[positive_data_acceptance],
            )
            transaction.set_rollback(True)
        described = operation.definition.raw["responses"].get(str(answer.status_code), {})
        headers = {name.lower() for name in described.get("headers", {})}
        assert set(answer.headers) <= USUAL_HEADERS | headers
        met.add(answer.status_code)

    met: set[int] = set()
    call()
    # No form of chance is a CSV file: those have a test of their own.
    assert label == SEND_BATCH or met & {200, 201}
    assert met & {400, 404}


CELLS = st.sampled_from(
    [
        "6581230001",
        "english",
        "Tamil",
        "Mei Ling",
        "",
        " ",
        "€",
        "梅",
        '"',
        "a,b",
        "=1+1",
        "\n",
        "\x00",
    ]
)
TABLES = st.lists(st.lists(CELLS, min_size=3, max_size=5).map(",".join), max_size=5)


def test_every_file_is_answered_as_described(client, campaign, secret):
    operation = OPERATIONS[SEND_BATCH]

    @CALLS
    @given(rows=TABLES, good=st.integers(0, 3))
    def send(rows, good):
        content = csv_of(good) + "\n".join(rows).encode()
        with transaction.atomic():
            answer = client.post(
                f"/api/v2/campaigns/{campaign.public_id}/batch/messages",
                {"file": SimpleUploadedFile("people.csv", content)},
                headers={"Authorization": f"Bearer {secret}"},
            )
            transaction.set_rollback(True)
        described = operation.definition.raw["responses"][str(answer.status_code)]
        schema = described["content"]["application/json"]["schema"]
        shapes = {"components": document()["components"]}
        Draft202012Validator(schema | shapes).validate(answer.json())
        assert "X-Request-Id" in answer
        answered.add(answer.json().get("isValid"))

    answered = set()
    send()
    assert {True, False} <= answered
