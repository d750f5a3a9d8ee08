import os
from functools import lru_cache
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters


class Utf8Request(WSGIRequest):
    """Whatever `Content-Type` says, we read UTF-8.

    Its charset may name any of Python's codecs, some of which unpack (zlib) or make no text at all
    (rot13), and one that cannot be read would fail before there is a request to answer.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type: str | None = ""
        self.content_params: dict[str, str] | None = {}
        try:
            self.content_type, params = _content_type(meta.get("CONTENT_TYPE", ""))
            self.content_params = dict(params)
        except ValueError:
            meta["CONTENT_TYPE"] = ""  # others read it as well


@lru_cache(maxsize=64)
def _content_type(header: str) -> tuple[str, dict[str, str]]:
    """All callers of one kind send the same, and Python reads it by its parser for emails."""
    return parse_header_parameters(header)  # type: ignore[no-any-return]


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postman.settings.production")
application = get_wsgi_application()
application.request_class = Utf8Request
