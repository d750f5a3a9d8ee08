"""The pages of those who get our emails: public, without a session, in four languages."""

from django.urls import path

from messaging.views import protected, unsubscribe

urlpatterns = [
    path("u/<str:token>", unsubscribe.unsubscribe, name="unsubscribe"),
    path("p/<uuid:page_id>", protected.page, name="secure-page"),
]
