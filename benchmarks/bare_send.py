"""A bare aiohttp client that sends and keeps nothing: what a send could cost at best.

Run as `python benchmarks/bare_send.py <url> <messages> <at once> <number of the first>`; prints the
processor's seconds it took.
"""

import asyncio
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlencode

import aiohttp

TEXT = "Ministry of Health\n\nDear Mei Ling, see you at Clementi Clinic on 3 Dec, 9.30am. " * 2
CALLBACK = "https://callbacks.example.sg/callbacks/twilio/gov/" + "0" * 36 + "/" + "0" * 32
HEADERS = {
    "Authorization": "Basic " + "0" * 92,
    "Content-Type": "application/x-www-form-urlencoded",
}


async def main(url: str, messages: int, at_once: int, first: int) -> None:
    numbers = iter(range(first, first + messages))
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:
        await asyncio.gather(*(_send(session, url, numbers) for _ in range(at_once)))


async def _send(session: aiohttp.ClientSession, url: str, numbers: Iterator[int]) -> None:
    for number in numbers:
        form = {"To": f"+65{number}", "Body": TEXT, "StatusCallback": CALLBACK}
        with suppress(aiohttp.ServerDisconnectedError):  # the sink was told to lose some
            async with session.post(url, data=urlencode(form).encode()) as response:
                await response.read()


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    started = _cpu()
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
    print(_cpu() - started)
