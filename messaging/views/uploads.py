"""Do not store a file that is larger than any we take."""

from django.conf import settings
from django.http import HttpRequest

from postman import uploads


class SizeLimit(uploads.SizeLimit):
    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request, settings.BATCH_BYTES_LIMIT)
