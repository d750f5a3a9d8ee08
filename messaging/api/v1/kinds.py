"""What differs between the campaigns of v1's types: their messages, and how they are tried out."""

import re
import time
from collections.abc import Mapping
from contextlib import contextmanager
from email.utils import parseaddr
from typing import Any, ClassVar

from rest_framework import serializers

from campaigns import creation, plain_sms, sms_credentials, twilio_account
from campaigns.email import drafts, keywords, pinning, sanitising, senders
from campaigns.models import Campaign, EmailDraft, TelegramDraft, TemplateBody, image_url
from campaigns.telegram import bots, creating, texts
from campaigns.telegram import drafts as telegram_drafts
from messaging import email_tests, pricing, readiness, transactional, unsubscribing
from messaging.api.v1.email import Address, Mailbox
from messaging.api.v1.fields import Flag, Strict, Text
from messaging.api.v1.standing import Standing
from messaging.models import Batch, EmailTest, StagedRow
from messaging.sending import deciding, trials
from postman.accounts.models import User
from postman.errors import Refused
from postman.ids import new_id

MOST_HTML = 900_000
# v1 answered once its mail server had taken the test; we wait no longer than this for ours.
TEST_PATIENCE = 20
ON_THEIR_WAY = (EmailTest.Outcome.WAITING, EmailTest.Outcome.SENDING)


@contextmanager
def told_as(code: str, **codes: str) -> Any:
    """Refusals of the product under v1's codes: `codes` says which become another one."""
    try:
        yield
    except Refused as refused:
        raise Refused(refused.message, codes.get(refused.code, code)) from refused


class Kind:
    """One type of campaign. What a campaign of another way of making cannot do here, it refuses."""

    name: ClassVar[str]
    template: ClassVar[type[Strict]]
    credentials: ClassVar[type[Strict]]
    # Of credentials that are added by trying them out, where there are any.
    new_credentials: ClassVar[type[Strict] | None] = None
    # Of what tries a campaign out apart from its credentials, where that is a call of its own.
    verification: ClassVar[type[Strict] | None] = None

    def check_made_here(self, campaign: Campaign) -> None:
        """Raise Refused for a campaign that only the browser may change."""

    def create(self, name: str, *, by: User, label: str = "") -> Campaign:
        """`label`: of the bot that it is sent by, where there are several."""
        raise NotImplementedError

    def copy(self, source: Campaign, name: str, *, by: User) -> Campaign:
        """Another campaign with the same message."""
        raise NotImplementedError

    def save(self, standing: Standing, asked: Mapping[str, Any], *, by: User) -> None:
        """Check everything, then store the message; raises Refused."""
        raise NotImplementedError

    def shown_template(self, campaign: Campaign) -> dict[str, Any] | None:
        """None where nothing is written yet."""
        raise NotImplementedError

    def missing(self, campaign: Campaign, batch: Batch) -> list[str]:
        """Keywords that the file has no column for."""
        raise NotImplementedError

    def changed(self, standing: Standing, *, by: User) -> None:
        """After another message was stored for recipients that stay."""

    def is_valid(self, standing: Standing) -> bool:
        return standing.filled is not None

    def has_credential(self, standing: Standing) -> bool:
        return True

    def preview(
        self, campaign: Campaign, recipient: str, values: Mapping[str, str]
    ) -> dict[str, Any]:
        raise NotImplementedError

    def test(self, standing: Standing, asked: Mapping[str, Any], *, by: User) -> Any:
        """Have a test sent, in the transaction; `finish_test` gets what this returns."""
        raise NotImplementedError

    def add_credentials(self, standing: Standing, asked: Mapping[str, Any], *, by: User) -> None:
        raise NotImplementedError

    def verify(self, standing: Standing, asked: Mapping[str, Any], *, by: User) -> None:
        raise NotImplementedError

    def finish_test(self, campaign: Campaign, *, by: User) -> None:
        """After the transaction: raises Refused where the test did not leave."""

    def details(self, standing: Standing) -> dict[str, Any]:
        raise NotImplementedError

    def check_rate(self, rate: int | None) -> str:
        """What is wrong with the rate that a call asks for; empty where nothing is."""
        return ""

    def job_ids(self, campaign: Campaign) -> Any:
        """One job a campaign, so it has the campaign's number."""
        return [campaign.number]


