"""Amazon SES, API v2: the identities that mail may come from, and whether DNS vouches for them.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetEmailIdentity.html
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson

from . import constants
from .name_server import Zone
from .ses import Refused

PATH = "/v2/email/identities"
STATES = ("PENDING", "SUCCESS", "FAILED", "TEMPORARY_FAILURE", "NOT_STARTED")


class Identities:
    """What `CreateEmailIdentity` made. SES looks into the sandbox's own zone, at once and each time.

    A state given to `decree` stands until it is taken back.
    """

    def __init__(self, zone: Zone, directory: Path | None = None) -> None:
        self._zone = zone
        self._file = directory / "identities.json" if directory else None
        self._made: dict[str, dict[str, Any]] = {}
        if self._file and self._file.exists():
            self._made = orjson.loads(self._file.read_bytes())

    def clear(self) -> None:
        self._made.clear()
        self._keep()

    def decree(self, name: str, state: str) -> None:
        if name not in self._made or state not in ("", *STATES):
            raise KeyError(name)
        self._made[name]["decreed"] = state
        self._keep()

    def shown(self) -> list[dict[str, Any]]:
        """For the page: the newest first, each with its state."""
        return [
            {"name": name, "state": self._state(name), "decreed": made["decreed"]}
            for name, made in reversed(self._made.items())
        ]

    def answer(self, method: str, path: str, body: bytes) -> bytes:
        """The answer to one of the four calls the sandbox speaks; `Refused` in SES's words."""
        name, _, part = path.removeprefix(PATH).removeprefix("/").partition("/")
        name = unquote(name).lower()
        match method, bool(name), part:
            case "POST", False, "":
                return orjson.dumps(self._create(_read(body)))
            case "GET", True, "":
                return orjson.dumps(self._get(name))
            case "DELETE", True, "":
                self._of(name)
                del self._made[name]
            case "PUT", True, "mail-from":
                self._of(name)["mail_from"] = str(_read(body).get("MailFromDomain") or "")
            case _:
                raise Refused(404, "NotFoundException", "The sandbox does not speak this part.")
        self._keep()
        return b"{}"

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        name = str(request.get("EmailIdentity") or "").lower()
        if "." not in name or len(name) > 320 or name.startswith("."):
            raise Refused(400, "BadRequestException", f"Invalid identity: {name[:50]}")
        if name in self._made:
            raise Refused(400, "AlreadyExistsException", f"Email identity {name} already exist.")
        self._made[name] = {"made_at": time.time(), "mail_from": "", "decreed": ""}
        self._keep()
        return {
            "IdentityType": _kind(name),
            "VerifiedForSendingStatus": False,
            "DkimAttributes": self._dkim(name),
        }

    def _get(self, name: str) -> dict[str, Any]:
        made = self._of(name)
        answer: dict[str, Any] = {
            "IdentityType": _kind(name),
            "FeedbackForwardingStatus": True,
            "VerifiedForSendingStatus": self._state(name) == "SUCCESS",
            "VerificationStatus": self._state(name),
            "DkimAttributes": self._dkim(name),
            "Policies": {},
            "Tags": [],
        }
        if made["mail_from"]:
            answer["MailFromAttributes"] = {
                "MailFromDomain": made["mail_from"],
                "MailFromDomainStatus": self._mail_from_state(made["mail_from"]),
                "BehaviorOnMxFailure": "USE_DEFAULT_VALUE",
            }
        return answer

    def _dkim(self, name: str) -> dict[str, Any]:
        return {
            "SigningEnabled": True,
            "Status": self._state(name),
            "Tokens": tokens_of(name),
            "SigningAttributesOrigin": "AWS_SES",
            "CurrentSigningKeyLength": "RSA_2048_BIT",
        }

    def _of(self, name: str) -> dict[str, Any]:
        if name not in self._made:
            raise Refused(404, "NotFoundException", f"Email identity {name} does not exist.")
        return self._made[name]

    def _state(self, name: str) -> str:
        if decreed := self._made[name]["decreed"]:
            return str(decreed)
        wanted = {f"{token}._domainkey.{name}": token for token in tokens_of(name)}
        stands = all(
            f"{token}.dkim.amazonses.com" in self._zone.values(record, "CNAME")
            for record, token in wanted.items()
        )
        return "SUCCESS" if stands else "PENDING"

    def _mail_from_state(self, domain: str) -> str:
        inbox = f"10 feedback-smtp.{constants.AWS_REGION}.amazonses.com"
        return "SUCCESS" if inbox in self._zone.values(domain, "MX") else "PENDING"

    def _keep(self) -> None:
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_bytes(orjson.dumps(self._made))


def tokens_of(name: str) -> list[str]:
    """The same for the same name, as SES has them while one account holds an identity."""
    return [hashlib.sha256(f"{name}:{number}".encode()).hexdigest()[:32] for number in range(3)]


def _kind(name: str) -> str:
    return "EMAIL_ADDRESS" if "@" in name else "DOMAIN"


def _read(body: bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        request = None
    if not isinstance(request, dict):
        raise Refused(400, "BadRequestException", "The request could not be read.")
    return request
