"""What officers type to send: one message, a file, a time; and how they search what was sent."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.http import QueryDict
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from campaigns import passcodes, whatsapp
from campaigns.models import Campaign, Channel, Language, WhatsappTemplate
from campaigns.phone_numbers import InvalidRecipient, normalise
from messaging import readiness
from messaging.models import Batch, Webhook, WebhookDelivery
from postman.accounts.forms import OfficialEmailField
from postman.accounts.models import User

# Finding -----------------------------------------------------------------------------------

STATUS_CHOICES = [
    ("", "Any status"),
    ("pending", "Pending"),
    ("sent", "Sent, waiting for the receipt"),
    ("delivered", "Delivered"),
    ("failed", "Failed"),
    ("unknown", "Outcome unknown"),
    ("cancelled", "Cancelled"),
]
EMAIL_STATUS_CHOICES = [
    ("", "Any status"),
    ("pending", "Waiting to leave"),
    ("left", "Sent, whatever came of it"),
    ("sent", "Sent, nothing heard yet"),
    ("delivered", "Delivered"),
    ("opened", "Opened"),
    ("failed", "Bounced or failed"),
    ("bounced", "Bounced (hard)"),
    ("soft_bounced", "Bounced (soft)"),
    ("refused", "Failed"),
    ("complained", "Reported as spam"),
    ("unsubscribed", "Unsubscribed"),
    ("suppressed", "Suppressed"),
    ("unknown", "Outcome unknown"),
    ("cancelled", "Cancelled"),
]
JOB_CHOICES = [("", "Single and batch"), ("single", "Single"), ("batch", "Batch")]
BATCH_CHOICES = [
    ("", "Any status"),
    ("checking", "Being checked"),
    ("invalid", "Has errors"),
    ("ready", "Ready to send"),
    ("scheduled", "Scheduled"),
    ("sent", "Sent or being sent"),
    ("discarded", "Discarded"),
]


class FilterForm(forms.Form):
    """A question in an address. What makes no sense in it is no question."""

    def __init__(self, asked: QueryDict) -> None:
        super().__init__(asked, auto_id="filter-%s")
        self.is_valid()
        self.asked: dict[str, str] = {name: self.cleaned_data.get(name, "") for name in self.fields}

    @property
    def is_filtered(self) -> bool:
        return any(self.asked.values())


class MessageFilter(FilterForm):
    search = forms.CharField(
        label="Phone number",
        required=False,
        max_length=40,
        widget=forms.TextInput(
            attrs={"type": "search", "inputmode": "tel", "placeholder": "Any part of it"}
        ),
    )
    status = forms.ChoiceField(label="Status", required=False, choices=STATUS_CHOICES)
    job = forms.ChoiceField(label="Job type", required=False, choices=JOB_CHOICES)
    batch = forms.CharField(required=False, max_length=50, widget=forms.HiddenInput)


class EmailFilter(MessageFilter):
    """The same of emails: by address, and by all that can become of one."""

    search = forms.CharField(
        label="Email address",
        required=False,
        max_length=254,
        widget=forms.TextInput(
            attrs={"type": "search", "inputmode": "email", "placeholder": "Any part of it"}
        ),
    )
    status = forms.ChoiceField(label="Status", required=False, choices=EMAIL_STATUS_CHOICES)
    job = None  # type: ignore[assignment]  # every email comes of a file


class TelegramFilter(MessageFilter):
    """The same of a bot's messages, of which Telegram reports nothing after it took them."""

    status = forms.ChoiceField(
        label="Status",
        required=False,
        choices=[choice for choice in STATUS_CHOICES if choice[0] != "sent"],
    )
    job = forms.ChoiceField(
        label="Messages",
        required=False,
        choices=[("", "All"), ("batch", "Of files"), ("single", "Tests")],
    )


class WhatsappFilter(MessageFilter):
    """The same of WhatsApp messages: by whom they are to, too."""

    search = forms.CharField(
        label="Name or phone number",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Any part of it"}),
    )
    status = forms.ChoiceField(
        label="Status",
        required=False,
        choices=[
            ("", "Any status"),
            ("pending", "Pending"),
            ("sent", "Sent, not delivered yet"),
            ("delivered", "Delivered"),
            ("read", "Read"),
            ("failed", "Failed"),
            ("unknown", "Outcome unknown"),
            ("cancelled", "Cancelled"),
        ],
    )
    job = None  # type: ignore[assignment]


