"""The campaigns of v1 in its OpenAPI document: all of an account, and one, over each channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from messaging.api.v1 import campaign, campaign_uploads, campaigns, examples, kinds, standing
from messaging.api.v1.describing import (
    ADDRESS,
    COUNT,
    ID,
    JSON,
    MULTIPART,
    PHONE,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    Schema,
    exactly,
    one_of,
    operation,
    parameter,
    ref,
    said,
    time_or_null,
)

BOOLEAN: Schema = {"type": "boolean"}
ALL = "Campaigns"
_NUMBER = parameter("id", ID, "The campaign's id.", place="path")
_CAMPAIGN_ID: Schema = {"type": "integer", "minimum": 1}
_NAME: Schema = {
    "type": "string",
    "pattern": r"\S",
    "maxLength": campaigns.MAX_NAME,
    "description": "Spaces around it are taken off.",
}
_LABEL: Schema = {"type": "string", "minLength": 1, "maxLength": 50}
_PARAMS: Schema = {"type": "array", "items": TEXT, "description": "The keywords in it."}


def _off(description: str) -> Schema:
    return {"enum": [False, None], "description": description}


def _or_null(schema: Schema, description: str) -> Schema:
    return {"anyOf": [schema, {"type": "null"}], "description": description}


# --- All campaigns --------------------------------------------------------------------------------

CREATE = exactly(
    {
        "name": _NAME,
        "type": one_of(kinds.KINDS, "Campaigns over WhatsApp are made in the browser only."),
        "protect": {
            "const": False,
            "default": False,
            "description": "Password-protected campaigns are made in the browser only.",
        },
        "label": said(_LABEL, "Only for Telegram: of the bot, where the account has several."),
        "demo_message_limit": {"type": "null", "description": "There are no demos any more."},
    },
    optional=("protect", "label", "demo_message_limit"),
)
UPDATE = exactly(
    {
        "name": _NAME,
        "should_bcc_to_me": _off("Emails of a campaign are not copied to its sender."),
        "should_save_list": _off("Lists of recipients are not kept."),
    },
    optional=("name", "should_bcc_to_me", "should_save_list"),
)
_JOB_STATUS = ("READY", "ENQUEUED", "SENDING", "STOPPED", "LOGGED")
_CREATED: Schema = {
    "id": _CAMPAIGN_ID,
    "name": TEXT,
    "created_at": TIME,
    "type": {"type": "string", "enum": list(standing.TYPES)},
    "protect": said(BOOLEAN, "Whether its messages are password-protected."),
    "demo_message_limit": {"type": "null"},
}
_JOB = exactly(
    {
        "status": one_of(
            _JOB_STATUS,
            "`READY`: scheduled. `ENQUEUED`, `SENDING`: it leaves. `STOPPED`. `LOGGED`: all left.",
        ),
        "visible_at": time_or_null("When it is sent."),
        "sent_at": TIME,
        "status_updated_at": TIME,
    }
)
_LISTED: Schema = {
    **_CREATED,
    "valid": said(BOOLEAN, "Whether its message and its recipients fit."),
    "has_credential": said(BOOLEAN, "Whether it was tried out, so that it may be sent."),
    "halted": said(BOOLEAN, "Stopped by us, as too many addresses do not exist."),
    "redacted": said(BOOLEAN, "Nothing is left of its recipients."),
    "should_bcc_to_me": {"const": False},
    "job_queue": {
        "type": "array",
        "items": _JOB,
        "description": "A job for each file that is scheduled or sent, the newest first.",
    },
}
_ANSWERED_ID = exactly({"id": said(ID, "The campaign's id.")})
_OK = exactly({"message": {"const": "OK"}})

SCHEMAS: dict[str, Schema] = {
    "Campaign": exactly(_CREATED),
    "CampaignListed": exactly(_LISTED),
    "CampaignId": _ANSWERED_ID,
    "CampaignTested": _OK,
}


def _choice(name: str, choices: Any, description: str) -> Schema:
    return parameter(name, {"type": "string", "enum": list(choices)}, description)


_LIST = [
    parameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": campaigns.MAX_LIMIT, "default": 10},
        "Campaigns on a page.",
    ),
    parameter(
        "offset",
        {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0},
        "Campaigns to pass over, in the order that is asked for.",
    ),
    _choice("type", standing.TYPES, "Only campaigns of this type."),
    _choice("status", standing.STATUSES, "Only campaigns that stand so."),
    parameter(
        "name",
        {"type": "string", "maxLength": campaigns.MAX_NAME},
        "Only campaigns with this in their name, in any letters.",
    ),
    _choice("sort_by", ("created_at", "sent_at"), "`created_at`, where it is not given."),
    _choice("order_by", ("ASC", "DESC"), "`DESC`, the newest first, where it is not given."),
]

# Every call of campaigns counts among the account's calls a second.
_reading = partial(operation, is_limited=True)
_changing = partial(operation, is_limited=True, is_change=True)
_ID_SHOWN = {"the campaign": examples.CAMPAIGN_ID}

PATHS: dict[str, dict[str, Schema]] = {
    "/campaigns": {
        "get": _reading(
            "listCampaigns",
            ALL,
            "List the campaigns of the account",
            "Those that it owns, of every type.",
            parameters=_LIST,
            answer=exactly(
                {
                    "campaigns": {"type": "array", "items": ref("CampaignListed")},
                    "total_count": said(COUNT, "How many there are on all pages."),
                }
            ),
            answer_means="A page of them.",
            shown={"a page": {"campaigns": [examples.campaign_listed("EMAIL")], "total_count": 1}},
        ),
        "post": _changing(
            "createCampaign",
            ALL,
            "Create a campaign",
            "Then save its template, upload recipients, try it out by `credentials` and send it.",
            request={
                JSON: (CREATE, {"of emails": {"name": "Visits in December", "type": "EMAIL"}})
            },
            status=201,
            answer=ref("Campaign"),
            answer_means="Made.",
            shown={"made": examples.campaign("EMAIL")},
        ),
    },
    "/campaigns/{id}": {
        "put": _changing(
            "updateCampaign",
            ALL,
            "Rename a campaign",
            "What is not given stays.",
            parameters=[_NUMBER],
            request={JSON: (UPDATE, {"another name": {"name": "Visits in January"}})},
            needs_body=False,
            answer=ref("CampaignListed"),
            answer_means="As it is now.",
            shown={"the campaign": examples.campaign_listed("EMAIL")},
        ),
        "delete": _changing(
            "deleteCampaign",
            ALL,
            "Delete a campaign",
            "Nothing of it that still waits is sent after this.",
            parameters=[_NUMBER],
            answer=ref("CampaignId"),
            answer_means="Deleted.",
            shown=_ID_SHOWN,
        ),
    },
    "/campaigns/{id}/cancel": {
        "post": _changing(
            "cancelCampaign",
            ALL,
            "Cancel a campaign",
            "One that is scheduled is a draft again. Of one that is being sent, no more leaves. "
            "`already_sent`: all of it has left.",
            parameters=[_NUMBER],
            answer=ref("CampaignId"),
            answer_means="Cancelled.",
            shown=_ID_SHOWN,
            errors=("already_sent",),
        )
    },
}


# --- One campaign ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Channel:
    """What differs between the campaigns of one channel and another."""

    type: str
    name: str
    template: Schema
    shown_template: Mapping[str, Schema]
    preview: Mapping[str, Schema]
    details: Mapping[str, Schema]
    credentials: Schema
    credentials_mean: str
    most_rate: int = campaign.MOST_RATE
    jobs: Schema | None = None
    template_errors: tuple[str, ...] = ()


def _template(most: int) -> Schema:
    body = {"type": "string", "minLength": 1, "maxLength": most}
    return exactly({"body": said(body, "`{{keyword}}` where a value of the recipient stands.")})


_SENDER = "`Name <address>` or the address, one of the account's own senders."
_EMAIL_TEMPLATE = exactly(
    {
        "subject": {"type": "string", "minLength": 1, "maxLength": 500},
        "body": {
            "type": "string",
            "minLength": 1,
            "maxLength": kinds.MOST_HTML,
            "description": "HTML, `{{keyword}}` where a value of the recipient stands. What emails "
            "may not hold is taken out of it.",
        },
        "reply_to": _or_null(ADDRESS, "Null: the account's own address."),
        "from": said(TEXT, f"{_SENDER} Without it Postman's own address is used."),
        "show_logo": {**BOOLEAN, "default": True, "description": "Whether the agency's is shown."},
    },
    optional=("from", "show_logo"),
)
_EMAIL_SHOWN = {
    "subject": TEXT,
    "body": TEXT,
    "params": _PARAMS,
    "reply_to": TEXT,
    "from": TEXT,
    "show_logo": BOOLEAN,
}
_SHOWN = {"body": TEXT, "params": _PARAMS}
_UNWRITTEN = "Null until it is written."
_AGENCY = exactly({"name": TEXT, "logo_uri": TEXT_OR_NULL})
_PREVIEW = {"body": said(TEXT, "With the values of the first recipient.")}

CHANNELS = (
    Channel(
        "EMAIL",
        "Email",
        template=_EMAIL_TEMPLATE,
        shown_template=_EMAIL_SHOWN,
        preview=_PREVIEW
        | dict.fromkeys(("subject", "reply_to", "from"), TEXT)
        | {"themed_body": said(TEXT, "The whole email, as it is sent.")},
        details={
            "email_templates": _or_null(exactly(_EMAIL_SHOWN | {"themed_body": TEXT}), _UNWRITTEN),
            "user": exactly(
                {
                    "email_domain": said(TEXT, "Of the account, with its `@`."),
                    "domain": exactly({"agency_id": TEXT, "agency": _AGENCY}),
                }
            ),
        },
        credentials=exactly({"recipient": ADDRESS}),
        credentials_mean="The answer comes once the test email has left.",
        jobs=_CAMPAIGN_ID,
        template_errors=("invalid_from_address",),
    ),
    Channel(
        "SMS",
        "Sms",
        template=_template(10_000),
        shown_template=_SHOWN,
        preview=_PREVIEW,
        details={
            "sms_templates": _or_null(exactly(_SHOWN), _UNWRITTEN),
            "cost_per_message": {"type": "number", "minimum": 0, "description": "In dollars."},
        },
        credentials=exactly({"label": _LABEL, "recipient": PHONE}),
        credentials_mean="All of the campaign is sent through the credentials of this `label`.",
    ),
    Channel(
        "TELEGRAM",
        "Telegram",
        template=_template(40_000),
        shown_template=_SHOWN,
        preview=_PREVIEW,
        details={"telegram_templates": _or_null(exactly(_SHOWN), _UNWRITTEN)},
        credentials=exactly({"label": _LABEL}),
        credentials_mean="Only checks that the campaign is sent by the bot of this `label`; "
        "`credentials/verify` sends a test.",
        most_rate=kinds.MOST_A_SECOND,
    ),
)
TAGS = [ALL, *(f"{channel.name} campaigns".replace("Sms", "SMS") for channel in CHANNELS)]

_STATE_NAMES = {"reply_to": "replyTo", "themed_body": "themedBody"}
_UPLOAD = exactly(
    {"file": {"type": "string", "format": "binary", "description": "A CSV file with a heading."}}
)
_FILE_ENCODED: Schema = {
    "file": {
        "contentType": "text/csv",
        "headers": {
            "Content-Disposition": {
                "description": "With a `filename` that ends in `.csv`.",
                "schema": TEXT,
                "example": 'form-data; name="file"; filename="people.csv"',
            }
        },
    }
}
_START = [
    parameter(
        "mime_type",
        {"type": "string", "enum": list(campaign_uploads.MIME_TYPES)},
        "Of the file; in any letters, and with parameters behind a `;` or without.",
        required=True,
    ),
    parameter(
        "md5",
        {"type": "string", "pattern": "^[A-Za-z0-9+/ ]{22}==$"},
        "The MD5 of the file, in base64. A `+` is written `%2B` or as it is.",
        required=True,
    ),
]
_COMPLETE = exactly(
    {
        "transaction_id": {"type": "string", "minLength": 1, "maxLength": 2000},
        "filename": {"type": "string", "pattern": r"\.[cC][sS][vV]$", "maxLength": 255},
        "etag": {
            "type": "string",
            "minLength": 1,
            "maxLength": 100,
            "description": "As the address answered it.",
        },
    },
    optional=("etag",),
)
_NEW_SMS_CREDENTIALS = exactly(
    {
        "twilio_account_sid": {"type": "string", "pattern": "^AC[0-9a-fA-F]{32}$"},
        "twilio_api_key": {"type": "string", "pattern": "^SK[0-9a-fA-F]{32}$"},
        "twilio_api_secret": {"type": "string", "minLength": 1, "maxLength": 200},
        "twilio_messaging_service_sid": {"type": "string", "pattern": "^MG[0-9a-fA-F]{32}$"},
        "recipient": PHONE,
        "label": {
            **_LABEL,
            "pattern": "^[a-z0-9-]+$",
            "description": "What they are kept as; `campaign-{id}` where it is not given.",
        },
    },
    optional=("label",),
)
_REPORTED = ("SENDING", "SUCCESS", "READ", "ERROR", "INVALID_RECIPIENT")
_CHECKED_LATER = "It is checked in the background: ask `upload/status`."
_TEST_SHOWN = {"sent": {"message": "OK"}}


def _schemas(channel: Channel) -> dict[str, Schema]:
    is_email = channel.type == "EMAIL"
    left = dict.fromkeys(("unsubscriber.recipient", "unsubscriber.reason"), TEXT_OR_NULL)
    state = {_STATE_NAMES.get(name, name): shape for name, shape in channel.preview.items()}
    return {
        "CampaignDetails": exactly(
            {
                **_LISTED,
                "csv_filename": TEXT_OR_NULL,
                "is_csv_processing": said(BOOLEAN, "Whether a file is being checked."),
                "num_recipients": COUNT,
                "s3_object": _or_null(
                    exactly(
                        {
                            "filename": said(TEXT_OR_NULL, "Of the recipients that it has."),
                            "temp_filename": said(TEXT_OR_NULL, "Of a newer file."),
                            "error": said(TEXT_OR_NULL, "What is wrong with the newer file."),
                        }
                    ),
                    "Its files; null without any.",
                ),
                **channel.details,
            }
        ),
        "CampaignSaved": exactly(
            {
                "message": TEXT,
                "valid": said(BOOLEAN, "Whether there are recipients that it fits."),
                "num_recipients": COUNT,
                "template": exactly(channel.shown_template),
                "extra_keys": {
                    **_PARAMS,
                    "description": "Keywords that the recipients had no values for; they were "
                    "thrown away.",
                },
            },
            optional=("extra_keys",),
        ),
        "CampaignPreview": exactly({"preview": exactly(channel.preview)}, optional=("preview",)),
        "CampaignUpload": exactly(
            {
                "is_csv_processing": said(BOOLEAN, "Whether a file is being checked."),
                "csv_filename": said(TEXT_OR_NULL, "Of the recipients that it has."),
                "temp_csv_filename": said(TEXT_OR_NULL, "Of a newer file."),
                "csv_error": said(TEXT_OR_NULL, "What is wrong with the newer file."),
                "num_recipients": COUNT,
                "preview": _or_null(exactly(state), "Null without a message or recipients."),
            }
        ),
        "CampaignSent": exactly(
            {
                "campaign_id": _CAMPAIGN_ID,
                "job_id": said(
                    channel.jobs or {"type": "array", "items": _CAMPAIGN_ID},
                    "The campaign's id. Not where it was scheduled already.",
                ),
            },
            optional=("job_id",),
        ),
        "CampaignStats": exactly(
            {
                "error": said(COUNT, "Not delivered."),
                "unsent": said(COUNT, "Those that wait, and those of whom nobody heard."),
                "sent": COUNT,
                "invalid": said(COUNT, "Recipients that do not exist or may not be sent to."),
                "status": {"type": ["string", "null"], "enum": [*_JOB_STATUS, None]},
                "halted": BOOLEAN,
                "redacted": BOOLEAN,
                "updated_at": TIME,
                "status_updated_at": TIME,
                "visible_at": time_or_null("When it is or was sent."),
                **({"unsubscribed": COUNT} if is_email else {}),
            }
        ),
        "CampaignReport": {
            "type": "array",
            "items": exactly(
                {
                    "recipient": TEXT,
                    "status": {"type": "string", "enum": list(_REPORTED)},
                    "error_code": TEXT_OR_NULL,
                    "updated_at": TIME,
                    **(left if is_email else {}),
                }
            ),
        },
    }


def _send(channel: Channel) -> Schema:
    rate = {"type": "integer", "minimum": 1, "maximum": channel.most_rate}
    return exactly(
        {
            "rate": _or_null(rate, "Taken, and changes nothing."),
            "scheduledTiming": {
                "anyOf": [
                    {"type": "string", "format": "date-time"},
                    {"type": "string", "format": "date"},
                    {"type": "null"},
                ],
                "description": "Within a year; UTC where it names no zone. Null: at once.",
            },
        },
        optional=("rate", "scheduledTiming"),
    )


def _paths(channel: Channel, tag: str) -> dict[str, dict[str, Schema]]:
    type_, name = channel.type, channel.name

    def described(
        make: Any, verb: str, summary: str, description: str, *, answer: Any, **more: Any
    ) -> Schema:
        head, _, tail = verb.partition(" ")
        facts = {"parameters": [_NUMBER], "answer_means": "Done.", **more}
        shape = ref(answer if answer in SCHEMAS else f"{name}{answer}")
        described: Schema = make(
            f"{head}{name}Campaign{tail}", tag, summary, description, answer=shape, **facts
        )
        return described

    reads, changes = partial(described, _reading), partial(described, _changing)
    stats = {
        "answer": "CampaignStats",
        "answer_means": "Its numbers.",
        "shown": {"sent": examples.campaign_stats(type_)},
    }
    tested = {"answer": "CampaignTested", "shown": _TEST_SHOWN}
    taken = {"answer": "CampaignId", "status": 202, "answer_means": "Taken.", "shown": _ID_SHOWN}
    unready = ("already_sent", "invalid_template")
    sent = {"campaign_id": examples.CAMPAIGN_NUMBER}
    job = examples.CAMPAIGN_NUMBER if channel.jobs else [examples.CAMPAIGN_NUMBER]
    found = {
        "": {
            "get": reads(
                "get",
                "Read a campaign",
                "Its message, its recipients and its jobs.",
                answer="CampaignDetails",
                answer_means="The campaign.",
                shown={"sent": examples.campaign_details(type_)},
            )
        },
        "/template": {
            "put": changes(
                "save Template",
                "Save the message",
                "Recipients whose file has no column for a keyword are thrown away: `extra_keys`.",
                request={JSON: (channel.template, {"a reminder": examples.TEMPLATE_ASKED[type_]})},
                answer="CampaignSaved",
                answer_means="Saved.",
                shown={
                    "it fits": examples.campaign_saved(type_),
                    "a column is missing": examples.campaign_columns_missing(type_),
                },
                errors=(*unready, *channel.template_errors),
            )
        },
        "/upload": {
            "post": changes(
                "upload Recipients",
                "Upload recipients",
                f"The file in one call. {_CHECKED_LATER}",
                request={MULTIPART: (_UPLOAD, {"a file": {"file": "recipient,name\n…"}})},
                errors=unready,
                **taken,
            )
        },
        "/upload/start": {
            "get": reads(
                "start Upload",
                "Announce a file of recipients",
                "`PUT` the file to `presigned_url` within three minutes, without a key but with its "
                "`Content-Length`; then complete the upload.",
                parameters=[_NUMBER, *_START],
                answer="CampaignUploadStarted",
                answer_means="Where to put it.",
                shown={"an address": examples.UPLOAD_ADDRESS},
                errors=unready,
            )
        },
        "/upload/complete": {
            "post": changes(
                "complete Upload",
                "Take the file that was put",
                _CHECKED_LATER,
                request={JSON: (_COMPLETE, {"the file": examples.UPLOAD_STORED})},
                errors=unready,
                **taken,
            )
        },
        "/upload/status": {
            "get": reads(
                "get UploadStatus",
                "Read how the check of the recipients goes",
                "A file with errors leaves the recipients before it standing.",
                answer="CampaignUpload",
                answer_means="How it goes.",
                shown={
                    "checked": examples.campaign_state(examples.STATE_PREVIEW[type_]),
                },
            ),
            "delete": changes(
                "delete UploadErrors",
                "Throw away the files with errors",
                "Recipients that have none stay.",
                answer="CampaignId",
                shown=_ID_SHOWN,
                errors=("already_sent",),
            ),
        },
        "/credentials": {
            "post": changes(
                "test",
                "Try the campaign out",
                f"With the values of the first recipient. {channel.credentials_mean}",
                request={
                    JSON: (channel.credentials, {"a test": examples.CREDENTIALS[type_]}),
                },
                errors=("already_sent", "invalid_credentials"),
                **tested,
            )
        },
        "/preview": {
            "get": reads(
                "preview",
                "Read the message of the first recipient",
                "Nothing without a message or recipients, or once they are erased.",
                answer="CampaignPreview",
                answer_means="The message.",
                shown={"a reminder": {"preview": examples.PREVIEW[type_]}, "nothing": {}},
            )
        },
        "/send": {
            "post": changes(
                "send",
                "Send the campaign",
                "To all its recipients, at once or later.",
                request={
                    JSON: (
                        _send(channel),
                        {"at once": {}, "later": {"scheduledTiming": "2026-12-01T01:00:00Z"}},
                    )
                },
                needs_body=False,
                answer="CampaignSent",
                answer_means="Taken.",
                shown={"sent": {**sent, "job_id": job}, "scheduled anew": sent},
                errors=unready,
            )
        },
        "/retry": {
            "post": changes(
                "retry",
                "Send what failed once more",
                "Never to recipients that do not exist, or have it.",
                answer="CampaignRetried",
                answer_means="Taken.",
                shown={"taken": sent},
                errors=("invalid_template",),
            )
        },
        "/stats": {"get": reads("get Stats", "Read the numbers", "Those of now.", **stats)},
        "/refresh-stats": {
            "post": reads(
                "refresh Stats", "Read the numbers", "The same as `stats`: those of now.", **stats
            )
        },
        "/export": {
            "get": reads(
                "export",
                "Read what became of each message",
                "Those that still wait are not in it.",
                answer="CampaignReport",
                answer_means="A row for each recipient, the oldest first.",
                shown={"a report": examples.campaign_report(type_)},
                errors=("campaign_redacted",),
            )
        },
        "/duplicate": {
            "post": changes(
                "duplicate",
                "Copy the campaign",
                "Its message only: without recipients, credentials and schedule.",
                request={
                    JSON: (
                        exactly({"name": _NAME}),
                        {"another month": {"name": "Visits in January"}},
                    )
                },
                status=201,
                answer="Campaign",
                answer_means="The copy.",
                shown={"made": examples.campaign(type_)},
                errors=("already_sent",),
            )
        },
    }
    found["/upload"]["post"]["requestBody"]["content"][MULTIPART]["encoding"] = _FILE_ENCODED
    if type_ == "SMS":
        found["/new-credentials"] = {
            "post": changes(
                "add Credentials",
                "Keep new credentials and try the campaign out",
                "They are kept for all campaigns, and this one is sent through them.",
                request={
                    JSON: (_NEW_SMS_CREDENTIALS, {"Twilio's": examples.NEW_SMS_CREDENTIALS}),
                },
                errors=("already_sent", "invalid_credentials", "invalid_credential_label"),
                **tested,
            )
        }
    if type_ == "TELEGRAM":
        found["/credentials/verify"] = {
            "post": changes(
                "verify",
                "Send a test",
                "To somebody who subscribes to the bot.",
                request={
                    JSON: (exactly({"recipient": PHONE}), {"a test": {"recipient": "81230001"}}),
                },
                errors=unready,
                **tested,
            )
        }
    return {f"/campaign/{{id}}/{type_.lower()}{rest}": each for rest, each in found.items()}


SCHEMAS |= {
    f"{channel.name}{name}": shape
    for channel in CHANNELS
    for name, shape in _schemas(channel).items()
}
SCHEMAS |= {
    "CampaignUploadStarted": exactly({"presigned_url": TEXT, "transaction_id": TEXT}),
    "CampaignRetried": exactly({"campaign_id": _CAMPAIGN_ID}),
}
for _channel, _tag in zip(CHANNELS, TAGS[1:], strict=True):
    PATHS |= _paths(_channel, _tag)
