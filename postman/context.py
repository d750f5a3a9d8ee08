from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    """What every page may ask: which environment this is, and where the sandbox's outbox stands."""
    return {
        "environment": settings.POSTMAN_ENVIRONMENT,
        "sandbox_url": settings.SANDBOX_URL,
        "demo_officer": settings.DEMO_OFFICER,
        "batch_row_limit": settings.BATCH_ROW_LIMIT,
    }
