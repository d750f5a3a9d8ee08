"""Where it is deployed. Every secret comes from the environment; a missing one stops the start."""

from django.core.exceptions import ImproperlyConfigured

from .base import *
from .base import (
    AWS_REGION,
    DATABASE_DEFAULTS,
    LOADTEST_CHANNELS,
    POSTMAN_ENVIRONMENT,
    PROTECTED_ITERATIONS,
    STORAGES,
    env,
)

_REQUIRED = [
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "ALLOWED_HOSTS",
    "PUBLIC_URL",
    "DATABASE_URL",
    "REDIS_URL",
    "MEDIA_ROOT",
]
if POSTMAN_ENVIRONMENT != "loadtest":
    _REQUIRED += ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_MESSAGING_SERVICE_SID"]
_missing = [name for name in _REQUIRED if not env.str(name, "")]
if _missing:
    raise ImproperlyConfigured(f"Set these environment variables: {', '.join(_missing)}")

if PROTECTED_ITERATIONS < 100_000:
    raise ImproperlyConfigured("PROTECTED_ITERATIONS is below 100000: passwords would be guessed.")

DEBUG = False
SECRET_KEY = env.str("SECRET_KEY")
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
PUBLIC_URL = env.str("PUBLIC_URL")
CALLBACK_URL = env.str("CALLBACK_URL", PUBLIC_URL)
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

DATABASES = {"default": {**env.db_url("DATABASE_URL"), **DATABASE_DEFAULTS}}
REDIS_URL = env.str("REDIS_URL")
CELERY_BROKER_URL = REDIS_URL
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
}
MEDIA_ROOT = env.path("MEDIA_ROOT")
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
if IMAGES_BUCKET := env.str("IMAGES_BUCKET", ""):
    STORAGES["images"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        # Read through us, under our own address: the bucket itself is nobody's to see.
        "OPTIONS": {
            "bucket_name": IMAGES_BUCKET,
            "region_name": AWS_REGION,
            "default_acl": None,
            "file_overwrite": False,
        },
    }

SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-sessionid"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrftoken"

if POSTMAN_ENVIRONMENT == "loadtest":
    CHANNELS = LOADTEST_CHANNELS
else:
    CHANNELS = {
        "sms": {
            "BACKEND": "messaging.channels.twilio.Twilio",
            "OPTIONS": {
                "account_sid": env.str("TWILIO_ACCOUNT_SID"),
                "username": env.str("TWILIO_API_KEY_SID", env.str("TWILIO_ACCOUNT_SID")),
                "password": env.str("TWILIO_API_SECRET", env.str("TWILIO_AUTH_TOKEN")),
                "auth_token": env.str("TWILIO_AUTH_TOKEN"),
                "messaging_service_sid": env.str("TWILIO_MESSAGING_SERVICE_SID"),
            },
        },
        "email": {
            "BACKEND": "messaging.channels.ses.Ses",
            "OPTIONS": {
                "region": AWS_REGION,
                "configuration_set": env.str("SES_CONFIGURATION_SET", ""),
                "untracked_configuration_set": env.str("SES_UNTRACKED_CONFIGURATION_SET", ""),
                "topic_arns": env.list("SES_TOPIC_ARNS", default=[]),
            },
        },
    }
    # Each bot brings a token of its own.
    CHANNELS["telegram"] = {"BACKEND": "messaging.channels.telegram.Telegram"}
    # Where Postman has no number at WhatsApp, nobody is offered it.
    if _number := env.str("WHATSAPP_PHONE_NUMBER_ID", ""):
        CHANNELS["whatsapp"] = {
            "BACKEND": "messaging.channels.whatsapp.Whatsapp",
            "OPTIONS": {
                "phone_number_id": _number,
                "access_token": env.str("WHATSAPP_ACCESS_TOKEN"),
                "app_secret": env.str("WHATSAPP_APP_SECRET"),
                "verify_token": env.str("WHATSAPP_VERIFY_TOKEN"),
            },
        }
ANYMAIL = {"AMAZON_SES_CLIENT_PARAMS": {"region_name": AWS_REGION}}
