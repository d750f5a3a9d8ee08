"""Everything `make demo` and `make test` need on a machine that has only Python.

This module imports nothing, so that settings may ask it where the running demo's servers are.
"""

import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def home() -> Path:
    """Where everything local lies, `demo.json` of the last start among it."""
    return Path(os.environ.get("POSTMAN_LOCAL_DIR") or ROOT / ".local").resolve()


def directory() -> Path:
    """Where the demo keeps its data between runs: each environment has its own (v2-sms §2)."""
    environment = os.environ.get("POSTMAN_ENVIRONMENT") or "production"
    return home() if environment == "production" else home() / environment


def urls() -> dict[str, str] | None:
    """The environment of the demo that runs from this directory, None when none does."""
    try:
        facts: dict[str, str] = json.loads((directory() / "run" / "urls.json").read_text())
    except (OSError, ValueError):
        return None
    return facts
