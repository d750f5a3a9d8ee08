"""v1's own description: public, valid, and complete enough to write a client from.

That the answers of v1 are as it says, `conftest.Described` looks at in every test of this directory.
"""

import re

import pytest
from django.urls import resolve
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from messaging.api.v1 import urls
from messaging.api.v1.campaigns import Elsewhere
from messaging.api.v1.errors import STATUS
from messaging.api.v1.schema import document
from postman.api.docs import document as v2_document

OPERATIONS = {
    operation["operationId"]: operation
    for path in document()["paths"].values()
    for operation in path.values()
}
# Of addresses that are not there.
UNDESCRIBED = {"method_not_allowed"}


def test_the_document_is_valid():
    validate(document())


def test_whoever_asks_may_read_it(client):
    answer = client.get("/api/v1-schema")

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json() == document()
    assert answer.json()["servers"][0]["url"] == "http://localhost:8000/v1"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_it_can_only_be_read(client, method):
    assert getattr(client, method)("/api/v1-schema").status_code == 405


def test_neither_document_speaks_of_the_other_api():
    assert not set(document()["paths"]) & set(v2_document()["paths"])
    assert not any("transactional" in path for path in v2_document()["paths"])


def test_every_transactional_address_is_described():
    served = {
        "/" + str(found.pattern).replace("<str:number>", "{id}")
        for found in urls.urlpatterns
        if str(found.pattern).startswith(("transactional/", "govsg/"))
    }

    described = {path for path in document()["paths"] if not path.startswith("/campaign")}
    assert served == described


def test_every_described_address_of_campaigns_is_served():
    for path in document()["paths"]:
        view = resolve(f"/v1{path.replace('{id}', '7')}").func.view_class
        assert view is not Elsewhere
        assert set(document()["paths"][path]) <= set(view.http_method_names)


def test_every_address_of_campaigns_is_described():
    served = {
        found.pattern.regex.pattern.removeprefix(urls._campaign).rstrip("$").removesuffix("/?")
        for found in urls.urlpatterns
        if str(found.pattern).startswith(urls._campaign)
    }
    described = {
        re.sub("^/campaign/{id}/(email|sms|telegram)", "", path)
        for path in document()["paths"]
        if path.startswith("/campaign/")
    }

    assert served == described


@pytest.mark.parametrize("status", ["200", "400", "429"])
def test_reading_campaigns_counts_too(status):
    headers = OPERATIONS["listCampaigns"]["responses"][status]["headers"]

    assert {"RateLimit-Remaining", "X-RateLimit-Remaining"} <= set(headers)
    assert "Idempotency-Replayed" not in headers


def test_only_a_change_is_told_of_its_repetition():
    def is_told(name):
        return "Idempotency-Key" in {each["name"] for each in OPERATIONS[name]["parameters"]}

    assert is_told("deleteCampaign")
    assert not is_told("refreshEmailCampaignStats")


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_explained_with_examples(name):
    operation = OPERATIONS[name]

    assert operation["summary"]
    assert operation["description"]
    assert operation["security"] == [{"AccountKey": []}]
    assert all(parameter["description"] for parameter in operation["parameters"])
    for answer in operation["responses"].values():
        assert answer["description"]
        assert "X-Request-Id" in answer["headers"]
    assert all(media["examples"] for media in media_of(operation))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_example_is_what_its_schema_says(name):
    for media in media_of(OPERATIONS[name]):
        shape = {**media["schema"], "components": document()["components"]}
        for example in media["examples"].values():
            Draft202012Validator(shape).validate(example["value"])


def test_every_code_that_a_call_can_meet_is_described_under_its_status():
    described = {
        (example["value"]["code"], int(status))
        for operation in OPERATIONS.values()
        for status, answer in operation["responses"].items()
        for example in answer["content"]["application/json"]["examples"].values()
        if status >= "400"
    }

    assert {code for code in STATUS if code not in UNDESCRIBED} <= {code for code, _ in described}
    assert all(STATUS.get(code, 400) == status for code, status in described)


@pytest.mark.parametrize("status", ["201", "400", "401", "429"])
def test_whoever_sends_is_told_of_both_families_of_limits(status):
    headers = OPERATIONS["sendEmail"]["responses"][status]["headers"]

    assert {"RateLimit-Remaining", "X-RateLimit-Remaining"} <= set(headers)
    assert ("Retry-After" in headers) is (status == "429")


@pytest.mark.django_db
def test_the_page_offers_both_documents(client):
    pages = {address: client.get(address).content.decode() for address in ("/docs", "/docs/v1")}

    assert 'data-schema="/api/schema"' in pages["/docs"]
    assert 'data-schema="/api/v1-schema"' in pages["/docs/v1"]
    assert all('href="/docs"' in page and 'href="/docs/v1"' in page for page in pages.values())


def media_of(operation):
    parts = [operation.get("requestBody", {"content": {}}), *operation["responses"].values()]
    return [media for part in parts for media in part["content"].values()]
