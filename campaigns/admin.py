from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from campaigns import admin_whatsapp  # noqa: F401 - registers its own
from campaigns.models import Campaign, TwilioCredentials
from postman.accounts import audit
from postman.accounts.models import User


class PaceOfAccount(admin.StackedInline):
    """How fast an agency's own Twilio account sends; nothing else of it is shown."""

    model = TwilioCredentials
    verbose_name_plural = "own Twilio account"
    fields = ("segments_per_second",)
    can_delete = False
    max_num = 0  # no more than there are


@admin.register(Campaign)
class CampaignAdmin(admin.ModelAdmin):
    """Look, and grant what was approved: another rate limit, ranges of IP addresses, priority.

    Keys, credentials and texts are not shown here.
    """

    granted = ("calls_per_second", "may_allow_ranges", "is_urgent")
    inlines = (PaceOfAccount,)

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
        if "is_urgent" in form.changed_data:
            audit.record("campaign.urgency_changed", by=by, on=obj, is_urgent=obj.is_urgent)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for own, _ in formset.changed_objects:
            audit.record(
                "campaign.pace_changed",
                by=cast(User, request.user),
                on=form.instance,
                segments_per_second=own.segments_per_second,
            )
