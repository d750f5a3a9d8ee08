"""Where people and tests publish records, as whoever runs an agency's DNS would."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import jinja2
import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from .name_server import KINDS, InvalidRecord
from .ses_identities import STATES

if TYPE_CHECKING:
    from .app import Sandbox

_POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"


def routes(sandbox: Sandbox, templates: jinja2.Environment) -> list[Route]:
    pages = Pages(sandbox, templates)
    return [
        Route("/dns", _refusing(pages.dns), methods=["GET", "POST"]),
        Route("/dns.json", _refusing(pages.dns_json), methods=["GET", "POST"]),
        Route("/identities.json", _refusing(pages.identities_json), methods=["GET", "POST"]),
    ]


class Pages:
    def __init__(self, sandbox: Sandbox, templates: jinja2.Environment) -> None:
        self._sandbox = sandbox
        self._templates = templates

    async def dns(self, request: Request) -> Response:
        """The records there are, a form that adds more, and what SES makes of them."""
        typed, error = "", ""
        if request.method == "POST":
            form = {name: values[0] for name, values in parse_qs(await _text(request)).items()}
            try:
                self._change(form)
            except InvalidRecord as refusal:
                typed, error = form.get("publish", ""), str(refusal)
            else:
                return RedirectResponse("/dns", status_code=303)
        page = self._templates.get_template("dns.html").render(
            records=sorted(self._sandbox.zone.records),
            identities=self._sandbox.identities.shown(),
            states=STATES,
            typed=typed,
            error=error,
            app_url=self._sandbox.app_url,
        )
        return HTMLResponse(
            page,
            status_code=422 if error else 200,
            headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"},
        )

    async def dns_json(self, request: Request) -> Response:
        """`{"publish": "name TYPE value\\n…"}`, `{"remove": "name", "kind": "TXT"}`, `{"silent":
        ["name"]}`: names that are not answered, "" for all."""
        zone = self._sandbox.zone
        if request.method == "POST":
            wanted = await _object(request)
            if "silent" in wanted:
                zone.silent = set(wanted.pop("silent"))
            self._change(wanted)
        return JSONResponse({"records": zone.records, "silent": sorted(zone.silent)})

    async def identities_json(self, request: Request) -> Response:
        """`{"name": "health.gov.sg", "state": "FAILED"}`; with "" SES looks for itself again."""
        identities = self._sandbox.identities
        if request.method == "POST":
            wanted = await _object(request)
            identities.decree(str(wanted.get("name")), str(wanted.get("state")))
        return JSONResponse({"identities": identities.shown()})

    def _change(self, wanted: dict[str, Any]) -> None:
        zone = self._sandbox.zone
        if "name" in wanted:
            self._sandbox.identities.decree(wanted["name"], wanted.get("state", ""))
        elif "remove" in wanted:
            kind = wanted.get("kind", "")
            if kind not in ("", *KINDS):
                raise InvalidRecord(f"kind must be one of {', '.join(KINDS)}")
            zone.remove(str(wanted["remove"]), kind)
        elif "publish" in wanted:
            zone.publish(str(wanted["publish"]))


def _refusing(
    page: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await page(request)
        except InvalidRecord as refusal:
            return JSONResponse({"message": str(refusal)}, status_code=422)
        except KeyError:
            return JSONResponse({"message": "no such identity or state"}, status_code=422)

    return answer


async def _text(request: Request) -> str:
    return (await request.body()).decode("utf-8", "replace")


async def _object(request: Request) -> dict[str, Any]:
    try:
        wanted = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        wanted = None
    if not isinstance(wanted, dict):
        raise InvalidRecord("the body must be a JSON object")
    return wanted
