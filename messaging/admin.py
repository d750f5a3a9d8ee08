"""For support: find a batch, a message, its attempts and what the provider reported. To read only."""

import uuid
from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from messaging import suppression
from messaging.models import Attempt, Batch, Message, ProviderEvent, Suppression
from postman.accounts.models import User


def masked(recipient: str) -> str:
    """`6591234567` as `65••••4567`: support needs the row, not the person."""
    return f"{recipient[:2]}{'•' * max(len(recipient) - 6, 0)}{recipient[-4:]}"


class LookUp(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows found by an id, never changed here. Nothing is listed, or counted, unasked."""

    id_fields: tuple[str, ...] = ("id",)
    search_fields = ("id",)
    show_full_result_count = False
    actions: Any = None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        try:
            wanted = uuid.UUID(search_term.strip().rpartition("_")[2])
        except ValueError:
            return queryset.none(), False
        found = queryset.none()
        for field in self.id_fields:
            found = found | queryset.filter(**{field: wanted})
        return found, False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Batch)
class BatchAdmin(LookUp):
    id_fields = ("id", "campaign_id")
    search_help_text = "ID of a batch or of a campaign"
    list_display = ("public_id", "campaign", "creator", "status", "total_messages", "created_at")
    list_select_related = ("campaign", "creator")
    # The files and the wrong rows hold people's numbers.
    exclude = ("file", "report", "first_faults")


@admin.register(Message)
class MessageAdmin(LookUp):
    search_help_text = "ID of a message"
    list_display = ("public_id", "masked_recipient", "status", "attempts_made", "created_at")
    exclude = ("recipient", "values")
    readonly_fields = ("masked_recipient",)

    @admin.display(description="recipient")
    def masked_recipient(self, message: Message) -> str:
        return masked(message.recipient)


@admin.register(Attempt)
class AttemptAdmin(LookUp):
    id_fields = ("id", "message_id")
    search_help_text = "ID of an attempt or of a message"
    list_display = ("id", "message_id", "number", "status", "error_code", "provider_code")
    list_select_related = ("message",)
    raw_id_fields = ("message",)


@admin.register(ProviderEvent)
class ProviderEventAdmin(LookUp):
    id_fields = ("attempt_id",)
    search_help_text = "ID of an attempt"
    list_display = ("id", "provider", "kind", "code", "attempt_id", "received_at", "applied_at")


@admin.register(Suppression)
class SuppressionAdmin(LookUp):
    """The one place where an entry of everybody's list can be lifted; found by its whole address."""

    search_help_text = "A whole email address"
    list_display = ("masked_recipient", "reason", "agency", "campaign", "created_at", "lifted_at")
    list_select_related = ("agency", "campaign")
    exclude = ("recipient", "note")
    readonly_fields = ("masked_recipient",)
    actions = ("lift",)

    @admin.display(description="recipient")
    def masked_recipient(self, entry: Suppression) -> str:
        return suppression.masked(entry.recipient)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        address = search_term.strip().lower()
        return (queryset.filter(recipient=address) if address else queryset.none()), False

    def has_lift_permission(self, request: HttpRequest) -> bool:
        """Who may change rows of this kind, though nobody changes one by hand."""
        return super(LookUp, self).has_change_permission(request)

    @admin.action(description="Lift: the address may be written to again", permissions=["lift"])
    def lift(self, request: HttpRequest, entries: QuerySet[Suppression]) -> None:
        by = cast(User, request.user)
        lifted = sum(suppression.lift(entry, by=by) for entry in entries.order_by("id"))
        self.message_user(request, f"{lifted} lifted.")
