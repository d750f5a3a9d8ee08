import os
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
            self.content_type, self.content_params = parse_header_parameters(
                meta.get("CONTENT_TYPE", "")
            )
        except ValueError:
            meta["CONTENT_TYPE"] = ""  # others read it as well


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postman.settings.production")
application = get_wsgi_application()
application.request_class = Utf8Request
