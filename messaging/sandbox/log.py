"""The record of everything accepted: what proves from outside that each was sent exactly once."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import time
import zlib
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson

# In the order a message passes through them; a status never moves back.
STATUSES = (
    *("accepted", "queued", "sending", "sent", "delivered", "undelivered", "failed"),
    *("opened", "bounced", "complained", "rejected"),  # emails only
    "read",  # WhatsApp only
)
CHANNELS = ("sms", "email", "whatsapp", "telegram")
RANK = {status: rank for rank, status in enumerate(STATUSES)}
FINAL = RANK["delivered"]

_LARGE = 2_000  # bytes of an entry above which it is kept compressed (mails)
_BREATH = 2_000  # entries read between two looks at the event loop


class Log:
    """Append-only. Entry n has `seq` n, from 1; columns instead of objects keep a million small.

    With a directory, each entry and each change of status is written to `sandbox.jsonl` before
    the provider's answer leaves, unbuffered: kill -9 takes nothing that a client was told.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._file: Any = None
        self._clear()
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            self._path = directory / "sandbox.jsonl"
            self._reload()
            self._file = self._path.open("ab", buffering=0)

    def __len__(self) -> int:
        return len(self._lines)

    def append(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Log an accepted message; it comes back with `seq`, `sid`, `at` and its status."""
        seq = len(self._lines) + 1
        stored = {"seq": seq, "sid": self._sid(seq, entry["channel"]), "at": round(time.time(), 3)}
        stored |= entry
        line = orjson.dumps(stored)
        self._write(line)
        self._add(stored, line)
        return stored

    def set_status(self, seq: int, status: str, error: int = 0) -> None:
        """Move the provider's own status forward; one that would move it back is ignored."""
        rank = RANK[status]
        if seq > len(self._lines) or rank <= self._status[seq - 1]:
            return
        now = round(time.time(), 3)
        self._write(
            orjson.dumps({"status_of": seq, "status": status, "error": error, "changed": now})
        )
        self._change(seq, rank, error, now)

    def status(self, seq: int) -> str:
        return STATUSES[self._status[seq - 1]]

    def entry(self, seq: int) -> dict[str, Any]:
        entry = orjson.loads(_expanded(self._lines[seq - 1]))
        entry["status"] = self.status(seq)
        entry["error"] = self._error[seq - 1] or None
        entry["changed"] = self._changed[seq - 1] or entry["at"]
        return entry

    def find(self, sid: str) -> dict[str, Any] | None:
        """The entry of a Twilio sid, whose first digits are its `seq`."""
        try:
            entry = self.entry(int(sid[2:10], 16))
        except (ValueError, IndexError):
            return None
        return entry if entry["sid"] == sid else None

    def newest_first(self, *, to: str = "", before: int = 0) -> Iterator[dict[str, Any]]:
        """Entries older than `before`, to exactly `to` if given."""
        seq = before - 1 if before else len(self._lines)
        if to:
            seq = self._last_to.get(to, 0)
            while before and seq >= before:
                seq = self._previous_to[seq - 1]
        while seq > 0:
            yield self.entry(seq)
            seq = self._previous_to[seq - 1] if to else seq - 1

    def search(
        self, *, to: str = "", channel: str = "", after: int | None = None, before: int = 0
    ) -> Iterator[dict[str, Any]]:
        """Oldest first when `after` is given, newest first otherwise. `to` matches a part."""
        wanted = searchable(to)
        if after is None:
            seqs = range(before - 1 if before else len(self._lines), 0, -1)
        else:
            seqs = range(max(after, 0) + 1, len(self._lines) + 1)
        for seq in seqs:
            if wanted and wanted not in searchable(self._to[seq - 1]):
                continue
            if channel and channel != CHANNELS[self._channel[seq - 1]]:
                continue
            yield self.entry(seq)

    def unfinished(self) -> Iterator[dict[str, Any]]:
        for seq, rank in enumerate(self._status, 1):
            if rank < FINAL:
                yield self.entry(seq)

    async def lines(self) -> AsyncIterator[bytes]:
        """Every accepted message as a JSON line with its present status, oldest first."""
        for seq in range(1, len(self._lines) + 1):
            if seq % _BREATH == 0:
                await asyncio.sleep(0)
            if seq <= len(self._lines):  # it may have been cleared meanwhile
                yield orjson.dumps(self.entry(seq)) + b"\n"

    async def summary(self) -> dict[str, Any]:
        """Counts that show whether something was accepted twice; see `docs` in the answer."""
        seen: set[int] = set()
        attempts: set[int] = set()
        twice: Counter[str] = Counter()
        repeated = 0
        total = len(self._lines)
        for seq in range(1, total + 1):
            if seq % _BREATH == 0:
                await asyncio.sleep(0)
                total = min(total, len(self._lines))
            if seq > total:
                break
            entry = orjson.loads(_expanded(self._lines[seq - 1]))
            content = hash((entry["to"], entry.get("text"), entry.get("subject")))
            repeated += content in seen
            seen.add(content)
            url = (
                entry.get("attempt")
                or entry.get("status_callback")
                or entry.get("tags", {}).get("attempt")
            )
            if url:
                key = hash(url)
                if key in attempts:
                    twice[url] += 1
                attempts.add(key)
        return {
            "accepted": total,
            "by_channel": {
                channel: self._channel[:total].count(place)
                for place, channel in enumerate(CHANNELS)
            },
            "distinct": len(seen),
            "same_to_and_text": repeated,
            "same_callback": twice.total(),
            "by_callback_duplicates": [
                {"status_callback": url, "accepted": count + 1}
                for url, count in twice.most_common(100)
            ],
            "statuses": {
                status: self._status[:total].count(rank)
                for rank, status in enumerate(STATUSES)
                if self._status[:total].count(rank)
            },
        }

    def clear(self) -> None:
        self._clear()
        if self._file is not None:
            self._file.truncate(0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _clear(self) -> None:
        self._nonce = secrets.token_hex(12)
        self._lines: list[bytes] = []
        self._to: list[str] = []
        self._channel = bytearray()
        self._status = bytearray()
        self._error = array("I")
        self._changed = array("d")
        # Entries to one recipient form a chain: the newest here, each naming the one before it.
        self._last_to: dict[str, int] = {}
        self._previous_to = array("I")

    def _sid(self, seq: int, channel: str) -> str:
        if channel == "sms":
            return f"SM{seq:08x}{self._nonce}"
        if channel == "telegram":
            return str(seq)
        if channel == "whatsapp":
            named = base64.b64encode(f"{seq:016x}{self._nonce}".encode()).decode()
            return f"wamid.{named}"
        n = self._nonce
        return f"{seq:016x}-{n[:8]}-{n[8:12]}-{n[12:16]}-{n[16:20]}-{n[:12]}-000000"

    def _add(self, entry: dict[str, Any], line: bytes) -> None:
        to = entry["to"]
        # orjson hands out the buffer it wrote in, which is ten times the line: keep a copy.
        self._lines.append(zlib.compress(line, 1) if len(line) > _LARGE else bytes(bytearray(line)))
        self._to.append(to)
        self._channel.append(CHANNELS.index(entry["channel"]))
        self._status.append(RANK[entry.get("first_status", "sent")])
        self._error.append(0)
        self._changed.append(0.0)
        self._previous_to.append(self._last_to.get(to, 0))
        self._last_to[to] = entry["seq"]

    def _change(self, seq: int, rank: int, error: int, at: float) -> None:
        self._status[seq - 1] = rank
        self._error[seq - 1] = error
        self._changed[seq - 1] = at

    def _write(self, line: bytes) -> None:
        if self._file is not None:
            self._file.write(line + b"\n")

    def _reload(self) -> None:
        """Read the file back; a last line cut short by a kill was never answered for: drop it."""
        if not self._path.exists():
            return
        whole = 0
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                self._restore(line[:-1])
        os.truncate(self._path, whole)

    def _restore(self, line: bytes) -> None:
        entry = orjson.loads(line)
        if "status_of" in entry:
            seq, rank = entry["status_of"], RANK[entry["status"]]
            self._change(seq, rank, entry["error"], entry["changed"])
            return
        self._add(entry, line)
        if entry["channel"] == "sms":
            self._nonce = entry["sid"][10:]


def searchable(recipient: str) -> str:
    """Lower case, without what people put between digits: '+65 8123 0001' finds +6581230001."""
    return recipient.lower().translate(_SPACING).strip()


_SPACING = str.maketrans("", "", " -()")


def _expanded(line: bytes) -> bytes:
    return line if line[:1] == b"{" else zlib.decompress(line)
