"""The sandbox as one ASGI application: the providers' paths first and bare, pages behind them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import orjson

from . import ses, ses_identities, telegram, twilio, whatsapp, wire
from .callbacks import Reporter
from .control import Controls
from .log import Log
from .name_server import Zone
from .numbers import BY_NUMBER, TELEGRAM_BY_NUMBER, WHATSAPP_BY_NUMBER
from .pages import create_pages
from .sns import PATH as SNS
from .sns import Topic
from .webhooks import Receiver
from .wire import Receive, Scope, Send

_ACCOUNT = re.compile(r"/2010-04-01/Accounts/([^/]+)\.json")
_MESSAGES = re.compile(r"/2010-04-01/Accounts/([^/]+)/Messages\.json")
_MESSAGE = re.compile(r"/2010-04-01/Accounts/([^/]+)/Messages/([^/]+)\.json")
_SERVICE = re.compile(r"/v1/Services/([^/]+)")
_TWILIO = ("/2010-04-01/", "/v1/Services/")
_SES = "/v2/email/"


class Sandbox:
    """The application. `Reporter.run` must run beside it in the same event loop."""

    def __init__(
        self,
        *,
        directory: Path | None = None,
        credentials: twilio.Credentials | None = None,
        app_url: str = "",
        url: str = "",
        sns_endpoint: str = "",
        whatsapp_endpoint: str = "",
    ) -> None:
        self.credentials = credentials or twilio.Credentials()
        self.controls = Controls(sns_endpoint, whatsapp_endpoint)
        self.log = Log(directory)
        self.topic = Topic(self.controls, url)
        self.reporter = Reporter(
            self.log, self.controls, self.credentials.auth_token_of, self.topic
        )
        self.receiver = Receiver()
        self.zone = Zone(directory)
        self.identities = ses_identities.Identities(self.zone, directory)
        self.bots = telegram.Bots(directory)
        self.app_url = app_url
        self._pages = create_pages(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith(_TWILIO):
            await self._provider(self._answer_twilio, _TWILIO_FATES, scope, receive, send)
        elif path.startswith(_SES):
            await self._provider(self._answer_ses, _SES_FATES, scope, receive, send)
        elif whatsapp.PATH.fullmatch(path):
            await self._provider(self._answer_whatsapp, whatsapp.FATES, scope, receive, send)
        elif telegram.PATH.fullmatch(path):
            await self._provider(self._answer_telegram, telegram.FATES, scope, receive, send)
        elif path.startswith(SNS):
            status, answer, kind = self.topic.answer(path, scope["query_string"].decode())
            headers = ((b"content-type", kind.encode()),)
            await wire.answer(send, status, answer, headers)
        else:
            await self._pages(scope, receive, send)

    async def _provider(self, respond, fates, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a provider call, unless the controls have something else in store for it."""
        body = await wire.read_body(receive)
        fate = self.controls.fate()
        latency = self.controls.latency()
        if latency:
            await asyncio.sleep(latency)
        if fate == "timeout":
            await wire.hold(receive)
            return
        try:
            if fate in fates:
                raise fates[fate]
            status, answer, own_fate = respond(scope, body)
        except (twilio.Refused, ses.Refused, whatsapp.Refused, telegram.Refused) as refused:
            headers = getattr(refused, "headers", wire.JSON)
            await wire.answer(send, refused.status, refused.body, headers)
            return
        if "lost" in (fate, own_fate) and scope["method"] == "POST":
            await wire.cut(scope, receive)
            return
        await wire.answer(send, status, answer)

    def _answer_twilio(self, scope: Scope, body: bytes) -> tuple[int, bytes, str]:
        path, method = scope["path"], scope["method"]
        authorization = wire.header(scope, b"authorization")
        if match := _MESSAGES.fullmatch(path):
            account = self.credentials.caller(authorization, match[1])
            if method == "POST":
                return self._create_message(account, body)
            return 200, twilio.list_messages(self.log, account, scope["query_string"].decode()), ""
        if match := _MESSAGE.fullmatch(path):
            account = self.credentials.caller(authorization, match[1])
            return 200, twilio.fetch_message(self.log, account, match[2]), ""
        if match := _ACCOUNT.fullmatch(path):
            return (
                200,
                twilio.account_resource(self.credentials.caller(authorization, match[1])),
                "",
            )
        if match := _SERVICE.fullmatch(path):
            account = self.credentials.caller(authorization)
            return 200, twilio.service_resource(self.credentials, account, match[1]), ""
        raise twilio.Refused(20404)

    def _create_message(self, account: str, body: bytes) -> tuple[int, bytes, str]:
        entry = twilio.check_message(self.credentials, account, body)
        number = BY_NUMBER.get(entry["to"])
        own_fate = number.fate if number else ""
        if own_fate in _TWILIO_FATES:
            raise _TWILIO_FATES[own_fate]
        entry = self.log.append(entry)
        self.reporter.schedule(entry)
        return 201, orjson.dumps(twilio.resource(entry)), own_fate

    def _answer_ses(self, scope: Scope, body: bytes) -> tuple[int, bytes, str]:
        ses.check_signature(scope, body)
        if scope["path"].startswith(ses_identities.PATH):
            return 200, self.identities.answer(scope["method"], scope["path"], body), ""
        if scope["path"] != ses.SEND_EMAIL or scope["method"] != "POST":
            raise ses.Refused(404, "NotFoundException", "The sandbox does not speak this part.")
        entry = ses.check_email(body)
        own_fate = ses.fate_of(entry)
        if own_fate in _SES_FATES:
            raise _SES_FATES[own_fate]
        entry = self.log.append(entry)
        self.reporter.schedule(entry)
        return 200, orjson.dumps({"MessageId": entry["sid"]}), own_fate

    def _answer_whatsapp(self, scope: Scope, body: bytes) -> tuple[int, bytes, str]:
        endpoint = self.controls.values["whatsapp"]["endpoint"]
        entry = whatsapp.check_message(scope, body, endpoint)
        number = WHATSAPP_BY_NUMBER.get(entry["to"])
        own_fate = number.fate if number else ""
        if own_fate in whatsapp.FATES:
            raise whatsapp.FATES[own_fate]
        entry = self.log.append(entry)
        self.reporter.schedule(entry)
        return 200, whatsapp.answer(entry), own_fate

    def _answer_telegram(self, scope: Scope, body: bytes) -> tuple[int, bytes, str]:
        bot, method, asked = telegram.read_call(scope, body)
        if method == "getMe":
            me = {"id": int(bot), "is_bot": True, "username": telegram.username(bot)}
            return 200, telegram.result(me), ""
        if method == "setWebhook":
            telegram.check_webhook(scope)
            self.bots.connect(bot, str(asked.get("url")), str(asked.get("secret_token") or ""))
        elif method == "deleteWebhook":
            self.bots.disconnect(bot)
        elif method == "sendMessage":
            return self._take_chat_message(bot, asked)
        elif method != "setMyCommands":
            raise telegram.Refused(404, "Not Found")
        return 200, telegram.result(True), ""

    def _take_chat_message(self, bot: str, asked: dict[str, Any]) -> tuple[int, bytes, str]:
        entry = telegram.check_message(bot, asked)
        number = TELEGRAM_BY_NUMBER.get(entry["to"])
        own_fate = number.fate if number else ""
        if own_fate in telegram.FATES:
            raise telegram.FATES[own_fate]
        entry = self.log.append(entry)
        return 200, telegram.message(bot, entry), own_fate


_TWILIO_FATES = {
    "429": twilio.Refused(20429),
    "5xx": twilio.Refused(20500),
    "down": twilio.Refused(20503),
    "refused_auth": twilio.Refused(20003),
}
_SES_FATES = {
    "429": ses.Refused(429, "TooManyRequestsException", "Too many requests."),
    "5xx": ses.Refused(500, "InternalServiceErrorException", "Internal failure."),
    "down": ses.Refused(503, "ServiceUnavailableException", "Service unavailable."),
    "refused_auth": ses.Refused(
        403, "UnrecognizedClientException", "The security token included in the request is invalid."
    ),
}
