"""Calls made by chance: how many, of whom, and what v1 answers to them."""

import copy
import os
from io import BytesIO

import schemathesis
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import positive_data_acceptance
from schemathesis.specs.openapi.checks import negative_data_rejection

from messaging.api.v1.schema import JSON, document
from postman.wsgi import application
from tests.messaging.api.described import check

ASKED = os.environ.get("SCHEMATHESIS_EXAMPLES")


def calls(count):
    return settings(
        max_examples=count,
        derandomize=not ASKED,  # the suite tries the same calls each time
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def as_asked(count):
    """So many in the suite; in `make fuzz`, as many as it asks for."""
    return int(ASKED or count)


CALLS = calls(as_asked(25))

# Texts of messages that something behind the checks may choke on.
AWKWARD = [
    "{{", "{{#name}}", "{{a b}}", "{{recipient}}", "{{other}}" * 1000, "x" * 70_000, "\0", "\u202e",
    "<p>", "<b>{{name}}", "<a href=javascript:x>x</a>", "a\r\nBcc: b@example.org", " ",
]  # fmt: skip

# What stands in the calls → what is behind it in the test that runs.
behind: dict[str, str] = {}


def app(environ, start_response):
    path, body = environ["PATH_INFO"], environ["wsgi.input"].read()
    for standin, real in behind.items():
        path, body = path.replace(standin, real), body.replace(standin.encode(), real.encode())
    call = {"PATH_INFO": path, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return application(environ | call | {"REMOTE_ADDR": "127.0.0.1"}, start_response)


def operations_of(described):
    """Label → operation of a document."""
    options = {"allow-extra-parameters": False, "with-security-parameters": False}
    schema = schemathesis.openapi.from_dict(
        described, config=schemathesis.Config.from_dict({"generation": options})
    )
    schema.app = app
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


# v1 -----------------------------------------------------------------------------------------------


def v1_operations(are_ours, *, ids, bodies=lambda path, body: body):
    """Those of the paths that `are_ours`. `ids`: path → schema of the ids in it. `bodies`: path and
    schema of the body → the same or a narrower one."""
    narrow = copy.deepcopy(document())
    narrow["servers"] = [{"url": "/v1"}]
    narrow["paths"] = {path: each for path, each in narrow["paths"].items() if are_ours(path)}
    for path, methods in narrow["paths"].items():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                parameter.pop("examples", None)
                if parameter["name"] == "id":
                    parameter["schema"] = ids(path)
            for media in operation.get("requestBody", {"content": {}})["content"].values():
                media["schema"] = bodies(path, media["schema"])
    return operations_of(narrow)


def met_by_chance(right, wrong, *, secret, count=50):
    """The statuses of v1's answers to calls of one operation, each described and rolled back.

    `right`: it, narrowed to what the account can do. `wrong`: it as it is, to be called wrongly.
    """
    method, path = right.label.split(" ")
    described = document()["paths"][path][method.lower()]
    met = []

    def call(case):
        # No schema can say what there is; and in a form everything is text.
        excluded = [positive_data_acceptance]
        if case.media_type not in (None, JSON):
            excluded.append(negative_data_rejection)
        with transaction.atomic():
            answer = case.call_and_validate(
                headers={"Authorization": f"Bearer {secret}"}, excluded_checks=excluded
            )
            transaction.set_rollback(True)
        check(described, answer)
        met.append(answer.status_code)

    half = as_asked(count) // 2
    rightly = right.as_strategy(generation_mode=GenerationMode.POSITIVE)
    calls(half)(given(case=rightly)(call))()
    # There may be few right ones; and no wrong one where nothing is asked.
    if described["parameters"] or "requestBody" in described:
        wrongly = wrong.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        calls(2 * half - len(met))(given(case=wrongly)(call))()
    return set(met)
