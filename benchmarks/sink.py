"""A provider that does as little as possible: it takes every send, late, and remembers its number.

Run as `python benchmarks/sink.py <port> <latency in ms> <share of answers lost>`. Speaks as much of
Twilio's and Amazon SES's wires as a send needs. `GET /seen` tells what came since the last
`DELETE /seen`.

Raw asyncio, for every web framework would need more of the two cores than what it measures.
"""

import asyncio
import json
import sys
import time
from collections import Counter, deque
from typing import cast
from urllib.parse import parse_qs

SID = b"SM" + b"0" * 32
ANSWER = json.dumps(
    {
        "body": "Dear Mei Ling, see you at Clementi Clinic. " * 4,
        "num_segments": "1",
        "direction": "outbound-api",
        "from": None,
        "to": "+6580000000",
        "date_updated": "Sat, 10 Jan 2026 09:15:00 +0000",
        "price": None,
        "error_message": None,
        "uri": f"/2010-04-01/Accounts/AC{'0' * 32}/Messages/{SID.decode()}.json",
        "account_sid": "AC" + "0" * 32,
        "num_media": "0",
        "date_created": "Sat, 10 Jan 2026 09:15:00 +0000",
        "status": "accepted",
        "sid": SID.decode(),
        "date_sent": None,
        "messaging_service_sid": "MG" + "0" * 32,
        "error_code": None,
        "price_unit": "SGD",
        "api_version": "2010-04-01",
        "subresource_uris": {
            "media": f"/2010-04-01/Accounts/AC{'0' * 32}/Messages/{SID.decode()}/Media.json"
        },
    }
)
HEAD = (
    "HTTP/1.1 %s\r\nContent-Type: application/json;charset=utf-8\r\n"
    "Twilio-Request-Id: RQ00000000000000000000000000000000\r\n"
    "Twilio-Concurrent-Requests: 1\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n"
)


class Sink:
    """What all connections share."""

    def __init__(self, latency: float, lost: float) -> None:
        self.latency = latency
        self.lose_every = round(1 / lost) if lost else 0
        self.loop = asyncio.get_running_loop()
        self.sids = 0
        self.due: deque[tuple[float, asyncio.Transport, bytes | None]] = deque()
        self.forget()

    def forget(self) -> None:
        self.numbers: Counter[bytes] = Counter()
        self.taken = self.lost = 0
        self.first = self.last = 0.0

    def take(self, transport: asyncio.Transport, body: bytes, *, is_email: bool) -> None:
        self.last = time.time()
        self.first = self.first or self.last
        self.taken += 1
        self.numbers[_address(body) if is_email else _number(body)] += 1
        answer = None
        if self.lose_every and self.taken % self.lose_every == 0:
            self.lost += 1
        else:
            self.sids += 1
            answer = (TAKEN_EMAIL if is_email else TAKEN).replace(SID, b"SM%032x" % self.sids)
        # All wait equally long, so one timer serves the whole queue.
        if not self.due:
            self.loop.call_later(self.latency, self._answer_those_due)
        self.due.append((self.loop.time() + self.latency, transport, answer))

    def _answer_those_due(self) -> None:
        now = self.loop.time() + 0.0005
        while self.due and self.due[0][0] <= now:
            _, transport, answer = self.due.popleft()
            if answer:
                transport.write(answer)
            else:
                transport.abort()
        if self.due:
            self.loop.call_at(self.due[0][0], self._answer_those_due)

    def seen(self) -> bytes:
        facts = {
            "taken": self.taken,
            "numbers": len(self.numbers),
            "most": max(self.numbers.values(), default=0),
            "lost": self.lost,
            "first": self.first,
            "last": self.last,
        }
        return _answer("200 OK", json.dumps(facts))


class Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.unread += data
        while self.unread:
            head, end, rest = self.unread.partition(b"\r\n\r\n")
            length = _length(head) if end else 0
            if not end or len(rest) < length:
                return
            self.unread = rest[length:]
            self._serve(head, rest[:length])

    def _serve(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST"):
            self.sink.take(self.transport, body, is_email=head.startswith(b"POST /v2/"))
            return
        if head.startswith(b"DELETE"):
            self.sink.forget()
        self.transport.write(self.sink.seen())


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def _number(body: bytes) -> bytes:
    """The recipient, wherever it stands in the form."""
    if body.startswith(b"To=%2B"):
        return body[6:].partition(b"&")[0]
    return parse_qs(body)[b"To"][0].lstrip(b"+")


def _address(body: bytes) -> bytes:
    """The first recipient of an email, wherever it stands."""
    _, found, rest = body.partition(b'"ToAddresses":["')
    return rest.partition(b'"')[0] if found else json.loads(body)["Destination"]["ToAddresses"][0]


def _answer(status: str, body: str) -> bytes:
    return (HEAD % (status, len(body)) + body).encode()


TAKEN = _answer("201 Created", ANSWER)
TAKEN_EMAIL = _answer("200 OK", json.dumps({"MessageId": SID.decode()}))


async def main(port: int, latency: float, lost: float) -> None:
    sink = Sink(latency, lost)
    server = await sink.loop.create_server(
        lambda: Connection(sink), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1000, float(sys.argv[3])))
