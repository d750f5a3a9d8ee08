"""How people come to subscribe to a bot: a link, its QR code, and words for an agency's letters."""

import io

import segno
from django.db.models import Q, QuerySet
from django.utils.safestring import SafeString, mark_safe

from campaigns.models import TelegramBot
from postman.accounts.models import User

# Of a picture's smallest square: about 6 cm wide in print.
_PIXELS = 16


def shown_to(user: User) -> QuerySet[TelegramBot]:
    """Bots to which this person may invite: their own, and those of campaigns that they are in."""
    of_campaigns = Q(drafts__campaign__memberships__user=user, drafts__campaign__deleted_at=None)
    return TelegramBot.objects.filter(Q(owner=user) | of_campaigns, removed_at=None).distinct()


def qr_svg(bot: TelegramBot) -> SafeString:
    """To stand in a page, as large as there is room."""
    svg: str = _code(bot).svg_inline(omitsize=True, light="#fff")
    return mark_safe(svg)  # noqa: S308  # made of squares alone


def qr_png(bot: TelegramBot) -> bytes:
    """To be put into a letter."""
    picture = io.BytesIO()
    _code(bot).save(picture, kind="png", scale=_PIXELS)
    return picture.getvalue()


def _code(bot: TelegramBot) -> segno.QRCode:
    return segno.make_qr(bot.subscribe_url, error="m")


def words(bot: TelegramBot) -> str:
    """For letters, websites and SMS: how to subscribe, whom it is from, and how to stop."""
    agency = bot.owner.agency
    return (
        f"Get messages of {agency.name if agency else 'our agency'} on Telegram\n\n"
        f"1. On your phone, open {bot.invite_url} or scan the QR code.\n"
        "2. Press Start.\n"
        "3. Press “Share my phone number”. Typing the number does not count.\n\n"
        f"{bot} then tells you that you have subscribed. It is free, it never asks for money, "
        "passwords or bank details, and it cannot read replies. To stop its messages, block it."
    )
