from django.urls import path

from messaging.api.v1 import email

urlpatterns = [
    path("transactional/email/send", email.Send.as_view(), name="v1-email-send"),
    path("transactional/email", email.List.as_view(), name="v1-email-list"),
    path("transactional/email/<str:number>", email.One.as_view(), name="v1-email"),
]
