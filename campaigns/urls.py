from django.urls import path

from campaigns.views import creation, email, listing, settings, telegram_new

urlpatterns = [
    path("", listing.campaign_list, name="campaign-list"),
    # Three steps to a new campaign; what is typed is kept in a draft.
    path("new", creation.new, name="campaign-new"),
    path("new/telegram", telegram_new.new, name="campaign-new-telegram"),
    path("new/<uuid:draft_id>/name", creation.name, name="campaign-new-name"),
    path("new/<uuid:draft_id>/channel", creation.channel, name="campaign-new-channel"),
    path("new/<uuid:draft_id>/content", creation.content, name="campaign-new-content"),
    path("new/<uuid:draft_id>/discard", creation.discard, name="campaign-new-discard"),
    path("<campaign_id:campaign_id>/message/images", email.pictures, name="campaign-images"),
    # Settings: owners only.
    path("<campaign_id:campaign_id>/settings", settings.about, name="campaign-about"),
    path("<campaign_id:campaign_id>/settings/members", settings.members, name="campaign-members"),
    path(
        "<campaign_id:campaign_id>/settings/members/<int:membership_id>/role",
        settings.member_role,
        name="campaign-member-role",
    ),
    path(
        "<campaign_id:campaign_id>/settings/members/<int:membership_id>/remove",
        settings.member_remove,
        name="campaign-member-remove",
    ),
    path(
        "<campaign_id:campaign_id>/settings/integrations",
        settings.integrations,
        name="campaign-integrations",
    ),
    path(
        "<campaign_id:campaign_id>/settings/integrations/addresses",
        settings.address_add,
        name="campaign-address-add",
    ),
    path(
        "<campaign_id:campaign_id>/settings/integrations/addresses/<int:address_id>/remove",
        settings.address_remove,
        name="campaign-address-remove",
    ),
    path(
        "<campaign_id:campaign_id>/settings/integrations/keys",
        settings.key_create,
        name="campaign-key-create",
    ),
    path(
        "<campaign_id:campaign_id>/settings/integrations/keys/<uuid:key_id>/delete",
        settings.key_delete,
        name="campaign-key-delete",
    ),
    path("<campaign_id:campaign_id>/settings/delete", settings.delete, name="campaign-delete"),
]