class BatchFilter(FilterForm):
    """By a part of the file's name, or of the batch's id."""

    search = forms.CharField(
        label="File name or batch ID",
        required=False,
        max_length=50,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Any part of it"}),
    )
    status = forms.ChoiceField(label="Status", required=False, choices=BATCH_CHOICES)

    def __init__(self, campaign: Campaign, asked: QueryDict) -> None:
        super().__init__(asked)
        # Whoever sends SMS knows batches by the ids that the API gives.
        if campaign.channel != Channel.SMS:
            self["search"].label = "File name"


class DeliveryFilter(FilterForm):
    state = forms.ChoiceField(
        label="State",
        required=False,
        choices=[("", "Any state"), *WebhookDelivery.State.choices],
    )


def placeholders(campaign: Campaign) -> dict[str, str]:
    """Values that leave the template's variables to be seen as they are written."""
    return {name: f"{{{{{name}}}}}" for name in campaign.variables}


# One message -------------------------------------------------------------------------------

COUNTRIES = [
    ("65", "Singapore (+65)"),
    ("61", "Australia (+61)"),
    ("880", "Bangladesh (+880)"),
    ("673", "Brunei (+673)"),
    ("855", "Cambodia (+855)"),
    ("86", "China (+86)"),
    ("33", "France (+33)"),
    ("49", "Germany (+49)"),
    ("852", "Hong Kong (+852)"),
    ("91", "India (+91)"),
    ("62", "Indonesia (+62)"),
    ("81", "Japan (+81)"),
    ("856", "Laos (+856)"),
    ("853", "Macau (+853)"),
    ("60", "Malaysia (+60)"),
    ("95", "Myanmar (+95)"),
    ("977", "Nepal (+977)"),
    ("64", "New Zealand (+64)"),
    ("92", "Pakistan (+92)"),
    ("63", "Philippines (+63)"),
    ("82", "South Korea (+82)"),
    ("94", "Sri Lanka (+94)"),
    ("886", "Taiwan (+886)"),
    ("66", "Thailand (+66)"),
    ("971", "United Arab Emirates (+971)"),
    ("44", "United Kingdom (+44)"),
    ("1", "United States or Canada (+1)"),
    ("84", "Vietnam (+84)"),
    ("", "Another country: type its code first"),
]


