"""The header and the numbered rows of a delimited text file, whatever a spreadsheet saved it as."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import BinaryIO

# So many rows at once: enough to look at them column by column, and few enough that they stay in
# the processor's cache and that a web process answers others meanwhile.
CHUNK = 500
# Fewer where they are long, so that memory stays flat.
CHUNK_BYTES = 4_000_000
LONGEST_LINE = 1_000_000


class FileFault(ValueError):
    """The file cannot be read as recipients at all; the message says what to do about it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_SAVE_AS_CSV = "Save it as “CSV UTF-8 (Comma delimited)” and upload that file."
_MAGIC = {
    b"PK\x03\x04": f"This is an Excel workbook or a zip file. {_SAVE_AS_CSV}",
    b"\xd0\xcf\x11\xe0": f"This is an old or password-protected Excel workbook. {_SAVE_AS_CSV}",
    b"%PDF": "This is a PDF. Upload a CSV file.",
    b"{\\rtf": "This is a word-processor document. Upload a CSV file.",
    b"-----BEGIN PGP": "This file is encrypted. Upload a CSV file that is not.",
}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16, so it comes first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _encoding(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(4096)
    file.seek(0)
    if not head.strip(b"\xef\xbb\xbf\xff\xfe\x00 \r\n\t,;"):
        raise FileFault("empty", "This file is empty.")
    for magic, message in _MAGIC.items():
        if head.startswith(magic):
            raise FileFault("not_text", message)
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding
    # A header is plain letters, so UTF-16 without a mark shows as a zero in every other byte.
    if len(head) >= 8 and not any(head[1:8:2]) and all(head[:8:2]):
        return "utf-16-le"
    if len(head) >= 8 and not any(head[:8:2]) and all(head[1:8:2]):
        return "utf-16-be"
    if len(re.findall(rb"[\x00-\x08\x0e-\x1f]", head)) * 20 > len(head):
        raise FileFault("not_text", f"This is not a text file. {_SAVE_AS_CSV}")
    return "utf-8"


class Table:
    """The header and the numbered rows of a delimited text file."""

    def __init__(self, file: BinaryIO) -> None:
        encoding = _encoding(file)
        # Undecodable bytes are kept as escapes, so that the row they stand in can be named.
        errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
        self._file = file
        self._text = io.TextIOWrapper(file, encoding, errors, newline="")
        self._number = 0
        try:
            self.delimiter = _delimiter(self._first_line())
            self._text.seek(0)
            # In pieces, so that a file without line breaks does not come as one line.
            lines = iter(partial(self._text.readline, LONGEST_LINE), "")
            self._reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            self.header = self._first_row()
            refuse_undecoded(self._number, self.header)
        except BaseException:
            self.release()
            raise

    def chunks(self) -> Iterator[tuple[int, list[list[str]]]]:
        """Rows, with the number a spreadsheet shows of the first: a line break inside quotes
        starts none."""
        while rows := self._some_rows():
            first, self._number = self._number + 1, self._number + len(rows)
            yield first, rows

    def _some_rows(self) -> list[list[str]]:
        rows: list[list[str]] = []
        size, end = -1, self._file.tell() + CHUNK_BYTES
        try:
            while size < len(rows) < CHUNK and self._file.tell() < end:
                size = len(rows)
                rows.extend(islice(self._reader, 100))
        except csv.Error as fault:
            raise _broken_quotes(self._number + len(rows) + 1, str(fault)) from None
        return rows

    def release(self) -> None:
        """Leave the file open for whoever brought it."""
        self._text.detach()

    def _first_line(self) -> str:
        while line := self._text.readline(LONGEST_LINE):
            if line.strip():
                return line
        raise FileFault("empty", "This file is empty.")

    def _first_row(self) -> list[str]:
        try:
            for cells in self._reader:
                self._number += 1
                if any(cell.strip() for cell in cells):
                    return cells
        except csv.Error as fault:
            raise _broken_quotes(self._number + 1, str(fault)) from None
        raise FileFault("empty", "This file is empty.")


def _broken_quotes(number: int, problem: str) -> FileFault:
    if "expected after" in problem:
        return FileFault(
            "stray_quote",
            f"Row {number} has text after a closing quotation mark. Write a quotation mark "
            "inside a quoted value twice, and check that the one before is closed.",
        )
    return FileFault("unclosed_quote", f"Row {number} opens a quotation mark that is never closed.")


def refuse_undecoded(number: int, cells: Sequence[str]) -> None:
    escaped = re.search("[\udc80-\udcff]", "".join(cells))
    if escaped:
        byte = ord(escaped[0]) - 0xDC00
        raise FileFault(
            "not_utf8",
            f"Row {number} is not in UTF-8 (byte 0x{byte:02X}). In Excel, choose Save As, then "
            "“CSV UTF-8 (Comma delimited)”, and upload that file.",
        )


def _delimiter(header: str) -> str:
    """What parts the columns, judged by the header alone: values may hold anything."""
    return max(",;\t", key=header.count)
