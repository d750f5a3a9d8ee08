"""Tell clients' systems what became of their messages: signed, in order per message, for three days.

A webhook belongs to a campaign, or to an account, which is told in v1's words of what its own API
calls sent. The events are rows, written by the statement that moves a message (`changes.apply`). One process at
a time serves a webhook, so a delivery is repeated only after a crash, under the same id
(field B-7; the signature is that of the Standard Webhooks specification).
"""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import logging
import random
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from campaigns.membership import NotAnOwner, hold_as_owner
from campaigns.models import Campaign
from messaging import mails, v1_words
from messaging.channels.base import ERRORS
from messaging.models import Transactional, Webhook, WebhookDelivery, WebhookTry
from postman.accounts import audit
from postman.accounts.models import User
from postman.errors import Refused
from postman.ids import now_ms

logger = logging.getLogger(__name__)

MAX_WEBHOOKS = 3
LONGEST_URL = 500
PORTS = (443, 8443)
# Who serves a webhook has it for so long, and renews it with each chunk.
LEASE = timedelta(seconds=60)
CHUNK = 50
TIMEOUT = aiohttp.ClientTimeout(total=10)
EXCERPT = 500
# A receiver that is down as a whole is tried with one event after pauses that double.
SHORTEST_HOLD, LONGEST_HOLD = timedelta(seconds=5), timedelta(minutes=10)
# An event that its receiver alone does not take is tried again after these, with some jitter.
PAUSES = tuple(timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 3600, 7200, 14_400))
KEPT_FOR = timedelta(days=30)
FORGOTTEN_AT_A_TIME = 5000
# Both secrets sign for so long after a rotation.
ROTATION = timedelta(hours=24)


class NotAllowed(OSError):
    """The address belongs to nobody on the internet; nothing was sent there."""


# --- What an owner may do -------------------------------------------------------------------------


@transaction.atomic
def add_webhook(*, url: str, by: User, campaign: Campaign | None = None) -> tuple[Webhook, str]:
    """The webhook and its secret, which is shown now and never again; raises Refused.

    Without a campaign it is that of an account, told of what its own API calls sent.
    """
    url = clean_url(url)
    owner = campaign or by
    _hold(owner, by=by)
    own = Webhook.objects.of(owner)
    if own.count() >= MAX_WEBHOOKS:
        whose = "A campaign" if campaign else "An account"
        raise Refused(
            f"{whose} can have {MAX_WEBHOOKS} webhooks. Delete one first.", "too_many_webhooks"
        )
    if own.filter(url=url).exists():
        raise Refused("This address is in the list already.", "webhook_exists")
    secret = _new_secret()
    webhook = Webhook.objects.create(
        campaign=campaign, account=None if campaign else by, url=url, secret=secret, creator=by
    )
    audit.record("webhook.added", by=by, on=owner, webhook=str(webhook.id), host=webhook.host)
    return webhook, secret


def _hold(owner: Campaign | User, *, by: User) -> None:
    """Until the transaction ends nobody else decides on their webhooks; NotAnOwner unless `by` may."""
    if isinstance(owner, Campaign):
        hold_as_owner(owner, by=by)
    elif owner == by:
        User.objects.select_for_update(no_key=True).get(pk=owner.pk)
    else:
        raise NotAnOwner("This webhook is another account's.")


