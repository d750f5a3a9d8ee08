"""Secrets at rest: AES-256-GCM under a list of master keys. The first writes, all read."""

import hashlib
import os
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import models

NONCE_BYTES = 12
KEY_ID_BYTES = 4


class CannotDecrypt(Exception):
    """No key of the list opens this value, or it was moved from another column."""


@lru_cache
def _ciphers(keys: tuple[str, ...]) -> dict[bytes, AESGCM]:
    return {
        hashlib.sha256(bytes.fromhex(key)).digest()[:KEY_ID_BYTES]: AESGCM(bytes.fromhex(key))
        for key in keys
    }


def encrypt(plain: bytes, *, context: str) -> bytes:
    """Bind the value to its `context` (the column), so that it opens nowhere else."""
    key_id, cipher = next(iter(_ciphers(tuple(settings.ENCRYPTION_KEYS)).items()))
    nonce = os.urandom(NONCE_BYTES)
    return key_id + nonce + cipher.encrypt(nonce, plain, context.encode())


def decrypt(sealed: bytes, *, context: str) -> bytes:
    key_id, nonce = sealed[:KEY_ID_BYTES], sealed[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
    cipher = _ciphers(tuple(settings.ENCRYPTION_KEYS)).get(bytes(key_id))
    if cipher is None:
        raise CannotDecrypt("its master key is not in ENCRYPTION_KEYS")
    try:
        return cipher.decrypt(nonce, sealed[KEY_ID_BYTES + NONCE_BYTES :], context.encode())
    except InvalidTag as error:
        raise CannotDecrypt("the value was changed or moved") from error


class EncryptedTextField(models.BinaryField):
    """Text in Python, ciphertext in the database; cannot be searched, is never shown by repr."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("editable", None)
        return name, path, args, kwargs

    @property
    def _context(self) -> str:
        return f"{self.model._meta.db_table}.{self.column}"

    def get_prep_value(self, value: str | None) -> bytes | None:
        return None if value is None else encrypt(value.encode(), context=self._context)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> str | None:
        return None if value is None else decrypt(bytes(value), context=self._context).decode()

    def to_python(self, value: Any) -> Any:
        return value
