"""The v1 API as an OpenAPI document: `PATHS` has one entry for each operation.

Written as data, as v1's rules are: its parsers take what v1 took, which no serializer says.
`describing` has what all entries are written with, `campaign_schema` those of campaigns.
`tests/messaging/api/test_v1_openapi.py` and `test_v1_fuzz.py` hold the running API against it.
"""

from collections.abc import Iterable
from functools import cache

from django.conf import settings

from campaigns import sms as sms_rules
from campaigns import whatsapp
from messaging import attachments, transactional, v1_words
from messaging.api.v1 import campaign_schema, email, examples, govsg, sms
from messaging.api.v1.describing import (
    ADDRESS,
    ERROR,
    HEADERS,
    ID,
    JSON,
    MULTIPART,
    PHONE,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    URL_ENCODED,
    Schema,
    exactly,
    one_of,
    operation,
    parameter,
    ref,
    said,
    time_or_null,
)
from messaging.api.v1.listing import DEFAULT_LIMIT
from messaging.api.v2.schema import SITES

DESCRIPTION = """
Send single emails, SMS and WhatsApp messages from a system and read what became of each, and send one
message to many as a campaign: the API of Postman v1, with its addresses, fields, statuses and codes.

**Who may call.** Send `Authorization: Bearer <API key>`. Officers create keys under *Settings → API
keys*; a key speaks for its officer's account, works for six months, and sees that account's messages
only.

**Which site.** Build against the test site. Its keys open nothing else.

**Outcomes.** Sending answers as soon as the message is stored: `ACCEPTED` means taken, not delivered.
Keep the `id` and read the message until its status stays, or have a webhook told of each change: officers
add them under *Settings → Webhooks*, and [their documentation](/docs#/webhooks/messageStatus) says how to
verify an event. A status never goes back.

**How often.** An account may send ten messages a second, all channels together, unless another number
was agreed; every call of campaigns counts too. Every answer of a call that counts says what is left, in two families of headers:
`RateLimit-*`, and `X-RateLimit-*` for clients that know only those. One call more is a 429, and nothing
of it is carried out: wait `Retry-After` seconds and send it again.

**Errors.** Every error has one shape. Branch on `code`, show `message` to people, read in `errors` which
field is wrong, and quote `request_id` (also in `X-Request-Id`) to support. A call that is refused stores
nothing.

**Repeating a call.** After a lost answer, repeat the call with the same `Idempotency-Key`: it is carried
out once, and answered as it was, with `Idempotency-Replayed`.
""".strip()

TAGS = ["Email", "SMS", "WhatsApp", *campaign_schema.TAGS]

# --- What a call sends ----------------------------------------------------------------------------

