"""Where the pages of a webhook are, whoever it belongs to."""

from django import template

from messaging.models import Webhook

register = template.Library()


@register.simple_tag
def webhook_url(webhook: Webhook, page: str, *more: object) -> str:
    return webhook.url_of(page, *more)
