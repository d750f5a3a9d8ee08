"""With these settings, tests run faster and touch nothing of the demo's."""

import os
import tempfile
from pathlib import Path

from .local import *
from .local import LOGGING

# Every test client makes the middleware anew: look files up when asked, not all beforehand.
WHITENOISE_AUTOREFRESH = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
MEDIA_ROOT = Path(tempfile.gettempdir()) / f"postman-test-files-{os.getpid()}"
LOGGING = {**LOGGING, "root": {"handlers": ["console"], "level": "WARNING"}}
