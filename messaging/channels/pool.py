"""Connections to one provider: kept open, enough for a chunk, in whatever event loop asks."""

import asyncio
from typing import NamedTuple

import aiohttp


class Pool:
    """As many connections as may be used at once. They belong to the loop they were first used in,
    and are made anew in another."""

    def __init__(self, connections: int, timeout: float) -> None:
        self.connections = connections
        # Connecting gives up first, so that a timeout says whether the request had left.
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(5, timeout / 2))
        self._opened: Opened | None = None

    async def close(self) -> None:
        if self._opened and self._opened.loop is asyncio.get_running_loop():
            await self._opened.session.close()
        self._opened = None

    def in_this_loop(self) -> "Opened":
        loop = asyncio.get_running_loop()
        if self._opened and self._opened.loop is loop:
            return self._opened
        if self._opened:
            self._opened.session.detach()  # its loop is gone, and with it the means to close
        connector = aiohttp.TCPConnector(
            limit=self.connections,
            # Shorter than servers keep them, so that they are not closed while we write.
            keepalive_timeout=10,
            ttl_dns_cache=60,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            # Providers set none, and looking for one costs a twentieth of a send.
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._opened = Opened(loop, session, asyncio.Semaphore(self.connections))
        return self._opened


class Opened(NamedTuple):
    """Connections, and how many more may be used, in the event loop they live in.

    Waiting for `free` is not counted by the timeouts, as waiting for the session itself would be.
    """

    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession
    free: asyncio.Semaphore