def clean_url(url: str) -> str:
    """An https address of a public server; Refused with what to type instead."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise Refused("This is not an address.", "url_is_malformed") from None
    if settings.WEBHOOKS_MAY_GO_INSIDE and parts.scheme in ("http", "https") and parts.hostname:
        return url
    if parts.scheme != "https" or not parts.hostname or len(url) > LONGEST_URL:
        raise Refused("Type an address that begins with https://.", "url_is_not_https")
    if parts.username or parts.password or parts.fragment:
        raise Refused(
            "Leave out user names, passwords and what follows a #: events are signed instead.",
            "url_holds_credentials",
        )
    if port not in PORTS:
        raise Refused("Use port 443 or 8443.", "url_has_another_port")
    try:
        is_inside = not is_public(parts.hostname)
    except ValueError:
        is_inside = "." not in parts.hostname
    if is_inside:
        raise Refused(
            "This address exists only inside a network. Events go to public servers.",
            "url_is_not_public",
        )
    return url


@transaction.atomic
def rotate_secret(webhook: Webhook, *, by: User) -> str:
    """A new secret, shown now and never again; the old one signs beside it for a day."""
    _hold(webhook.owner, by=by)
    webhook.earlier_secret, webhook.secret = webhook.secret, _new_secret()
    webhook.rotated_at = timezone.now()
    webhook.save(update_fields=["earlier_secret", "secret", "rotated_at"])
    audit.record("webhook.rotated", by=by, on=webhook.owner, webhook=str(webhook.id))
    return webhook.secret


@transaction.atomic
def pause_webhook(webhook: Webhook, *, by: User) -> None:
    """Events wait, and are given up after three days as ever."""
    _hold(webhook.owner, by=by)
    _pause(webhook, Webhook.Pause.OFFICER)
    audit.record("webhook.paused", by=by, on=webhook.owner, webhook=str(webhook.id))


@transaction.atomic
def resume_webhook(webhook: Webhook, *, by: User) -> None:
    """Try at once whatever waits, also what was to wait for longer."""
    _hold(webhook.owner, by=by)
    now = now_ms()
    # The webhook first, as `_record` has it: so the two never wait for each other.
    Webhook.objects.filter(id=webhook.id).update(
        paused_at=None, pause="", failures=0, failing_since=None, held_until=None
    )
    waiting = WebhookDelivery.objects.filter(webhook=webhook, state=WebhookDelivery.State.WAITING)
    waiting.filter(due_at__gt=now).update(due_at=now)
    audit.record("webhook.resumed", by=by, on=webhook.owner, webhook=str(webhook.id))


@transaction.atomic
def delete_webhook(webhook: Webhook, *, by: User) -> None:
    """What is waiting is not sent. Its log, which nobody can open any more, is for `forget_log`."""
    _hold(webhook.owner, by=by)
    audit.record("webhook.deleted", by=by, on=webhook.owner, webhook=str(webhook.id))
    Webhook.objects.filter(id=webhook.id)._raw_delete("default")


def replay(webhook: Webhook, *, by: User, delivery_id: int | None = None) -> int:
    """Send one event again, or all that were given up; returns how many.

    They keep their ids and their order.
    """
    again = WebhookDelivery.objects.filter(webhook=webhook)
    if delivery_id is None:
        again = again.filter(state=WebhookDelivery.State.GAVE_UP)
    else:
        again = again.filter(id=delivery_id).exclude(state=WebhookDelivery.State.WAITING)
    now = now_ms()
    with transaction.atomic():
        number = again.update(
            state=WebhookDelivery.State.WAITING,
            due_at=now,
            retry_until=now + Webhook.TRIED_FOR,
            tries=0,
        )
        if number:
            Webhook.objects.filter(id=webhook.id).update(held_until=None)
            audit.record(
                "webhook.replayed", by=by, on=webhook.owner, webhook=str(webhook.id), n=number
            )
    return number


def send_test(webhook: Webhook, *, by: User) -> WebhookDelivery:
    """Queue an event that speaks of no message."""
    now = now_ms()
    audit.record("webhook.tested", by=by, on=webhook.owner, webhook=str(webhook.id))
    return WebhookDelivery.objects.create(
        webhook=webhook, status="test", at=now, due_at=now, retry_until=now + Webhook.TRIED_FOR
    )


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _pause(webhook: Webhook, why: str) -> bool:
    unpaused = Webhook.objects.filter(id=webhook.id, paused_at=None)
    return bool(unpaused.update(paused_at=timezone.now(), pause=why))


def _pause_unasked(webhook: Webhook, why: str) -> None:
    if _pause(webhook, why):
        logger.warning("webhook %s was paused: %s", webhook.id, why)
        transaction.on_commit(partial(mails.mail_pause, webhook.id), robust=True)


# --- Who is to be served --------------------------------------------------------------------------


def to_be_served(now: datetime) -> list[UUID]:
    """Webhooks with events that are due, which nobody serves."""
    due = WebhookDelivery.objects.filter(
        webhook=OuterRef("id"), state=WebhookDelivery.State.WAITING, due_at__lte=now
    )
    return list(_free(now).filter(Exists(due)).order_by("id").values_list("id", flat=True))


def _free(now: datetime) -> Any:
    return Webhook.objects.filter(
        Q(held_until=None) | Q(held_until__lte=now),
        Q(lease_until=None) | Q(lease_until__lte=now),
        Q(campaign__in=Campaign.objects.alive()) | Q(account__is_active=True),
        paused_at=None,
    )


def serve(webhook_id: UUID, *, seconds: float) -> None:
    """Send what is due to one webhook, chunk by chunk, for as long as its receiver takes it."""
    end = time.monotonic() + seconds
    lease = now_ms() + LEASE
    if not _free(timezone.now()).filter(id=webhook_id).update(lease_until=lease):
        return
    with asyncio.Runner() as runner:
        session = runner.run(_new_session())
        try:
            while time.monotonic() < end and _send_chunk(webhook_id, lease, runner, session):
                renewed = now_ms() + LEASE
                mine = Webhook.objects.filter(id=webhook_id, lease_until=lease)
                if not mine.update(lease_until=renewed):
                    return  # taken over
                lease = renewed
        finally:
            runner.run(session.close())
            Webhook.objects.filter(id=webhook_id, lease_until=lease).update(lease_until=None)


def _send_chunk(
    webhook_id: UUID, lease: datetime, runner: asyncio.Runner, session: aiohttp.ClientSession
) -> bool:
    """Says whether there may be more to send now."""
    webhook = Webhook.objects.filter(id=webhook_id, lease_until=lease, paused_at=None).first()
    deliveries = _due(webhook) if webhook else []
    if webhook is None or not deliveries:
        return False
    calls = calls_of(webhook, deliveries)
    bodies = [body_of(webhook, delivery, calls) for delivery in deliveries]
    answers = runner.run(_post_all(session, webhook, deliveries, bodies))
    return _record(webhook, list(zip(deliveries, answers, strict=True)))


def _due(webhook: Webhook) -> list[WebhookDelivery]:
    """The oldest event of each message; one only, to see whether a receiver is back.

    That one is the least tried: an event that can never be taken must not stand for all others.
    """
    waiting = WebhookDelivery.objects.filter(webhook=webhook, state=WebhookDelivery.State.WAITING)
    earlier = waiting.filter(message_id=OuterRef("message_id"), id__lt=OuterRef("id"))
    due = waiting.filter(~Exists(earlier), due_at__lte=timezone.now())
    if webhook.failures:
        return list(due.order_by("tries", "id")[:1])
    return list(due.order_by("id")[:CHUNK])


# --- Send -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try: an HTTP status, or in plain words why there is none."""

    at: datetime
    milliseconds: int
    status: int | None = None
    fault: str = ""
    excerpt: str = ""

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


