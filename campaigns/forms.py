"""What is typed on the campaign pages. Shape is checked here, meaning beside its rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import RegexValidator
from django.db import models
from django.template.defaultfilters import filesizeformat

from campaigns import creation, sms
from campaigns.email import keywords
from campaigns.models import (
    Campaign,
    CampaignDraft,
    Channel,
    EmailDraft,
    Image,
    Language,
    RecipientType,
    Role,
)
from campaigns.twilio_account import Credentials
from postman.accounts.forms import OfficialEmailField
from postman.accounts.models import User

NAME_LENGTH = CampaignDraft._meta.get_field("name").max_length or 0


def _sid(prefix: str, what: str) -> RegexValidator:
    return RegexValidator(
        rf"^{prefix}[0-9a-fA-F]{{32}}$",
        f"{what} starts with {prefix} and has 34 characters: copy it whole from the Twilio console.",
    )


def _clean_name(name: str) -> str:
    name = " ".join(name.split())
    if not name.isprintable():
        raise forms.ValidationError("Take out the invisible characters.")
    return name


class NameForm(forms.Form):
    name = forms.CharField(
        label="Campaign name",
        max_length=NAME_LENGTH,
        help_text="Only you and the campaign's members see it.",
        error_messages={"required": "Give the campaign a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "data-remaining": True}),
    )

    def clean_name(self) -> str:
        return _clean_name(self.cleaned_data["name"])


class Kind(models.TextChoices):
    """What a new campaign can be. It stays so."""

    SMS = "sms", "SMS"
    EMAIL = "email", "Email"
    PROTECTED = "protected", "Password-protected email"
    TELEGRAM = "telegram", "Telegram"
    WHATSAPP = "whatsapp", "WhatsApp"

    @property
    def channel(self) -> Channel:
        return Channel.EMAIL if self == Kind.PROTECTED else Channel(self.value)


class SomeDisabled(forms.RadioSelect):
    """Radio buttons of which some cannot be chosen: value → why not."""

    reasons: Mapping[str, str] = {}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        option["reason"] = self.reasons.get(str(value), "")
        if option["reason"]:
            option["attrs"]["disabled"] = True
        return option


class NewCampaignForm(forms.Form):
    """A name, and how the messages reach people. `campaign_id` lets a second press of the button
    find the email campaign that the first one made."""

    campaign_id = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(
        label="Campaign name",
        max_length=Campaign._meta.get_field("name").max_length,
        help_text="Only you and the campaign's members see it.",
        error_messages={"required": "Give the campaign a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    kind = forms.ChoiceField(
        label="How do the messages reach people?",
        choices=Kind.choices,
        widget=SomeDisabled,
        help_text="This cannot be changed afterwards.",
        error_messages={"required": "Choose how the messages reach people."},
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        reasons = {kind.value: creation.why_not_start(user, kind.channel) for kind in Kind}
        self.fields["kind"].widget.reasons = reasons  # type: ignore[attr-defined]

    def clean_kind(self) -> str:
        kind: str = self.cleaned_data["kind"]
        if reason := self.fields["kind"].widget.reasons[kind]:  # type: ignore[attr-defined]
            raise forms.ValidationError(reason)
        return kind

    def clean_name(self) -> str:
        return _clean_name(self.cleaned_data["name"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        name = cleaned.get("name", "")
        if cleaned.get("kind") == Kind.SMS and len(name) > NAME_LENGTH:
            self.add_error(
                "name",
                f"The name of an SMS campaign has at most {NAME_LENGTH} characters; "
                f"this one has {len(name)}.",
            )
        return cleaned


class ChannelForm(forms.Form):
    """Who receives it. Secrets are never put back into the page; left blank, saved ones are kept."""

    recipient_type = forms.ChoiceField(
        label="Who is receiving the messages?",
        choices=RecipientType.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose who receives the messages."},
    )
    account_sid = forms.CharField(
        label="Account SID", required=False, validators=[_sid("AC", "An Account SID")]
    )
    api_key_sid = forms.CharField(
        label="API Key SID", required=False, validators=[_sid("SK", "An API Key SID")]
    )
    api_secret = forms.CharField(
        label="API Secret",
        required=False,
        max_length=100,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Stored encrypted and never shown again.",
    )
    messaging_service_sid = forms.CharField(
        label="Messaging Service SID",
        required=False,
        validators=[_sid("MG", "A Messaging Service SID")],
    )
    auth_token = forms.CharField(
        label="Auth Token (optional)",
        required=False,
        max_length=100,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=(
            "Twilio signs its delivery reports with it, so Postman can tell that a report really "
            "comes from Twilio. Without it, only an address that nobody can guess protects them. "
            "Stored encrypted and never shown again."
        ),
    )
    sender_name = forms.CharField(
        label="Expected Sender Name",
        required=False,
        validators=[
            RegexValidator(
                r"^(?=.*[A-Za-z])[A-Za-z0-9 ._&-]{3,11}$",
                "A sender name has 3 to 11 Latin letters and digits, at least one of them a letter.",
            )
        ],
        help_text="The registered name that the phone shows, 3 to 11 characters.",
    )

    staff_fields = (
        "account_sid",
        "api_key_sid",
        "api_secret",
        "messaging_service_sid",
        "auth_token",
        "sender_name",
    )
    optional = ("auth_token",)

    def __init__(self, *args: Any, draft: CampaignDraft, **kwargs: Any) -> None:
        self.saved = creation.staff_sender(draft)
        kwargs["initial"] = self._initial(draft)
        super().__init__(*args, **kwargs)
        for name in self.staff_fields:
            self.fields[name].widget.attrs.setdefault("autocomplete", "off")
            self.fields[name].widget.attrs["spellcheck"] = "false"
        if self.saved:
            self._say_that_secrets_are_kept(self.saved.credentials)

    def _initial(self, draft: CampaignDraft) -> dict[str, str]:
        initial = {"recipient_type": draft.recipient_type}
        if self.saved:
            credentials = self.saved.credentials
            initial |= {
                "account_sid": credentials.account_sid,
                "api_key_sid": credentials.api_key_sid,
                "messaging_service_sid": credentials.messaging_service_sid,
                "sender_name": self.saved.sender_name,
            }
        return initial

    def _say_that_secrets_are_kept(self, credentials: Credentials) -> None:
        for name in ("api_secret", "auth_token"):
            if getattr(credentials, name):
                self.fields[name].help_text = "Saved. Leave blank to keep it, or type a new one."

    @property
    def is_for_staff(self) -> bool:
        return self["recipient_type"].value() == RecipientType.STAFF

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("recipient_type") != RecipientType.STAFF:
            # What stands in the hidden Twilio fields is nobody's mistake.
            for name in self.staff_fields:
                self.errors.pop(name, None)
            return cleaned
        for name in self.staff_fields:
            missing = name in cleaned and not self._value(name)
            if missing and name not in self.optional:
                self.add_error(name, f"Fill in the {self.fields[name].label}.")
        return cleaned

    def staff_sender(self) -> creation.StaffSender:
        return creation.StaffSender(
            sender_name=self._value("sender_name"),
            credentials=Credentials(
                account_sid=self._value("account_sid"),
                api_key_sid=self._value("api_key_sid"),
                api_secret=self._value("api_secret"),
                messaging_service_sid=self._value("messaging_service_sid"),
                auth_token=self._value("auth_token"),
            ),
        )

    def _value(self, name: str) -> str:
        typed = self.cleaned_data.get(name, "")
        if typed or name not in ("api_secret", "auth_token") or not self.saved:
            return str(typed)
        return str(getattr(self.saved.credentials, name))


class ContentForm(forms.Form):
    """One text area per language. `bodies` is what was typed, faulty or not."""

    def __init__(self, *args: Any, languages: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.languages = [code for code in Language.values if code in set(languages)]
        for code in self.languages:
            self.fields[self.name_of(code)] = forms.CharField(
                label=f"Message in {Language(code).label}",
                required=False,
                strip=False,
                widget=forms.Textarea(
                    attrs={"rows": 8, "lang": sms.LANGUAGE_TAGS[code], "data-composer-body": True}
                ),
            )

    @staticmethod
    def name_of(language: str) -> str:
        return f"body_{language}"

    def body(self, language: str) -> str:
        return creation.clean_body(self[self.name_of(language)].value() or "")

    @property
    def bodies(self) -> dict[str, str]:
        return {code: self.body(code) for code in self.languages}

    @property
    def can_be_saved(self) -> bool:
        return not any("\0" in body for body in self.bodies.values())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.languages:
            self.add_error(None, "Add at least one language.")
        for language, faults in creation.faults_of(self.bodies).items():
            if self.name_of(language) not in self.errors:
                self.add_error(self.name_of(language), faults)
        return cleaned


class EmailForm(forms.ModelForm):
    """An email as it is being written. What cannot be stored is refused here; whether it can be
    sent is another question (`email.drafts.faults_of`), so nothing is required."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)
    from_address = forms.ChoiceField(
        label="From address",
        error_messages={"invalid_choice": "You may not send from this address."},
    )
    html = forms.CharField(
        label="Message",
        required=False,
        strip=False,
        # Under what a request may hold, with the rest of the form.
        max_length=900_000,
        widget=forms.Textarea(attrs={"rows": 16, "spellcheck": "true"}),
    )

    class Meta:
        model = EmailDraft
        fields = [
            "from_name",
            "from_address",
            "reply_to",
            "subject",
            "preheader",
            "html",
            "shows_logo",
            "tracks_opens",
        ]
        labels = {
            "from_name": "From name",
            "reply_to": "Replies go to",
            "subject": "Subject",
            "preheader": "Preview text",
            "shows_logo": "Show the agency's logo at the top",
            "tracks_opens": "Count how many people open it",
        }
        help_texts = {
            "from_name": "Whom the email is from, as people see it. Left blank: the name on record.",
            "reply_to": "Left blank, they go to who created the campaign.",
            "subject": "Best in fewer than ten words.",
            "preheader": "What an inbox shows after the subject. Left blank: how the message begins.",
            "shows_logo": "",
            "tracks_opens": "By an invisible image, which many mail apps load or block for everyone.",
        }
        widgets = {
            "from_name": forms.TextInput(attrs={"autocomplete": "off"}),
            "reply_to": forms.EmailInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            "subject": forms.TextInput(attrs={"autocomplete": "off"}),
            "preheader": forms.TextInput(attrs={"autocomplete": "off"}),
        }

    lines = ("from_name", "reply_to", "subject", "preheader")
    # Beside these stands what is wrong with what was saved, and what could be better.
    noted = ("from_address", "reply_to", "subject", "preheader", "html")

    def __init__(self, *args: Any, senders: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(address, address) for address in senders]
        self.fields["from_address"].choices = choices  # type: ignore[attr-defined]
        for name in self.noted:
            self.fields[name].widget.attrs["aria-describedby"] = " ".join(self._describing(name))

    def _describing(self, name: str) -> list[str]:
        field = self[name]
        ids = [f"{field.auto_id}_helptext"] if field.help_text else []
        if self.is_bound and name in self.errors:
            ids.append(f"{field.auto_id}_error")
        return [*ids, f"{field.auto_id}_notes"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name in self.lines:
            if name in cleaned:
                cleaned[name] = " ".join(keywords.without_controls(cleaned[name]).split())
        return cleaned

    @property
    def storable(self) -> dict[str, Any]:
        """What was typed and can be stored, by field; one that cannot keeps its stored value."""
        names = [name for name in self.Meta.fields if name not in self.errors]
        return {name: self.cleaned_data[name] for name in names}

    def differences(self, theirs: EmailDraft) -> list[tuple[str, Any]]:
        """(label, stored value) of what is stored otherwise than it was typed here."""
        names = [name for name in self.Meta.fields if self._is_other(name, getattr(theirs, name))]
        return [(str(self.fields[name].label), getattr(theirs, name)) for name in names]

    def _is_other(self, name: str, stored: Any) -> bool:
        typed = self.cleaned_data.get(name, self[name].value())
        return bool(typed != stored)


class PictureForm(forms.Form):
    """A picture to upload. Whether it is one, `email.images` finds out."""

    file = forms.FileField(
        label="Picture",
        max_length=255,
        help_text="PNG, JPEG, GIF or WebP, 5 MB at most. Where and with what it was taken is erased.",
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/gif,image/webp"}),
        error_messages={
            "required": "Choose a picture.",
            "missing": "Choose a picture.",
            "invalid": "Choose a picture.",
            "empty": "This file is empty.",
            "max_length": "The name of this file is too long. Give it a shorter one.",
        },
    )

    def __init__(self, *args: Any, is_too_large: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_too_large = is_too_large
        if is_too_large:
            self.fields["file"].required = False

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if self._is_too_large or (file.size or 0) > settings.IMAGE_BYTES_LIMIT:
            most = filesizeformat(settings.IMAGE_BYTES_LIMIT)
            raise forms.ValidationError(f"This picture is larger than {most}, which is the most.")
        return file


class ImageForm(PictureForm):
    alt = forms.CharField(
        label="What it shows",
        max_length=Image._meta.get_field("alt").max_length,
        help_text="Read aloud to those who cannot see it, and shown where pictures are blocked.",
        error_messages={"required": "Say in a few words what the picture shows."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean_alt(self) -> str:
        return " ".join(self.cleaned_data["alt"].split())


class MemberForm(forms.Form):
    email = OfficialEmailField(
        label="Email address",
        error_messages={
            "required": "Type the person's email address.",
            "invalid": "This is not an email address.",
        },
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.MEMBER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class AddressForm(forms.Form):
    address = forms.CharField(
        label="IP address",
        max_length=100,
        error_messages={"required": "Type an IP address."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class KeyForm(forms.Form):
    label = forms.CharField(
        label="Label (optional)",
        required=False,
        max_length=50,
        help_text="Which system uses it, so that you know what stops when you delete it.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    expires_on = forms.DateField(
        label="Last day (optional)",
        required=False,
        help_text="Calls are refused after this day. Without one, the key works until you delete it.",
        error_messages={"invalid": "Type a date such as 2027-03-31."},
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )


class DeleteForm(forms.Form):
    name = forms.CharField(
        label="Type the campaign's name to confirm",
        strip=True,
        max_length=100,
        error_messages={"required": "Type the campaign's name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class SmsCredentialsForm(forms.Form):
    """A Twilio account under a label. Secrets are never put back into the page."""

    label = forms.CharField(
        label="Label",
        max_length=50,
        validators=[
            RegexValidator(
                r"^[a-z0-9-]{1,50}$",
                "A label has 1 to 50 small letters, digits and hyphens.",
            )
        ],
        help_text="Your systems name it in each call, such as clinic-reminders.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    account_sid = forms.CharField(
        label="Account SID", validators=[_sid("AC", "An Account SID")], widget=forms.TextInput
    )
    api_key_sid = forms.CharField(label="API Key SID", validators=[_sid("SK", "An API Key SID")])
    api_secret = forms.CharField(
        label="API Secret",
        max_length=100,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Stored encrypted and never shown again.",
    )
    messaging_service_sid = forms.CharField(
        label="Messaging Service SID", validators=[_sid("MG", "A Messaging Service SID")]
    )
    auth_token = forms.CharField(
        label="Auth Token",
        required=False,
        max_length=100,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Twilio signs its delivery reports with it. Stored encrypted.",
    )
    segments_per_second = forms.IntegerField(
        label="Segments a second",
        min_value=1,
        max_value=999,
        initial=10,
        help_text="What Twilio agreed to for this account: 10 unless you were told otherwise.",
    )

    def credentials(self) -> Credentials:
        names = ("account_sid", "api_key_sid", "api_secret", "messaging_service_sid", "auth_token")
        return Credentials(**{name: self.cleaned_data[name] for name in names})
