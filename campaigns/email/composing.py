"""A pinned email, ready to be put together for one recipient after another."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from campaigns.email import keywords, sanitising, theme
from campaigns.email.theme import Facts

NOTICE_KEYWORDS = (keywords.PROTECTED_LINK, keywords.RECIPIENT)


class Parts(NamedTuple):
    """What one recipient gets."""

    subject: str
    html: str
    text: str


class Composed:
    """An email taken apart once. `body_html` must have been cleaned."""

    __slots__ = ("_body", "_preheader", "_subject", "_text", "shell", "variables")

    def __init__(self, subject: str, body_html: str, preheader: str, facts: Facts) -> None:
        self.shell = theme.build(body_html, facts)
        self._subject = keywords.compile(subject)
        self._preheader = keywords.compile(preheader or theme.opening(body_html))
        self._body = keywords.compile(self.shell.body, theme.LINK_STYLE)
        self._text = keywords.compile(theme.plain_text(body_html))
        self.variables = keywords.variables(subject, preheader, body_html)

    def mail_parts(self, values: Mapping[str, str], unsubscribe_url: str = "") -> Parts:
        """Raises `MissingValue` if the recipient is named and not known."""
        body, filled = self._body.merge_html(values)
        if not sanitising.are_inert(filled):
            body = sanitising.clean_merged(body)
        return Parts(
            subject=self._subject.render_text(values),
            html=self.shell.html(body, unsubscribe_url, self._preheader.render_text(values)),
            text=self.shell.text(self._text.render_plain(values), unsubscribe_url),
        )


@lru_cache(maxsize=256)
def compose(subject: str, body_html: str, preheader: str, facts: Facts) -> Composed:
    return Composed(subject, body_html, preheader, facts)


def notice_faults(subject: str, body_html: str) -> list[str]:
    """Why an email may not announce a password-protected page: it must lead there, and it must not
    say in the open what the page is to protect."""
    faults = []
    if keywords.PROTECTED_LINK not in keywords.variables(body_html):
        faults.append("Write {{protectedlink}} in the message: it becomes the link to the page.")
    for place, text in (("subject", subject), ("message", body_html)):
        strange = [name for name in keywords.variables(text) if name not in NOTICE_KEYWORDS]
        faults += [
            f"Remove {{{{{name}}}}} from the {place}: this email is not protected. Only "
            "{{protectedlink}} and {{recipient}} may stand in it."
            for name in strange
        ]
    return faults
