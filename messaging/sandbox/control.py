"""What goes wrong, and how often: the switches tests, benchmarks and chaos runs turn."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

from .webhooks import is_secret

STAGES = ("accepted", "queued", "sending", "sent", "delivered")

DEFAULTS: dict[str, Any] = {
    "latency_ms": 0,  # before every answer
    "latency_jitter_ms": 0,  # up to so much more
    "rate_429": 0.0,
    "rate_5xx": 0.0,
    "rate_timeout": 0.0,  # not accepted; the connection is held until the client gives up
    "rate_lost": 0.0,  # accepted and logged, then the connection is cut
    "rate_refused_auth": 0.0,
    "callbacks": {
        "enabled": True,
        "delay_ms": 200,  # from acceptance to the first stage
        "spread_ms": 300,  # from each stage to the next
        "double": 0.0,  # share of callbacks posted twice
        "reorder": 0.0,  # share of messages whose stages are reported backwards
        "drop": 0.0,  # share of callbacks never posted
        "stages": ["sent", "delivered"],
        "tries": 10,  # of one callback that meets a 5xx or no server, over about two minutes
        "opened": 0.25,  # share of people who open their emails: the same people always
    },
    "sns": {
        "endpoint": "",  # who is told of emails: asked to confirm, then posted every event
    },
    "whatsapp": {
        "endpoint": "",  # where statuses of WhatsApp messages, and what people write, are posted
        "read": 0.25,  # share of people who read their messages with receipts on: always the same
    },
    "webhooks": {
        "status": 200,  # that every event posted to /webhooks/<name> is answered
        "delay_ms": 0,  # from taking an event to the answer
        "secrets": [],  # whsec_…: what signatures are checked with
    },
    "seed": None,  # the same seed and the same requests in the same order meet the same fates
    "down": False,  # every provider call is answered 503
}
FATES = {
    "rate_429": "429",
    "rate_5xx": "5xx",
    "rate_timeout": "timeout",
    "rate_lost": "lost",
    "rate_refused_auth": "refused_auth",
}
_MILLISECONDS = {"latency_ms", "latency_jitter_ms", "delay_ms", "spread_ms"}
_MAX_MILLISECONDS = 600_000


class InvalidControl(ValueError):
    """A switch that does not exist, or cannot be set to that."""


class Controls:
    """The switches, and the dice they load."""

    def __init__(self, sns_endpoint: str = "", whatsapp_endpoint: str = "") -> None:
        self._sns_endpoint = sns_endpoint
        self._whatsapp_endpoint = whatsapp_endpoint
        self.reset()

    def reset(self) -> None:
        self.values = copy.deepcopy(DEFAULTS)
        self.values["sns"]["endpoint"] = self._sns_endpoint
        self.values["whatsapp"]["endpoint"] = self._whatsapp_endpoint
        self._settle()
        self._seed()

    def merge(self, changes: object) -> None:
        """Set the switches named in `changes`, or none of them. Naming `seed` restarts the dice."""
        values = copy.deepcopy(self.values)
        _merge_into(values, changes, DEFAULTS, "")
        if sum(values[name] for name in FATES) > 1:
            raise InvalidControl(f"{', '.join(FATES)} together are more than 1")
        self.values = values
        self._settle()
        if "seed" in changes:  # type: ignore[operator]
            self._seed()

    def fate(self) -> str:
        """What befalls this provider call: '' for nothing."""
        if self.values["down"]:
            return "down"
        if not self._thresholds:
            return ""
        drawn = self._requests.random()
        return next((fate for limit, fate in self._thresholds if drawn < limit), "")

    def latency(self) -> float:
        """Seconds this provider call takes."""
        jitter = self.values["latency_jitter_ms"]
        extra = self._delays.random() * jitter if jitter else 0
        return (self.values["latency_ms"] + extra) / 1000

    def happens(self, callback_switch: str) -> bool:
        share = self.values["callbacks"][callback_switch]
        return bool(share) and self._callbacks.random() < share

    def _settle(self) -> None:
        self._thresholds: list[tuple[float, str]] = []
        limit = 0.0
        for name, fate in FATES.items():
            if self.values[name]:
                limit += self.values[name]
                self._thresholds.append((limit, fate))

    def _seed(self) -> None:
        # Separate dice, so that turning latency on does not change who is refused.
        seed = self.values["seed"]
        names = ("requests", "delays", "callbacks")
        self._requests, self._delays, self._callbacks = (
            random.Random(None if seed is None else f"{name}:{seed}") for name in names
        )


def _merge_into(values: dict, changes: object, known: dict, prefix: str) -> None:
    if not isinstance(changes, dict):
        raise InvalidControl(f"{prefix.rstrip('.') or 'the body'} must be an object")
    for name, value in changes.items():
        if name not in known:
            raise InvalidControl(f"unknown switch {prefix}{name}; known: {', '.join(known)}")
        if isinstance(known[name], dict):
            _merge_into(values[name], value, known[name], f"{prefix}{name}.")
        else:
            values[name] = _checked(name, value, f"{prefix}{name}")


def _checked(name: str, value: Any, label: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in ("enabled", "down"):
        if not isinstance(value, bool):
            raise InvalidControl(f"{label} must be true or false")
    elif name == "seed":
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise InvalidControl(f"{label} must be a whole number or null")
    elif name == "tries":
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100:
            raise InvalidControl(f"{label} must be a whole number from 1 to 100")
    elif name == "status":
        if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
            raise InvalidControl(f"{label} must be a whole number from 200 to 599")
    elif name == "endpoint":
        if not isinstance(value, str) or not re.fullmatch(r"(https?://[!-~]+)?", value):
            raise InvalidControl(f"{label} must be an address, or empty")
    elif name == "secrets":
        if not isinstance(value, list) or not all(map(is_secret, map(str, value))):
            raise InvalidControl(f"{label} must be a list of secrets, as whsec_…")
    elif name == "stages":
        if not isinstance(value, list) or not all(stage in STAGES for stage in value):
            raise InvalidControl(f"{label} must be a list out of {', '.join(STAGES)}")
    elif name in _MILLISECONDS:
        if not is_number or not 0 <= value <= _MAX_MILLISECONDS:
            raise InvalidControl(f"{label} must be a number from 0 to {_MAX_MILLISECONDS}")
    elif not is_number or not 0 <= value <= 1:
        raise InvalidControl(f"{label} must be a number from 0 to 1")
    return value
