from django.urls import include, path

from .views import (
    batches,
    billing,
    bounces,
    campaign,
    compose,
    downloads,
    emails,
    message,
    stats,
    telegram,
    webhooks,
    whatsapp,
)

_campaign = "<campaign_id:campaign_id>/"
_webhooks = f"{_campaign}settings/webhooks"
_message = f"{_campaign}messages/<message_id:message_id>"
_batch = f"{_campaign}batches/<batch_id:batch_id>"

urlpatterns = [
    path(_campaign, campaign.campaign, name="campaign"),
    path(_message, campaign.message, name="message"),
    path(f"{_message}/email", emails.sent, name="message-email"),
    path(f"{_message}/retry", campaign.retry, name="message-retry"),
    path(f"{_message}/resend", campaign.resend, name="message-resend"),
    path(f"{_campaign}log.csv", downloads.campaign_log, name="campaign-log"),
    path(f"{_campaign}stats", stats.stats, name="campaign-stats"),
    path(f"{_campaign}report.csv", downloads.delivery_report, name="campaign-delivery-report"),
    path(f"{_campaign}report", downloads.order_report, name="campaign-email-report-order"),
    path(
        f"{_campaign}reports/<uuid:report_id>/<str:token>",
        downloads.made_report,
        name="made-report",
    ),
    path(f"{_campaign}billing", billing.campaign_bill, name="campaign-billing"),
    path(f"{_campaign}billing.csv", billing.campaign_bill_csv, name="campaign-billing-csv"),
    path(f"{_campaign}compose", compose.single, name="compose-single"),
    path(f"{_campaign}upload", compose.multiple, name="compose-multiple"),
    path(f"{_campaign}template.csv", compose.csv_template, name="csv-template"),
    path(f"{_campaign}template", whatsapp.template, name="whatsapp-template"),
    path(f"{_message}/again", whatsapp.again, name="whatsapp-again"),
    path(f"{_campaign}message", message.editor, name="campaign-message"),
    path(f"{_campaign}message/preview", message.preview, name="campaign-message-preview"),
    path(f"{_campaign}telegram", telegram.message, name="telegram-message"),
    path(f"{_batch}/telegram/again", telegram.check_again, name="telegram-check-again"),
    path(f"{_batch}/telegram/test", batches.telegram_test, name="telegram-test"),
    path(f"{_campaign}batches", batches.batches, name="campaign-batches"),
    path(_batch, batches.batch, name="batch"),
    path(f"{_batch}/preview", emails.preview, name="batch-preview"),
    path(f"{_batch}/report.csv", downloads.delivery_report, name="delivery-report"),
    path(f"{_batch}/report", downloads.order_report, name="email-report-order"),
    path(f"{_batch}/test", emails.test, name="batch-test"),
    path(f"{_batch}/send", batches.send, name="batch-send"),
    path(f"{_batch}/schedule", batches.schedule, name="batch-schedule"),
    path(f"{_batch}/unschedule", batches.unschedule, name="batch-unschedule"),
    path(f"{_batch}/discard", batches.discard, name="batch-discard"),
    path(f"{_batch}/stop", batches.stop, name="batch-stop"),
    path(f"{_batch}/resume", batches.resume, name="batch-resume"),
    path(f"{_batch}/cancel", batches.cancel, name="batch-cancel"),
    path(f"{_batch}/retry", batches.retry, name="batch-retry"),
    path(f"{_batch}/resend", batches.resend, name="batch-resend"),
    path(f"{_batch}/errors.csv", downloads.batch_report, name="batch-report"),
    path(f"{_batch}/log.csv", downloads.batch_log, name="batch-log"),
    path(f"{_batch}/bounced.csv", bounces.bad_addresses, name="batch-bad-addresses"),
    # A tab of the campaign's settings: owners only.
    path(_webhooks, webhooks.webhooks, name="campaign-webhooks"),
    path(f"{_webhooks}/", include("messaging.webhook_urls")),
]
