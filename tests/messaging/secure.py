"""What browsers do with secure pages, in Python: the contract that our scripts are held to."""

import base64
import os
import unicodedata
import uuid
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from campaigns.models import Campaign
from messaging import protected
from messaging.delivery import expanding
from messaging.delivery.pipeline import send_chunk
from messaging.models import Batch, ProtectedMessage
from messaging.sending import deciding

PASSWORD = "correct horse battery"
HTML = "<p>Your result is negative.</p>"


def in_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def keys_of(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """The key that encrypts, and what proves that somebody knows the password."""
    typed = unicodedata.normalize("NFKC", password).encode()
    secret = PBKDF2HMAC(SHA256(), 32, salt, iterations).derive(typed)

    def purpose(name: str) -> bytes:
        return HKDF(SHA256(), 32, b"", f"postman secure page 1 {name}".encode()).derive(secret)

    return purpose("encryption"), purpose("verifier")


def encrypted_row(
    number: int = 2,
    recipient: str = "mei@example.com",
    *,
    password: str = PASSWORD,
    html: str = HTML,
    iterations: int = 1,
) -> dict[str, Any]:
    """As the page's script posts it."""
    page_id, salt, iv = str(uuid.uuid4()), os.urandom(16), os.urandom(12)
    key, verifier = keys_of(password, salt, iterations)
    text = html.encode()
    plain = len(text).to_bytes(4, "big") + text
    plain += bytes(-len(plain) % 1024)
    bound_to = f"postman secure page 1 {page_id}".encode()
    return {
        "id": page_id,
        "row": number,
        "recipient": recipient,
        "salt": in_base64(salt),
        "iv": in_base64(iv),
        "ciphertext": in_base64(AESGCM(key).encrypt(iv, plain, bound_to)),
        "verifier": in_base64(verifier),
    }


def decrypted(page_id: str, key: bytes, iv: bytes, ciphertext: bytes) -> str:
    plain = AESGCM(key).decrypt(iv, ciphertext, f"postman secure page 1 {page_id}".encode())
    length = int.from_bytes(plain[:4], "big")
    assert not any(plain[4 + length :]) and len(plain) % 1024 == 0
    return plain[4 : 4 + length].decode()


def verifier_of(page: ProtectedMessage, password: str = PASSWORD) -> bytes:
    return keys_of(password, bytes(page.salt), 1)[1]


def started(campaign: Campaign, rows: int, **options: Any) -> Batch:
    return protected.start_upload(
        campaign=campaign,
        creator=campaign.creator,
        file_name="people.csv",
        rows=rows,
        hint=options.get("hint", ""),
        ignores_case_and_spaces=False,
        lifetime=options.get("lifetime", timedelta(days=30)),
    )


def uploaded(campaign: Campaign, *rows: dict[str, Any], **options: Any) -> Batch:
    """A batch that is ready, with one page for each of these rows."""
    rows = rows or (encrypted_row(),)
    batch = started(campaign, len(rows), **options)
    protected.take_rows(batch, protected.clean_rows(list(rows)), after=0)
    return protected.finish_upload(batch, by=campaign.creator)


def sent(campaign: Campaign, *rows: dict[str, Any], **options: Any) -> Batch:
    """A batch whose emails have left (the `sandbox` takes them)."""
    batch = deciding.send_batch(uploaded(campaign, *rows, **options), by=campaign.creator)
    expanding.expand(batch.id)
    while send_chunk(batch.id):
        pass
    batch.refresh_from_db()
    return batch
