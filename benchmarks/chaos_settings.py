"""The demo's settings, but that an unheard outcome is settled in two minutes, not in twenty."""

from datetime import timedelta

from postman.settings.local import *  # noqa: F403
from postman.settings.local import CHANNELS

# What makes them safe stays true: two chunks of 500 over 200 connections wait five times for an
# answer, so no call outlives 50 seconds, and the sandbox shows at once what it took. Of Telegram
# and WhatsApp the pace leaves no more than 20 messages in a chunk.
for channel in CHANNELS.values():
    channel["OPTIONS"]["timeout"] = 10
SEND_LEASE = timedelta(seconds=45)
ASK_AFTER = timedelta(seconds=5)
SURE_AFTER = timedelta(seconds=45)
