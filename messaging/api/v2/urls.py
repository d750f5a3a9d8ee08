from django.urls import path

from messaging.api.v2 import views

urlpatterns = [
    path("campaigns/<str:campaign_id>/messages", views.Messages.as_view()),
    path("campaigns/<str:campaign_id>/messages/<str:message_id>", views.OneMessage.as_view()),
    path(
        "campaigns/<str:campaign_id>/messages/<str:message_id>/retry",
        views.MessageRetry.as_view(),
    ),
    path("campaigns/<str:campaign_id>/batch/messages", views.BatchSend.as_view()),
    path("campaigns/<str:campaign_id>/batch/<str:batch_id>", views.OneBatch.as_view()),
    path("campaigns/<str:campaign_id>/batch/<str:batch_id>/stop", views.BatchStop.as_view()),
    path("campaigns/<str:campaign_id>/batch/<str:batch_id>/resume", views.BatchResume.as_view()),
    path("campaigns/<str:campaign_id>/batch/<str:batch_id>/cancel", views.BatchCancel.as_view()),
    path("campaigns/<str:campaign_id>/batch/<str:batch_id>/retry", views.BatchRetry.as_view()),
    path(
        "campaigns/<str:campaign_id>/batch/<str:batch_id>/messages", views.BatchMessages.as_view()
    ),
]
