"""The back office of WhatsApp: its templates, who may send them, and what they say of officers."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from campaigns import whatsapp
from campaigns.models import OfficerProfile, WhatsappGrant, WhatsappTemplate
from postman.accounts.admin import Audited


class TemplateForm(forms.ModelForm):
    class Meta:
        model = WhatsappTemplate
        fields = (
            "name",
            "label",
            "body",
            "params",
            "param_metadata",
            "languages",
            "is_approved",
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        # An empty cell of JSON is none of it, whatever the field takes for empty.
        for name, empty in (("params", []), ("param_metadata", {}), ("languages", [])):
            if name in cleaned and cleaned[name] is None:
                cleaned[name] = empty
        if not self.errors:
            for field, fault in whatsapp.faults_of(WhatsappTemplate(**cleaned)).items():
                self.add_error(field, fault)
        return cleaned


@admin.register(WhatsappTemplate)
class WhatsappTemplateAdmin(Audited):
    """What was sent keeps the words that it had: a change counts for what is sent from then on."""

    form = TemplateForm
    list_display = ("id", "name", "label", "is_approved", "granted_to")
    list_display_links = ("id", "name")
    list_filter = ("is_approved",)
    search_fields = ("=id", "name", "label")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WhatsappTemplate]:
        return super().get_queryset(request).annotate(grants_count=Count("grants"))

    @admin.display(description="granted to", ordering="grants_count")
    def granted_to(self, template: Any) -> str:
        return f"{template.grants_count} officer{'' if template.grants_count == 1 else 's'}"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # messages name it; take its approval away instead


@admin.register(WhatsappGrant)
class WhatsappGrantAdmin(Audited):
    list_display = ("user", "template", "created_at")
    list_select_related = ("user", "template")
    search_fields = ("user__email", "template__name", "template__label")
    autocomplete_fields = ("user", "template")
    fields = ("user", "template")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # given or taken away

    def note(self, request: HttpRequest, verb: str, obj: models.Model, **details: Any) -> None:
        assert isinstance(obj, WhatsappGrant)
        facts = {"user": obj.user.public_id, "template": obj.template_id}
        super().note(request, verb, obj, **{**details, **facts})


@admin.register(OfficerProfile)
class OfficerProfileAdmin(Audited):
    list_display = ("user", "officer_name", "designation")
    list_select_related = ("user",)
    search_fields = ("user__email", "officer_name")
    autocomplete_fields = ("user",)
