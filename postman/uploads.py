"""What becomes of the files of a request, before anybody looks at it."""

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.http import HttpRequest


class NoFiles(FileUploadHandler):
    """Drop every file of a request; a page that takes one brings handlers of its own.

    Django reads a form before anybody asks who sent it, so a stranger could fill our disk.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        return None

    def file_complete(self, file_size: int) -> None:
        return None


class SizeLimit(FileUploadHandler):
    """First in the line of handlers: nothing of a request that is too large is kept.

    It is read and dropped, so that the browser gets our page and not a broken connection. What
    the request says of its length can be relied on: Django reads no further.
    """

    # The form around the file takes a few hundred bytes; the form itself looks at the rest.
    MARGIN = 64 * 1024

    is_too_large = False

    def __init__(self, request: HttpRequest, limit: int) -> None:
        super().__init__(request)
        self.limit = limit

    def handle_raw_input(
        self,
        input_data: Any,
        META: Any,  # noqa: N803
        content_length: int,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self.is_too_large = content_length > self.limit + self.MARGIN

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        if self.is_too_large:
            raise StopUpload(connection_reset=False)
        super().new_file(*args, **kwargs)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None
