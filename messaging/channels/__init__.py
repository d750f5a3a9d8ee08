"""How messages leave: one file a provider, named in settings as Django names its caches.

CHANNELS = {"sms": {"BACKEND": "messaging.channels.twilio.Twilio", "OPTIONS": {...}}}
"""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from messaging.channels.base import Channel


def get_channel(kind: str, **overrides: Any) -> Channel:
    """A new channel of this kind; `overrides` such as an agency's own credentials win."""
    try:
        configured = settings.CHANNELS[kind]
    except KeyError:
        raise ImproperlyConfigured(f"settings.CHANNELS has no channel named {kind!r}.") from None
    backend = import_string(configured["BACKEND"])
    return backend(**{**configured.get("OPTIONS", {}), **overrides})


def meaning_of(provider: str, kind: str, code: str) -> tuple[str, str] | None:
    """What a provider's own words say of an attempt: (status, error code); None if nothing.

    Each `messaging.channels.<provider>` knows its own: its `meaning_of(kind, code)`.
    """
    found: tuple[str, str] | None = import_module(f"{__name__}.{provider}").meaning_of(kind, code)
    return found
