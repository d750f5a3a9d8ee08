"""What a message to the public costs: by segment, by the number's country, by its outcome (v2-sms §10.6).

In millionths of a Singapore dollar, so that sums over millions of messages are exact, and without
GST, which the invoice adds.
"""

from decimal import Decimal

from django.conf import settings

from messaging.channels.base import DELIVERY_ERRORS
from messaging.states import Status

MICROS = 1_000_000


def price_micros(is_local: bool, segments: int) -> int:
    price: Decimal = settings.SMS_PRICES["local" if is_local else "foreign"]
    return int(price * MICROS) * segments


def is_charged(outcome: str, *, is_local: bool) -> bool:
    """`outcome` is the status of an attempt, or the code of its delivery error.

    Abroad no telco reports on the phone, so having reached the telco is the end (v2-sms §5).
    """
    if outcome == Status.SENT_TO_TELCO:
        return not is_local
    error = DELIVERY_ERRORS.get(outcome)
    return error.is_charged if error else outcome == Status.SUCCESS


def charge_micros(outcome: str, *, is_local: bool, segments: int) -> int:
    if not is_charged(outcome, is_local=is_local):
        return 0
    return price_micros(is_local, segments)


def dollars(micros: int) -> Decimal:
    return Decimal(micros) / MICROS
