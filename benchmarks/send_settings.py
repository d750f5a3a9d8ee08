"""Production's settings, but that Twilio is the sink."""

from postman.settings.production import *  # noqa: F403
from postman.settings.production import CHANNELS, env

CHANNELS["sms"]["OPTIONS"]["base_url"] = env.str("SINK_URL")
# The callback process alone is spoken to without HTTPS before it.
SECURE_SSL_REDIRECT = False
