import re
from typing import Any

# Where an agency gave no Auth Token, this part of the address is all that protects its receipts;
# whoever has that of an unsubscribe link may speak for its recipient.
_CALLBACK_TOKEN = re.compile(r"(/callbacks/\w+/[^/\s]+/[^/\s]+/|/u/)[^/\s?]+")


def hide_callback_tokens(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Django logs the address of every request that fails; ours to providers hold a secret."""
    if isinstance(event.get("event"), str):
        event["event"] = _CALLBACK_TOKEN.sub(r"\1…", event["event"])
    return event
