import ipaddress
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest


@lru_cache
def _networks(proxies: tuple[str, ...]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]


@lru_cache(maxsize=1024)
def _address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(value.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def client_ip(request: HttpRequest) -> str:
    """The nearest hop that is not one of our own proxies (`TRUSTED_PROXIES`).

    Read from the right: everything left of the first untrusted hop is whatever that hop
    claims, so a caller cannot choose its own address.
    """
    trusted = _networks(tuple(settings.TRUSTED_PROXIES))
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if trusted else []
    nearest = str(_address(request.META.get("REMOTE_ADDR", "")) or "0.0.0.0")  # noqa: S104 - nobody
    for hop in reversed([*hops, nearest]):
        address = _address(hop)
        if address is None:
            break
        nearest = str(address)
        if not any(address in network for network in trusted):
            break
    return nearest