async def _new_session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=CHUNK, socket_factory=_public_socket)
    return aiohttp.ClientSession(
        connector=connector, timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
    )


async def _post_all(
    session: aiohttp.ClientSession,
    webhook: Webhook,
    deliveries: Sequence[WebhookDelivery],
    bodies: Sequence[bytes],
) -> list[Answer]:
    each = zip(deliveries, bodies, strict=True)
    return await asyncio.gather(*(_post(session, webhook, d, body) for d, body in each))


async def _post(
    session: aiohttp.ClientSession, webhook: Webhook, delivery: WebhookDelivery, body: bytes
) -> Answer:
    at, began = timezone.now(), time.monotonic()
    status, fault, excerpt = None, "", ""
    try:
        async with session.post(
            webhook.url, data=body, headers=_headers(webhook, delivery, body, at),
            allow_redirects=False,
        ) as response:  # fmt: skip
            status = response.status
            excerpt = (await response.content.read(EXCERPT)).decode("utf-8", "replace")
    except TimeoutError:
        fault = f"No answer within {TIMEOUT.total:.0f} seconds."
    except aiohttp.ClientConnectorCertificateError:
        fault = "The server's certificate is not valid."
    except aiohttp.ClientConnectorError as error:
        is_inside = isinstance(error.os_error, NotAllowed)
        fault = (
            "The address leads inside a network. Nothing was sent."
            if is_inside
            else "The server could not be reached."
        )
    except (aiohttp.ClientError, ValueError, OSError):
        fault = "The connection broke, or the answer was not HTTP."
    milliseconds = round((time.monotonic() - began) * 1000)
    return Answer(at, milliseconds, status, fault, excerpt.replace("\0", ""))


