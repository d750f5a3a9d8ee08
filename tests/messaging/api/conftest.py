import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client

from campaigns.models import AllowedAddress, ApiKey
from tests.messaging.api.described import check, operation_of


@pytest.fixture
def key(campaign):
    AllowedAddress.objects.create(campaign=campaign, address="127.0.0.1")
    return ApiKey.issue(campaign=campaign, creator=campaign.creator)[1]


@pytest.fixture
def unlimited(campaign):
    """For a test of something else that calls more than ten times at once."""
    campaign.calls_per_second = None
    campaign.save(update_fields=["calls_per_second"])


class Described(Client):
    """Whose every call of v1 is answered as v1's document says."""

    def request(self, **request):
        answer = super().request(**request)
        method, path = request["REQUEST_METHOD"].lower(), request["PATH_INFO"]
        operation = path.startswith("/v1/") and operation_of(method, path.removeprefix("/v1"))
        if operation:
            check(operation, answer)
        return answer


@pytest.fixture
def client():
    return Described()


@pytest.fixture
def _one_connection():
    """A request keeps to the test's connection, as with Django's own test client."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)
