"""Does an agency's own Twilio account open with what its officer typed? (v2-sms §10.3)"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from requests import RequestException
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from postman.errors import Refused

TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Credentials:
    account_sid: str
    api_key_sid: str
    api_secret: str = field(repr=False)
    messaging_service_sid: str
    auth_token: str = field(default="", repr=False)


class CredentialsRefused(Refused):
    """`field` names the entry of the form that the person should look at, or is empty."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message, "twilio_credentials_refused")
        self.field = field


def verify(credentials: Credentials) -> None:
    """Ask Twilio itself; raises CredentialsRefused with what to put right."""
    service = _ask(
        credentials.api_key_sid,
        credentials.api_secret,
        lambda client: client.messaging.v1.services(credentials.messaging_service_sid).fetch(),
        refused=CredentialsRefused(
            "Twilio does not accept this API Secret for this API Key SID. Copy both again, "
            "or create a new API key in the Twilio console.",
            field="api_secret",
        ),
        missing=CredentialsRefused(
            "This Twilio account has no Messaging Service with this SID.",
            field="messaging_service_sid",
        ),
    )
    if service.account_sid != credentials.account_sid:
        raise CredentialsRefused(
            "The API key belongs to a different Twilio account than this Account SID.",
            field="account_sid",
        )
    if credentials.auth_token:
        _verify_auth_token(credentials)


def _verify_auth_token(credentials: Credentials) -> None:
    refused = CredentialsRefused(
        "Twilio does not accept this Auth Token for this Account SID.", field="auth_token"
    )
    _ask(
        credentials.account_sid,
        credentials.auth_token,
        lambda client: client.api.v2010.accounts(credentials.account_sid).fetch(),
        refused=refused,
        missing=refused,
    )


def _ask(
    username: str,
    password: str,
    question: Any,
    *,
    refused: CredentialsRefused,
    missing: CredentialsRefused,
) -> Any:
    client = Client(username, password, http_client=_Http(timeout=TIMEOUT_SECONDS))
    try:
        return question(client)
    except TwilioRestException as error:
        if error.status in (401, 403):
            raise refused from None
        if error.status == 404:
            raise missing from None
        raise CredentialsRefused(
            f"Twilio could not check these credentials now (its error {error.code or error.status})."
            " Try again in a few minutes."
        ) from None
    except UnicodeEncodeError:
        # Letters that Basic authentication cannot carry are in no secret of Twilio's.
        raise refused from None
    except (RequestException, TwilioException):
        raise CredentialsRefused(
            "Twilio could not be reached, so the credentials are not checked yet. "
            "Try again in a few minutes."
        ) from None


class _Http(TwilioHttpClient):
    """Twilio's own transport; speaks to `TWILIO_BASE_URL` instead where that is set."""

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        base_url = settings.TWILIO_BASE_URL
        if base_url:
            asked = urlsplit(url)
            url = base_url.rstrip("/") + asked._replace(scheme="", netloc="").geturl()
        return super().request(method, url, *args, **kwargs)