Calls = Mapping[UUID, Transactional]


def calls_of(webhook: Webhook, deliveries: Sequence[WebhookDelivery]) -> Calls:
    """The calls that an account's events speak of, by message; of a campaign's there are none.

    Only what never changes: their bodies must be the same at every try.
    """
    if webhook.account_id is None:
        return {}
    told = Transactional.objects.filter(
        message__in=[delivery.message_id for delivery in deliveries if delivery.message_id]
    )
    return {call.message_id: call for call in told.only("id", "message_id", "channel", "tag")}


def body_of(webhook: Webhook, delivery: WebhookDelivery, calls: Calls) -> bytes:
    """The same bytes at every try. Ids and states only: no number, and nothing of the text."""
    data: dict[str, Any] = {}
    if delivery.message_id is None:
        if webhook.campaign_id:
            data = {"campaignId": webhook.campaign_public_id}
        return _event("webhook.test", delivery, data)
    if webhook.campaign_id:
        data = _told_to_campaign(webhook, delivery)
    else:
        data = _told_to_account(calls[delivery.message_id], delivery)
    return _event("message.status", delivery, data)


def status_in_v1(call: Transactional, delivery: WebhookDelivery) -> str:
    return v1_words.status_of(call.channel, delivery.status, delivery.error_code)


def _told_to_account(call: Transactional, delivery: WebhookDelivery) -> dict[str, Any]:
    """In v1's words, as whoever reads the message is told."""
    code, sub_type = v1_words.error_of(
        call.channel, delivery.status, delivery.error_code, delivery.provider_code
    )
    return {
        "id": str(call.pk),
        "channel": v1_words.CHANNELS[call.channel],
        "status": status_in_v1(call, delivery),
        "error_code": code,
        "error_sub_type": sub_type,
        "tag": call.tag or None,
    }


def _told_to_campaign(webhook: Webhook, delivery: WebhookDelivery) -> dict[str, Any]:
    error = ERRORS.get(delivery.error_code)
    data: dict[str, Any] = {
        "messageId": f"message_{delivery.message_id}",
        "campaignId": webhook.campaign_public_id,
        "batchId": f"batch_{delivery.batch_id}" if delivery.batch_id else None,
        "attempt": delivery.number,
        "status": delivery.status,
    }
    if error:
        data["error"] = {"type": error.type, "code": error.code}
    return data


def _event(kind: str, delivery: WebhookDelivery, data: dict[str, Any]) -> bytes:
    at = timezone.localtime(delivery.at).isoformat(timespec="milliseconds")
    return orjson.dumps({"type": kind, "timestamp": at, "data": data})


def _headers(
    webhook: Webhook, delivery: WebhookDelivery, body: bytes, at: datetime
) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    keys: list[Any] = [webhook.secret]
    if webhook.earlier_secret and webhook.rotated_at and at < webhook.rotated_at + ROTATION:
        keys.append(webhook.earlier_secret)
    return {
        "Content-Type": "application/json",
        "User-Agent": "Postman-Webhooks/1",
        "webhook-id": delivery.public_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(
            signature(key, delivery.public_id, timestamp, body) for key in keys
        ),
    }


