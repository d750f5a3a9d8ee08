from django.urls import path

from messaging.api.v1 import email, sms

urlpatterns = [
    path("transactional/email/send", email.Send.as_view(), name="v1-email-send"),
    path("transactional/email", email.List.as_view(), name="v1-email-list"),
    path("transactional/email/<str:number>", email.One.as_view(), name="v1-email"),
    path("transactional/sms/send", sms.Send.as_view(), name="v1-sms-send"),
    path("transactional/sms", sms.List.as_view(), name="v1-sms-list"),
    path("transactional/sms/<str:number>", sms.One.as_view(), name="v1-sms"),
]
