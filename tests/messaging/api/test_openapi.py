"""The API's own description: public, valid, and complete enough to write a client from."""

import re

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from jsonschema import Draft202012Validator

from postman.api.docs import document
from postman.api.errors import STATUS


def operations():
    return {
        operation["operationId"]: operation
        for path in document()["paths"].values()
        for operation in path.values()
    }


OPERATIONS = operations()


def test_the_document_is_valid_and_nothing_in_it_was_guessed(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "openapi"))


def test_whoever_asks_may_read_it(client):
    answer = client.get("/api/schema")

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json()["openapi"] == "3.1.0"
    assert answer.json()["servers"][0]["url"] == "http://localhost:8000/api/v2"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_it_can_only_be_read(client, method):
    answer = getattr(client, method)("/api/schema")

    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"


def test_the_seven_operations_and_what_we_add_are_described():
    assert {
        (method, path, operation["operationId"])
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    } == {
        ("post", "/campaigns/{campaignId}/messages", "sendMessage"),
        ("get", "/campaigns/{campaignId}/messages", "listMessages"),
        ("get", "/campaigns/{campaignId}/messages/{messageId}", "getMessage"),
        ("post", "/campaigns/{campaignId}/messages/{messageId}/retry", "retryMessage"),
        ("post", "/campaigns/{campaignId}/batch/messages", "sendBatch"),
        ("post", "/campaigns/{campaignId}/batch/{batchId}/retry", "retryBatch"),
        ("get", "/campaigns/{campaignId}/batch/{batchId}/messages", "listBatchMessages"),
        ("get", "/campaigns/{campaignId}/batch/{batchId}", "getBatch"),
        ("post", "/campaigns/{campaignId}/batch/{batchId}/stop", "stopBatch"),
        ("post", "/campaigns/{campaignId}/batch/{batchId}/resume", "resumeBatch"),
        ("post", "/campaigns/{campaignId}/batch/{batchId}/cancel", "cancelBatch"),
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_explained_with_examples(name):
    operation = OPERATIONS[name]

    assert operation["summary"]
    assert operation["description"]
    assert operation["security"] == [{"ApiKey": []}]
    assert all(parameter["description"] for parameter in operation["parameters"])
    for status, answer in operation["responses"].items():
        assert answer["description"]
        assert answer["headers"]["X-Request-Id"]["required"]
        assert (name == "retryBatch" and status == "201") or list(media_of(answer))
    for media in [*media_of(operation.get("requestBody", {})), *media_of(operation["responses"])]:
        assert media["examples"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_example_is_what_its_schema_says(name):
    operation = OPERATIONS[name]
    media = [*media_of(operation.get("requestBody", {})), *media_of(operation["responses"])]
    shown = [(m["schema"], example["value"]) for m in media for example in m["examples"].values()]
    shown += [
        (parameter["schema"], example["value"])
        for parameter in operation["parameters"]
        for example in parameter.get("examples", {}).values()
    ]

    for schema, value in shown:
        Draft202012Validator({**schema, "components": document()["components"]}).validate(value)


def test_every_code_that_a_call_can_meet_is_described_under_its_status():
    described = {
        (example["value"]["error"]["code"], int(status))
        for operation in OPERATIONS.values()
        for status, answer in operation["responses"].items()
        for media in media_of(answer)
        for example in media["examples"].values()
        if status >= "400"
    }

    assert set(STATUS.items()) - {("method_not_allowed", 405)} <= described
    assert all(STATUS.get(code, status) == status for code, status in described)


def media_of(part):
    """Every `content` in it, however deep."""
    if "content" in part:
        yield from part["content"].values()
    else:
        for inner in part.values():
            if isinstance(inner, dict):
                yield from media_of(inner)


# --- The page -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_page_runs_no_script_but_our_own_files(client):
    answer = client.get("/docs")

    page = answer.content.decode()
    [nonce] = re.findall(r"script-src [^;]*'nonce-([^']+)'", answer["Content-Security-Policy"])
    scripts = re.findall(r"<script ([^>]*)>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) >= 4
    for attributes, content in scripts:
        assert f'nonce="{nonce}"' in attributes
        assert content == ""
    files = re.findall(r'(?:src|href)="/static/([^"]+)"', page)
    assert any("swagger-ui-bundle" in file for file in files)
    assert all(finders.find(file) for file in files)


@pytest.mark.django_db
def test_the_page_can_only_be_read(client):
    assert client.post("/docs").status_code == 405
