"""Sign-in codes as text: six characters that are hard to confuse, and their hash."""

import secrets
import uuid

from django.utils.crypto import constant_time_compare, salted_hmac

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
LENGTH = 6
# These digits are in no code: whoever types one misread a letter.
_MISREAD = str.maketrans({"0": "O", "1": "I", "8": "B"})


def new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def clean(typed: str) -> str | None:
    """The code as it was mailed, whatever its case, spaces or hyphens; None if it cannot be one."""
    code = "".join(typed.split()).replace("-", "").upper().translate(_MISREAD)
    return code if len(code) == LENGTH and set(code) <= set(ALPHABET) else None


def hash_of(code: str, row: uuid.UUID) -> str:
    """Keyed with SECRET_KEY and bound to its row: neither a stolen table nor a copied hash helps."""
    return salted_hmac("accounts.LoginCode", f"{row}:{code}", algorithm="sha256").hexdigest()


def matches(code: str, row: uuid.UUID, code_hash: str) -> bool:
    """False for the empty hash of a code that was never mailed, in the same time."""
    return constant_time_compare(hash_of(code, row), code_hash)
