from django.urls import path, re_path

from messaging.api.v1 import campaign, campaign_uploads, campaigns, email, govsg, sms

_number = "^campaign/(?P<number>[^/]+)"
_campaign = f"{_number}/(?P<type_>email|sms|telegram|govsg)"

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
    path("campaigns", campaigns.All.as_view(), name="v1-campaigns"),
    path("campaigns/<str:number>", campaigns.One.as_view(), name="v1-campaign"),
    path("campaigns/<str:number>/cancel", campaigns.Cancel.as_view(), name="v1-campaign-cancel"),
    re_path(f"{_campaign}/?$", campaign.Details.as_view()),
    re_path(f"{_campaign}/template$", campaign.Template.as_view()),
    re_path(f"{_campaign}/upload$", campaign_uploads.Upload.as_view()),
    re_path(f"{_campaign}/upload/start$", campaign_uploads.Start.as_view()),
    re_path(f"{_campaign}/upload/complete$", campaign_uploads.Complete.as_view()),
    re_path(f"{_campaign}/upload/status$", campaign_uploads.State.as_view()),
    path("upload/<str:token>", campaign_uploads.Stored.as_view(), name="v1-upload"),
    re_path(f"{_campaign}/credentials$", campaign.Credentials.as_view()),
    re_path(f"{_campaign}/new-credentials$", campaign.NewCredentials.as_view()),
    re_path(f"{_campaign}/credentials/verify$", campaign.Verification.as_view()),
    re_path(f"{_campaign}/preview$", campaign.Preview.as_view()),
    re_path(f"{_campaign}/send$", campaign.Sends.as_view()),
    re_path(f"{_campaign}/retry$", campaign.Retry.as_view()),
    re_path(f"{_campaign}/stats$", campaign.Stats.as_view()),
    re_path(f"{_campaign}/refresh-stats$", campaign.RefreshStats.as_view()),
    re_path(f"{_campaign}/export$", campaign.Export.as_view()),
    re_path(f"{_campaign}/duplicate$", campaign.Duplicates.as_view()),
    re_path(
        rf"{_number}(?:/(?P<rest>(?!(?:email|sms|telegram|govsg)(?:/|$)).*))?$",
        campaigns.Elsewhere.as_view(),
    ),
]