def first_row(batch: Batch) -> StagedRow | None:
    return StagedRow.objects.filter(batch=batch).order_by("row").first()


def check_filled(standing: Standing, code: str) -> tuple[Batch, StagedRow]:
    """The file that waits and its first row; raises Refused where there is none."""
    batch = standing.filled
    row = first_row(batch) if batch else None
    if batch is None or row is None:
        raise Refused("Upload recipients first.", code)
    return batch, row


# Email ---------------------------------------------------------------------------------------


class EmailTemplate(Strict):
    subject = Text(max_length=500)
    body = Text(trim_whitespace=False, max_length=MOST_HTML)
    reply_to = Address(allow_null=True)
    from_ = Mailbox(required=False)
    show_logo = Flag(required=False, default=True)

    names = {"from_": "from"}

    def validate_subject(self, subject: str) -> str:
        """One line: no header can be smuggled in behind it."""
        return " ".join(subject.split())


class EmailCredentials(Strict):
    recipient = Address()


class Email(Kind):
    name = "EMAIL"
    template = EmailTemplate
    credentials = EmailCredentials

    def create(self, name: str, *, by: User, label: str = "") -> Campaign:
        return creation.create_email_campaign(id=new_id(), name=name, is_protected=False, by=by)

    def copy(self, source: Campaign, name: str, *, by: User) -> Campaign:
        copy = self.create(name, by=by)
        names = ("from_name", "from_address", "reply_to", "subject", "preheader", "html")
        flags = ("shows_logo", "tracks_opens", "variables")
        copied = {name: getattr(source.email_draft, name) for name in (*names, *flags)}
        EmailDraft.objects.filter(campaign=copy).update(**copied)
        return copy

    def save(self, standing: Standing, asked: Mapping[str, Any], *, by: User) -> None:
        campaign = standing.campaign
        name, address = parseaddr(asked.get("from_", ""))
        with told_as("invalid_from_address"):
            senders.sender_of(campaign, name, address)
        typed = {
            "subject": asked["subject"],
            "html": sanitising.clean(asked["body"]).html,
            "reply_to": asked["reply_to"] or "",
            "from_name": name,
            "from_address": address or senders.default().address,
            "shows_logo": asked["show_logo"],
        }
        draft = EmailDraft.objects.select_for_update(no_key=True).get(campaign=campaign)
        draft.campaign = campaign
        version = draft.version
        for field, value in typed.items():
            setattr(draft, field, value)
        if faults := drafts.faults_of(draft):
            raise Refused(" ".join(s for found in faults.values() for s in found), _code_of(faults))
        drafts.save(campaign, typed, version=version, by=by)
        campaign.email_draft = EmailDraft.objects.get(campaign=campaign)
        campaign.__dict__.pop("variables", None)

    def shown_template(self, campaign: Campaign) -> dict[str, Any] | None:
        draft = campaign.email_draft
        if not draft.html:
            return None
        email = pinning.email_of(draft)
        return {
            "subject": draft.subject,
            "body": draft.html,
            "params": keywords.variables(draft.subject, draft.html),
            "reply_to": email.reply_to,
            "from": senders.header(email.from_name, email.from_address),
            "show_logo": draft.shows_logo,
        }

    def missing(self, campaign: Campaign, batch: Batch) -> list[str]:
        return readiness.missing_columns(campaign.email_draft, batch)

    def is_valid(self, standing: Standing) -> bool:
        batch, draft = standing.filled, standing.campaign.email_draft
        if batch is None:
            return False
        if batch.is_accepted or batch.template_body_id:
            return True
        return not drafts.faults_of(draft) and not readiness.missing_columns(draft, batch)

    def has_credential(self, standing: Standing) -> bool:
        return bool(standing.jobs) or readiness.is_tested(standing.campaign.email_draft)

    def preview(
        self, campaign: Campaign, recipient: str, values: Mapping[str, str]
    ) -> dict[str, Any]:
        draft = campaign.email_draft
        email = pinning.email_of(draft)
        values = {**values, "recipient": recipient}
        parts = pinning.composed(email, draft.html).mail_parts(values, unsubscribing.test_url())
        return {
            "body": keywords.compile(draft.html).render_html(values),
            "subject": parts.subject,
            "reply_to": email.reply_to,
            "from": senders.header(email.from_name, email.from_address),
            "themed_body": parts.html,
        }

    def test(self, standing: Standing, asked: Mapping[str, Any], *, by: User) -> None:
        batch, row = check_filled(standing, "invalid_credentials")
        with told_as("invalid_credentials"):
            trials.send_test(
                batch, row=row.row, recipients=[asked["recipient"]], by=by, is_marked=False
            )

    def finish_test(self, campaign: Campaign, *, by: User) -> None:
        """Send it here and now, unless a worker was quicker: who has the answer may send to all."""
        tests = EmailTest.objects.filter(campaign=campaign, creator=by).order_by("-id")
        until = time.monotonic() + TEST_PATIENCE
        while True:
            email_tests.send_waiting()
            test = tests.first()
            # None: a call was repeated long after its test was forgotten.
            if test is None or test.outcome not in ON_THEIR_WAY:
                break
            if time.monotonic() > until:
                raise Refused(
                    "The test message is still on its way. Ask for the campaign until it has a "
                    "credential.",
                    "service_unavailable",
                )
            time.sleep(0.1)
        if test and test.outcome != EmailTest.Outcome.SENT:
            why = test.error.sentence if test.error else "Nobody heard whether it arrived."
            raise Refused(f"The test message could not be sent. {why}", "invalid_credentials")

    def details(self, standing: Standing) -> dict[str, Any]:
        campaign = standing.campaign
        template = self.shown_template(campaign)
        if template:
            names = ["recipient", *template["params"]]
            as_written = {name: f"{{{{{name}}}}}" for name in names}
            values = {name: text for name, text in as_written.items() if name != "recipient"}
            shown = self.preview(campaign, as_written["recipient"], values)
            template = {**template, "themed_body": shown["themed_body"]}
        agency = campaign.agency
        domain = f"@{campaign.creator.email.rpartition('@')[2]}"
        return {
            "email_templates": template,
            "user": {
                "email_domain": domain,
                "domain": {
                    "agency_id": str(agency.pk),
                    "agency": {
                        "name": agency.name,
                        "logo_uri": image_url(agency.logo_key) if agency.logo_key else None,
                    },
                },
            },
        }

    def job_ids(self, campaign: Campaign) -> Any:
        return campaign.number


