"""What is true everywhere. `local`, `test` and `production` change only what differs."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import environ
import structlog
from celery.schedules import crontab
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from campaigns.sms import TEST_NOTICE
from postman.logs import hide_callback_tokens

BASE_DIR = Path(__file__).resolve().parents[2]
env = environ.Env()

# Which rules apply (v2-sms §2), whatever machine this runs on: production, test or loadtest.
POSTMAN_ENVIRONMENT = env.str("POSTMAN_ENVIRONMENT", "") or "production"
_KEY_PREFIXES = {"production": "key_live_", "test": "key_test_", "loadtest": "key_load_"}
if POSTMAN_ENVIRONMENT not in _KEY_PREFIXES:
    raise ImproperlyConfigured(
        f"POSTMAN_ENVIRONMENT is {POSTMAN_ENVIRONMENT!r}: "
        f"set it to one of {', '.join(_KEY_PREFIXES)}."
    )
API_KEY_PREFIX = _KEY_PREFIXES[POSTMAN_ENVIRONMENT]
BATCH_ROW_LIMIT = 20 if POSTMAN_ENVIRONMENT == "test" else None
BATCH_BYTES_LIMIT = 40 * 1024 * 1024
IMAGE_BYTES_LIMIT = 5 * 1024 * 1024
# A line of fifty characters before every text of the test site (v2-sms §2, §6.3).
TRAINING_NOTICE = TEST_NOTICE if POSTMAN_ENVIRONMENT == "test" else ""
DEFAULT_SENDER_ID = "gov.sg"
# Singapore dollars a segment, to six decimals, before GST (v2-sms §10.6).
SMS_PRICES = {
    "local": Decimal(env.str("SMS_PRICE_LOCAL", "0.046")),
    "foreign": Decimal(env.str("SMS_PRICE_FOREIGN", "0.23")),
}
if POSTMAN_ENVIRONMENT != "production":
    SMS_PRICES = dict.fromkeys(SMS_PRICES, Decimal(0))

INSTALLED_APPS = [
    "postman.accounts",
    "campaigns",
    "messaging",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_prose_editor",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "anymail",
]

MIDDLEWARE = [
    "postman.middleware.RequestId",
    "postman.middleware.Unavailable",
    "postman.middleware.HttpsOnlyApi",
    "django.middleware.security.SecurityMiddleware",
    "postman.page_middleware.StaticFiles",
    "postman.page_middleware.Policy",
    "postman.page_middleware.Session",
    "django.middleware.common.CommonMiddleware",
    "postman.page_middleware.Csrf",
    "postman.page_middleware.Authentication",
    "postman.page_middleware.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "postman.page_middleware.Htmx",
    "postman.page_middleware.Activity",
]

ROOT_URLCONF = "postman.urls"
# The process behind CALLBACK_URL: nothing of a page's is there, and nothing of it costs time.
if env.bool("ONLY_CALLBACKS", False):
    MIDDLEWARE = ["postman.middleware.RequestId", "postman.middleware.Unavailable"]
    ROOT_URLCONF = "postman.callback_urls"
WSGI_APPLICATION = "postman.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "postman.context.site",
            ],
        },
    },
]

# --- Data -------------------------------------------------------------------------------------
DATABASES: dict = {}
DATABASE_DEFAULTS = {
    "ENGINE": "postman.database",
    # Connecting anew for each request costs five to nine times on every endpoint.
    "CONN_MAX_AGE": None,
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {
        "connect_timeout": 3,
        "application_name": "postman",
        # How often a statement is made until its plan is kept; only for `postman.rows.prepared`.
        "prepare_threshold": 5,
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    # Pictures in emails, which anybody may see; apart from uploads, which nobody may.
    "images": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
}
FILE_UPLOAD_HANDLERS = ["postman.uploads.NoFiles"]
FILE_UPLOAD_PERMISSIONS = 0o600
# An email of a megabyte takes up to three where its letters are escaped.
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

# --- Who you are ------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS: list = []  # nobody has a password: sign-in is by a mailed code
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "campaign-list"
SESSION_ENGINE = "postman.accounts.sessions"
SESSION_COOKIE_AGE = 24 * 60 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_IDLE_SECONDS = 60 * 60
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
# Addresses (or networks) of our own reverse proxies: only they may say who the client is.
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
RATELIMIT_IP_META_KEY = "postman.api.client_ip.client_ip"

# --- Time and language ------------------------------------------------------------------------
LANGUAGE_CODE = "en-sg"
TIME_ZONE = "Asia/Singapore"
USE_TZ = True
USE_I18N = True

# --- Static files -----------------------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT: Path | None = BASE_DIR / ".local" / "staticfiles"

# --- Security ---------------------------------------------------------------------------------
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# --- Background work --------------------------------------------------------------------------
# Redis only rings a bell: tasks carry ids, results are rows, timers are columns.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_DEFAULT_QUEUE = "batch"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 25
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 15 * 60,
    "socket_connect_timeout": 1,
    "socket_timeout": 5,
    "retry_on_timeout": True,
    # A request that rings the bell must not wait six seconds for a broker that is away.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
}
CELERY_TASK_ROUTES = {
    "accounts.mail_*": {"queue": "urgent"},
    "accounts.forget": {"queue": "sweep"},
    "accounts.remind_of_keys": {"queue": "sweep"},
    # They wait for other people's name servers.
    "campaigns.check_sender_domain": {"queue": "webhooks"},
    "campaigns.check_sender_domains": {"queue": "webhooks"},
    "campaigns.mail_senders": {"queue": "urgent"},
    "messaging.send_singles": {"queue": "urgent"},
    "messaging.send_email_tests": {"queue": "urgent"},
    "messaging.check_upload": {"queue": "ingest"},
    "messaging.expand": {"queue": "batch"},
    "messaging.send_batches": {"queue": "batch"},
    "messaging.apply_receipts": {"queue": "receipts"},
    "messaging.tick": {"queue": "sweep"},
    "messaging.tell_of_halts": {"queue": "urgent"},
    "messaging.send_digest": {"queue": "reports"},
    "messaging.fold_counters": {"queue": "sweep"},
    "messaging.ask_about_unknown": {"queue": "sweep"},
    "messaging.forget": {"queue": "sweep"},
    "messaging.check_counters": {"queue": "sweep"},
    "messaging.tell_of_locked_pages": {"queue": "urgent"},
    "messaging.send_webhook": {"queue": "webhooks"},
    "messaging.forget_webhook": {"queue": "webhooks"},
    "messaging.make_reports": {"queue": "reports"},
    "messaging.charge_days": {"queue": "reports"},
}
# A process keeps its connection from task to task; `postman.celery` has it looked at before each.
CELERY_DB_REUSE_MAX = 10_000
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    # An outage leaves no heap of ticks behind: one that is late is worthless.
    "tick": {
        "task": "messaging.tick",
        "schedule": 1.0,
        "options": {"expires": 5, "queue": "sweep"},
    },
    "fold-counters": {
        "task": "messaging.fold_counters",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "check-counters": {
        "task": "messaging.check_counters",
        "schedule": 60.0 * 60.0,
        "options": {"expires": 600},
    },
    "forget": {
        "task": "messaging.forget",
        "schedule": 60.0 * 60.0,
        "options": {"expires": 600},
    },
    "charge-days": {
        "task": "messaging.charge_days",
        "schedule": 60.0,
        "options": {"expires": 50},
    },
    # Mondays, 9.30am in Singapore.
    "send-digest": {
        "task": "messaging.send_digest",
        "schedule": crontab(day_of_week="mon", hour=1, minute=30),
    },
    "check-sender-domains": {
        "task": "campaigns.check_sender_domains",
        "schedule": 60.0,
        "options": {"expires": 50},
    },
    "mail-senders": {
        "task": "campaigns.mail_senders",
        "schedule": 60.0,
        "options": {"expires": 50},
    },
    "accounts-tick": {
        "task": "accounts.mail_waiting_codes",
        "schedule": 5.0,
        "options": {"expires": 5, "queue": "urgent"},
    },
    "remind-of-keys": {
        "task": "accounts.remind_of_keys",
        # 8 in the morning in Singapore, and each hour after, for what a morning missed.
        "schedule": crontab(minute=0, hour="0-10"),
        "options": {"expires": 600},
    },
    "accounts-forget": {
        "task": "accounts.forget",
        "schedule": 60.0 * 60.0,
        "options": {"expires": 600, "queue": "sweep"},
    },
}

# --- Ways out ---------------------------------------------------------------------------------
CHANNELS: dict = {}
# Whether webhooks may go to addresses inside our own network; never where it is deployed.
WEBHOOKS_MAY_GO_INSIDE = False
# How long an outcome may stay unheard, how long until the provider is asked, and how long it must
# have shown nothing until it is believed to have nothing: see `delivery` and `reconciling`. Safe as
# long as no call outlives the first and the last together. Settings only so that
# benchmarks/chaos.py, whose provider's list lags by nothing, need not wait twenty minutes.
SEND_LEASE = timedelta(seconds=240)
ASK_AFTER = timedelta(minutes=1)
SURE_AFTER = timedelta(minutes=15)
# What the account for messages to the public may be given; None where its provider sets no limit.
SMS_SEGMENTS_PER_SECOND = env.float("SMS_SEGMENTS_PER_SECOND", None)
EMAILS_PER_SECOND = env.float("EMAILS_PER_SECOND", None)
# Of each bot: what Telegram lets one send for nothing (v1-backend §2.10).
TELEGRAM_MESSAGES_PER_SECOND = env.float("TELEGRAM_MESSAGES_PER_SECOND", 30.0)
WHATSAPP_MESSAGES_PER_SECOND = env.float("WHATSAPP_MESSAGES_PER_SECOND", 100.0)
# What somebody who writes to our WhatsApp number is answered; empty: nothing.
WHATSAPP_AUTO_REPLY = env.str(
    "WHATSAPP_AUTO_REPLY",
    "This number only sends messages of the Singapore Government and cannot read replies. "
    "Please contact the agency that wrote to you.",
)
LOADTEST_CHANNELS = {
    "sms": {"BACKEND": "messaging.channels.loadtest.Loadtest"},
    "email": {"BACKEND": "messaging.channels.loadtest.LoadtestMail"},
    "whatsapp": {"BACKEND": "messaging.channels.loadtest.Loadtest"},
    "telegram": {"BACKEND": "messaging.channels.loadtest.Loadtest"},
}
# How often browsers hash a password to make the key of a secure page (docs/security.md).
PROTECTED_ITERATIONS = env.int("PROTECTED_ITERATIONS", 600_000)
EMAIL_BACKEND = "anymail.backends.amazon_ses.EmailBackend"
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "Postman <donotreply@mail.postman.gov.sg>")
# What callers of v1 may name instead: its default sender had more than one address.
OTHER_DEFAULT_SENDERS = env.list("OTHER_DEFAULT_SENDERS", default=["info@mail.postman.gov.sg"])
# Added to the display name of a campaign's emails where it is not the one on record.
MAIL_VIA = env.str("MAIL_VIA", "via Postman")
# Who is asked whether a sender's records stand; empty: whoever the machine asks.
DNS_NAMESERVERS = env.list("DNS_NAMESERVERS", default=[])
DNS_PORT = 53
DNS_TIMEOUT_SECONDS = 4.0
ANYMAIL: dict = {}
AWS_REGION = env.str("AWS_REGION", "ap-southeast-1")
DEMO_OFFICER = ""  # whom the sign-in page of the demo names
SANDBOX_URL = ""  # set only where the providers are the sandbox's
TWILIO_BASE_URL = ""  # Twilio itself
TELEGRAM_BASE_URL = ""  # Telegram itself

# A batch of emails is halted at more than so many addresses that do not exist, if these are also
# more than this part of those whose outcome is known (`messaging.halting`).
MIN_HALT_NUMBER = env.int("MIN_HALT_NUMBER", 10)
MIN_HALT_PERCENTAGE = env.float("MIN_HALT_PERCENTAGE", 0.1)

# --- API --------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "postman.api.errors.exception_handler",
    "DEFAULT_AUTHENTICATION_CLASSES": ["campaigns.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["postman.api.parsers.StorableJson"],
    "DEFAULT_RENDERER_CLASSES": ["postman.api.answers.Json"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "postman.api.negotiation.AlwaysJson",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Postman API",
    "VERSION": "2.0.0",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v2",
    "SCHEMA_PATH_PREFIX_TRIM": True,
    "CAMELIZE_NAMES": True,
    "SORT_OPERATIONS": False,
    "SORT_OPERATION_PARAMETERS": False,
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,
    "POSTPROCESSING_HOOKS": ["messaging.api.v2.schema.complete"],
}
# How long a call waits for another with its `Idempotency-Key` that is being carried out.
IDEMPOTENCY_PATIENCE = timedelta(seconds=10)

# --- Logs -------------------------------------------------------------------------------------
_shared: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    hide_callback_tokens,
    structlog.processors.TimeStamper(fmt="iso"),
]
structlog.configure(
    processors=[*_shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _shared,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        },
        "console": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _shared,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # The usual tracebacks print local variables: recipients, codes, keys.
                structlog.dev.ConsoleRenderer(
                    colors=False,
                    pad_event_to=0,
                    exception_formatter=structlog.dev.plain_traceback,
                ),
            ],
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django": {"level": "INFO"},
        "django.server": {"handlers": ["console"], "level": "INFO", "propagate": False},
        # Both log every request with its recipient in the address.
        "twilio": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        # It says of every bell that came too late to matter that it was thrown away.
        "celery.worker.request": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
    },
}
