"""The Celery application: `celery -A postman.celery worker`, `… beat`."""

import gc
import logging
import mmap
import os
from contextlib import suppress
from functools import lru_cache
from typing import Any

import redis
from celery import Celery, Task
from celery.signals import (
    task_prerun,
    worker_init,
    worker_process_init,
    worker_shutting_down,
)
from django.conf import settings
from django.db import close_old_connections, transaction

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postman.settings.production")

app = Celery("postman")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

logger = logging.getLogger(__name__)

# A bell that was lost keeps others from being rung for no longer; the tick finds the work too.
UNHEARD_FOR_MS = 1000


@task_prerun.connect
def _drop_a_dead_connection(**_: Any) -> None:
    """As Django does before each request: PostgreSQL may have been restarted since."""
    close_old_connections()


@worker_process_init.connect
def _keep_what_was_loaded(**_: Any) -> None:
    """Modules live as long as the process. Walking over them again and again cost a worker that
    sends a seventh of its time."""
    gc.freeze()


# Shared with the processes of a worker's pool, which are forked from the one that hears SIGTERM.
_stopping = mmap.mmap(-1, 1)


@worker_init.connect
def _begin(**_: Any) -> None:
    _stopping[0] = 0


@worker_shutting_down.connect
def _tell_the_pool(**_: Any) -> None:
    _stopping[0] = 1


def is_stopping() -> bool:
    """Whether this worker was asked to end: a long task finishes what it has and takes no more."""
    return _stopping[0] == 1


def ring(task: Task, *args: Any) -> None:
    """Wake a worker once the transaction stands.

    Nothing depends on the bell: the work is a row, and `messaging.tick` finds it a second later.
    So a broker that is away must not fail what was just accepted.
    """

    def publish() -> None:
        try:
            task.apply_async(args)
        except Exception:  # what was accepted must not be answered with an error, and sent again
            logger.warning("the broker is away: %s waits for the next tick", task.name)

    transaction.on_commit(publish)


def ring_unless_unheard(task: Task) -> None:
    """`ring`, where a bell that already waits will do: a thousand messages in a second need one.

    The task calls `hear` before it looks for work. So whatever was committed before a bell was
    left out is found by whoever hears the bell that is waiting.
    """

    def publish() -> None:
        try:
            is_first = _bells().set(f"bell:{task.name}", 1, nx=True, px=UNHEARD_FOR_MS)
            if is_first:
                task.apply_async()
        except Exception:  # as in `ring`
            logger.warning("the broker is away: %s waits for the next tick", task.name)

    transaction.on_commit(publish)


def hear(task: Task) -> None:
    with suppress(redis.RedisError):
        _bells().delete(f"bell:{task.name}")


@lru_cache
def _bells() -> redis.Redis:
    return redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1, max_connections=100
    )
