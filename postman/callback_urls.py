"""All that the process behind CALLBACK_URL answers."""

from django.urls import include, path

from postman.health import healthz

urlpatterns = [
    path("healthz", healthz),
    path("callbacks/", include("messaging.callbacks.urls")),
]
