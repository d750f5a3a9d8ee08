from typing import Any

from django import forms
from django.core.validators import validate_email

from postman.accounts import codes
from postman.accounts.keys import MAX_CONTACTS


class OfficialEmailField(forms.EmailField):
    """An address as agencies give them: lower case, plain letters, nothing quoted."""

    def clean(self, value: Any) -> str:
        email = super().clean(value).lower()
        if not email.isascii() or '"' in email:
            raise forms.ValidationError(
                "Write the address in plain letters, without accents or quotation marks."
            )
        return email


class EmailForm(forms.Form):
    email = OfficialEmailField(
        label="Your government email address",
        max_length=254,
        help_text="Such as name@agency.gov.sg. We mail you a code to sign in with.",
        widget=forms.EmailInput(attrs={"autocomplete": "email", "spellcheck": "false"}),
    )


class CodeForm(forms.Form):
    code = forms.CharField(
        label="Sign-in code",
        help_text="Six letters and digits. Capitals or not, spaces or not: all the same.",
        max_length=30,
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "inputmode": "text",
                "autocapitalize": "characters",
                "spellcheck": "false",
            }
        ),
    )

    def clean_code(self) -> str:
        code = codes.clean(self.cleaned_data["code"])
        if code is None:
            raise forms.ValidationError(
                "A code has six characters: letters, and digits from 2 to 7. No try was counted."
            )
        return code


class ContactsField(forms.CharField):
    """Addresses, one to a line or with commas between; a list of them once it is clean."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            label="Contacts",
            help_text="Whom we tell before the key expires: one email address to a line, "
            f"at most {MAX_CONTACTS}.",
            widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
            error_messages={"required": "Give at least one email address."},
            **kwargs,
        )

    def clean(self, value: Any) -> list[str]:
        written = super().clean(value).replace(",", "\n").replace(";", "\n").split("\n")
        contacts = list(dict.fromkeys(part.strip().lower() for part in written if part.strip()))
        if not contacts:
            raise forms.ValidationError("Give at least one email address.")
        if len(contacts) > MAX_CONTACTS:
            raise forms.ValidationError(f"A key can have {MAX_CONTACTS} contacts.")
        for contact in contacts:
            try:
                validate_email(contact)
            except forms.ValidationError:
                raise forms.ValidationError(
                    f"“{contact}” is not an email address. Write one such as name@agency.gov.sg."
                ) from None
        return contacts


class KeyForm(forms.Form):
    label = forms.CharField(
        label="Label",
        max_length=255,
        help_text="What uses it, such as “Appointment system”. It cannot be changed later.",
        error_messages={"required": "Give the key a label."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    contacts = ContactsField()

    def clean_label(self) -> str:
        label = " ".join(self.cleaned_data["label"].split())
        if not label.isprintable():
            raise forms.ValidationError("Take out the invisible characters.")
        return label


class ContactsForm(forms.Form):
    contacts = ContactsField()