class ComposeForm(forms.Form):
    """One message to one person: a field for each variable, named `values.<variable>`."""

    # The message's own id from the start: pressing Send twice asks twice for the same message.
    message_id = forms.UUIDField(widget=forms.HiddenInput)
    country = forms.ChoiceField(label="Country", choices=COUNTRIES, initial="65", required=False)
    number = forms.CharField(
        label="Phone number",
        max_length=40,
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "off"}),
        error_messages={"required": "Enter the recipient’s phone number."},
    )

    def __init__(self, campaign: Campaign, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.campaign = campaign
        languages = [(code, Language(code).label) for code in campaign.bodies]
        self.fields["language"] = forms.ChoiceField(
            label="Language",
            choices=languages,
            initial=languages[0][0],
            error_messages={"required": "Choose a language."},
        )
        self.fields["language"].widget.attrs["data-composer-language"] = True
        if len(languages) == 1:
            self.fields["language"].disabled = True
            self.fields["language"].help_text = "The campaign is written in this language only."
        self.variables = campaign.variables
        for name in self.variables:
            self.fields[f"values.{name}"] = forms.CharField(
                label=f"{{{{{name}}}}}",
                max_length=1000,
                widget=forms.TextInput(attrs={"autocomplete": "off"}),
                error_messages={"required": f"Enter a value for {{{{{name}}}}}."},
            )

    @property
    def value_fields(self) -> list[forms.BoundField]:
        return [self[f"values.{name}"] for name in self.variables]

    @property
    def recipient(self) -> str:
        """The number with its country code, digits only; whatever else was typed stays, to be refused."""
        typed = self.cleaned_data["number"]
        bare = re.sub(r"[\s().\-\u2010-\u2015]", "", typed)
        country = self.cleaned_data["country"]
        if bare.startswith("+"):
            return bare[1:]
        # Singapore's numbers have eight digits, so ten that begin with 65 are the whole of it.
        if country == "65" and len(bare) == 10 and bare.startswith("65"):
            return bare
        return country + bare

    @property
    def typed_values(self) -> dict[str, str]:
        """For the preview: what stands in the fields, or the variable where one is empty."""
        typed = {name: self[f"values.{name}"].value() for name in self.variables}
        return placeholders(self.campaign) | {name: text for name, text in typed.items() if text}

    @property
    def values(self) -> dict[str, str]:
        return {name: self.cleaned_data[f"values.{name}"] for name in self.variables}

    def add_faults(self, faults: Mapping[str, str]) -> None:
        """What `send_message` found wrong, beside the field it stands in."""
        for place, sentence in faults.items():
            name = "number" if place == "recipient" else place
            self.add_error(name if name in self.fields else None, sentence)


# WhatsApp ----------------------------------------------------------------------------------


class TemplateForm(forms.Form):
    """Which of the granted templates a campaign sends, and what comes next."""

    template = forms.TypedChoiceField(
        coerce=int,
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
        error_messages={"required": "Choose a template."},
    )
    to = forms.ChoiceField(
        label="Who receives it?",
        choices=[("single", "One person"), ("multiple", "Many people, from a CSV file")],
        initial="single",
        widget=forms.RadioSelect,
        error_messages={"required": "Choose who receives it."},
    )

    def __init__(self, granted: Sequence[WhatsappTemplate], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._granted = {template.pk: template for template in granted}
        choices = [(template.pk, template.name) for template in granted]
        cast(forms.ChoiceField, self.fields["template"]).choices = choices

    @property
    def chosen(self) -> WhatsappTemplate:
        return self._granted[self.cleaned_data["template"]]


class WhatsappForm(forms.Form):
    """One message to one person: a field for each param that somebody fills in."""

    message_id = forms.UUIDField(widget=forms.HiddenInput)
    recipient = forms.CharField(
        label="Mobile number",
        max_length=40,
        help_text="A Singapore number of 8 digits, or + and the country code first.",
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "off"}),
        error_messages={"required": "Enter the recipient’s mobile number."},
    )

    def __init__(self, template: WhatsappTemplate, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._template = template
        codes = [(code, str(whatsapp.LANGUAGES[code].label)) for code in template.body_in]
        self.fields["language"] = forms.ChoiceField(
            label="Language",
            choices=codes,
            initial=whatsapp.ENGLISH,
            widget=forms.RadioSelect,
            error_messages={"required": "Choose a language."},
        )
        self._params = whatsapp.typed_params(template)
        defaults = whatsapp.defaults_for(user, template)
        for name in self._params:
            label = whatsapp.label_of(template, name)
            self.fields[f"values.{name}"] = forms.CharField(
                label=label,
                max_length=whatsapp.MOST_CHARACTERS,
                initial=defaults.get(name, ""),
                help_text="Filled in from your profile." if defaults.get(name) else "",
                widget=forms.TextInput(attrs={"autocomplete": "off"}),
                error_messages={"required": f"Fill in: {label}."},
            )

    def clean_recipient(self) -> str:
        """Looked at here too, so that a wrong number is said together with what is missing."""
        typed: str = self.cleaned_data["recipient"]
        try:
            normalise(typed, test_numbers=settings.POSTMAN_ENVIRONMENT == "test")
        except InvalidRecipient as invalid:
            raise forms.ValidationError(invalid.message) from None
        return typed

    @property
    def value_fields(self) -> list[forms.BoundField]:
        return [self[f"values.{name}"] for name in self._params]

    @property
    def values(self) -> dict[str, str]:
        return {name: self.cleaned_data[f"values.{name}"] for name in self._params}

    @property
    def typed_values(self) -> dict[str, str]:
        """For the preview: what stands in the fields, or the gap where one is empty."""
        typed = {name: self[f"values.{name}"].value() for name in self._params}
        shown = {name: text or f"{{{{{name}}}}}" for name, text in typed.items()}
        return {**shown, passcodes.PARAM: "····"}

    def add_faults(self, faults: Mapping[str, str]) -> None:
        """What the send found wrong, beside the field it stands in."""
        for place, sentence in faults.items():
            self.add_error(place if place in self.fields else None, sentence)


class AgainForm(forms.Form):
    reason = forms.CharField(
        label="Why is it sent again?",
        max_length=200,
        help_text="It is kept in the audit log.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Say why it is sent again."},
    )


