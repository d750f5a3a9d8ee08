from django import forms

from postman.accounts import codes


class EmailForm(forms.Form):
    email = forms.EmailField(
        label="Your government email address",
        max_length=254,
        help_text="Such as name@agency.gov.sg. We mail you a code to sign in with.",
        widget=forms.EmailInput(attrs={"autocomplete": "email", "spellcheck": "false"}),
    )

    def clean_email(self) -> str:
        email = self.cleaned_data["email"].lower()
        if not email.isascii():
            raise forms.ValidationError("Write the address in plain letters, without accents.")
        return email


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
