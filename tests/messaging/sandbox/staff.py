"""The sandbox's Twilio account of an agency's own."""

from campaigns import sms_credentials
from campaigns.models import TwilioCredentials
from campaigns.twilio_account import Credentials
from messaging.sandbox import constants
from postman.accounts.models import User

CREDENTIALS = Credentials(
    constants.STAFF_ACCOUNT_SID,
    constants.STAFF_API_KEY_SID,
    constants.STAFF_API_SECRET,
    constants.STAFF_MESSAGING_SERVICE_SID,
)


def labelled(user: User, label: str = "clinic") -> TwilioCredentials:
    """Keep it for the account under this label; the sandbox must be running."""
    return sms_credentials.add(user, label=label, segments_per_second=100, credentials=CREDENTIALS)
