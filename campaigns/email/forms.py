"""What is typed under Settings → Email senders. Meaning is checked beside its rule."""

from django import forms

from campaigns.email.senders import MAX_NAME_LENGTH


def _name_field() -> forms.CharField:
    return forms.CharField(
        label="Display name",
        required=False,
        # Twice as much may be typed: the rule says by how much it is too long.
        max_length=2 * MAX_NAME_LENGTH,
        strip=False,
        help_text="What recipients see before the address. Letters, digits, spaces "
        f"and - _ & . ' ( ), up to {MAX_NAME_LENGTH}.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class SenderNameForm(forms.Form):
    name = _name_field()


class MailboxForm(forms.Form):
    address = forms.CharField(
        label="Email address",
        max_length=254,
        help_text="Such as clinic@health.gov.sg, under one of your domains.",
        error_messages={"required": "Write the address of the mailbox."},
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "inputmode": "email"}
        ),
    )
    name = _name_field()


class DomainForm(forms.Form):
    domain = forms.CharField(
        label="Domain",
        max_length=253,
        help_text="What stands after the @ of your addresses, such as health.gov.sg.",
        error_messages={"required": "Write the domain."},
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
                "inputmode": "url",
            }
        ),
    )
