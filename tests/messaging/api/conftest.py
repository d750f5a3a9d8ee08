import pytest

from campaigns.models import AllowedAddress, ApiKey


@pytest.fixture
def key(campaign):
    AllowedAddress.objects.create(campaign=campaign, address="127.0.0.1")
    return ApiKey.issue(campaign=campaign, creator=campaign.creator)[1]


@pytest.fixture
def unlimited(campaign):
    """For a test of something else that calls more than ten times at once."""
    campaign.calls_per_second = None
    campaign.save(update_fields=["calls_per_second"])
