"""Settings of one's own account that tell of what its systems send."""

from django.urls import include, path

from messaging.views import webhooks

urlpatterns = [
    path("webhooks", webhooks.webhooks, name="account-webhooks"),
    path("webhooks/", include("messaging.webhook_urls")),
]
