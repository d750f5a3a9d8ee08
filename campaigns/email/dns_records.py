"""The records by which a domain says that Postman may send in its name, and whether they stand."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import dns.exception
import dns.resolver
from django.conf import settings

FOUND, MISSING, WRONG, UNKNOWN = "found", "missing", "wrong", "unknown"
GONE = (MISSING, WRONG)
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Record:
    """One record to publish. `state` and `seen` are what the last look found."""

    purpose: str
    name: str
    type: str
    value: str
    is_required: bool = True
    state: str = ""
    seen: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """As zone files have it."""
        value = f'"{self.value}"' if self.type == "TXT" else f"{self.value}."
        return f"{self.name}. {self.type} {value}"


def return_path(domain: str) -> str:
    return f"bounces.{domain}"


def wanted(domain: str, *, proof: str, tokens: Sequence[str], region: str) -> list[Record]:
    """What is to be published for a domain. Without what is required nothing is sent; the rest
    keeps mail out of spam folders."""
    bounces = return_path(domain)
    return [
        Record("ownership", f"_postman.{domain}", "TXT", f"postman-domain={proof}"),
        *(
            Record("dkim", f"{token}._domainkey.{domain}", "CNAME", f"{token}.dkim.amazonses.com")
            for token in tokens
        ),
        Record("return_path", bounces, "MX", f"10 feedback-smtp.{region}.amazonses.com", False),
        Record("spf", bounces, "TXT", "v=spf1 include:amazonses.com ~all", False),
        Record("dmarc", f"_dmarc.{domain}", "TXT", "v=DMARC1; p=none;", False),
    ]


def look_up(records: Sequence[Record]) -> list[Record]:
    """Each with its state in DNS now, all asked at once."""
    if not records:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(records))) as pool:
        return list(pool.map(partial(_looked_up, _resolver()), records))


def stored(records: Iterable[Record]) -> list[dict[str, Any]]:
    return [asdict(record) for record in records]


def restored(rows: Iterable[dict[str, Any]]) -> list[Record]:
    return [Record(**row) for row in rows]


def _looked_up(resolver: dns.resolver.Resolver, record: Record) -> Record:
    seen: list[str] = []
    try:
        for name in _places(record):
            seen = _values(resolver, name, record.type)
            if any(_fits(record, value) for value in seen):
                return _with(record, FOUND, seen)
    except dns.exception.DNSException:
        return _with(record, UNKNOWN, [])
    seen = [value for value in seen if _is_meant(record, value)]
    return _with(record, WRONG if seen else MISSING, seen)


def _with(record: Record, state: str, seen: list[str]) -> Record:
    shown = [value[:300] for value in seen[:5]]
    return Record(**(asdict(record) | {"state": state, "seen": shown}))


def _places(record: Record) -> Iterator[str]:
    """Where it may stand: a DMARC policy holds for all domains below its own."""
    if record.purpose != "dmarc":
        yield record.name
        return
    labels = record.name.removeprefix("_dmarc.").split(".")
    for start in range(len(labels) - 1):
        yield "_dmarc." + ".".join(labels[start:])


def _is_meant(record: Record, value: str) -> bool:
    """Is this an attempt at the record? Other TXT records may stand beside those of policies."""
    if record.purpose == "spf":
        return value.lower().startswith("v=spf1")
    if record.purpose == "dmarc":
        return value.lower().startswith("v=dmarc1")
    return True


def _fits(record: Record, value: str) -> bool:
    if record.purpose == "spf":
        return _is_meant(record, value) and "include:amazonses.com" in value.lower().split()
    if record.purpose == "dmarc":
        return _is_meant(record, value)
    if record.type == "TXT":
        return value.strip() == record.value
    return value.lower() == record.value.lower()


def _values(resolver: dns.resolver.Resolver, name: str, kind: str) -> list[str]:
    """Raises DNSException where no name server gives a clear answer."""
    try:
        answer = resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return []
    if kind == "TXT":
        return [b"".join(row.strings).decode("utf-8", "replace") for row in answer]
    return [row.to_text().rstrip(".") for row in answer]


def _resolver() -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=not settings.DNS_NAMESERVERS)
    if settings.DNS_NAMESERVERS:
        resolver.nameservers = list(settings.DNS_NAMESERVERS)
        resolver.port = settings.DNS_PORT
    resolver.lifetime = settings.DNS_TIMEOUT_SECONDS
    return resolver
