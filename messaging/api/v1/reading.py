"""What an account sent, one or a list: read alike for every channel of v1."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.models import Channel
from messaging import transactional
from messaging.api.v1.base import V1View
from messaging.api.v1.listing import Asked, answer, latest_attempts, number_of
from messaging.models import Attempt, Transactional
from postman.errors import Refused


class Reading(V1View):
    channel: ClassVar[Channel]

    @staticmethod
    def shown(row: Transactional, attempt: Attempt | None) -> dict[str, Any]:
        """v1's object of a row and its latest try."""
        raise NotImplementedError


class ReadOne(Reading):
    def get(self, request: Request, number: str) -> Response:
        found = transactional.find(self.account, self.channel, number_of(number))
        if found is None:
            raise Refused("There is no such message.", "not_found")
        return Response(self.shown(*found))


class ReadList(Reading):
    """`statuses`: v1's words for where a message stands → ours."""

    statuses: ClassVar[Mapping[str, Sequence[str] | Q]]
    max_limit: ClassVar[int]
    has_tags: ClassVar[bool] = False

    def get(self, request: Request) -> Response:
        asked = Asked(
            request.query_params,
            max_limit=self.max_limit,
            statuses=self.statuses,
            has_tags=self.has_tags,
        )
        own = Transactional.objects.filter(user=self.account, channel=self.channel)
        rows, has_more = asked.of(own.select_related("message"))
        attempts = latest_attempts(rows)
        told = [self.shown(row, attempts.get(row.message_id)) for row in rows]
        if asked.excludes_params:
            for each in told:
                each.pop("params", None)
        return Response(answer(told, has_more))
