from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from campaigns.models import Campaign
from postman.accounts import audit
from postman.accounts.models import User


@admin.register(Campaign)
class CampaignAdmin(admin.ModelAdmin):
    """Look, and grant what was approved: another rate limit, ranges of IP addresses.

    Keys, credentials and texts are not shown here.
    """

    granted = ("calls_per_second", "may_allow_ranges")

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
    readonly_fields = (
        "public_id",
        "name",
        "agency",
        "creator",
        "recipient_type",
        "sender_id",
        "created_at",
        "deleted_at",
    )
    fields = (*readonly_fields, *granted)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        return super().get_queryset(request).select_related("agency", "creator")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        obj.save(update_fields=self.granted)
        by = cast(User, request.user)
        if "calls_per_second" in form.changed_data:
            audit.record(
                "campaign.rate_changed",
                by=by,
                on=obj,
                before=form.initial["calls_per_second"],
                calls_per_second=obj.calls_per_second,
            )
        if "may_allow_ranges" in form.changed_data:
            audit.record(
                "campaign.ranges_changed", by=by, on=obj, may_allow_ranges=obj.may_allow_ranges
            )
