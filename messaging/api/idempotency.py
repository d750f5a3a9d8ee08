"""`Idempotency-Key`: a call that is repeated after a lost answer is carried out once (field B-2)."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import OperationalError, connection, transaction
from django.http import QueryDict
from psycopg.errors import LockNotAvailable
from rest_framework.request import Request
from rest_framework.response import Response

from messaging.models import IdempotencyKey
from postman.errors import Refused

LONGEST_KEY = 255


def once(request: Request, client: UUID, act: Callable[[], Response]) -> Response:
    """What `act` answers, or what it answered when the client first sent this key.

    A refusal is not kept: nothing came of that call, so the key is free for the next. Raises
    Refused: `idempotency_key_reused` (the same key with something else to do) and
    `idempotency_key_in_use` (the first call takes longer than we wait).
    """
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return act()
    if not (key and len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise Refused(
            f"`Idempotency-Key` must be 1 to {LONGEST_KEY} printable ASCII characters.",
            "parameter_invalid",
        )
    fingerprint = _fingerprint(request)
    refusal = None
    with transaction.atomic():
        if not _is_first(client, key, fingerprint):
            return _answered_before(client, key, fingerprint)
        mine = IdempotencyKey.objects.filter(client=client, key=key)
        try:
            response = act()
        except Refused as refused:
            # What the refusal itself changed must stand, so the transaction goes on.
            refusal = refused
            mine.delete()
        else:
            mine.update(status=response.status_code, body=json.dumps(response.data))
    if refusal:
        raise refusal
    return response


def _is_first(client: UUID, key: str, fingerprint: str) -> bool:
    """Take the key. Whoever comes at the same time waits here until the first one has committed."""
    try:
        with connection.cursor() as cursor:
            patience = int(settings.IDEMPOTENCY_PATIENCE.total_seconds() * 1000)
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(patience)])
            cursor.execute(
                """
                INSERT INTO messaging_idempotencykey (client, key, fingerprint, body, created_at)
                VALUES (%s, %s, %s, '', now()) ON CONFLICT DO NOTHING
                """,
                [client, key, fingerprint],
            )
            is_first = cursor.rowcount == 1
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise Refused(
                "A call with this `Idempotency-Key` is being carried out. Ask again later.",
                "idempotency_key_in_use",
            ) from None
        raise
    return is_first


def _answered_before(client: UUID, key: str, fingerprint: str) -> Response:
    kept = IdempotencyKey.objects.get(client=client, key=key)
    if kept.fingerprint != fingerprint:
        raise Refused(
            "This `Idempotency-Key` was used for another call. Use a new one for each message.",
            "idempotency_key_reused",
        )
    return Response(
        json.loads(kept.body), status=kept.status, headers={"Idempotency-Replayed": "true"}
    )


def _fingerprint(request: Request) -> str:
    """Of method, address and content; JSON that only looks different is the same."""
    content = request.data
    if isinstance(content, QueryDict):
        # A field of a form may stand in it more than once: each of its files counts.
        content = {
            name: [_comparable(value) for value in values] if values[1:] else _comparable(values[0])
            for name, values in content.lists()
        }
    elif isinstance(content, Mapping):
        content = {name: _comparable(value) for name, value in content.items()}
    asked = [request.method, request.path, content]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _comparable(value: Any) -> Any:
    if not isinstance(value, UploadedFile):
        return value
    digest = hashlib.sha256()
    for part in value.chunks():
        digest.update(part)
    value.seek(0)
    return [value.name, digest.hexdigest()]
