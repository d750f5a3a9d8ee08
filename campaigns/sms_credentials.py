"""Twilio accounts that an officer's systems send SMS through, each under a label (v1-backend §2.9).

The messages of each are in a campaign of its own, which nobody sees (`programmatic`).
"""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from campaigns import programmatic, twilio_account
from campaigns.models import Channel, TwilioCredentials
from postman.accounts import audit
from postman.accounts.models import User
from postman.errors import Refused

MAX_CREDENTIALS = 20


def of(user: User) -> QuerySet[TwilioCredentials]:
    """Those that work, by label."""
    own = TwilioCredentials.objects.select_related("campaign__agency").filter(
        campaign__creator=user,
        campaign__is_programmatic=True,
        campaign__deleted_at=None,
    )
    return own.order_by("campaign__name")


def add(
    user: User,
    *,
    label: str,
    credentials: twilio_account.Credentials,
    segments_per_second: int,
) -> TwilioCredentials:
    """Ask Twilio whether it opens, then keep it; raises Refused (`CredentialsRefused`)."""
    if of(user).filter(campaign__name=label).exists():
        raise _taken(label)
    twilio_account.verify(credentials)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if of(user).count() >= MAX_CREDENTIALS:
            raise Refused(
                f"An account can have {MAX_CREDENTIALS} of these. Remove one first.",
                "too_many_credentials",
            )
        if of(user).filter(campaign__name=label).exists():
            raise _taken(label)
        kept = TwilioCredentials.objects.create(
            campaign=programmatic.campaign_of(user, Channel.SMS, name=label),
            account_sid=credentials.account_sid,
            api_key_sid=credentials.api_key_sid,
            api_secret=credentials.api_secret,
            messaging_service_sid=credentials.messaging_service_sid,
            auth_token=credentials.auth_token or None,
            verified_at=timezone.now(),
            segments_per_second=segments_per_second,
        )
        audit.record("sms_credentials.added", by=user, on=kept, label=label)
    return kept


def _taken(label: str) -> Refused:
    return Refused(f"You have credentials labelled “{label}” already.", "invalid_credential_label")


def check(kept: TwilioCredentials) -> None:
    """Ask Twilio anew whether it opens; raises CredentialsRefused."""
    twilio_account.verify(
        twilio_account.Credentials(
            account_sid=kept.account_sid,
            api_key_sid=kept.api_key_sid,
            api_secret=str(kept.api_secret),
            messaging_service_sid=kept.messaging_service_sid,
            auth_token=str(kept.auth_token or ""),
        )
    )
    TwilioCredentials.objects.filter(pk=kept.pk).update(verified_at=timezone.now())


@transaction.atomic
def remove(kept: TwilioCredentials, *, by: User) -> None:
    """No call can name it any more. What was accepted through it still leaves, and is reported on."""
    removed = type(kept.campaign).objects.filter(pk=kept.campaign_id, deleted_at=None)
    if removed.update(deleted_at=timezone.now()):
        audit.record("sms_credentials.removed", by=by, on=kept, label=kept.campaign.name)
