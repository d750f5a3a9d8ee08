"""Amazon SES: one call for each email, or one for fifty (`SendBulkEmail`), on this machine.

    python benchmarks/ses.py [--emails 20000] [--processes 2] [--latency 50] [--size 12000]

No database and no engine: `channels.ses.Ses` sends themed emails of `--size` bytes, in chunks of 500
of which two are under way, as a worker does, to a sink that answers each call after `--latency` ms.
Beside it, in the same run: the same emails fifty to a call, each with its own text, headers and tag,
signed and sent in the same way; and a bare client that signs nothing.

The bulk call is here only, to be measured: docs/performance.md tells why nothing is sent by it.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / "bin" / "python"
if Path(sys.prefix) != ROOT / ".venv" and PYTHON.exists():
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postman.settings.local")

import orjson  # noqa: E402 - the lines above find the project and its packages
from botocore.credentials import ReadOnlyCredentials  # noqa: E402
from yarl import URL  # noqa: E402

from messaging.channels.base import Accepted, Mail, OutgoingMail  # noqa: E402
from messaging.channels.ses import TAG, Ses, Signer  # noqa: E402

CHUNK, CHUNKS_AT_ONCE, ENTRIES = 500, 2, 50
BULK = "/v2/email/outbound-bulk-emails"
WAYS = ("single", "bulk", "bare")
RANDOM = "Dear Mei Ling, see you at Clementi Clinic on 3 Dec, 9.30am. "


# The sink ----------------------------------------------------------------------------------


class Connection(asyncio.Protocol):
    """Takes every call, late; its body is counted, not read."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.unread = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.unread += data
        end = self.unread.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.unread[:end]).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self.unread) < end + 4 + length:
            return
        entries = self.unread.count(b'"ReplacementTags"') if b"outbound-bulk" in head else 0
        self.unread.clear()
        asyncio.get_running_loop().call_later(self.latency, self._answer, entries)

    def _answer(self, entries: int) -> None:
        answer: dict[str, object] = {"MessageId": "0" * 60}
        if entries:
            taken = {"Status": "SUCCESS", "MessageId": "0" * 60}
            answer = {"BulkEmailEntryResults": [taken] * entries}
        body = orjson.dumps(answer)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self.transport.write(head.encode() + b"\r\n\r\n" + body)  # type: ignore[attr-defined]


