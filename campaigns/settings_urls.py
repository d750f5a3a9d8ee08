"""Settings of one's own account that campaigns draw on."""

from django.urls import path

from campaigns.views import sms_credentials

urlpatterns = [
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
]
