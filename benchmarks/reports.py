"""Twilio reporting on messages that were sent: two signed reports on each, as fast as they are taken.

Run as `python -m benchmarks.reports <reports>`; prints how long they took, as JSON. All of them are
written and signed before the clock starts.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Iterator
from typing import cast
from urllib.parse import urlencode, urlsplit

import django

django.setup()

from django.conf import settings  # noqa: E402 - Django must be set up before its models load
from twilio.request_validator import RequestValidator  # noqa: E402

from messaging.models import Attempt  # noqa: E402
from messaging.providers import PUBLIC_ACCOUNT, callback_url  # noqa: E402

AT_ONCE = 64
KINDS = ("sent", "delivered")


def requests(reports: int) -> list[bytes]:
    attempts = Attempt.objects.exclude(reference="").order_by("id")
    chosen = attempts.values_list("id", "reference")[: reports // len(KINDS)]
    options = settings.CHANNELS["sms"]["OPTIONS"]
    signer = RequestValidator(options["auth_token"])
    found = []
    for kind in KINDS:
        for attempt_id, reference in chosen:
            url = callback_url(PUBLIC_ACCOUNT, attempt_id)
            form = {
                "SmsSid": reference,
                "SmsStatus": kind,
                "MessageStatus": kind,
                "To": "+6580000000",
                "MessageSid": reference,
                "MessagingServiceSid": options["messaging_service_sid"],
                "AccountSid": options["account_sid"],
                "From": "gov.sg",
                "ApiVersion": "2010-04-01",
            }
            found.append(_request(url, form, signer.compute_signature(url, form)))
    return found


def _request(url: str, form: dict[str, str], signature: str) -> bytes:
    parts, body = urlsplit(url), urlencode(form)
    lines = [
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"X-Twilio-Signature: {signature}",
        "I-Twilio-Idempotency-Token: 00000000-0000-0000-0000-000000000000",
        "User-Agent: TwilioProxy/1.1",
        "Accept: */*",
        "Content-Type: application/x-www-form-urlencoded; charset=utf-8",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body]).encode()


class Caller(asyncio.Protocol):
    """One connection that posts, waits for the answer, and posts the next."""

    def __init__(self, waiting: Iterator[bytes], timings: list[float]) -> None:
        self.waiting, self.timings = waiting, timings
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._post()

    def _post(self) -> None:
        request = next(self.waiting, None)
        if request is None:
            self.transport.close()
            return
        self.posted_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        # 204 has no body, and its few headers come in one piece.
        if not data.startswith(b"HTTP/1.1 204"):
            self.done.set_exception(RuntimeError(data[:500].decode()))
            self.transport.close()
            return
        self.timings.append(time.perf_counter() - self.posted_at)
        self._post()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def post(ready: list[bytes]) -> dict[str, float]:
    timings: list[float] = []
    waiting = iter(ready)
    port = urlsplit(settings.CALLBACK_URL).port
    loop = asyncio.get_running_loop()
    before, started_at = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    callers = [
        (await loop.create_connection(lambda: Caller(waiting, timings), "127.0.0.1", port))[1]
        for _ in range(AT_ONCE)
    ]
    await asyncio.gather(*(caller.done for caller in callers))
    seconds, after = time.perf_counter() - started_at, resource.getrusage(resource.RUSAGE_SELF)
    timings.sort()
    return {
        "reports": len(timings),
        "seconds": seconds,
        "at_once": AT_ONCE,
        "p50": timings[len(timings) // 2] * 1000,
        "p99": timings[len(timings) * 99 // 100] * 1000,
        "cpu_seconds": (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime),
    }


if __name__ == "__main__":
    json.dump(asyncio.run(post(requests(int(sys.argv[1])))), sys.stdout)
