from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from campaigns.models import Campaign
from postman.accounts import audit
from postman.accounts.models import User


@admin.register(Campaign)
class CampaignAdmin(admin.ModelAdmin):
    """Look, and raise an approved rate limit. Keys, credentials and texts are not shown here."""

    list_display = (
        "name",
        "agency",
        "recipient_type",
        "sender_id",
        "creator",
        "created_at",
        "deleted_at",
    )
    list_filter = ("recipient_type", "agency")
    list_select_related = ("agency", "creator")
    search_fields = ("=id", "name", "creator__email")
    ordering = ("-created_at", "-id")
    fields = (
        "public_id",
        "name",
        "agency",
        "creator",
        "recipient_type",
        "sender_id",
        "calls_per_second",
        "created_at",
        "deleted_at",
    )
    readonly_fields = tuple(field for field in fields if field != "calls_per_second")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        return super().get_queryset(request).select_related("agency", "creator")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        obj.save(update_fields=["calls_per_second"])
        audit.record(
            "campaign.rate_changed",
            by=cast(User, request.user),
            on=obj,
            before=form.initial["calls_per_second"],
            calls_per_second=obj.calls_per_second,
        )
