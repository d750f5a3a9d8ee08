from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from campaigns.models import Membership
from postman.accounts.models import User


class Request(HttpRequest):
    """With what our middleware and the guards of these pages promise."""

    client_ip: str
    htmx: HtmxDetails
    user: User
    membership: Membership  # on pages for owners
