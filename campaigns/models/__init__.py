"""What may be sent, by whom, from where."""

from .campaigns import Campaign, CampaignDraft, Channel, Membership, RecipientType, Role
from .emails import EmailBody, EmailDraft
from .images import Image, image_storage, image_url
from .keys import MAX_ALLOWED_ADDRESSES, MAX_API_KEYS, AllowedAddress, ApiKey, hash_key
from .senders import DomainState, Sender, SenderDomain
from .sms import SmsDraft, TwilioCredentials
from .telegram import BotSubscription, TelegramBot, TelegramDraft, TelegramSubscriber
from .templates import Language, Template, TemplateBody
from .whatsapp import OfficerProfile, WhatsappBody, WhatsappChoice, WhatsappGrant, WhatsappTemplate

__all__ = [
    "MAX_ALLOWED_ADDRESSES",
    "MAX_API_KEYS",
    "AllowedAddress",
    "ApiKey",
    "BotSubscription",
    "Campaign",
    "CampaignDraft",
    "Channel",
    "DomainState",
    "EmailBody",
    "EmailDraft",
    "Image",
    "Language",
    "Membership",
    "OfficerProfile",
    "RecipientType",
    "Role",
    "Sender",
    "SenderDomain",
    "SmsDraft",
    "TelegramBot",
    "TelegramDraft",
    "TelegramSubscriber",
    "Template",
    "TemplateBody",
    "TwilioCredentials",
    "WhatsappBody",
    "WhatsappChoice",
    "WhatsappGrant",
    "WhatsappTemplate",
    "hash_key",
    "image_storage",
    "image_url",
]
