import pytest

from campaigns.models import AllowedAddress, ApiKey


@pytest.fixture
def key(campaign):
    AllowedAddress.objects.create(campaign=campaign, address="127.0.0.1")
    return ApiKey.issue(campaign=campaign, creator=campaign.creator)[1]
