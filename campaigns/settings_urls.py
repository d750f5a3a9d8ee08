"""Settings of one's own account and agency that campaigns draw on."""

from django.urls import path

from campaigns.views import account, senders, sms_credentials, telegram_bots

urlpatterns = [
    path("", account.overview, name="settings"),
    path("senders", senders.senders, name="senders"),
    path("senders/own", senders.own_add, name="sender-own-add"),
    path("senders/mailboxes", senders.mailbox_add, name="sender-mailbox-add"),
    path("senders/<uuid:sender_id>/name", senders.sender_name, name="sender-name"),
    path("senders/<uuid:sender_id>/remove", senders.sender_remove, name="sender-remove"),
    path("senders/domains", senders.domain_add, name="sender-domain-add"),
    path("senders/domains/<uuid:domain_id>", senders.domain, name="sender-domain"),
    path(
        "senders/domains/<uuid:domain_id>/check", senders.domain_check, name="sender-domain-check"
    ),
    path(
        "senders/domains/<uuid:domain_id>/records.txt",
        senders.domain_records,
        name="sender-domain-records",
    ),
    path(
        "senders/domains/<uuid:domain_id>/remove",
        senders.domain_remove,
        name="sender-domain-remove",
    ),
    path("sms", sms_credentials.credentials, name="sms-credentials"),
    path(
        "sms/<int:credentials_id>/check",
        sms_credentials.credentials_check,
        name="sms-credentials-check",
    ),
    path(
        "sms/<int:credentials_id>/remove",
        sms_credentials.credentials_remove,
        name="sms-credentials-remove",
    ),
    path("telegram", telegram_bots.telegram_bots, name="telegram-bots"),
    path(
        "telegram/<uuid:bot_id>/check", telegram_bots.telegram_bot_check, name="telegram-bot-check"
    ),
    path(
        "telegram/<uuid:bot_id>/invite",
        telegram_bots.telegram_bot_invite,
        name="telegram-bot-invite",
    ),
    path("telegram/<uuid:bot_id>/qr.png", telegram_bots.telegram_bot_qr, name="telegram-bot-qr"),
    path(
        "telegram/<uuid:bot_id>/remove",
        telegram_bots.telegram_bot_remove,
        name="telegram-bot-remove",
    ),
]
