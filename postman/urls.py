from django.contrib import admin
from django.urls import include, path, register_converter
from django.views.generic import RedirectView

from messaging.api.v1 import schema as v1
from postman import ids
from postman.api import docs
from postman.health import healthz, readyz

register_converter(ids.CampaignId, "campaign_id")
register_converter(ids.BatchId, "batch_id")
register_converter(ids.MessageId, "message_id")

urlpatterns = [
    # First, as most requests are its: each address is compared with all that stand before it.
    path("api/v2/", include("messaging.api.v2.urls")),
    path("v1/", include("messaging.api.v1.urls")),
    path("", RedirectView.as_view(pattern_name="campaign-list"), name="home"),
    path("healthz", healthz),
    path("readyz", readyz),
    path("", include("postman.accounts.urls")),
    path("campaigns/", include("campaigns.urls")),
    path("campaigns/", include("messaging.urls")),
    path("campaigns/", include("messaging.protected_urls")),
    path("settings/", include("campaigns.settings_urls")),
    path("settings/", include("messaging.settings_urls")),
    path("agency/", include("campaigns.agency_urls")),
    path("agency/", include("messaging.agency_urls")),
    path("", include("messaging.recipient_urls")),
    path("images/", include("campaigns.image_urls")),
    path("callbacks/", include("messaging.callbacks.urls")),
    path("api/schema", docs.OpenApiDocument.as_view(), name="api-schema"),
    path(
        "api/v1-schema",
        docs.OpenApiDocument.as_view(document=v1.document),
        name="api-v1-schema",
    ),
    path("docs", docs.docs, name="api-docs"),
    path("docs/v1", docs.docs, {"schema": "api-v1-schema"}, name="api-v1-docs"),
    path("admin/", admin.site.urls),
]

handler400 = "postman.pages.bad_request"
handler404 = "postman.pages.not_found"
handler403 = "postman.pages.forbidden"
handler500 = "postman.pages.server_error"
