from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client

from campaigns.models import Campaign
from postman.accounts.models import User
from tests.factories import (
    AgencyFactory,
    CampaignFactory,
    EmailCampaignFactory,
    TelegramCampaignFactory,
    UserFactory,
)
from tests.messaging.sandbox.process import SandboxProcess


@pytest.fixture(autouse=True)
def _no_memory_of_earlier_tests() -> None:
    cache.clear()


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxProcess]:
    process = SandboxProcess(port=urlsplit(settings.SANDBOX_URL).port).start()
    yield process
    process.stop()


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> SandboxProcess:
    """The providers, with an empty outbox and their manners reset."""
    sandbox_process.reset()
    return sandbox_process


@pytest.fixture
def officer(db: None) -> User:
    return UserFactory(
        email="mei.ling@health.gov.sg", agency=AgencyFactory(name="Ministry of Health")
    )


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """A browser that this person has signed in with."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def campaign(officer: User) -> Campaign:
    return CampaignFactory(
        creator=officer,
        name="Appointments",
        bodies={
            "english": "Dear {{name}}, see you at {{clinic}}.",
            "malay": "{{name}}, jumpa di {{clinic}}.",
        },
    )


@pytest.fixture
def telegram_campaign(officer: User) -> Campaign:
    return TelegramCampaignFactory(creator=officer, name="Clinic bot")


@pytest.fixture
def email_campaign(officer: User) -> Campaign:
    return EmailCampaignFactory(creator=officer, name="Newsletter")
