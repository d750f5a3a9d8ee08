from django.urls import path

from postman.accounts import key_views, views

urlpatterns = [
    path("login", views.login, name="login"),
    path("login/verify", views.verify, name="login-verify"),
    path("login/resend", views.resend, name="login-resend"),
    path("logout", views.logout, name="logout"),
    path("settings/keys", key_views.account_keys, name="account-keys"),
    path(
        "settings/keys/<uuid:key_id>/revoke",
        key_views.account_key_revoke,
        name="account-key-revoke",
    ),
    path(
        "settings/keys/<uuid:key_id>/contacts",
        key_views.account_key_contacts,
        name="account-key-contacts",
    ),
    path("account/sessions", views.sessions, name="sessions"),
    path("account/sessions/end", views.end_session, name="sessions-end"),
    path("account/sessions/end-all", views.end_other_sessions, name="sessions-end-all"),
]