# A file ------------------------------------------------------------------------------------

_SAVE_AS = "In Excel, choose File, Save As, “CSV UTF-8 (Comma delimited)”, and upload that file."


class UploadForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}),
        max_length=255,
        error_messages={
            "required": "Choose the CSV file to upload.",
            "missing": "Choose the CSV file to upload.",
            "invalid": "Choose the CSV file to upload.",
            "empty": "This file is empty. Fill in the template and upload it again.",
            "max_length": "The name of this file is too long. Give it a shorter one.",
        },
    )

    def __init__(self, *args: Any, is_too_large: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_too_large = is_too_large
        if is_too_large:
            self.fields["file"].required = False

    def clean_file(self) -> UploadedFile:
        limit = settings.BATCH_BYTES_LIMIT
        file = self.cleaned_data["file"]
        if self._is_too_large or file.size > limit:
            raise forms.ValidationError(
                f"This file is larger than {filesizeformat(limit)}, which is the most. "
                "Split it into several files."
            )
        if Path(file.name).suffix.lower() != ".csv":
            raise forms.ValidationError(f"“{file.name}” is not a CSV file. {_SAVE_AS}")
        return file


class PasteForm(forms.Form):
    """The cells of a spreadsheet instead of a file: copied, they come with tabs between them."""

    LONGEST = 1_000_000
    TOO_LONG = f"Paste at most {LONGEST:,} characters, or upload them as a CSV file."

    pasted = forms.CharField(
        label="Cells of your spreadsheet",
        strip=False,
        max_length=LONGEST,
        widget=forms.Textarea(
            attrs={"rows": 8, "autocomplete": "off", "spellcheck": "false", "wrap": "off"}
        ),
        error_messages={"required": "Paste the cells of your spreadsheet.", "max_length": TOO_LONG},
    )

    def __init__(self, campaign: Campaign, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = ", ".join(["recipient", *campaign.variables])
        field = self.fields["pasted"]
        field.help_text = f"Copy them with their first row, which names the columns: {names}."
        # Not of the widget: a browser would cut off what is too long, and send the rest.
        field.widget.attrs.pop("maxlength", None)

    def clean_pasted(self) -> str:
        pasted: str = self.cleaned_data["pasted"]
        if not pasted.strip():
            raise forms.ValidationError("Paste the cells of your spreadsheet.")
        return pasted

    @property
    def file(self) -> UploadedFile:
        """What was pasted, as the file it would have been."""
        return SimpleUploadedFile("pasted.csv", self.cleaned_data["pasted"].encode())

    def refuse_as_too_long(self) -> None:
        """For a request that was not even read."""
        self.errors.clear()
        self.add_error("pasted", self.TOO_LONG)


# A time ------------------------------------------------------------------------------------

LATEST = timedelta(days=365)
# Nobody wants an SMS between nine in the evening and eight in the morning.
NIGHT_FROM, NIGHT_UNTIL = 21, 8


class ScheduleForm(forms.Form):
    """When to send, in Singapore's time: a usual moment, or a date and a time."""

    when = forms.ChoiceField(label="When", widget=forms.RadioSelect, initial="chosen")
    date = forms.DateField(
        label="Date",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Enter a date, such as 2026-12-31."},
    )
    time = forms.TimeField(
        label="Time (SGT)",
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        error_messages={"invalid": "Enter a time, such as 14:30."},
    )

    def __init__(self, *args: Any, scheduled_at: datetime | None = None, **kwargs: Any) -> None:
        if scheduled_at:
            local = timezone.localtime(scheduled_at)
            kwargs["initial"] = {"when": "chosen", "date": local.date(), "time": local.time()}
        super().__init__(*args, **kwargs)
        now = timezone.localtime()
        self._usual = {"tomorrow": _nine(now, days=1), "monday": _nine(now, days=7 - now.weekday())}
        labels = {"tomorrow": "Tomorrow", "monday": "Monday"}
        when = cast(forms.ChoiceField, self.fields["when"])
        when.choices = [
            (name, f"{labels[name]}, {at.day} {at:%b %Y}, 9:00 am")
            for name, at in self._usual.items()
        ] + [("chosen", "At another date and time")]
        self.fields["date"].widget.attrs |= {
            "min": now.date().isoformat(),
            "max": (now + LATEST).date().isoformat(),
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        at = self._usual.get(cleaned["when"]) or self._chosen(cleaned)
        if at:
            self._check(at)
            cleaned["at"] = at
        return cleaned

    def _chosen(self, cleaned: dict[str, Any]) -> datetime | None:
        for name, sentence in {"date": "Enter a date.", "time": "Enter a time."}.items():
            if cleaned[name] is None:
                self.add_error(name, sentence)
        if self.errors:
            return None
        return timezone.make_aware(datetime.combine(cleaned["date"], cleaned["time"]))

    def _check(self, at: datetime) -> None:
        now = timezone.now()
        if at <= now:
            self.add_error("date" if at.date() < timezone.localdate() else "time", _past(now))
        elif at > now + LATEST:
            self.add_error("date", "Choose a date within one year.")


# An email's review -------------------------------------------------------------------------

_ADDRESSES = re.compile(r"[\s,;]+")


class EmailTestForm(forms.Form):
    """Whom to send a test of an email to, and whose row it is filled with."""

    recipients = forms.CharField(
        label="Send it to",
        max_length=3000,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
        help_text="Officers' addresses, one on each line, ten at most.",
        error_messages={"required": "Give at least one address."},
    )
    row = forms.IntegerField(
        label="Row of the file",
        min_value=2,
        max_value=2**31 - 1,
        help_text="Its values fill the keywords. Rows are numbered as your spreadsheet shows them.",
        widget=forms.NumberInput(attrs={"class": "input-short"}),
        error_messages={"required": "Give the number of a row."},
    )
    is_marked = forms.BooleanField(
        label="Begin the subject with [TEST]", required=False, initial=True
    )

    def clean_recipients(self) -> list[str]:
        addresses = [each for each in _ADDRESSES.split(self.cleaned_data["recipients"]) if each]
        for address in addresses:
            try:
                OfficialEmailField(max_length=254).clean(address)
            except forms.ValidationError:
                raise forms.ValidationError(f"“{address}” is not an email address.") from None
        return addresses


# From so many recipients on, their number is typed before anything leaves.
TYPED_FROM = 10_000


class ReviewForm(forms.Form):
    """The word to send an email, and what its officer was looking at when they gave it."""

    ids = "send-%s"

    # The page writes what it shows, not what an earlier page showed.
    version = forms.IntegerField(widget=forms.HiddenInput)
    count = forms.CharField(
        label="Number of recipients",
        required=False,
        max_length=20,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )

    def __init__(self, batch: Batch, *args: Any, **kwargs: Any) -> None:
        kwargs["auto_id"] = self.ids
        super().__init__(*args, **kwargs)
        self.number = readiness.recipients_of(batch)
        if self.number < TYPED_FROM:
            del self.fields["count"]
        else:
            count = self.fields["count"]
            count.help_text = f"This goes to many people. Type {self.number:,} to go on."

    def clean_count(self) -> str:
        typed: str = self.cleaned_data["count"]
        if re.sub(r"[\s,]", "", typed) != str(self.number):
            raise forms.ValidationError(f"Type the number of recipients: {self.number:,}.")
        return typed


class EmailScheduleForm(ReviewForm, ScheduleForm):
    ids = "schedule-%s"


def _nine(now: datetime, *, days: int) -> datetime:
    return (now + timedelta(days=days)).replace(hour=9, minute=0, second=0, microsecond=0)


def _past(now: datetime) -> str:
    local = timezone.localtime(now)
    return f"That time has passed: it is {local:%H:%M} on {local.day} {local:%b %Y} in Singapore."


def is_night(at: datetime) -> bool:
    hour = timezone.localtime(at).hour
    return hour >= NIGHT_FROM or hour < NIGHT_UNTIL


# Webhooks ----------------------------------------------------------------------------------


class WebhookForm(forms.Form):
    """Where to; which addresses may be told anything is `messaging.webhooks`' to say."""

    url = forms.CharField(
        label="Address of your server",
        max_length=Webhook._meta.get_field("url").max_length,
        help_text="Begins with https://. Events are posted to it.",
        error_messages={"required": "Type the address that events are to be posted to."},
        widget=forms.TextInput(
            attrs={"inputmode": "url", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
