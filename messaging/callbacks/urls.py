from django.urls import path

from messaging.callbacks.ses import ses_callback
from messaging.callbacks.telegram import telegram_callback
from messaging.callbacks.twilio import twilio_callback
from messaging.callbacks.whatsapp import whatsapp_callback

urlpatterns = [
    path(
        "twilio/<str:account>/<uuid:attempt_id>/<str:token>",
        twilio_callback,
        name="twilio-callback",
    ),
    path("ses", ses_callback, name="ses-callback"),
    path("telegram/<uuid:bot_id>", telegram_callback, name="telegram-callback"),
    path("whatsapp", whatsapp_callback, name="whatsapp-callback"),
]