_OTHERS = transactional.MOST_ADDRESSES - 1
_MOST = (
    f"Different addresses; with the recipient, `cc` and `bcc` hold at most "
    f"{transactional.MOST_ADDRESSES}. Those whose mail bounced for good are left out."
)
_ADDRESSES: Schema = {"type": "array", "items": ADDRESS, "uniqueItems": True, "maxItems": _OTHERS}
_EMAIL_FIELDS: Schema = {
    "recipient": said(ADDRESS, "One address. It is stored in lower case."),
    "subject": {"type": "string", "minLength": 1, "maxLength": 2000},
    "body": {
        "type": "string",
        "minLength": 1,
        "description": f"HTML, at most {email.MOST_BODY_BYTES:,} bytes as UTF-8. What emails may not "
        'hold is taken out of it. A picture among the attachments is shown by its place: `src="cid:0"`.',
    },
    "from": {
        "type": "string",
        "description": "`Name <address>` or the address, one of the account's own senders. Without "
        "it Postman's own address is used.",
        "examples": ["Clinic Reminders <clinic@agency.gov.sg>"],
    },
    "reply_to": said(ADDRESS, "The account's own address where it is not given."),
    "classification": {
        "type": "string",
        "enum": list(transactional.CLASSIFICATIONS),
        "description": "In any letters. Kept and shown, and changes nothing.",
    },
    "tag": {"type": "string", "maxLength": 255, "description": "A list can be narrowed to it."},
    "disable_tracking": {
        "anyOf": [{"type": "boolean"}, {"type": "string", "enum": ["true", "false"]}],
        "default": False,
        "description": "True: nobody learns whether it was opened.",
    },
}
_AS_JSON_TEXT = said(TEXT, "The list as JSON in a string.")
EMAIL_SEND = exactly(
    {
        **_EMAIL_FIELDS,
        "cc": {"anyOf": [_ADDRESSES, _AS_JSON_TEXT], "description": _MOST},
        "bcc": {"anyOf": [_ADDRESSES, _AS_JSON_TEXT], "description": _MOST},
    },
    optional={*_EMAIL_FIELDS, "cc", "bcc"} - {"recipient", "subject", "body"},
)
_AS_FORM = f"{_MOST} A field for each, or one that holds the list as JSON."
EMAIL_FORM = exactly(
    EMAIL_SEND["properties"]
    | {"cc": said(_ADDRESSES, _AS_FORM), "bcc": said(_ADDRESSES, _AS_FORM)},
    optional=set(EMAIL_SEND["properties"]) - set(EMAIL_SEND["required"]),
)
EMAIL_FILES = exactly(
    EMAIL_FORM["properties"]
    | {
        "attachments": {
            "type": "array",
            "maxItems": attachments.MOST_FILES,
            "items": {"type": "string", "format": "binary"},
            "description": "Only with a `from` of the account's own, and smaller than 10 MB "
            f"together. Types: {', '.join(sorted(attachments.TYPES))}.",
        }
    },
    optional={*EMAIL_FORM["properties"], "attachments"} - set(EMAIL_SEND["required"]),
)
SMS_SEND = exactly(
    {
        "recipient": PHONE,
        "body": {"type": "string", "minLength": 1, "maxLength": sms_rules.MAX_BODY},
        "label": {
            "type": "string",
            "minLength": 1,
            "maxLength": 50,
            "description": "Of the SMS credentials to send through: *Settings → SMS credentials*.",
            "examples": ["clinic"],
        },
    }
)
WHATSAPP_SEND = exactly(
    {
        "recipient": PHONE,
        "template_id": {
            "type": "integer",
            "minimum": 1,
            "maximum": 2**63 - 1,
            "description": "One of `/govsg/templates`.",
        },
        "params": {
            "type": "object",
            "additionalProperties": TEXT,
            "description": "A text for each param of the template. Others are passed over.",
        },
        "language_code": {
            "type": "string",
            "minLength": 1,
            "maxLength": 10,
            "default": whatsapp.ENGLISH,
            "description": "One that the template has.",
            "examples": list(whatsapp.LANGUAGES),
        },
    },
    optional=("params", "language_code"),
)

# --- What an answer shows -------------------------------------------------------------------------

