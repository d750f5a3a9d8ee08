"""The Celery application: `celery -A postman.celery worker`, `… beat`."""

import logging
import os
from typing import Any

from celery import Celery, Task
from celery.signals import task_prerun
from django.db import close_old_connections, transaction

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postman.settings.production")

app = Celery("postman")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

logger = logging.getLogger(__name__)


@task_prerun.connect
def _drop_a_dead_connection(**_: Any) -> None:
    """As Django does before each request: PostgreSQL may have been restarted since."""
    close_old_connections()


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
