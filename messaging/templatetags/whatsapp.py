"""How the texts of WhatsApp templates are shown."""

import re

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

_look = re.compile(r"&lt;(/?)(b|i|strong|em)&gt;", re.IGNORECASE)


@register.filter
def whatsapp_look(text: str) -> SafeString:
    """The text with its `<b>` and `<i>` as they look; everything else in it is escaped."""
    escaped = str(conditional_escape(text))
    return mark_safe(_look.sub(lambda found: f"<{found[1]}{found[2].lower()}>", escaped))  # noqa: S308