def _code_of(faults: Mapping[str, Any]) -> str:
    return "invalid_from_address" if set(faults) == {"from_address"} else "invalid_template"


# SMS -----------------------------------------------------------------------------------------


# What Twilio lets a new account's sender send.
USUAL_SEGMENTS_PER_SECOND = 10


class SmsTemplate(Strict):
    body = Text(trim_whitespace=False, max_length=10_000)


class SmsCredentials(Strict):
    label = Text(max_length=50)  # type: ignore[assignment]
    recipient = Text(max_length=50)


class Sid(Text):
    """Twilio's name of something, which becomes part of an address of theirs."""

    def __init__(self, prefix: str) -> None:
        super().__init__(trim_whitespace=False)
        self.prefix = prefix

    def to_internal_value(self, data: Any) -> str:
        sid = super().to_internal_value(data)
        if not re.fullmatch(rf"{self.prefix}[0-9a-fA-F]{{32}}", sid):
            raise serializers.ValidationError(
                f"Send {self.prefix} and 32 hexadecimal digits, as in Twilio's console."
            )
        return sid


class SmsNewCredentials(Strict):
    twilio_account_sid = Sid("AC")
    twilio_api_key = Sid("SK")
    twilio_api_secret = Text(max_length=200)
    twilio_messaging_service_sid = Sid("MG")
    recipient = Text(max_length=50)
    label = Text(required=False, max_length=50, trim_whitespace=False)  # type: ignore[assignment]

    def validate_label(self, label: str) -> str:
        if not re.fullmatch(r"[a-z0-9-]+", label):
            raise serializers.ValidationError("Use lowercase letters, digits and hyphens.")
        return label