def signature(secret: str, event_id: str, timestamp: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA-256 over id, timestamp and body, joined by full stops."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


# --- Where to -------------------------------------------------------------------------------------


def _public_socket(address: Any) -> socket.socket:
    """A socket for an address that a name has just led to; NotAllowed for one inside a network.

    Looked at here and not when the name was typed, as names may lead elsewhere tomorrow.
    """
    family, kind, protocol, _, sockaddr = address
    if not settings.WEBHOOKS_MAY_GO_INSIDE and not is_public(sockaddr[0]):
        raise NotAllowed("not a public address")
    return socket.socket(family, kind, protocol)


def is_public(text: str) -> bool:
    """One host on the internet, also behind the ways to write an IPv4 address in IPv6."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(str(ipaddress.IPv4Address(address.packed[-4:])))
        embedded = address.ipv4_mapped or address.sixtofour
        if address.teredo:
            return False
        if embedded:
            return is_public(str(embedded))
    return address.is_global and not (address.is_multicast or address.is_reserved)


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


# --- What came of it ------------------------------------------------------------------------------


@transaction.atomic
def _record(webhook: Webhook, results: Sequence[tuple[WebhookDelivery, Answer]]) -> bool:
    """Write down a chunk; says whether the receiver is there and more may follow."""
    if not Webhook.objects.select_for_update(no_key=True).filter(id=webhook.id):
        return False  # deleted meanwhile
    now = now_ms()
    WebhookTry.objects.bulk_create(
        WebhookTry(
            delivery=delivery,
            at=answer.at,
            status=answer.status,
            fault=answer.fault,
            milliseconds=answer.milliseconds,
            excerpt=answer.excerpt,
        )
        for delivery, answer in results
    )
    waiting = WebhookDelivery.objects.filter(state=WebhookDelivery.State.WAITING)
    taken = [delivery.id for delivery, answer in results if answer.is_success]
    waiting.filter(id__in=taken).update(
        state=WebhookDelivery.State.DELIVERED, delivered_at=now, tries=F("tries") + 1
    )
    refused = [delivery for delivery, answer in results if not answer.is_success]
    # One that fails alone may be at fault itself: it waits, and the next may show that the
    # receiver is there. Two that fail, or the one that was to show it, speak for the receiver.
    is_alone = len(results) == 1 and not taken and not webhook.failures
    for delivery in refused:
        delivery.tries += 1
        if taken:
            # The receiver is there and does not take this one: it waits, and the others go on.
            delivery.due_at = now + _pause_after(delivery.tries)
        elif is_alone:
            delivery.due_at = now + min(_pause_after(delivery.tries), LONGEST_HOLD)
    WebhookDelivery.objects.bulk_update(refused, ["tries", "due_at"])
    if any(answer.status == 410 for _, answer in results):
        _pause_unasked(webhook, Webhook.Pause.GONE)
        return False
    if not taken:
        _note_failure(webhook, now, hold=not is_alone)
        return False
    Webhook.objects.filter(id=webhook.id).update(
        failures=0, failing_since=None, held_until=None, last_success_at=now
    )
    return True


def _pause_after(tries: int) -> timedelta:
    pause = PAUSES[min(tries, len(PAUSES)) - 1]
    return pause * random.uniform(1, 1.2)  # noqa: S311 - spreads load, keeps no secret


def _note_failure(webhook: Webhook, now: datetime, *, hold: bool) -> None:
    since = webhook.failing_since or now
    held = {}
    if hold:
        pause = min(SHORTEST_HOLD * 2 ** min(webhook.failures, 10), LONGEST_HOLD)
        held = {"failures": F("failures") + 1, "held_until": now + pause}
    Webhook.objects.filter(id=webhook.id).update(failing_since=since, **held)
    if now - since >= Webhook.TRIED_FOR:
        _pause_unasked(webhook, Webhook.Pause.FAILING)


# --- Sweep ----------------------------------------------------------------------------------------


def give_up_old_ones(now: datetime) -> int:
    """Events that were tried for three days; they can be replayed."""
    waiting = WebhookDelivery.objects.filter(state=WebhookDelivery.State.WAITING)
    return waiting.filter(retry_until__lt=now).update(state=WebhookDelivery.State.GAVE_UP)


def forget(now: datetime) -> None:
    """The log of a month ago."""
    old = WebhookDelivery.objects.filter(at__lt=now - KEPT_FOR).exclude(
        state=WebhookDelivery.State.WAITING
    )
    WebhookTry.objects.filter(delivery__in=old)._raw_delete("default")
    old._raw_delete("default")


def forget_log(webhook_id: UUID) -> None:
    """Of a webhook that was deleted. What this does not come to goes with its month."""
    own = WebhookDelivery.objects.filter(webhook=webhook_id).order_by("id")
    while ids := list(own.values_list("id", flat=True)[:FORGOTTEN_AT_A_TIME]):
        with transaction.atomic():
            WebhookTry.objects.filter(delivery__in=ids)._raw_delete("default")
            WebhookDelivery.objects.filter(id__in=ids)._raw_delete("default")