_KEPT = "Null once what was sent is erased."
_EMAIL_SHOWN: Schema = {
    "id": ID,
    "from": said(TEXT_OR_NULL, _KEPT),
    "recipient": TEXT,
    "params": exactly(
        {
            name: said(TEXT_OR_NULL, f"As it was sent. {_KEPT}")
            for name in ("subject", "body", "from", "reply_to")
        }
    ),
    "attachments_metadata": {
        "type": ["array", "null"],
        "items": exactly(
            {
                "fileName": TEXT,
                "fileSize": {"type": "integer", "minimum": 1, "description": "In bytes."},
                "hash": {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "MD5."},
            }
        ),
        "description": "Null without files.",
    },
    "status": one_of(
        v1_words.EMAIL,
        "`UNSENT`: will not be sent. `ACCEPTED`: taken. `SENT`: the recipient's server is being "
        "tried. `DELIVERED`: it took the email. `OPENED`. `BOUNCED`: it refused the email. "
        "`COMPLAINT`: reported as spam. Copies never change it.",
    ),
    "error_code": said(
        TEXT_OR_NULL,
        "`Hard bounce`, `Soft bounce`, the kind of a complaint, or why it was not sent.",
    ),
    "error_sub_type": said(TEXT_OR_NULL, "What more the provider said of it."),
    "created_at": TIME,
    "updated_at": TIME,
    "accepted_at": TIME,
    "sent_at": time_or_null(),
    "delivered_at": time_or_null(),
    "opened_at": time_or_null(),
    "classification": {
        "type": ["string", "null"],
        "enum": [*transactional.CLASSIFICATIONS, None],
    },
    "tag": TEXT_OR_NULL,
    "cc": {"type": "array", "items": TEXT},
    "bcc": {"type": "array", "items": TEXT},
}
EMAIL = exactly(_EMAIL_SHOWN)
EMAIL_LISTED = exactly(_EMAIL_SHOWN, optional=("params",))
SMS = exactly(
    {
        "id": ID,
        "credentialsLabel": said(TEXT_OR_NULL, _KEPT),
        "recipient": TEXT,
        "body": said(TEXT_OR_NULL, _KEPT),
        "message_id": said(TEXT_OR_NULL, "Twilio's id of it, once Twilio has taken it."),
        "created_at": TIME,
        "updated_at": TIME,
        "status": one_of(
            v1_words.SMS,
            "`UNSENT`: will not be sent. `ACCEPTED`: taken. `SENT`: the operator has it. "
            "`DELIVERED`. `ERROR`: `error_code` says why.",
        ),
        "error_code": said(TEXT_OR_NULL, "Twilio's code, or ours where Twilio was not reached."),
        "accepted_at": TIME,
        "sent_at": time_or_null(),
        "delivered_at": time_or_null(),
        "errored_at": time_or_null(),
    }
)
WHATSAPP = exactly(
    {
        "id": ID,
        "recipient": TEXT,
        "template_id": said(TEXT_OR_NULL, _KEPT),
        "params": {
            "type": ["object", "null"],
            "additionalProperties": TEXT,
            "description": f"As they were sent. {_KEPT}",
        },
        "language_code": said(TEXT_OR_NULL, _KEPT),
        "created_at": TIME,
        "updated_at": TIME,
        "accepted_at": TIME,
        "sent_at": time_or_null(),
        "delivered_at": time_or_null(),
        "read_at": time_or_null(),
        "errored_at": time_or_null(),
        "error_code": said(TEXT_OR_NULL, "WhatsApp's code, or ours where it was not reached."),
        "error_description": said(TEXT_OR_NULL, "The same for people."),
        "status": one_of(
            v1_words.GOVSG,
            "`UNSENT`: will not be sent. `ACCEPTED`: taken. `SENT`, `DELIVERED`, `READ`. `ERROR`: "
            "`error_code` says why. `INVALID_RECIPIENT`: the number is not on WhatsApp. `DELETED` "
            "is no longer told.",
        ),
    }
)


def _languages(name_of_code: str) -> Schema:
    one = exactly({name_of_code: TEXT, "language": TEXT, "body": TEXT})
    return {"type": "array", "items": one, "description": "Beside English, `en_GB`."}


WHATSAPP_TEMPLATE = exactly(
    {
        "id": {"type": "integer", "minimum": 1},
        "name": TEXT,
        "body": said(TEXT, "In English, `{{param}}` where a value stands."),
        "params": {"type": "array", "items": TEXT},
        "param_metadata": {"type": ["object", "null"], "description": "For forms of people."},
        "languages": _languages("code"),
        "multilingual_support": _languages("languageCode"),
    }
)


def page_of(name: str) -> Schema:
    return exactly(
        {
            "has_more": {"type": "boolean", "description": "Whether more follow after this page."},
            "data": {"type": "array", "items": ref(name)},
        }
    )


# --- Parameters ------------------------------------------------------------------------------------

