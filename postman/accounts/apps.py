from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "postman.accounts"
    label = "accounts"
