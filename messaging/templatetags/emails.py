"""What the pages of email campaigns share, whichever app they belong to."""

from typing import Any

from django import template

from campaigns.models import Campaign, Membership
from messaging.models import Batch
from messaging.views import steps

register = template.Library()


@register.inclusion_tag("messaging/_email_steps.html", takes_context=True)
def email_steps(
    context: dict[str, Any], current: str, campaign: Campaign, batch: Batch | None = None
) -> dict[str, Any]:
    """The rail of steps, on one of them: `{% email_steps "message" campaign %}`."""
    membership = context.get("membership") or Membership.objects.get(
        campaign=campaign, user=context["request"].user
    )
    return {
        "steps": steps.steps_of(campaign, membership, batch),
        "current": current,
        # Beside the part of a page that htmx asked for, it goes where it was.
        "is_swap": context.get("is_poll", False),
    }
