"""A bare aiohttp client that sends and keeps nothing: what a send could cost at best.

Run as `python benchmarks/bare_send.py <url> <messages> <at once> <number of the first> <channel>`;
prints the processor's seconds it took.
"""

import asyncio
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urlencode

import aiohttp
import orjson

TEXT = "Ministry of Health\n\nDear Mei Ling, see you at Clementi Clinic on 3 Dec, 9.30am. " * 2
CALLBACK = "https://callbacks.example.sg/callbacks/twilio/gov/" + "0" * 36 + "/" + "0" * 32
HEADERS = {
    "sms": {
        "Authorization": "Basic " + "0" * 92,
        "Content-Type": "application/x-www-form-urlencoded",
    },
    # Not signed: a signature is what the channel pays for.
    "email": {"Authorization": "AWS4-HMAC-SHA256 " + "0" * 200, "Content-Type": "application/json"},
}
# As large as the themed email of `batch.py`.
HTML = "<p>Dear Mei Ling, see you at Clementi Clinic on 3 Dec, 9.30am.</p>" * 150


def sms(number: int) -> bytes:
    form = {"To": f"+65{number}", "Body": TEXT, "StatusCallback": CALLBACK}
    return urlencode(form).encode()


def email(number: int) -> bytes:
    body = {"Html": {"Data": HTML}, "Text": {"Data": TEXT}}
    return orjson.dumps(
        {
            "FromEmailAddress": "Postman <donotreply@mail.postman.gov.sg>",
            "Destination": {"ToAddresses": [f"p{number}@example.org"]},
            "Content": {"Simple": {"Subject": {"Data": "Your visit"}, "Body": body}},
        }
    )


BODIES: dict[str, Callable[[int], bytes]] = {"sms": sms, "email": email}


async def main(url: str, messages: int, at_once: int, first: int, channel: str) -> None:
    bodies = map(BODIES[channel], range(first, first + messages))
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS[channel]) as session:
        await asyncio.gather(*(_send(session, url, bodies) for _ in range(at_once)))


async def _send(session: aiohttp.ClientSession, url: str, bodies: Iterator[bytes]) -> None:
    for body in bodies:
        with suppress(aiohttp.ServerDisconnectedError):  # the sink was told to lose some
            async with session.post(url, data=body) as response:
                await response.read()


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    started = _cpu()
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]))
    print(_cpu() - started)
