"""What becomes of an accepted message, posted as its provider posts it: Twilio, or SES by SNS."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import heapq
import hmac
import itertools
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from . import ses_events, whatsapp
from .constants import SENDER
from .control import Controls
from .log import FINAL, RANK, Log
from .numbers import BY_NUMBER, WHATSAPP_BY_NUMBER
from .ses_events import Event
from .sns import Post, Topic

_CONCURRENT = 64
_TIMEOUT = aiohttp.ClientTimeout(total=15)  # as long as Twilio waits
_LONGEST_PAUSE = 30.0


class Step(NamedTuple):
    """One report about a message, posted `copies` times (none when dropped)."""

    status: str
    error: int
    copies: int
    event: Event | None = None  # of an email


class Due(NamedTuple):
    at: float
    order: int
    seq: int
    steps: tuple[Step, ...]
    position: int
    tries: int


class Reporter:
    """Moves accepted messages through their statuses and reports each one.

    Only the next step of a message is queued, so thousands of messages wait cheaply.
    """

    def __init__(
        self, log: Log, controls: Controls, auth_token: Callable[[str], str], topic: Topic
    ) -> None:
        self._log = log
        self._topic = topic
        self._controls = controls
        self._auth_token = auth_token
        self._queue: list[Due] = []
        self._orders = itertools.count()
        self._earlier = asyncio.Event()
        self._slots = asyncio.Semaphore(_CONCURRENT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._tasks_beside: set[asyncio.Task[None]] = set()
        self._client: aiohttp.ClientSession | None = None
        self.counts = {"posted": 0, "failed_tries": 0, "given_up": 0}

    @property
    def pending(self) -> int:
        return len(self._queue) + len(self._tasks)

    def schedule(self, entry: dict[str, Any]) -> None:
        """Decide now everything that will befall this message, so that a seed decides it all."""
        if entry["channel"] == "email":
            # Of one that was under way when the sandbox stopped, all is told again, as SNS may.
            steps = self._steps_of_email(entry)
        else:
            done = RANK[entry["status"]] if "status" in entry else -1
            if entry["channel"] == "whatsapp":
                steps = self._steps_of_whatsapp(entry["to"])
            else:
                steps = self._steps(entry["to"])
            steps = tuple(step for step in steps if RANK[step.status] > done)
        if steps:
            delay = self._controls.values["callbacks"]["delay_ms"] / 1000
            self._push(time.monotonic() + delay, entry["seq"], steps, 0, 0)

    def resume(self) -> None:
        """Take up what a stop of the sandbox interrupted."""
        for entry in self._log.unfinished():
            self.schedule(entry)

    async def run(self) -> None:
        # Signed URLs must reach the receiver byte for byte; connections are limited by _slots.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as self._client:
            asking = asyncio.create_task(self._topic.keep_asking(self._client))
            self._tasks_beside.add(asking)
            while True:
                self._earlier.clear()
                if not self._queue:
                    await self._earlier.wait()
                    continue
                wait = self._queue[0].at - time.monotonic()
                if wait > 0:
                    await self._sleep(wait)
                    continue
                await self._slots.acquire()
                if not self._queue:  # cleared while waiting for a slot
                    self._slots.release()
                    continue
                task = asyncio.create_task(self._report(heapq.heappop(self._queue)))
                self._tasks.add(task)
                task.add_done_callback(self._finished)

    async def flush(self, seconds: float) -> int:
        """Wait until nothing is queued or under way; the number left if that takes too long."""
        until = time.monotonic() + seconds
        while self.pending and time.monotonic() < until:
            await asyncio.sleep(0.02)
        return self.pending

    def clear(self) -> None:
        self._queue.clear()
        for task in self._tasks:
            task.cancel()
        self.counts = dict.fromkeys(self.counts, 0)

    def _steps(self, to: str) -> tuple[Step, ...]:
        switches = self._controls.values["callbacks"]
        number = BY_NUMBER.get(to)
        behaviour = number.behaviour if number else ""
        if behaviour == "stuck":
            return ()
        stages = [(stage, 0) for stage in switches["stages"]]
        if behaviour == "sent_only":
            stages = [stage for stage in stages if stage[0] != "delivered"]
        elif number and behaviour in ("undelivered", "failed"):
            stages = [(behaviour, number.code) if s == "delivered" else (s, 0) for s, _ in stages]
        silent = behaviour == "silent" or not switches["enabled"]
        steps = [Step(stage, error, 0 if silent else self._copies()) for stage, error in stages]
        if self._controls.happens("reorder"):
            steps.reverse()
        return tuple(steps)

    def _steps_of_email(self, entry: dict[str, Any]) -> tuple[Step, ...]:
        switches = self._controls.values["callbacks"]
        steps = [
            Step(event.status, 0, self._copies() if switches["enabled"] else 0, event)
            for event in ses_events.events_of(entry, switches["opened"])
        ]
        if self._controls.happens("reorder"):
            steps.reverse()
        return tuple(steps)

    def _steps_of_whatsapp(self, to: str) -> tuple[Step, ...]:
        number = WHATSAPP_BY_NUMBER.get(to)
        behaviour = number.behaviour if number else ""
        stages = [("sent", 0)]
        if number and behaviour == "failed":
            # WhatsApp finds out at once, before anything was sent.
            stages = [("failed", number.code)]
        elif behaviour != "sent_only":
            stages.append(("delivered", 0))
            if behaviour == "read" or self._reads(to):
                stages.append(("read", 0))
        silent = behaviour == "silent" or not self._controls.values["callbacks"]["enabled"]
        steps = [Step(stage, error, 0 if silent else self._copies()) for stage, error in stages]
        if self._controls.happens("reorder"):
            steps.reverse()
        return tuple(steps)

    def _reads(self, to: str) -> bool:
        share = self._controls.values["whatsapp"]["read"]
        return zlib.crc32(to.encode()) / 2**32 < share

    def _copies(self) -> int:
        if self._controls.happens("drop"):
            return 0
        return 2 if self._controls.happens("double") else 1

    async def _report(self, due: Due) -> None:
        step = due.steps[due.position]
        if due.tries == 0 and step.status:
            self._log.set_status(due.seq, step.status, step.error)
        if due.seq > len(self._log):
            return  # cleared meanwhile
        taken = await self._post_copies(due.seq, step)
        if not taken:
            self._try_again(due)
        # Only now, so that stages arrive in order unless the controls ask for disorder.
        if due.tries == 0 and due.position + 1 < len(due.steps):
            later = due.at + self._controls.values["callbacks"]["spread_ms"] / 1000
            self._push(later, due.seq, due.steps, due.position + 1, 0)

    async def _post_copies(self, seq: int, step: Step) -> bool:
        if not step.copies:
            return True
        entry = self._log.entry(seq)
        if not (self._topic.endpoint if step.event else entry["status_callback"]):
            return True
        for _ in range(step.copies):
            if not await self._post(entry, step):
                return False
        return True

    def _try_again(self, due: Due) -> None:
        tries = due.tries + 1
        if tries >= self._controls.values["callbacks"]["tries"]:
            self.counts["given_up"] += 1
            return
        pause = min(0.25 * 2**due.tries, _LONGEST_PAUSE)
        self._push(time.monotonic() + pause, due.seq, due.steps, due.position, tries)

    async def _post(self, entry: dict[str, Any], step: Step) -> bool:
        """Post one callback; False if it is worth another try."""
        assert self._client is not None
        if step.event and not self._topic.is_confirmed:
            self.counts["failed_tries"] += 1
            return False
        call = self._call(entry, step)
        try:
            async with self._client.post(
                URL(call.url, encoded=True),
                data=call.body,
                headers=call.headers,
                allow_redirects=False,
            ) as answer:
                taken = answer.status < 500
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            taken = False
        self.counts["posted" if taken else "failed_tries"] += 1
        return taken

    async def post(self, call: Post) -> int:
        """Post what has nothing to do with a message; the receiver's status."""
        assert self._client is not None
        async with self._client.post(
            call.url, data=call.body, headers=call.headers, allow_redirects=False
        ) as answer:
            return answer.status

    def _call(self, entry: dict[str, Any], step: Step) -> Post:
        if step.event:
            return self._topic.notification(*ses_events.notification(entry, step.event))
        if entry["channel"] == "whatsapp":
            return whatsapp.status_call(entry, step.status, step.error)
        url, form = entry["status_callback"], _form(entry, step)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "X-Twilio-Signature": signature(url, form, self._auth_token(entry["account"])),
            "I-Twilio-Idempotency-Token": f"{entry['sid']}-{step.status}",
            "User-Agent": "TwilioProxy/1.1",
        }
        return Post(url, urlencode(form).encode(), headers)

    def _push(
        self, at: float, seq: int, steps: tuple[Step, ...], position: int, tries: int
    ) -> None:
        due = Due(at, next(self._orders), seq, steps, position, tries)
        heapq.heappush(self._queue, due)
        if self._queue[0] is due:
            self._earlier.set()

    async def _sleep(self, seconds: float) -> None:
        """Until then, or until something is due earlier."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(seconds, self._earlier.set)
        await self._earlier.wait()
        timer.cancel()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._slots.release()
        if not task.cancelled():
            task.result()


def signature(url: str, form: dict[str, str], auth_token: str) -> str:
    """Twilio's: HMAC-SHA1 of the URL followed by every name and value, sorted by name.

    https://www.twilio.com/docs/usage/security#validating-requests
    """
    signed = url + "".join(name + form[name] for name in sorted(form))
    digest = hmac.digest(auth_token.encode(), signed.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode()


def _form(entry: dict[str, Any], step: Step) -> dict[str, str]:
    form = {
        "MessageSid": entry["sid"],
        "SmsSid": entry["sid"],
        "MessageStatus": step.status,
        "SmsStatus": step.status,
        "To": entry["to"],
        "From": entry["from"] or SENDER,
        "AccountSid": entry["account"],
        "ApiVersion": "2010-04-01",
    }
    if entry["service"]:
        form["MessagingServiceSid"] = entry["service"]
    if step.error:
        form["ErrorCode"] = str(step.error)
    if RANK[step.status] >= FINAL:
        form["RawDlrDoneDate"] = time.strftime("%y%m%d%H%M", time.gmtime())
    return form
