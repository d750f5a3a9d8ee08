"""What people and tests look at: the outbox, the control API and the log."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jinja2
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from . import constants, name_server_pages, whatsapp
from .control import InvalidControl
from .log import CHANNELS
from .numbers import (
    MAILBOXES,
    NUMBERS,
    TELEGRAM_NUMBERS,
    TWILIO_MESSAGES,
    WHATSAPP_NUMBERS,
)

if TYPE_CHECKING:
    from .app import Sandbox

_HERE = Path(__file__).parent
_PAGE = 25
_MOST = 1000
_LONGEST_FLUSH = 300
_PAGE_POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
# A mail's own HTML may be anything: no script, no form, no origin, and nothing fetched but images
# of the app. In the frame of its page, links open a window of their own.
_MAIL_POLICY = "sandbox{}; default-src 'none'; style-src 'unsafe-inline'; img-src data: {}"
_MAY_OPEN_WINDOWS = " allow-popups allow-popups-to-escape-sandbox"
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)


class BadRequest(ValueError):
    """A query that cannot be understood, in words for whoever wrote it."""


def create_pages(sandbox: Sandbox) -> Starlette:
    pages = Pages(sandbox)
    return Starlette(
        routes=[
            Route("/", pages.outbox),
            Route("/healthz", pages.healthz),
            Route("/outbox.json", pages.outbox_json),
            Route("/outbox/{seq:int}", pages.mail),
            Route("/outbox/{seq:int}/html", pages.mail_html),
            Route("/outbox/{seq:int}/frame", pages.mail_frame),
            Route("/whatsapp.json", pages.write_to_whatsapp, methods=["POST"]),
            Route("/telegram.json", pages.write_to_bot, methods=["GET", "POST"]),
            Route("/webhooks", pages.webhooks, methods=["GET", "POST"]),
            Route("/webhooks.json", pages.webhooks_json),
            Route("/webhooks/{name}", pages.take_webhook, methods=["POST"]),
            *name_server_pages.routes(sandbox, pages.templates),
            Route("/control", pages.control, methods=["GET", "POST", "DELETE"]),
            Route("/control/reset", pages.reset, methods=["POST"]),
            Route("/control/callbacks/flush", pages.flush, methods=["POST"]),
            Route("/control/log/summary", pages.summary),
            Route("/control/log.jsonl", pages.log_lines),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ],
        exception_handlers={BadRequest: _unprocessable, InvalidControl: _unprocessable},
    )


class Pages:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def outbox(self, request: Request) -> Response:
        to = request.query_params.get("to", "").strip()
        channel = _channel(request)
        before = _whole_number(request, "before", 0) or 0
        found = list(
            islice(self._sandbox.log.search(to=to, channel=channel, before=before), _PAGE + 1)
        )
        older = found[_PAGE - 1]["seq"] if len(found) > _PAGE else 0
        chosen = {name: value for name, value in (("to", to), ("channel", channel)) if value}
        page = self.templates.get_template("outbox.html").render(
            messages=[_shown(entry) for entry in found[:_PAGE]],
            total=len(self._sandbox.log),
            to=to,
            channel=channel,
            before=before,
            newest_url="/?" + urlencode(chosen) if chosen else "/",
            older_url="/?" + urlencode(chosen | {"before": older}) if older else "",
            numbers=NUMBERS,
            mailboxes=MAILBOXES,
            whatsapp_numbers=WHATSAPP_NUMBERS,
            whatsapp_messages=whatsapp.MESSAGES,
            telegram_numbers=TELEGRAM_NUMBERS,
            twilio_messages=TWILIO_MESSAGES,
            credentials=constants,
            app_url=self._sandbox.app_url,
        )
        return HTMLResponse(
            page, headers={"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-store"}
        )

    async def outbox_json(self, request: Request) -> Response:
        """`?to=&channel=&after=&limit=`: oldest first after that `seq`; without `after`, newest
        first. `next_after` is what to pass to see only what came later."""
        after = _whole_number(request, "after", None)
        limit = min(_whole_number(request, "limit", 100) or 100, _MOST)
        entries = list(
            islice(
                self._sandbox.log.search(
                    to=request.query_params.get("to", ""), channel=_channel(request), after=after
                ),
                limit,
            )
        )
        seen = max((entry["seq"] for entry in entries), default=after or 0)
        return _json({"messages": [_public(entry) for entry in entries], "next_after": seen})

    async def mail(self, request: Request) -> Response:
        """An email as its recipient sees it, and what a recipient does not see."""
        entry = self._mail(request)
        if entry is None:
            return Response(status_code=404)
        page = self.templates.get_template("mail.html").render(mail=_shown(entry))
        return HTMLResponse(
            page, headers={"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-store"}
        )

    async def mail_html(self, request: Request) -> Response:
        return self._html_of(self._mail(request), "")

    async def mail_frame(self, request: Request) -> Response:
        entry = self._mail(request)
        if entry:
            html = entry["html"]
            head = _HEAD.search(html)
            at = head.end() if head else 0
            entry["html"] = f'{html[:at]}<base target="_blank">{html[at:]}' if html else ""
        return self._html_of(entry, _MAY_OPEN_WINDOWS)

    def _mail(self, request: Request) -> dict[str, Any] | None:
        seq = request.path_params["seq"]
        if not 0 < seq <= len(self._sandbox.log):
            return None
        entry = self._sandbox.log.entry(seq)
        return entry if entry["channel"] == "email" else None

    def _html_of(self, entry: dict[str, Any] | None, permissions: str) -> Response:
        if not entry or not entry["html"]:
            return Response(status_code=404)
        app = urlsplit(self._sandbox.app_url)
        policy = _MAIL_POLICY.format(
            permissions, f"{app.scheme}://{app.netloc}" if app.netloc else ""
        )
        return HTMLResponse(entry["html"], headers={"Content-Security-Policy": policy})

    async def write_to_whatsapp(self, request: Request) -> Response:
        """`{"from": "6581230001", "text": "…"}`: somebody writes to our number at WhatsApp."""
        asked = await _read_json(request)
        endpoint = self._sandbox.controls.values["whatsapp"]["endpoint"]
        if not endpoint or not isinstance(asked, dict):
            raise BadRequest("give an object, and set the endpoint at /control")
        call = whatsapp.text_call(endpoint, str(asked.get("from")), str(asked.get("text")))
        return _json({"status": await self._sandbox.reporter.post(call)})

    async def write_to_bot(self, request: Request) -> Response:
        """`{"bot": 700000001, "phone": "6581230001", "does": "share"}`: somebody starts a bot
        (`/start`), shares their contact, forwards another's, blocks the bot, or writes something.
        `phones` for many. GET shows the bots."""
        if request.method == "GET":
            bots = self._sandbox.bots.all()
            return _json(
                {"bots": [{k: v for k, v in bot.items() if k != "secret_token"} for bot in bots]}
            )
        asked = await _read_json(request)
        if not isinstance(asked, dict):
            raise BadRequest("give an object")
        phones = [str(phone) for phone in asked.get("phones") or [asked.get("phone")]]
        statuses = []
        for phone in phones:
            if not (phone.isascii() and phone.isdigit()):
                raise BadRequest("phone must be digits")
            call = self._sandbox.bots.update_of(
                str(asked.get("bot")), phone, str(asked.get("does"))
            )
            if call is None:
                raise BadRequest("nobody has connected this bot: GET shows those that are")
            statuses.append(await self._sandbox.reporter.post(call))
        return _json({"status": statuses[-1], "statuses": statuses})

    async def webhooks(self, request: Request) -> Response:
        """What was told, and the form that takes a secret to check it with."""
        switches = self._sandbox.controls.values["webhooks"]
        if request.method == "POST":
            given = parse_qs((await request.body()).decode()).get("secret", [""])[0].strip()
            secrets = [*switches["secrets"], given]
            self._sandbox.controls.merge({"webhooks": {"secrets": secrets}})
            return RedirectResponse("/webhooks", status_code=303)
        events = self._sandbox.receiver.newest_first(switches["secrets"])
        page = self.templates.get_template("webhooks.html").render(
            events=[event | {"at": _moment(event["at"]).astimezone()} for event in events[:_PAGE]],
            total=len(events),
            address=f"{request.url.scheme}://{request.url.netloc}/webhooks/demo",
            secrets=len(switches["secrets"]),
            status=switches["status"],
            app_url=self._sandbox.app_url,
        )
        return HTMLResponse(
            page, headers={"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-store"}
        )

    async def webhooks_json(self, request: Request) -> Response:
        """`?name=`: the newest first."""
        secrets = self._sandbox.controls.values["webhooks"]["secrets"]
        name = request.query_params.get("name", "")
        return _json({"events": self._sandbox.receiver.newest_first(secrets, name=name)})

    async def take_webhook(self, request: Request) -> Response:
        switches = self._sandbox.controls.values["webhooks"]
        status = switches["status"]
        self._sandbox.receiver.take(
            request.path_params["name"], request.headers, await request.body(), status
        )
        await asyncio.sleep(switches["delay_ms"] / 1000)
        return PlainTextResponse("taken" if status < 300 else "as told by /control", status)

    async def control(self, request: Request) -> Response:
        controls = self._sandbox.controls
        if request.method == "DELETE":
            controls.reset()
        elif request.method == "POST":
            controls.merge(await _read_json(request))
        self._sandbox.topic.look()
        return _json(controls.values)

    async def reset(self, request: Request) -> Response:
        self._sandbox.controls.reset()
        self._sandbox.topic.look()
        self._sandbox.reporter.clear()
        self._sandbox.log.clear()
        self._sandbox.receiver.clear()
        self._sandbox.zone.clear()
        self._sandbox.identities.clear()
        self._sandbox.bots.clear()
        return _json(self._sandbox.controls.values)

    async def flush(self, request: Request) -> Response:
        seconds = min(_whole_number(request, "seconds", 30) or 0, _LONGEST_FLUSH)
        return _json({"pending": await self._sandbox.reporter.flush(seconds)})

    async def summary(self, request: Request) -> Response:
        reporter = self._sandbox.reporter
        callbacks = {"pending": reporter.pending} | reporter.counts
        return _json(await self._sandbox.log.summary() | {"callbacks": callbacks})

    async def log_lines(self, request: Request) -> Response:
        return StreamingResponse(self._sandbox.log.lines(), media_type="application/x-ndjson")


async def _unprocessable(request: Request, error: Exception) -> Response:
    return JSONResponse({"message": str(error)}, status_code=422)


async def _read_json(request: Request) -> Any:
    try:
        return orjson.loads(await request.body())
    except json.JSONDecodeError:
        raise InvalidControl("the body is not JSON") from None


def _json(value: Any) -> Response:
    return Response(
        orjson.dumps(value),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _channel(request: Request) -> str:
    channel = request.query_params.get("channel", "")
    if channel not in ("", *CHANNELS):
        raise BadRequest(f"channel must be one of {', '.join(CHANNELS)}")
    return channel


def _whole_number(request: Request, name: str, default: int | None) -> int | None:
    value = request.query_params.get(name, "")
    if not value:
        return default
    if not value.isdecimal() or len(value) > 12:
        raise BadRequest(f"{name} must be a whole number")
    return int(value)


def _public(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: value for name, value in entry.items() if name not in ("changed", "first_status")},
        "at": _moment(entry["at"]).isoformat(timespec="milliseconds"),
        "status_at": _moment(entry["changed"]).isoformat(timespec="milliseconds"),
    }


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {
        "at": _moment(entry["at"]).astimezone(),
        "error_message": (TWILIO_MESSAGES | whatsapp.MESSAGES).get(entry["error"] or 0, ""),
        "from": entry["from"] or constants.SENDER,
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
