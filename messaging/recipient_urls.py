"""The pages of those who get our emails: public, without a session, in four languages."""

from django.urls import path

from messaging.views import unsubscribe

urlpatterns = [path("u/<str:token>", unsubscribe.unsubscribe, name="unsubscribe")]
