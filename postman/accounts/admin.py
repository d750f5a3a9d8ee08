"""The back office: agencies, domains, who may do what, and the audit log to read."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse

from postman.accounts import audit, sessions, views
from postman.accounts.models import Agency, AuditEvent, EmailDomain, User


def sign_in(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """Our own sign-in; whoever is signed in and came here anyway has no business here."""
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request.GET.get("next") or "/admin/")


def no_passwords(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    raise Http404("nobody has a password")


admin.site.site_header = admin.site.site_title = "Postman administration"
admin.site.login = sign_in  # type: ignore[assignment,method-assign]
admin.site.logout = views.logout  # type: ignore[assignment,method-assign]
admin.site.password_change = no_passwords  # type: ignore[assignment,method-assign]


def _who(request: HttpRequest) -> User:
    return cast(User, request.user)


class Audited(admin.ModelAdmin):
    """Every change through these pages stands in the audit log, with the names of its fields."""

    def save_model(
        self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        verb = "changed" if change else "created"
        self.note(request, verb, obj, fields=form.changed_data)

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        self.note(request, "deleted", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def note(self, request: HttpRequest, verb: str, obj: models.Model, **details: Any) -> None:
        audit.record(f"{obj._meta.model_name}.{verb}", by=_who(request), on=obj, **details)


class DomainForm(forms.ModelForm):
    def clean_domain(self) -> str:
        return self.cleaned_data["domain"].strip().lower().removeprefix("@")


class DomainsOfAgency(admin.TabularInline):
    model = EmailDomain
    extra = 0
    can_delete = False
    fields = readonly_fields = ("domain", "includes_subdomains", "members_only")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Agency)
class AgencyAdmin(Audited):
    list_display = ("name", "created_at")
    search_fields = ("name", "domains__domain")
    inlines = (DomainsOfAgency,)
    fieldsets = (
        (None, {"fields": ("name", "retention_days")}),
        (
            "Channels",
            {
                "fields": (
                    "may_use_sms",
                    "may_use_email",
                    "may_use_telegram",
                    "may_use_whatsapp",
                ),
                "description": "What its officers may start new campaigns and API calls on.",
            },
        ),
    )


@admin.register(EmailDomain)
class EmailDomainAdmin(Audited):
    form = DomainForm
    list_display = ("domain", "agency", "includes_subdomains", "members_only")
    list_filter = ("members_only",)
    list_select_related = ("agency",)
    search_fields = ("domain", "agency__name")
    autocomplete_fields = ("agency",)


class UserForm(forms.ModelForm):
    def clean_email(self) -> str:
        return self.cleaned_data["email"].lower()

    def clean(self) -> None:
        super().clean()
        domain = EmailDomain.objects.best_match(self.cleaned_data.get("email", self.instance.email))
        if domain and domain.members_only:
            for right in ("can_create_campaigns", "is_agency_administrator"):
                if self.cleaned_data.get(right):
                    self.add_error(
                        right, f"Addresses of {domain} may only be members of campaigns."
                    )


@admin.register(User)
class UserAdmin(Audited):
    form = UserForm
    list_display = ("email", "agency", "can_create_campaigns", "is_active", "last_login")
    list_filter = ("can_create_campaigns", "is_agency_administrator", "is_active", "is_staff")
    list_select_related = ("agency",)
    search_fields = ("email", "agency__name")
    autocomplete_fields = ("agency",)
    readonly_fields = ("public_id", "last_login", "created_at")
    filter_horizontal = ("groups", "user_permissions")
    fieldsets = (
        (None, {"fields": ("email", "agency", "is_active")}),
        ("Campaigns", {"fields": ("can_create_campaigns", "is_agency_administrator")}),
        ("This site", {"fields": ("is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Facts", {"fields": ("public_id", "last_login", "created_at")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        if request.user.is_superuser:
            return fields
        # Whoever may edit users must not make themselves more than they are.
        return (*fields, "is_staff", "is_superuser", "groups", "user_permissions")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the audit log names them for ever; deactivate instead

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (request.user.is_superuser or not (obj and obj.is_superuser))

    def save_model(
        self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if "can_create_campaigns" in form.changed_data:
            verb = "granted" if obj.can_create_campaigns else "removed"
            audit.record(f"creation_right.{verb}", by=_who(request), on=obj)
        if not obj.is_active:
            sessions.end(obj.sessions.all(), of=obj, by=_who(request))


@admin.register(AuditEvent)
class AuditEventAdmin(admin.ModelAdmin):
    list_display = ("at", "actor", "action", "object_type", "object_id", "ip", "request_id")
    list_filter = ("action", "object_type", "at")
    list_select_related = ("actor",)
    search_fields = ("object_id__exact", "actor__email__iexact", "request_id__exact")
    search_help_text = (
        "The whole id of an object (campaign_…), a person's address, or a request id."
    )
    show_full_result_count = False
    date_hierarchy = "at"
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