ID_IN_PATH = parameter("id", ID, "The message's id.", place="path")
_TAG = parameter("tag", {"type": "string", "maxLength": 255}, "Only messages with this tag.")
_WITHOUT_PARAMS = parameter(
    "exclude_params",
    {"type": "boolean", "default": False},
    "True: without what was written, as lists of long emails are large.",
)


def _listing(most: int, statuses: Iterable[str]) -> list[Schema]:
    bounds = {"gt": "after", "gte": "at or after", "lt": "before", "lte": "at or before"}
    moment: Schema = {
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}],
        "examples": ["2026-11-20T04:00:00Z"],
    }
    return [
        parameter(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": most, "default": DEFAULT_LIMIT},
            "Messages on a page.",
        ),
        parameter(
            "offset",
            {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0},
            "Messages to pass over, in the order that is asked for.",
        ),
        parameter(
            "after",
            ID,
            "Instead of `offset`: the `id` of the last message of the page before. So a list that "
            "grows meanwhile shows none twice.",
        ),
        parameter(
            "sort_by",
            {
                "type": "string",
                "pattern": r"^[+\- ]?(created_at|updated_at)$",
                "default": "created_at",
            },
            "`+` before it: the oldest first, written `%2B` or as it is. Otherwise the newest.",
        ),
        parameter(
            "status",
            {"type": "string", "enum": list(statuses)},
            "Only messages of this status; in any letters.",
        ),
        *(
            parameter(
                f"created_at[{operator}]",
                moment,
                f"Only messages that were created {words} this; UTC where it names no zone.",
            )
            for operator, words in bounds.items()
        ),
    ]


# --- Operations -----------------------------------------------------------------------------------

_TAKEN = "Taken and stored."
_NOT_AN_OUTCOME = "The answer proves that it is stored; read it to see its outcome."

