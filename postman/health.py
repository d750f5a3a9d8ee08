"""`/healthz`: this process lives. `/readyz`: database, broker and at least one worker do."""

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, JsonResponse
from kombu.exceptions import OperationalError

from postman.celery import app


def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    broker = _broker_answers()
    parts = {
        "database": _database_answers(),
        "broker": broker,
        "worker": broker and _worker_answers(),
    }
    ready = all(parts.values())
    return JsonResponse(
        {"status": "ready" if ready else "not ready"}
        | {name: "ok" if up else "down" for name, up in parts.items()},
        status=200 if ready else 503,
    )


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError):
        return False
    return True


def _broker_answers() -> bool:
    try:
        return bool(redis.from_url(settings.REDIS_URL, socket_timeout=1).ping())
    except redis.RedisError:
        return False


def _worker_answers() -> bool:
    try:
        return bool(app.control.ping(timeout=1.0, limit=1))
    except (OSError, redis.RedisError, OperationalError):
        return False
