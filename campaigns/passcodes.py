"""Passcodes by which the recipient of a WhatsApp message and an officer who calls know each other.

One is made for each message and stands sealed among its values: it is what somebody who reads the
database could pass for an officer with (v1-backend §6.3).
"""

import base64
import secrets
from collections.abc import Mapping

from postman import crypto

# The param of a template that is filled with it; and the name under which it is kept.
PARAM = "passcode"
SEALED = "sealed_passcode"
_CONTEXT = "messaging_message.values.passcode"


def new() -> str:
    return f"{secrets.randbelow(10_000):04}"


def seal(passcode: str) -> str:
    return base64.b64encode(crypto.encrypt(passcode.encode(), context=_CONTEXT)).decode()


def of(values: Mapping[str, str]) -> str:
    """The passcode among these values of a message; empty where they hold none."""
    sealed = values.get(SEALED)
    if not sealed:
        return ""
    return crypto.decrypt(base64.b64decode(sealed), context=_CONTEXT).decode()


def opened(values: Mapping[str, str]) -> Mapping[str, str]:
    """The values as its text is filled with them."""
    return {**values, PARAM: of(values)} if SEALED in values else values
