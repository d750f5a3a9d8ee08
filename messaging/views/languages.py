"""In which language a recipient reads our page: what they chose, else what their browser asks for."""

from collections.abc import Mapping
from typing import Protocol, TypedDict, TypeVar

from django.http import HttpRequest
from django.utils.translation.trans_real import parse_accept_lang_header

# How browsers name them.
BY_TAG = {"en": "english", "zh": "chinese", "ms": "malay", "ta": "tamil"}


class Spoken(Protocol):
    @property
    def tag(self) -> str: ...

    @property
    def own_name(self) -> str: ...


W = TypeVar("W", bound=Spoken)


class Choice(TypedDict):
    name: str
    label: str
    tag: str
    is_this: bool


def language_of(request: HttpRequest) -> str:
    """The one they chose, else the first of their browser's that we have."""
    if (chosen := request.GET.get("lang")) in BY_TAG.values():
        return str(chosen)
    accepted = parse_accept_lang_header(request.headers.get("Accept-Language", ""))
    known = (BY_TAG.get(tag.partition("-")[0]) for tag, _ in accepted)
    return next(filter(None, known), "english")


def choices(request: HttpRequest, languages: Mapping[str, W]) -> list[Choice]:
    """The languages the page may be read in, for `recipient.html`."""
    language = language_of(request)
    return [
        {"name": name, "label": other.own_name, "tag": other.tag, "is_this": name == language}
        for name, other in languages.items()
    ]