class Sms(Kind):
    name = "SMS"
    template = SmsTemplate
    credentials = SmsCredentials
    new_credentials = SmsNewCredentials

    def check_made_here(self, campaign: Campaign) -> None:
        if not hasattr(campaign, "sms_draft"):
            raise Refused(
                "This campaign was made in the browser, and is written, filled and sent there.",
                "unauthorized",
            )

    def create(self, name: str, *, by: User, label: str = "") -> Campaign:
        return plain_sms.create(name, by=by)

    def copy(self, source: Campaign, name: str, *, by: User) -> Campaign:
        copy = self.create(name, by=by)
        if body := _body_of(source):
            plain_sms.write(copy, body.body, by=by)
        return copy

    def save(self, standing: Standing, asked: Mapping[str, Any], *, by: User) -> None:
        plain_sms.write(standing.campaign, asked["body"], by=by)

    def shown_template(self, campaign: Campaign) -> dict[str, Any] | None:
        body = _body_of(campaign)
        return {"body": body.body, "params": campaign.variables} if body else None

    def missing(self, campaign: Campaign, batch: Batch) -> list[str]:
        columns = batch.summary.get("columns", ())
        return [name for name in campaign.variables if name not in columns]

    def changed(self, standing: Standing, *, by: User) -> None:
        """Its rows are measured anew: how long each SMS is hangs on the text."""
        if standing.filled:
            deciding.check_again(standing.filled, by=by)

    def has_credential(self, standing: Standing) -> bool:
        draft = getattr(standing.campaign, "sms_draft", None)
        return draft is None or draft.credentials_id is not None

    def preview(
        self, campaign: Campaign, recipient: str, values: Mapping[str, str]
    ) -> dict[str, Any]:
        body = _body_of(campaign)
        return {"body": body.full_message(values) if body else ""}

    def test(self, standing: Standing, asked: Mapping[str, Any], *, by: User) -> None:
        """Ask Twilio whether the account opens, send through it, and send all of it through that."""
        _, row = check_filled(standing, "invalid_credentials")
        kept = sms_credentials.of(by).filter(campaign__name=asked["label"]).first()
        if kept is None:
            raise Refused(
                "You have no SMS credentials with this label. See Settings, SMS credentials.",
                "invalid_credentials",
            )
        text = self.preview(standing.campaign, row.recipient, row.values)["body"]
        with told_as("invalid_credentials"):
            sms_credentials.check(kept)
            transactional.send_sms(
                by, recipient=asked["recipient"], body=text, label=asked["label"]
            )
        plain_sms.bind(standing.campaign, kept, by=by)

    def add_credentials(self, standing: Standing, asked: Mapping[str, Any], *, by: User) -> None:
        check_filled(standing, "invalid_credentials")
        label = asked.get("label") or f"campaign-{standing.campaign.number}"
        given = twilio_account.Credentials(
            account_sid=asked["twilio_account_sid"],
            api_key_sid=asked["twilio_api_key"],
            api_secret=asked["twilio_api_secret"],
            messaging_service_sid=asked["twilio_messaging_service_sid"],
        )
        codes = {"invalid_credential_label": "invalid_credential_label"}
        with told_as("invalid_credentials", **codes):
            sms_credentials.add(
                by, label=label, credentials=given, segments_per_second=USUAL_SEGMENTS_PER_SECOND
            )
        self.test(standing, {"label": label, "recipient": asked["recipient"]}, by=by)

    def details(self, standing: Standing) -> dict[str, Any]:
        return {
            "sms_templates": self.shown_template(standing.campaign),
            "cost_per_message": pricing.price_micros(is_local=True, segments=1) / 1_000_000,
        }


# Telegram ------------------------------------------------------------------------------------

MOST_A_SECOND = 30


class TelegramTemplate(Strict):
    body = Text(trim_whitespace=False, max_length=40_000)


class TelegramCredentials(Strict):
    label = Text(max_length=50)  # type: ignore[assignment]


class TelegramVerification(Strict):
    recipient = Text(max_length=50)


