"""Production's settings, but that Twilio and Amazon SES are the sink."""

from postman.settings.production import *  # noqa: F403
from postman.settings.production import CHANNELS, env

CHANNELS["sms"]["OPTIONS"]["base_url"] = env.str("SINK_URL")
CHANNELS["email"]["OPTIONS"] |= {
    "endpoint_url": env.str("SINK_URL"),
    "access_key_id": "AKIA" + "0" * 16,
    "secret_access_key": "0" * 40,
}
# The callback process alone is spoken to without HTTPS before it.
SECURE_SSL_REDIRECT = False
