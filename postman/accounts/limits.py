"""How often one address, and everybody behind one IP, may ask for codes and guess them."""

from django.http import HttpRequest
from django_ratelimit.core import get_usage

from postman.errors import Refused

# Whole agencies share one IP: the limits per IP stop a flood, those per address a guesser.
RATES = {
    "codes": {"address": "10/h", "ip": "300/h"},
    "guesses": {"address": "20/10m", "ip": "300/10m"},
}


class TooMany(Refused):
    code = "too_many_requests"

    def __init__(self, seconds: int) -> None:
        minutes = max(1, -(-seconds // 60))
        when = "1 minute" if minutes == 1 else f"{minutes} minutes"
        super().__init__(f"That was too often. Try again in {when}.")
        self.seconds = max(1, seconds)


def count(what: str, request: HttpRequest, email: str) -> None:
    """Count this one; raise TooMany when it is over the limit of its address or its IP."""
    keys = {"address": lambda group, request: email, "ip": "ip"}
    usages = [
        get_usage(request, group=f"{what} {of}", key=keys[of], rate=rate, increment=True)
        for of, rate in RATES[what].items()
    ]
    waits = [usage["time_left"] for usage in usages if usage and usage["should_limit"]]
    if waits:
        raise TooMany(max(waits))
