"""Pictures in emails, for everybody who has their address."""

from django.urls import path

from campaigns.views import email

urlpatterns = [path("<str:key>", email.image, name="image")]
