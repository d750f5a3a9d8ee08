"""What Amazon SES knows of a domain that emails come from.

https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from postman.errors import Refused

CONNECT_SECONDS, READ_SECONDS = 3, 10
SUCCESS = "SUCCESS"
# SES could not look just now and lets the domain send on meanwhile.
TEMPORARY_FAILURE = "TEMPORARY_FAILURE"


class Unreachable(Refused):
    code = "provider_unreachable"

    def __init__(self) -> None:
        super().__init__("Amazon SES could not be asked just now. Try again in a few minutes.")


@dataclass(frozen=True, slots=True)
class Identity:
    tokens: list[str]
    state: str
    may_send: bool
    return_path: str = ""


def find(domain: str) -> Identity | None:
    """None where SES has no such identity; raises Unreachable."""
    try:
        found = _ask("get_email_identity", EmailIdentity=domain)
    except _NotFound:
        return None
    return _identity(found)


def create(domain: str) -> Identity:
    """Raises Unreachable. Where another call has made it meanwhile, that is what is answered."""
    try:
        made = _ask("create_email_identity", EmailIdentity=domain)
    except _AlreadyExists:
        made = _ask("get_email_identity", EmailIdentity=domain)
    return _identity(made)


def set_return_path(domain: str, return_path: str) -> None:
    """Bounces come back there once its records stand, and to SES's own until then."""
    _ask(
        "put_email_identity_mail_from_attributes",
        EmailIdentity=domain,
        MailFromDomain=return_path,
        BehaviorOnMxFailure="USE_DEFAULT_VALUE",
    )


def delete(domain: str) -> None:
    with suppress(_NotFound):
        _ask("delete_email_identity", EmailIdentity=domain)


def region() -> str:
    return str(_client().meta.region_name)


def _identity(answer: dict[str, Any]) -> Identity:
    dkim = answer.get("DkimAttributes", {})
    return Identity(
        tokens=list(dkim.get("Tokens", [])),
        state=str(dkim.get("Status", "")),
        may_send=bool(answer.get("VerifiedForSendingStatus")),
        return_path=str(answer.get("MailFromAttributes", {}).get("MailFromDomain", "")),
    )


class _NotFound(Unreachable):
    pass


class _AlreadyExists(Unreachable):
    pass


_KNOWN = {"NotFoundException": _NotFound, "AlreadyExistsException": _AlreadyExists}


def _ask(operation: str, **arguments: Any) -> dict[str, Any]:
    try:
        return dict(getattr(_client(), operation)(**arguments))
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise _KNOWN.get(code, Unreachable)() from error
    except BotoCoreError as error:
        raise Unreachable() from error


def _client() -> Any:
    """As our own mails leave: the same account, the same region."""
    parameters = dict(settings.ANYMAIL.get("AMAZON_SES_CLIENT_PARAMS", {}))
    parameters.pop("config", None)
    return _made_client(tuple(sorted(parameters.items())))


@lru_cache(maxsize=8)
def _made_client(parameters: tuple[tuple[str, str], ...]) -> Any:
    """Clients are slow to make, and threads may share one."""
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 2},
    )
    return boto3.client("sesv2", **dict(parameters), config=config)
