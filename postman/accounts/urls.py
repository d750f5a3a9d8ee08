from django.urls import path

from postman.accounts import views

urlpatterns = [
    path("login", views.login, name="login"),
    path("login/verify", views.verify, name="login-verify"),
    path("login/resend", views.resend, name="login-resend"),
    path("logout", views.logout, name="logout"),
    path("account/sessions", views.sessions, name="sessions"),
    path("account/sessions/end", views.end_session, name="sessions-end"),
    path("account/sessions/end-all", views.end_other_sessions, name="sessions-end-all"),
]
