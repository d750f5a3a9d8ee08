"""The credentials the sandbox knows. Public on purpose: they open nothing but the sandbox."""

# The platform's own account, for campaigns to members of the public.
PLATFORM_ACCOUNT_SID = "AC00000000000000000000000000000001"
PLATFORM_AUTH_TOKEN = "5a4db0c55a4db0c55a4db0c500000001"
PLATFORM_MESSAGING_SERVICE_SID = "MG00000000000000000000000000000001"

# What an agency would bring from its own Twilio account, for campaigns to internal staff.
STAFF_ACCOUNT_SID = "AC00000000000000000000000000000002"
STAFF_API_KEY_SID = "SK00000000000000000000000000000002"
STAFF_API_SECRET = "SandboxSecretForInternalStaff002"
STAFF_AUTH_TOKEN = "5a4db0c55a4db0c55a4db0c500000002"
STAFF_MESSAGING_SERVICE_SID = "MG00000000000000000000000000000002"

# Amazon SES. A request signed with this key has its signature checked; other keys are only
# looked at for their form.
AWS_ACCESS_KEY_ID = "AKIASANDBOX000000001"
AWS_SECRET_ACCESS_KEY = "SandboxSecretAccessKeyForAmazonSES000001"
AWS_REGION = "ap-southeast-1"
# Both publish what becomes of an email to the topic; the first also tells when it is opened.
SES_CONFIGURATION_SET = "postman"
SES_UNTRACKED_CONFIGURATION_SET = "postman-untracked"
SNS_TOPIC_ARN = f"arn:aws:sns:{AWS_REGION}:000000000001:postman-emails"

# A number of the WhatsApp Business platform.
WHATSAPP_PHONE_NUMBER_ID = "100000000000001"
WHATSAPP_ACCESS_TOKEN = "EAASandboxAccessTokenForWhatsapp0001"
WHATSAPP_APP_SECRET = "5a4db0c55a4db0c55a4db0c5000000aa"
WHATSAPP_VERIFY_TOKEN = "sandbox-verify-token"
WHATSAPP_NUMBER = "6561000001"

# The bot that the demo begins with. Any other token of that form is a bot's as well.
TELEGRAM_BOT_TOKEN = "700000001:SandboxBotTokenForTelegram000000001"

# The sender shown on a phone when a Messaging Service chose it.
SENDER = "gov.sg"
