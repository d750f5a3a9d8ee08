"""What is typed about bots and their messages. Meaning is checked beside its rule."""

from typing import Any

from django import forms
from django.core.validators import RegexValidator

from campaigns.models import Campaign, TelegramBot
from campaigns.telegram import bot_api, bots, texts
from postman.accounts.models import User


class TelegramBotForm(forms.Form):
    """A bot under a label. Its token is never put back into the page."""

    label = forms.CharField(
        label="Label",
        max_length=50,
        validators=[
            RegexValidator(
                r"^[a-z0-9-]{1,50}$", "A label has 1 to 50 small letters, digits and hyphens."
            )
        ],
        help_text="What you know it by, such as clinic-bot.",
        error_messages={"required": "Give the bot a label."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    token = forms.CharField(
        label="Bot token",
        max_length=100,
        help_text="As BotFather shows it: digits, a colon, letters. Stored encrypted and never "
        "shown again.",
        error_messages={"required": "Paste the token of the bot."},
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )

    def clean_token(self) -> str:
        token: str = self.cleaned_data["token"].strip()
        if not bot_api.is_token(token):
            raise forms.ValidationError(
                "This is not a bot token: it looks like 123456789:AAE… Copy all of it."
            )
        return token


class NewTelegramForm(forms.Form):
    """The name of a new campaign, and the bot that it is sent by. `campaign_id` lets a second press
    of the button find the campaign that the first one made."""

    campaign_id = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(
        label="Campaign name",
        max_length=Campaign._meta.get_field("name").max_length,
        error_messages={"required": "Give the campaign a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    bot = forms.ModelChoiceField(
        TelegramBot.objects.none(),
        label="Which bot sends the messages?",
        empty_label=None,
        widget=forms.RadioSelect,
        help_text="Only people who have subscribed to it can be reached. "
        "This cannot be changed afterwards.",
        error_messages={
            "required": "Choose a bot.",
            "invalid_choice": "Choose one of your own bots.",
        },
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = bots.with_subscribers(user)
        self.fields["bot"].queryset = own  # type: ignore[attr-defined]
        self.fields["bot"].label_from_instance = _described  # type: ignore[attr-defined]
        if len(own) == 1:
            self.initial.setdefault("bot", own[0].pk)

    def clean_name(self) -> str:
        name = " ".join(str(self.cleaned_data["name"]).split())
        if not name.isprintable():
            raise forms.ValidationError("Take out the invisible characters.")
        return name


def _described(bot: Any) -> str:
    people = f"{bot.subscribers:,} subscriber{'' if bot.subscribers == 1 else 's'}"
    return f"{bot.label} ({bot}, {people})"


class MessageForm(forms.Form):
    """The message as it is being written. What is wrong with it keeps nobody from saving it."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)
    body = forms.CharField(
        label="Message",
        required=False,
        strip=False,
        # More than Telegram takes, so that the rule can say by how much it is too long.
        max_length=10 * texts.MAX_LENGTH,
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "true", "data-telegram-body": True}),
    )

    def go_on_from(self, version: int) -> None:
        """What was typed stays, and is saved next in place of this version."""
        self.data = {**self.data.dict(), "version": str(version)}  # type: ignore[attr-defined]


class TestForm(forms.Form):
    """To whom a test message goes."""

    phone = forms.CharField(
        label="Your phone number",
        max_length=40,
        help_text="The number must have subscribed to the bot.",
        error_messages={"required": "Enter the number that you have subscribed with."},
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel"}),
    )
    message_id = forms.UUIDField(widget=forms.HiddenInput)
