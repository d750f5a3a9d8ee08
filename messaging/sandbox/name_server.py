"""The internet's name servers: records that are published here, and nothing else, exist.

They answer over UDP at the port whose TCP side is the sandbox's own.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import orjson
from dns.rdtypes.ANY.TXT import TXT

KINDS = ("CNAME", "MX", "TXT")
_TTL = 1
_MOST = 500

Record = tuple[str, str, str]  # name, kind, value


class InvalidRecord(ValueError):
    """A line that is no record, in words for whoever wrote it."""


class Zone:
    """Every name there is. What `silent` holds is not answered: "" for nothing at all."""

    def __init__(self, directory: Path | None = None) -> None:
        self._file = directory / "zone.json" if directory else None
        self._records: list[Record] = []
        self.silent: set[str] = set()
        if self._file and self._file.exists():
            self._records = [tuple(row) for row in orjson.loads(self._file.read_bytes())]

    @property
    def records(self) -> list[Record]:
        return list(self._records)

    def publish(self, text: str) -> int:
        """Add the records of a zone file's lines, `name TYPE value`; all or none of them."""
        lines = [line for line in map(str.strip, text.splitlines()) if line and line[0] != ";"]
        found = [_read(line) for line in lines]
        kept = [record for record in self._records if record not in found]
        if len(kept) + len(found) > _MOST:
            raise InvalidRecord(f"more than {_MOST} records")
        self._records = kept + list(dict.fromkeys(found))
        self._keep()
        return len(found)

    def remove(self, name: str = "", kind: str = "") -> None:
        """Those at this name or below it, of this kind; without either, all."""
        name = name.lower().rstrip(".")
        self._records = [
            record
            for record in self._records
            if (name and record[0] != name and not record[0].endswith(f".{name}"))
            or (kind and record[1] != kind)
        ]
        self._keep()

    def clear(self) -> None:
        self.silent.clear()
        self.remove()

    def values(self, name: str, kind: str) -> list[str]:
        return [value for at, of, value in self._records if (at, of) == (name.lower(), kind)]

    def exists(self, name: str) -> bool:
        return any(at == name or at.endswith(f".{name}") for at, _, _ in self._records)

    def reply(self, wire: bytes) -> bytes | None:
        """The reply to a question in DNS' wire format; None where nobody would reply."""
        try:
            query = dns.message.from_wire(wire)
        except (dns.exception.DNSException, ValueError):
            return None
        if len(query.question) != 1 or query.opcode() != dns.opcode.QUERY:
            return None
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        if self.silent & {"", name}:
            return None
        answer = dns.message.make_response(query, recursion_available=True)
        answer.flags |= dns.flags.AA
        kind = dns.rdatatype.to_text(question.rdtype)
        # Who asks for anything else at an alias gets the alias; what it leads to is not ours.
        for of in dict.fromkeys((kind, "CNAME")):
            if found := self.values(name, of):
                texts = [_quoted(value) if of == "TXT" else f"{value}." for value in found]
                answer.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", of, *texts))
        if not answer.answer and not self.exists(name):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()

    def _keep(self) -> None:
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_bytes(orjson.dumps(self._records))


class NameServer(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if reply := self._zone.reply(data):
            self._transport.sendto(reply, addr)  # type: ignore[attr-defined]


def _read(line: str) -> Record:
    """`name [ttl] [IN] TYPE value`, names whole, with or without the dot at their end."""
    words = line.split()
    for number, word in enumerate(words):
        if number and word.upper() in KINDS:
            break
        if number and not (word.isdecimal() or word.upper() == "IN"):
            raise InvalidRecord(f"“{line[:80]}” is not a {', '.join(KINDS)} record")
    else:
        raise InvalidRecord(f"“{line[:80]}” is not a {', '.join(KINDS)} record")
    kind = words[number].upper()
    rest = line.split(None, number + 1)[-1] if len(words) > number + 1 else ""
    try:
        name = dns.name.from_text(words[0]).to_text(omit_final_dot=True).lower()
        rdata = dns.rdata.from_text("IN", kind, rest, origin=dns.name.root)
    except (dns.exception.DNSException, ValueError) as error:
        raise InvalidRecord(f"“{line[:80]}”: {error}") from None
    if kind == "TXT":
        value = b"".join(cast(TXT, rdata).strings).decode("utf-8", "replace")
    else:
        value = rdata.to_text().lower().rstrip(".")
    return name, kind, value


def _quoted(text: str) -> str:
    raw = text.encode()
    parts = [raw[start : start + 255] for start in range(0, len(raw), 255)] or [b""]
    return " ".join('"' + "".join(_escaped(byte) for byte in part) + '"' for part in parts)


def _escaped(byte: int) -> str:
    plain = 32 <= byte < 127 and byte not in b'"\\'
    return chr(byte) if plain else f"\\{byte:03d}"
