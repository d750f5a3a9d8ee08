from django.urls import path

from messaging.api.v1 import email, govsg, sms

urlpatterns = [
    path("transactional/email/send", email.Send.as_view(), name="v1-email-send"),
    path("transactional/email", email.List.as_view(), name="v1-email-list"),
    path("transactional/email/<str:number>", email.One.as_view(), name="v1-email"),
    path("transactional/sms/send", sms.Send.as_view(), name="v1-sms-send"),
    path("transactional/sms", sms.List.as_view(), name="v1-sms-list"),
    path("transactional/sms/<str:number>", sms.One.as_view(), name="v1-sms"),
    path("transactional/govsg/send", govsg.Send.as_view(), name="v1-govsg-send"),
    path("transactional/govsg", govsg.List.as_view(), name="v1-govsg-list"),
    path("transactional/govsg/<str:number>", govsg.One.as_view(), name="v1-govsg"),
    path("govsg/templates", govsg.Templates.as_view(), name="v1-govsg-templates"),
]
