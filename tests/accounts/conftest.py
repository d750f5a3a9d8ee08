from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from postman.accounts import login, mails
from postman.accounts.models import LoginCode
from tests.messaging.sandbox.process import SandboxProcess

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Noon in Singapore, until the test moves it."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def post_office(sandbox: SandboxProcess, settings) -> SandboxProcess:
    """Mails leave as they do in production, through SES, whose place the sandbox takes."""
    settings.EMAIL_BACKEND = "anymail.backends.amazon_ses.EmailBackend"
    return sandbox


@pytest.fixture
def mailed_code(post_office: SandboxProcess, db: None) -> Callable[[str], str]:
    """Ask for a code, have the worker mail it, and read it in the mailbox."""

    def ask_and_read(email: str) -> str:
        row = login.request_code(email, ip="203.0.113.7")
        mails.mail_code(row.id)
        return code_in(post_office, email)

    return ask_and_read


def code_in(post_office: SandboxProcess, email: str) -> str:
    return newest_mail(post_office, email)["subject"].split()[0]


def newest_mail(post_office: SandboxProcess, email: str) -> dict:
    return max(post_office.outbox(to=email), key=lambda mail: mail["seq"])


def newest_row(email: str) -> LoginCode:
    return LoginCode.objects.filter(email=email).latest("created_at", "id")


def other_than(code: str) -> str:
    """A code of the right form that is not this one."""
    return ("B" if code[0] == "A" else "A") + code[1:]