async def serve(latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(latency), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# The clients -------------------------------------------------------------------------------


def emails(number: int, size: int) -> Iterator[OutgoingMail]:
    text = RANDOM * (size // 10 // len(RANDOM))
    html = f"<html><body>{RANDOM * (size // len(RANDOM))}</body></html>"
    for n in range(number):
        unsubscribe = f"<https://postman.example.sg/u/{n:040}>"
        headers = {
            "List-Unsubscribe": unsubscribe,
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        mail = Mail("MOH <moh@postman.gov.sg>", "Your appointment", html, text, headers=headers)
        yield OutgoingMail(uuid4(), f"person{n}@example.gov.sg", mail)


async def run(way: str, channel: Ses, number: int, size: int) -> int:
    waiting = emails(number, size)

    async def send_chunks() -> int:
        taken = 0
        while chunk := list(islice(waiting, CHUNK)):
            taken += await SENDERS[way](channel, chunk)
        return taken

    taken = sum(await asyncio.gather(*(send_chunks() for _ in range(CHUNKS_AT_ONCE))))
    await channel.close()
    return taken


async def single(channel: Ses, chunk: list[OutgoingMail]) -> int:
    return sum(isinstance(outcome, Accepted) for outcome in await channel.send(chunk))


async def bulk(channel: Ses, chunk: list[OutgoingMail]) -> int:
    parts = [chunk[at : at + ENTRIES] for at in range(0, len(chunk), ENTRIES)]
    url = channel._url.with_path(BULK)
    signer = _bulk_signer(url)
    answers = await asyncio.gather(
        *(post(channel, url, body := bulk_request(p), signer.headers(body)) for p in parts)
    )
    results = [entry for answer in answers for entry in answer["BulkEmailEntryResults"]]
    return sum(entry["Status"] == "SUCCESS" for entry in results)


@lru_cache
def _bulk_signer(url: URL) -> Signer:
    return Signer(ReadOnlyCredentials("AKIA", "secret", None), "ap-southeast-1", url)


async def bare(channel: Ses, chunk: list[OutgoingMail]) -> int:
    """A tenth as many tasks as emails, each sending one after another."""
    waiting = iter(chunk)

    async def in_turn() -> int:
        taken = 0
        for message in waiting:
            body = orjson.dumps({"to": message.recipient, "html": message.mail.html})
            taken += "MessageId" in await post(channel, channel._url, body, {})
        return taken

    return sum(await asyncio.gather(*(in_turn() for _ in range(100))))


async def post(channel: Ses, url: URL, body: bytes, headers: object) -> dict:
    opened = channel._pool.in_this_loop()
    async with opened.free, opened.session.post(url, data=body, headers=headers) as response:
        answer: dict = orjson.loads(await response.read())
    return answer


def bulk_request(messages: list[OutgoingMail]) -> bytes:
    content = {"Subject": "{{subject}}", "Html": "{{html}}", "Text": "{{text}}"}
    return orjson.dumps(
        {
            "FromEmailAddress": messages[0].mail.sender,
            "DefaultContent": {"Template": {"TemplateContent": content, "TemplateData": "{}"}},
            "ConfigurationSetName": "postman",
            "BulkEmailEntries": [
                {
                    "Destination": {"ToAddresses": [message.recipient]},
                    "ReplacementTags": [{"Name": TAG, "Value": str(message.attempt_id)}],
                    "ReplacementEmailContent": {
                        "ReplacementTemplate": {
                            "ReplacementTemplateData": orjson.dumps(
                                {
                                    "subject": message.mail.subject,
                                    "html": message.mail.html,
                                    "text": message.mail.text,
                                }
                            ).decode()
                        }
                    },
                    "ReplacementHeaders": [
                        {"Name": name, "Value": value}
                        for name, value in message.mail.headers.items()
                    ],
                }
                for message in messages
            ],
        }
    )


SENDERS = {"single": single, "bulk": bulk, "bare": bare}


def client(way: str, port: int, number: int, size: int) -> None:
    channel = Ses("ap-southeast-1", f"http://127.0.0.1:{port}", "AKIA", "secret", "postman")
    started, before = time.monotonic(), _cpu()
    taken = asyncio.run(run(way, channel, number, size))
    assert taken == number, f"{taken} of {number} were taken"
    print(time.monotonic() - started, _cpu() - before)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# Telling -----------------------------------------------------------------------------------


def measure(way: str, options: argparse.Namespace) -> tuple[float, float]:
    """Emails a second, and the processor's seconds that the clients spend on a thousand."""
    me = [sys.executable, __file__]
    sink = subprocess.Popen([*me, "sink", str(options.latency)], stdout=subprocess.PIPE, text=True)
    try:
        assert sink.stdout
        port = sink.stdout.readline().strip()
        share = options.emails // options.processes
        words = [*me, "client", way, port, str(share), str(options.size)]
        clients = [
            subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            for _ in range(options.processes)
        ]
        told = [tuple(map(float, one.communicate()[0].split())) for one in clients]
    finally:
        sink.terminate()
        sink.wait()
    seconds = max(seconds for seconds, _ in told)
    cpu = sum(cpu for _, cpu in told)
    emails_sent = share * options.processes
    return emails_sent / seconds, cpu / emails_sent * 1000


def main() -> None:
    if sys.argv[1:2] == ["sink"]:
        asyncio.run(serve(float(sys.argv[2]) / 1000))
    elif sys.argv[1:2] == ["client"]:
        client(sys.argv[2], *map(int, sys.argv[3:]))
    else:
        parser = argparse.ArgumentParser()
        parser.add_argument("--emails", type=int, default=20_000)
        parser.add_argument("--processes", type=int, default=2)
        parser.add_argument("--latency", type=int, default=50)
        parser.add_argument("--size", type=int, default=12_000)
        options = parser.parse_args()
        print(f"{options.emails:,} emails of {options.size:,} bytes, {options.processes} processes")
        for way in WAYS:
            rate, cpu = measure(way, options)
            print(f"{way:8}{rate:8,.0f} a second{cpu:8.3f} CPU s for 1,000", flush=True)


if __name__ == "__main__":
    main()
