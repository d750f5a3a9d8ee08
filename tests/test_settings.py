import runpy
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

import postman.settings
from postman.settings import base

DEPLOYED = {
    "SECRET_KEY": "secret",
    "ENCRYPTION_KEYS": "00" * 32,
    "ALLOWED_HOSTS": "loadtest.postman.gov.sg",
    "PUBLIC_URL": "https://loadtest.postman.gov.sg",
    "DATABASE_URL": "postgres://db/postman",
    "REDIS_URL": "redis://broker",
    "MEDIA_ROOT": "/files",
}


@pytest.fixture
def settings_with(monkeypatch):
    def settings_with(name, **environ):
        for key, value in environ.items():
            monkeypatch.setenv(key, value)
        monkeypatch.setattr(postman.settings, "base", base)  # put back what is imported anew
        monkeypatch.delitem(sys.modules, "postman.settings.base")
        monkeypatch.delitem(sys.modules, f"postman.settings.{name}", raising=False)
        return runpy.run_module(f"postman.settings.{name}")

    return settings_with


@pytest.mark.parametrize("name", ["local", "production"])
def test_on_the_load_test_site_no_message_can_reach_twilio(settings_with, name):
    """Not even with Twilio's secrets at hand: there it starts without them (v2-sms §2)."""
    there = settings_with(name, POSTMAN_ENVIRONMENT="loadtest", **DEPLOYED)

    assert there["CHANNELS"] == {"sms": {"BACKEND": "messaging.channels.loadtest.Loadtest"}}
    assert there["API_KEY_PREFIX"] == "key_load_"
    assert there["BATCH_ROW_LIMIT"] is None


@pytest.mark.parametrize("environment", ["production", "test", ""])
def test_anywhere_else_a_site_does_not_start_without_twilio(settings_with, environment):
    with pytest.raises(ImproperlyConfigured, match="TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN"):
        settings_with("production", POSTMAN_ENVIRONMENT=environment, **DEPLOYED)


def test_an_environment_that_does_not_exist_stops_the_start(settings_with):
    with pytest.raises(
        ImproperlyConfigured,
        match=r"'staging': set it to one of production, test, loadtest\.$",
    ):
        settings_with("production", POSTMAN_ENVIRONMENT="staging", **DEPLOYED)


def test_a_site_does_not_start_where_passwords_of_secure_pages_would_be_guessed(settings_with):
    with pytest.raises(ImproperlyConfigured, match="PROTECTED_ITERATIONS is below 100000"):
        settings_with(
            "production", POSTMAN_ENVIRONMENT="loadtest", PROTECTED_ITERATIONS="4000", **DEPLOYED
        )
