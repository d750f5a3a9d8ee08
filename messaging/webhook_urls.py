"""Pages of one webhook: below the settings of its campaign, or below those of its account."""

from django.urls import path

from messaging.views import webhooks

_webhook = "<uuid:webhook_id>"
_event = f"{_webhook}/events/<int:delivery_id>"

urlpatterns = [
    path(_webhook, webhooks.log, name="webhook-log"),
    path(f"{_webhook}/pause", webhooks.pause, name="webhook-pause"),
    path(f"{_webhook}/resume", webhooks.resume, name="webhook-resume"),
    path(f"{_webhook}/test", webhooks.send_test, name="webhook-test"),
    path(f"{_webhook}/rotate", webhooks.rotate, name="webhook-rotate"),
    path(f"{_webhook}/delete", webhooks.delete, name="webhook-delete"),
    path(f"{_webhook}/replay", webhooks.replay_all, name="webhook-replay-all"),
    path(_event, webhooks.delivery, name="webhook-delivery"),
    path(f"{_event}/replay", webhooks.replay, name="webhook-replay"),
]