PATHS: dict[str, dict[str, Schema]] = {
    "/transactional/email/send": {
        "post": operation(
            "sendEmail",
            "Email",
            "Send one email",
            f"{_NOT_AN_OUTCOME} Files go along only as `multipart/form-data`. Whoever unsubscribed "
            "from campaigns still gets these; whoever bounced for good or complained does not "
            "(`invalid_template`, as in v1).",
            request={
                JSON: (
                    EMAIL_SEND,
                    {"the shortest": examples.EMAIL_SHORTEST, "more": examples.EMAIL_SEND},
                ),
                MULTIPART: (EMAIL_FILES, {"without files": examples.EMAIL_SEND}),
                URL_ENCODED: (EMAIL_FORM, {"a form": examples.EMAIL_SEND}),
            },
            status=201,
            answer=ref("Email"),
            answer_means=_TAKEN,
            shown={"taken": examples.EMAIL_TAKEN},
            errors=(
                "too_many_recipients",
                "invalid_from_address",
                "invalid_template",
                "attachment_format",
                "attachment_limit",
            ),
        )
    },
    "/transactional/email": {
        "get": operation(
            "listEmails",
            "Email",
            "List the emails of the account",
            "The newest first, unless asked otherwise.",
            parameters=[*_listing(email.MAX_LIMIT, v1_words.EMAIL), _TAG, _WITHOUT_PARAMS],
            answer=page_of("EmailListed"),
            answer_means="A page of them.",
            shown={
                "a page": examples.page(examples.EMAIL),
                "without params": examples.page(examples.EMAIL_WITHOUT_PARAMS),
            },
        )
    },
    "/transactional/email/{id}": {
        "get": operation(
            "getEmail",
            "Email",
            "Read one email",
            "As it is now.",
            parameters=[ID_IN_PATH],
            answer=ref("Email"),
            answer_means="The email.",
            shown={"bounced": examples.EMAIL},
            errors=("not_found",),
        )
    },
    "/transactional/sms/send": {
        "post": operation(
            "sendSms",
            "SMS",
            "Send one SMS",
            f"Through SMS credentials of the account. {_NOT_AN_OUTCOME}",
            request={
                JSON: (SMS_SEND, {"a reminder": examples.SMS_SEND}),
                MULTIPART: (SMS_SEND, {"a form": examples.SMS_SEND}),
                URL_ENCODED: (SMS_SEND, {"a form": examples.SMS_SEND}),
            },
            status=201,
            answer=ref("Sms"),
            answer_means=_TAKEN,
            shown={"taken": examples.SMS_TAKEN},
            errors=("invalid_recipient", "invalid_credentials"),
        )
    },
    "/transactional/sms": {
        "get": operation(
            "listSms",
            "SMS",
            "List the SMS of the account",
            "The newest first, unless asked otherwise.",
            parameters=_listing(sms.MAX_LIMIT, v1_words.SMS),
            answer=page_of("Sms"),
            answer_means="A page of them.",
            shown={"a page": examples.page(examples.SMS)},
        )
    },
    "/transactional/sms/{id}": {
        "get": operation(
            "getSms",
            "SMS",
            "Read one SMS",
            "As it is now.",
            parameters=[ID_IN_PATH],
            answer=ref("Sms"),
            answer_means="The SMS.",
            shown={"delivered": examples.SMS},
            errors=("not_found",),
        )
    },
    "/transactional/govsg/send": {
        "post": operation(
            "sendWhatsapp",
            "WhatsApp",
            "Send one WhatsApp message",
            f"In the words of a template that is granted to the account. {_NOT_AN_OUTCOME}",
            request={JSON: (WHATSAPP_SEND, {"a reminder": examples.WHATSAPP_SEND})},
            status=201,
            answer=ref("Whatsapp"),
            answer_means=_TAKEN,
            shown={"taken": examples.WHATSAPP_TAKEN},
            errors=("invalid_recipient", "not_found"),
        )
    },
    "/transactional/govsg": {
        "get": operation(
            "listWhatsapp",
            "WhatsApp",
            "List the WhatsApp messages of the account",
            "The newest first, unless asked otherwise.",
            parameters=_listing(govsg.MAX_LIMIT, v1_words.GOVSG),
            answer=page_of("Whatsapp"),
            answer_means="A page of them.",
            shown={"a page": examples.page(examples.WHATSAPP)},
        )
    },
    "/transactional/govsg/{id}": {
        "get": operation(
            "getWhatsapp",
            "WhatsApp",
            "Read one WhatsApp message",
            "As it is now.",
            parameters=[ID_IN_PATH],
            answer=ref("Whatsapp"),
            answer_means="The message.",
            shown={"read": examples.WHATSAPP},
            errors=("not_found",),
        )
    },
    "/govsg/templates": {
        "get": operation(
            "listWhatsappTemplates",
            "WhatsApp",
            "List the WhatsApp templates of the account",
            "All that are granted to it, by name.",
            answer=exactly({"data": {"type": "array", "items": ref("WhatsappTemplate")}}),
            answer_means="All of them.",
            shown={"one": examples.TEMPLATES},
        )
    },
    **campaign_schema.PATHS,
}
SCHEMAS: dict[str, Schema] = {
    "Email": EMAIL,
    "EmailListed": EMAIL_LISTED,
    "Sms": SMS,
    "Whatsapp": WHATSAPP,
    "WhatsappTemplate": WHATSAPP_TEMPLATE,
    **campaign_schema.SCHEMAS,
    "Error": ERROR,
}


@cache
def document() -> Schema:
    """The same for everybody; our sites stand in it, this one first."""
    sites = {settings.PUBLIC_URL: SITES.get(settings.PUBLIC_URL, "This site")} | SITES
    return {
        "openapi": "3.1.0",
        "info": {"title": "Postman API v1", "version": "1.0.0", "description": DESCRIPTION},
        "servers": [{"url": f"{url}/v1", "description": sites[url]} for url in sites],
        "tags": [{"name": name} for name in TAGS],
        "paths": PATHS,
        "components": {
            "schemas": SCHEMAS,
            "headers": HEADERS,
            "securitySchemes": {
                "AccountKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of an account: *Settings → API keys*.",
                }
            },
        },
    }
