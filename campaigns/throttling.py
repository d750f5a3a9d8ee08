"""How often a campaign's programs may call: ten times a second unless agreed (v2-sms §10.1)."""

import logging
import math
import time
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from campaigns.models import ApiKey
from postman.errors import Refused

logger = logging.getLogger(__name__)

# The times of the calls of the last second, newest first, by the one clock of the server: those of
# many machines differ, and calls would arrive in another order than they are dated. A refused call
# is not written down. Answers {allowed, calls left, microseconds until there is one more}.
_TAKE = """
local limit, at = tonumber(ARGV[1]), tonumber(ARGV[2])
if not at then
    local clock = redis.call('TIME')
    at = clock[1] * 1000000 + clock[2]
end
local oldest = redis.call('LINDEX', KEYS[1], -1)
-- A call from the future: the clock was set back.
while oldest and (at - oldest >= 1000000 or at < tonumber(oldest)) do
    redis.call('RPOP', KEYS[1])
    oldest = redis.call('LINDEX', KEYS[1], -1)
end
local used = redis.call('LLEN', KEYS[1])
if used >= limit then
    return {0, 0, 1000000 - (at - redis.call('LINDEX', KEYS[1], limit - 1))}
end
redis.call('LPUSH', KEYS[1], at)
redis.call('EXPIRE', KEYS[1], 60)
return {1, limit - used - 1, 1000000 - (at - (oldest or at))}
"""

NO_ANSWER_WITHIN = 0.25
ASK_AGAIN_AFTER = 5.0


class Verdict(NamedTuple):
    limit: int
    is_allowed: bool
    remaining: int
    reset_after: float  # seconds until one more call is free

    def reset_at(self) -> str:
        """Seconds since 1970, as the older headers say it."""
        return str(math.ceil(time.time() + self.reset_after))

    def stand_on(self, answer: Response) -> None:
        """The headers of draft-ietf-httpapi-ratelimit-headers-07, in whole seconds."""
        seconds = max(1, math.ceil(self.reset_after))
        answer["RateLimit-Limit"] = str(self.limit)
        answer["RateLimit-Remaining"] = str(self.remaining)
        answer["RateLimit-Reset"] = str(seconds)
        answer["RateLimit-Policy"] = f"{self.limit};w=1"
        if not self.is_allowed:
            answer["Retry-After"] = str(seconds)


class Window:
    """The last second of every campaign, kept where all processes see it: one round trip a call.

    While the store is away the limit lets calls through: it protects us from too much, and to
    refuse every message because we cannot count is worse than too many for a while. For some
    seconds after a failure it is not asked, so that no call waits for it.
    """

    def __init__(self, url: str) -> None:
        client = redis.from_url(
            url,
            socket_connect_timeout=NO_ANSWER_WITHIN,
            socket_timeout=NO_ANSWER_WITHIN,
            # Once, at once: the server may have dropped a connection that lay idle.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        self._take = client.register_script(_TAKE)
        self._away_until = 0.0

    def take(self, campaign_id: UUID, limit: int, *, at: int | None = None) -> Verdict | None:
        """One call of the campaign's; None when nobody can count. `at`: microseconds, not now."""
        if time.monotonic() < self._away_until:
            return None
        arguments = [limit] if at is None else [limit, at]
        try:
            allowed, remaining, reset_after = self._take([f"calls:{campaign_id}"], arguments)
        except redis.RedisError as error:
            self._away_until = time.monotonic() + ASK_AGAIN_AFTER
            logger.warning("calls are not limited: %s", type(error).__name__)
            return None
        return Verdict(limit, bool(allowed), remaining, reset_after / 1e6)


@lru_cache
def window(url: str) -> Window:
    return Window(url)


class CampaignThrottle(BaseThrottle):
    """Asked after key and address, before the body is read, so a refused call stores nothing."""

    def allow_request(self, request: Request, view: object) -> bool:
        assert isinstance(request.auth, ApiKey)
        campaign = request.auth.campaign
        if campaign.calls_per_second is None:
            return True
        verdict = window(settings.REDIS_URL).take(campaign.id, campaign.calls_per_second)
        request.rate_limit = verdict  # type: ignore[attr-defined]
        if verdict and not verdict.is_allowed:
            raise Refused(
                f"This campaign may make {verdict.limit} calls a second. "
                "This one was not carried out: send it again later.",
                "too_many_requests",
            )
        return True
