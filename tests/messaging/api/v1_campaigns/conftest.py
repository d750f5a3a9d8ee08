import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from postman.accounts import keys
from tests.messaging.api.v1_campaigns.workers import check_uploads
from tests.messaging.sandbox import staff

PEOPLE = b"recipient,name,clinic\na@example.org,Ann,Bedok\nb@example.org,Ben,Yishun\n"


@pytest.fixture
def account(officer):
    officer.calls_per_second = None
    officer.save()
    return officer


@pytest.fixture
def headers(account):
    _, secret = keys.create(account, label="System", contacts=[account.email])
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def call(client, headers):
    """`call("post", "/campaigns", {...})` → the answer."""

    def send(method, path, body=None, **extra):
        options = {"headers": {**headers, **extra.pop("headers", {})}, **extra}
        if method != "get":
            options = {"data": json.dumps(body) if body is not None else "", **options}
            options["content_type"] = "application/json"
        elif body:
            options["data"] = body
        return getattr(client, method)(f"/v1{path}", **options)

    return send


@pytest.fixture
def upload(client, headers):
    def send(path, content=PEOPLE, name="people.csv", **fields):
        file = SimpleUploadedFile(name, content, content_type="text/csv")
        answer = client.post(f"/v1{path}/upload", {"file": file, **fields}, headers=headers)
        check_uploads()
        return answer

    return send


@pytest.fixture
def clinic(account, sandbox):
    """SMS credentials of the account, by that label."""
    return staff.labelled(account)
