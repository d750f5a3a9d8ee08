from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl

import boto3
import pytest
from botocore.config import Config
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from messaging.sandbox import constants
from tests.server import serving

from .process import SandboxProcess


class SandboxHttpClient(TwilioHttpClient):
    """The official transport, with Twilio's host names replaced by the sandbox's."""

    def __init__(self, url: str) -> None:
        super().__init__(timeout=5)
        self.url = url

    def request(self, method, url, *args, **kwargs):
        path = url.split("/", 3)[3]
        return super().request(method, f"{self.url}/{path}", *args, **kwargs)


class Receiver:
    """Takes callbacks and keeps them as (url, form, signature); answers what `statuses` say."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, str], str]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(parse_qsl(body, keep_blank_values=True))
                url = f"http://{self.headers['Host']}{self.path}"
                receiver.received.append((url, form, self.headers["X-Twilio-Signature"]))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = serving(Handler)
        self.url = (
            f"http://127.0.0.1:{self._server.server_port}/callbacks/twilio/attempt_1?try=a%20b"
        )

    @property
    def reported(self) -> list[str]:
        return [form["MessageStatus"] for _, form, _ in self.received]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: SandboxProcess) -> SandboxProcess:
    """Empty, with callbacks quick enough for a test."""
    running.reset()
    running.control(callbacks={"delay_ms": 5, "spread_ms": 5})
    return running


@pytest.fixture
def client(sandbox: SandboxProcess) -> Client:
    return Client(
        constants.PLATFORM_ACCOUNT_SID,
        constants.PLATFORM_AUTH_TOKEN,
        http_client=SandboxHttpClient(sandbox.url),
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def ses(sandbox):
    return ses_client(sandbox)


def ses_client(sandbox, key=constants.AWS_ACCESS_KEY_ID, secret=constants.AWS_SECRET_ACCESS_KEY):
    return boto3.client(
        "sesv2",
        endpoint_url=sandbox.url,
        region_name=constants.AWS_REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )
