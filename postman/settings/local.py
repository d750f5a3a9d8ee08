"""A person's own machine: embedded servers, sandbox providers, no HTTPS."""

import hashlib
from urllib.parse import urlsplit

from messaging.sandbox import constants
from postman import local

from .base import *
from .base import (
    AWS_REGION,
    DATABASE_DEFAULTS,
    LOADTEST_CHANNELS,
    LOGGING,
    POSTMAN_ENVIRONMENT,
    env,
)

_running = local.urls() or {}

DEBUG = env.bool("DEBUG", False)
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "testserver"]
SECRET_KEY = "local-only-not-a-secret"
# First writes, all read; 32 bytes each, in hex.
ENCRYPTION_KEYS = [hashlib.sha256(b"local-only-not-a-secret").hexdigest()]

PUBLIC_URL = env.str("PUBLIC_URL", _running.get("PUBLIC_URL", "http://localhost:8000"))
CALLBACK_URL = env.str("CALLBACK_URL", _running.get("CALLBACK_URL", PUBLIC_URL))
SANDBOX_URL = env.str("SANDBOX_URL", _running.get("SANDBOX_URL", "http://localhost:8001"))
LOCAL_DIR = local.directory()

DATABASES = {
    "default": {
        **env.db_url(
            "DATABASE_URL",
            _running.get("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postman"),
        ),
        **DATABASE_DEFAULTS,
    }
}
REDIS_URL = env.str("REDIS_URL", _running.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
CELERY_BROKER_URL = REDIS_URL
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
}
TWILIO_BASE_URL = SANDBOX_URL
TELEGRAM_BASE_URL = SANDBOX_URL
# The sandbox is all name servers too, at the UDP side of its port.
DNS_NAMESERVERS = ["127.0.0.1"]
DNS_PORT = urlsplit(SANDBOX_URL).port or 53
WEBHOOKS_MAY_GO_INSIDE = True
DEMO_OFFICER = "officer@health.gov.sg"
MEDIA_ROOT = LOCAL_DIR / "files"
STATIC_ROOT = None  # files are found where they lie
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# The production classes, told to speak to the sandbox.
CHANNELS = {
    "sms": {
        "BACKEND": "messaging.channels.twilio.Twilio",
        "OPTIONS": {
            "account_sid": constants.PLATFORM_ACCOUNT_SID,
            "username": constants.PLATFORM_ACCOUNT_SID,
            "password": constants.PLATFORM_AUTH_TOKEN,
            "auth_token": constants.PLATFORM_AUTH_TOKEN,
            "messaging_service_sid": constants.PLATFORM_MESSAGING_SERVICE_SID,
            "base_url": SANDBOX_URL,
        },
    },
    "email": {
        "BACKEND": "messaging.channels.ses.Ses",
        "OPTIONS": {
            "region": constants.AWS_REGION,
            "endpoint_url": SANDBOX_URL,
            "access_key_id": constants.AWS_ACCESS_KEY_ID,
            "secret_access_key": constants.AWS_SECRET_ACCESS_KEY,
            "configuration_set": constants.SES_CONFIGURATION_SET,
            "untracked_configuration_set": constants.SES_UNTRACKED_CONFIGURATION_SET,
            "topic_arns": [constants.SNS_TOPIC_ARN],
            "sns_sandbox_url": SANDBOX_URL,
        },
    },
    "whatsapp": {
        "BACKEND": "messaging.channels.whatsapp.Whatsapp",
        "OPTIONS": {
            "phone_number_id": constants.WHATSAPP_PHONE_NUMBER_ID,
            "access_token": constants.WHATSAPP_ACCESS_TOKEN,
            "app_secret": constants.WHATSAPP_APP_SECRET,
            "verify_token": constants.WHATSAPP_VERIFY_TOKEN,
            "base_url": SANDBOX_URL,
        },
    },
    "telegram": {
        "BACKEND": "messaging.channels.telegram.Telegram",
        "OPTIONS": {"base_url": SANDBOX_URL},
    },
}
if POSTMAN_ENVIRONMENT == "loadtest":
    CHANNELS = LOADTEST_CHANNELS
ANYMAIL = {
    "AMAZON_SES_CLIENT_PARAMS": {
        "endpoint_url": SANDBOX_URL,
        "region_name": AWS_REGION,
        "aws_access_key_id": "sandbox",
        "aws_secret_access_key": "sandbox",
        "config": {"connect_timeout": 3, "read_timeout": 10},
    }
}
LOGGING = {
    **LOGGING,
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "console"}},
}
