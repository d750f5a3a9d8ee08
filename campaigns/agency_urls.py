"""The pages of an agency's administrators; that of its bill belongs to messaging."""

from django.urls import path

from campaigns.views import agency

urlpatterns = [
    path("", agency.campaigns, name="agency"),
    path("logo", agency.logo, name="agency-logo"),
    path("officers", agency.people, name="agency-officers"),
    path("officers/<uuid:officer_id>/right", agency.creation_right, name="agency-officer-right"),
]
