"""How many calls the tests of chance make: a few in the suite, as many as asked in `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

ASKED = os.environ.get("SCHEMATHESIS_EXAMPLES")
CALLS = settings(
    max_examples=int(ASKED or 50),
    derandomize=not ASKED,  # the suite tries the same calls each time
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
