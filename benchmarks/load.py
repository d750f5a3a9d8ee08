"""A lean HTTP client in a process of its own: reads one JSON job from stdin, writes its timings.

Raw asyncio, for every client library would need more of the two cores than what it measures.
"""

import asyncio
import itertools
import json
import resource
import sys
import time
from collections.abc import Iterator


class Caller(asyncio.Protocol):
    """One connection that asks, waits for the whole answer, and asks again until `end`."""

    def __init__(self, requests: Iterator[bytes], status: bytes, start: float, end: float) -> None:
        self.requests = requests
        self.status = status
        self.start, self.end = start, end
        self.timings: list[float] = []
        self.wrong: list[str] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.answer = b""
        self.missing: int | None = None
        self.asked_at = time.perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if self.missing is None:
            head, end, body = self.answer.partition(b"\r\n\r\n")
            if not end:
                return
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self.missing = length - len(body)
        else:
            self.missing -= len(data)
        if self.missing > 0:
            return
        now = time.perf_counter()
        if self.answer[9:12] != self.status:
            self.wrong.append(self.answer[:2000].decode(errors="replace"))
        elif self.asked_at >= self.start:
            self.timings.append(now - self.asked_at)
        if now < self.end and not self.wrong:
            self._ask()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def _request(host: str, method: str, path: str, headers: dict[str, str], body: str) -> bytes:
    content = body.encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if content:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def run(job: dict) -> dict:
    host = f"127.0.0.1:{job['port']}"
    requests = itertools.cycle(
        [_request(host, job["method"], p, job["headers"], b) for p, b in job["calls"]]
    )
    start = time.perf_counter() + job["warm_up"]
    end = start + job["seconds"]
    loop = asyncio.get_running_loop()
    callers = [
        (
            await loop.create_connection(
                lambda: Caller(requests, str(job["status"]).encode(), start, end),
                *("127.0.0.1", job["port"]),
            )
        )[1]
        for _ in range(job["connections"])
    ]
    await asyncio.gather(*(caller.done for caller in callers))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "timings": [t for caller in callers for t in caller.timings],
        "wrong": [w for caller in callers for w in caller.wrong][:1],
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
    }


if __name__ == "__main__":
    json.dump(asyncio.run(run(json.load(sys.stdin))), sys.stdout)