class Telegram(Kind):
    """Sent by the bot that was chosen when it was made: people subscribe to a bot, not to a label."""

    name = "TELEGRAM"
    template = TelegramTemplate
    credentials = TelegramCredentials
    verification = TelegramVerification

    def create(self, name: str, *, by: User, label: str = "") -> Campaign:
        own = bots.of(by)
        found = list(own.filter(label=label) if label else own)[:2]
        if not found:
            raise Refused(
                "You have no Telegram bot of this label. See Settings, Telegram bots."
                if label
                else "Add a Telegram bot first, under Settings, Telegram bots.",
                "unauthorized",
            )
        if len(found) > 1:
            raise Refused("You have several bots: give the label of one.", "api_validation")
        return creating.create_campaign(id=new_id(), name=name, bot=found[0], by=by)

    def copy(self, source: Campaign, name: str, *, by: User) -> Campaign:
        draft = source.telegram_draft
        copy = creating.create_campaign(id=new_id(), name=name, bot=draft.bot, by=by)
        if draft.body:
            telegram_drafts.save(copy, draft.body, version=1, by=by)
        return copy

    def save(self, standing: Standing, asked: Mapping[str, Any], *, by: User) -> None:
        campaign = standing.campaign
        if faults := texts.faults_of(texts.clean(asked["body"])):
            raise Refused(" ".join(faults), "invalid_template")
        draft = TelegramDraft.objects.select_for_update(no_key=True).get(campaign=campaign)
        campaign.telegram_draft = telegram_drafts.save(
            campaign, asked["body"], version=draft.version, by=by
        )

    def shown_template(self, campaign: Campaign) -> dict[str, Any] | None:
        body = campaign.telegram_draft.body
        return {"body": body, "params": texts.variables(body)} if body else None

    def missing(self, campaign: Campaign, batch: Batch) -> list[str]:
        checked_with = TemplateBody.objects.filter(pk=batch.summary.get("text")).first()
        used = texts.variables(checked_with.body) if checked_with else []
        columns = {*used, *batch.summary.get("columns_ignored", ()), "recipient"}
        wanted = texts.variables(campaign.telegram_draft.body)
        return [name for name in wanted if name not in columns]

    def changed(self, standing: Standing, *, by: User) -> None:
        if standing.filled:
            deciding.check_again(standing.filled, by=by)

    def has_credential(self, standing: Standing) -> bool:
        return standing.campaign.telegram_draft.bot.removed_at is None

    def preview(
        self, campaign: Campaign, recipient: str, values: Mapping[str, str]
    ) -> dict[str, Any]:
        return {"body": texts.render(campaign.telegram_draft.body, values, recipient)}

    def test(self, standing: Standing, asked: Mapping[str, Any], *, by: User) -> None:
        bot = standing.campaign.telegram_draft.bot
        if bot.label != asked["label"] or bot.removed_at:
            raise Refused(
                f"This campaign is sent by {bot}. Make another one for another bot.",
                "invalid_credentials",
            )

    def verify(self, standing: Standing, asked: Mapping[str, Any], *, by: User) -> None:
        """Send it to somebody who has subscribed."""
        batch, _ = check_filled(standing, "invalid_template")
        with told_as("invalid_template", recipient_invalid="api_validation"):
            trials.send_bot_test(batch, recipient=asked["recipient"], by=by, id=new_id())

    def details(self, standing: Standing) -> dict[str, Any]:
        return {"telegram_templates": self.shown_template(standing.campaign)}

    def check_rate(self, rate: int | None) -> str:
        is_possible = rate is None or rate <= MOST_A_SECOND
        return "" if is_possible else f"Telegram takes at most {MOST_A_SECOND} a second."


def _body_of(campaign: Campaign) -> TemplateBody | None:
    return next(iter(campaign.bodies.values()), None)


KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (Email(), Sms(), Telegram())}


def kind_of(type_: str) -> Kind:
    """Raises Refused for a type that campaigns of this API cannot have (yet)."""
    kind = KINDS.get(type_.upper())
    if kind is None:
        raise Refused(
            f"Campaigns of type {type_.upper()[:20]} are made in the browser only. "
            f"This API makes: {', '.join(KINDS)}.",
            "unauthorized",
        )
    return kind
