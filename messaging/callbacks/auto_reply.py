"""Tell people who write to our WhatsApp number that nobody reads it (v1-backend §2.17)."""

import hashlib
import logging
import re

import redis
from django.conf import settings
from django.core.cache import cache

from messaging import providers
from messaging.channels.whatsapp import Text, Whatsapp

logger = logging.getLogger(__name__)

LONGEST = 256
# One person is answered once an hour, so that two machines never talk to each other.
PAUSE_SECONDS = 60 * 60
# A webhook comes again for some days where an answer was lost.
REMEMBERED_SECONDS = 7 * 24 * 60 * 60
_from_a_machine = re.compile(
    r"auto.?reply|thank|received your message|http|out.of.office|dear customer", re.IGNORECASE
).search


def deserves_answer(text: str) -> bool:
    """Whether a person seems to have written it."""
    return 0 < len(text.strip()) <= LONGEST and not _from_a_machine(text)


def answer(text: Text, channel: Whatsapp) -> None:
    """Answer it, unless it was answered before, or its sender lately. Nobody waits for it, and
    where it is lost nothing is: the number stands in no queue."""
    if not settings.WHATSAPP_AUTO_REPLY or not deserves_answer(text.text):
        return
    try:
        is_new = cache.add(f"whatsapp-text:{_hash(text.id)}", 1, REMEMBERED_SECONDS)
        is_due = is_new and cache.add(f"whatsapp-answered:{_hash(text.sender)}", 1, PAUSE_SECONDS)
    except redis.RedisError:
        logger.warning("nobody who writes to our WhatsApp number is answered: the cache is away")
        return
    if is_due:
        providers.start(channel.send_text(text.sender, settings.WHATSAPP_AUTO_REPLY))


def _hash(value: str) -> str:
    """Caches and their logs hold no numbers."""
    return hashlib.sha256(f"{settings.SECRET_KEY}{value}".encode()).hexdigest()[:32]
