"""Production's settings, with one address more: a view that does nothing, to compare with."""

from postman.settings.production import *  # noqa: F403

ROOT_URLCONF = "benchmarks.urls"
