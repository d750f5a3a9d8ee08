"""The pages of a campaign whose emails are protected with a password."""

from django.urls import path

from .views import protected

_campaign = "<campaign_id:campaign_id>"
_message = f"{_campaign}/messages/<message_id:message_id>/secure"
_batch = f"{_campaign}/batches/<batch_id:batch_id>/secure"

urlpatterns = [
    path(f"{_campaign}/secure", protected.compose, name="secure-compose"),
    path(f"{_campaign}/secure/start", protected.start, name="secure-upload-start"),
    path(f"{_batch}/rows", protected.rows, name="secure-upload-rows"),
    path(f"{_batch}/finish", protected.finish, name="secure-upload-finish"),
    path(f"{_batch}/abandon", protected.abandon, name="secure-upload-abandon"),
    path(_batch, protected.pages, name="secure-pages"),
    path(f"{_batch}/withdraw", protected.withdraw_all, name="secure-withdraw-all"),
    path(f"{_message}/send-again", protected.send_again, name="secure-send-again"),
    path(f"{_message}/withdraw", protected.withdraw, name="secure-withdraw"),
]
