import runpy
import sys

import boto3
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.utils.module_loading import import_string
from moto import mock_aws

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
def test_on_the_load_test_site_no_message_can_reach_a_provider(settings_with, name):
    """Not even with their secrets at hand: there it starts without them (v2-sms §2)."""
    there = settings_with(name, POSTMAN_ENVIRONMENT="loadtest", **DEPLOYED)

    assert there["CHANNELS"] == {
        "sms": {"BACKEND": "messaging.channels.loadtest.Loadtest"},
        "email": {"BACKEND": "messaging.channels.loadtest.LoadtestMail"},
        "whatsapp": {"BACKEND": "messaging.channels.loadtest.Loadtest"},
        "telegram": {"BACKEND": "messaging.channels.loadtest.Loadtest"},
    }
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


def test_pictures_of_emails_lie_in_a_bucket_where_one_is_configured(settings_with, monkeypatch):
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    there = settings_with(
        "production", POSTMAN_ENVIRONMENT="loadtest", IMAGES_BUCKET="pictures", **DEPLOYED
    )
    kept = there["STORAGES"]["images"]

    with mock_aws():
        boto3.client("s3", region_name="ap-southeast-1").create_bucket(
            Bucket="pictures",
            CreateBucketConfiguration={"LocationConstraint": "ap-southeast-1"},
        )
        storage = import_string(kept["BACKEND"])(**kept["OPTIONS"])
        name = storage.save("images/2026/11/key.png", ContentFile(b"a picture"))

        assert storage.open(name).read() == b"a picture"
    assert there["STORAGES"]["default"]["BACKEND"].endswith("FileSystemStorage")


def test_pictures_lie_with_the_other_files_where_no_bucket_is_configured(settings_with):
    there = settings_with("production", POSTMAN_ENVIRONMENT="loadtest", **DEPLOYED)

    assert there["STORAGES"]["images"]["BACKEND"].endswith("FileSystemStorage")
