from typing import Any

from django import forms

from postman.accounts import codes


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
