"""How v1 says no (v1-backend §3.1; v1-web-app §21.1, §21.4)."""

import json

import pytest

from messaging.models import Message
from tests.messaging.api.v1_transactional.conftest import code_of

pytestmark = pytest.mark.django_db

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MB = 1024 * 1024


def errors_of(answer):
    assert code_of(answer) == (400, "api_validation")
    assert not Message.objects.exists()
    return answer.json()["errors"]


def test_every_fault_is_told_at_once_each_with_its_path(post, email):
    answer = post(email, recipient="pat", subject="", tag="x" * 256, colour="red")
    assert [error["path"] for error in errors_of(answer)] == ["colour"]

    errors = errors_of(post(email, recipient="pat", subject="", tag="x" * 256))

    assert [error["path"] for error in errors] == ["recipient", "subject", "tag"]
    assert all(error["message"] for error in errors)


def test_of_a_list_the_place_of_each_fault_is_told(post, email):
    errors = errors_of(post(email, cc=["a@example.org", "b", "c@example.org", 4]))

    assert [error["path"] for error in errors] == ["cc.1", "cc.3"]


def test_a_field_that_v1_calls_from_is_called_so(post, email):
    assert [error["path"] for error in errors_of(post(email, **{"from": "x"}))] == ["from"]


@pytest.mark.parametrize("missing", ["recipient", "subject", "body"])
def test_an_email_needs_each_of_these(client, headers, email, missing):
    asked = {name: value for name, value in email.good.items() if name != missing}

    answer = client.post(email.send, asked, content_type=JSON, headers=headers)

    assert [error["path"] for error in errors_of(answer)] == [missing]


@pytest.mark.parametrize("missing", ["recipient", "body", "label"])
def test_an_sms_needs_each_of_these(client, headers, sms, missing):
    asked = {name: value for name, value in sms.good.items() if name != missing}

    answer = client.post(sms.send, asked, content_type=JSON, headers=headers)

    assert [error["path"] for error in errors_of(answer)] == [missing]


def test_no_field_that_v1_does_not_know_is_taken(post, kind):
    assert [error["path"] for error in errors_of(post(kind, colour="red"))] == ["colour"]


@pytest.mark.parametrize("body", ["{", "\xff", '{"a": 1, "a": 2}', "[" * 100_000])
def test_what_is_no_json_is_malformed(client, headers, kind, body):
    answer = client.post(kind.send, body.encode("latin-1"), content_type=JSON, headers=headers)

    assert code_of(answer) == (400, "malformed")
    assert "errors" not in answer.json()


@pytest.mark.parametrize("body", ["[]", "1", "null", '"text"'])
def test_what_is_no_object_is_refused(client, headers, kind, body):
    answer = client.post(kind.send, body, content_type=JSON, headers=headers)

    assert code_of(answer) == (400, "api_validation")


@pytest.mark.parametrize("media", [JSON, FORM])
def test_a_body_of_more_than_four_megabytes_is_not_read(client, headers, kind, media):
    answer = client.post(kind.send, b"x" * (4 * MB + 1), content_type=media, headers=headers)

    assert code_of(answer) == (400, "malformed")


def test_of_a_body_without_a_length_nothing_is_read(client, headers, kind):
    answer = client.post(
        kind.send,
        kind.good,
        content_type=JSON,
        headers=headers,
        CONTENT_LENGTH="",
        HTTP_TRANSFER_ENCODING="chunked",
    )

    assert code_of(answer) == (400, "malformed")


def test_files_that_are_too_large_by_far_are_not_even_read(client, headers, email):
    answer = client.post(email.send, email.good, headers=headers, CONTENT_LENGTH=str(14 * MB + 1))

    assert code_of(answer) == (413, "attachment_limit")


@pytest.mark.parametrize("media", ["text/plain", "application/xml", ""])
def test_another_kind_of_content_is_refused(client, headers, kind, media):
    answer = client.generic("POST", kind.send, b"x", content_type=media, headers=headers)

    assert code_of(answer) == (415, "unsupported_media_type")


def test_a_form_says_what_json_says(client, headers, kind):
    simple = {name: value for name, value in kind.good.items() if name != "params"}
    body = "&".join(f"{name}={value}" for name, value in simple.items())

    answer = client.post(kind.send, body, content_type=FORM, headers=headers)

    if kind.name == "govsg":
        # A form has no objects, and this template has params.
        assert [error["path"] for error in errors_of(answer)] == ["params"]
    else:
        assert answer.status_code == 201
        assert answer.json()["recipient"] in ("pat@example.org", "+6581230001")


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_message_is_sent_by_post_only(client, headers, kind, method):
    answer = getattr(client, method)(kind.send, headers=headers)

    assert code_of(answer) == (405, "method_not_allowed")


def test_every_error_is_named_as_its_header_names_it(client, headers, post, email):
    answers = {
        400: post(email, recipient="pat"),
        401: client.get(email.path),
        404: client.get(f"{email.path}/1", headers=headers),
        415: client.generic("POST", email.send, b"x", content_type="a/b", headers=headers),
    }

    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.json()["request_id"] == answer["X-Request-Id"]
        assert {"code", "message"} <= set(answer.json())
    assert answers[401]["WWW-Authenticate"] == "Bearer"


def test_an_address_that_is_not_there_is_answered_in_the_same_shape(client, headers):
    answer = client.get("/v1/transactional/fax", headers=headers)

    assert set(json.loads(answer.content)) == {"code", "message", "request_id"}
    assert code_of(answer) == (404, "not_found")


def test_no_answer_is_kept_by_anybody_on_the_way(client, headers, post, kind):
    answers = [post(kind), client.get(kind.path, headers=headers), client.get(kind.path)]

    assert [answer["Cache-Control"] for answer in answers] == ["no-store"] * 3
