"""The audit log: who did what to which object, from where, when."""

from typing import Any

import structlog
from django.db import models

from postman.accounts.models import AuditEvent, User


def record(
    action: str, *, by: User | None, on: models.Model | None = None, **details: Any
) -> AuditEvent:
    """Add one line, in the caller's transaction: both stand or neither does.

    `action` is `<noun>.<verb in the past>`, such as `batch.accepted`. `details` hold ids, counts and
    roles, never recipients, values, codes or keys. Address and request id come from the request
    under way (`postman.middleware.RequestId`).
    """
    request = structlog.contextvars.get_contextvars()
    return AuditEvent.objects.create(
        actor=by,
        action=action,
        object_type=on._meta.model_name or "" if on else "",
        object_id=str(getattr(on, "public_id", on.pk)) if on else "",
        ip=request.get("ip"),
        request_id=request.get("request_id", ""),
        details=details,
    )
