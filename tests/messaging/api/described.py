"""v1's answers against its description."""

import copy
import json
import re
from functools import cache

from jsonschema import Draft202012Validator

from messaging.api.v1.schema import document

# What Django and its middleware put on every answer of the site.
USUAL_HEADERS = {
    "allow",
    "content-length",
    "content-security-policy",
    "content-type",
    "cross-origin-opener-policy",
    "referrer-policy",
    "vary",
    "x-content-type-options",
    "x-frame-options",
}


def operation_of(method, path):
    """The operation that answers at this address; None where the document has none."""
    found = [
        methods[method]
        for template, methods in document()["paths"].items()
        if method in methods and re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path)
    ]
    # `…/send` is an address of its own, not an id.
    return found[0] if found else None


def resolved(headers):
    return {name: document()["components"]["headers"][name] for name in headers}


def body_of(answer):
    """Of an answer that is streamed too, which can be read again."""
    if not getattr(answer, "streaming", False):
        return answer.json()
    content = answer.getvalue()
    answer.streaming_content = [content]
    return json.loads(content)


@cache
def _shape(name, status):
    """What looks at the answers of one operation and status."""
    [operation] = [
        each
        for methods in document()["paths"].values()
        for each in methods.values()
        if each["operationId"] == name
    ]
    [media] = operation["responses"][status]["content"].values()
    components = {"components": copy.deepcopy(document()["components"])}
    return Draft202012Validator({**media["schema"], **components})


def check(operation, answer):
    """That status, shape and headers of a real answer are described; raises what is not."""
    described = operation["responses"].get(str(answer.status_code))
    assert described, f"{answer.status_code} of {operation['operationId']} is not described"
    _shape(operation["operationId"], str(answer.status_code)).validate(body_of(answer))
    headers = resolved(described["headers"])
    given = {name.lower() for name in answer.headers}
    assert given <= USUAL_HEADERS | {name.lower() for name in headers}
    assert {name.lower() for name, facts in headers.items() if facts["required"]} <= given
