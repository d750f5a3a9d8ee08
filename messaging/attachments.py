"""Which files may go along with an email (v1-backend §3.5, v1-web-app §20.6). Pure.

What a file is, its content says; its name has to agree, as the recipient's machine goes by that.
"""

import codecs
import hashlib
import io
import re
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import puremagic

from postman.errors import Refused

MOST_FILES = 10
# Of all together. One file of exactly as many is refused already, as v1 does.
MOST_BYTES = 10 * 1024 * 1024
LONGEST_NAME = 255

_TEXT = {"asc": "text/plain", "csv": "text/csv", "txt": "text/plain", "ent": "text/plain"}
_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN = "application/vnd.oasis.opendocument"
_OLD_OPEN = "application/vnd.sun.xml"
# Archives inside: extension → type, and a file that such an archive has.
_ZIPPED = {
    "docx": (f"{_OFFICE}.wordprocessingml.document", "[Content_Types].xml"),
    "pptx": (f"{_OFFICE}.presentationml.presentation", "[Content_Types].xml"),
    "xlsx": (f"{_OFFICE}.spreadsheetml.sheet", "[Content_Types].xml"),
    "odb": (f"{_OPEN}.database", "mimetype"),
    "odf": (f"{_OPEN}.formula", "mimetype"),
    "odg": (f"{_OPEN}.graphics", "mimetype"),
    "ods": (f"{_OPEN}.spreadsheet", "mimetype"),
    "sxc": (f"{_OLD_OPEN}.calc", "mimetype"),
    "sxd": (f"{_OLD_OPEN}.draw", "mimetype"),
    "sxi": (f"{_OLD_OPEN}.impress", "mimetype"),
    "sxw": (f"{_OLD_OPEN}.writer", "mimetype"),
}
_OTHERS = {
    "avi": "video/x-msvideo",
    "bmp": "image/bmp",
    "dgn": "image/vnd.dgn",
    "dwf": "model/vnd.dwf",
    "dwg": "image/vnd.dwg",
    "dxf": "image/vnd.dxf",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "pdf": "application/pdf",
    "png": "image/png",
    "rtf": "application/rtf",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "wmv": "video/x-ms-wmv",
}
TYPES = {**_TEXT, **{name: kind for name, (kind, _) in _ZIPPED.items()}, **_OTHERS}
# Several extensions are one kind of file, and drawings have few marks of their own.
_SAME = ({"jpg", "jpeg", "jfif", "jpe"}, {"tif", "tiff"}, {"mpg", "mpeg", "vob"})
_UNMARKED = {"dgn", "dxf", "mpg", "mpeg"}
_PICTURES = {"bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff"}
# The head of a picture goes on as a comment or an assignment where it is a script too.
_is_script = re.compile(rb"(?:GIF8[79]a|BM|\xff\xd8\xff\xe0)(?:/\*|//|=[ -~])").match
_holds_page = re.compile(rb"<(?:script|html|!doctype html|\?php)", re.IGNORECASE).search
# Of other kinds of file that are text as well.
_starts_as_another = re.compile(
    r"\s*(?:%pdf|%!ps|\{\\rtf|<(?:\?xml|\?php|!doctype|html|head|body|script|svg))", re.IGNORECASE
).match


@dataclass(frozen=True, slots=True)
class File:
    """One that may go along."""

    name: str
    content_type: str
    data: bytes = field(repr=False)

    @property
    def facts(self) -> dict[str, object]:
        """What v1's objects tell of it."""
        digest = hashlib.md5(self.data, usedforsecurity=False)
        return {"fileName": self.name, "fileSize": len(self.data), "hash": digest.hexdigest()}


def check(files: Sequence[tuple[str, bytes]]) -> list[File]:
    """(name, content) each; raises Refused `attachment_limit` or `invalid_template`."""
    if len(files) > MOST_FILES:
        raise Refused(f"Attach at most {MOST_FILES} files.", "attachment_limit")
    sizes = [len(data) for _, data in files]
    if sum(sizes) > MOST_BYTES or MOST_BYTES in sizes:
        raise Refused("The attached files must be smaller than 10 MB together.", "attachment_limit")
    return [_checked(name, data) for name, data in files]


def _checked(name: str, data: bytes) -> File:
    clean = _clean_name(name)
    extension = PurePosixPath(clean).suffix.lower().lstrip(".")
    if extension not in TYPES:
        raise _unsupported(clean, f"Attach one of: {', '.join(sorted(TYPES))}.")
    if not data:
        raise _unsupported(clean, "It is empty.")
    if fault := _content_fault(extension, data):
        raise _unsupported(clean, fault)
    return File(clean, TYPES[extension], data)


def _unsupported(name: str, why: str) -> Refused:
    return Refused(f"Unsupported file type: “{name}” cannot be attached. {why}", "invalid_template")


def _clean_name(name: str) -> str:
    """Its last part, without what could lead elsewhere or hide how it ends."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2].strip()
    name = "".join(c for c in name if unicodedata.category(c)[0] != "C")
    return name[-LONGEST_NAME:]


def _content_fault(extension: str, data: bytes) -> str:
    """Why the content is not what the name says; empty where it is."""
    if extension in _TEXT:
        return "" if _is_text(data) else "Its name says that it is text, and it is not."
    if extension in _ZIPPED:
        return _archive_fault(data, _ZIPPED[extension][1])
    if extension == "dwf" and data.startswith(b"(DWF V"):
        return ""  # an archive behind that mark
    if zipfile.is_zipfile(io.BytesIO(data)):
        return "It is an archive as well as what its name says."
    if extension in _PICTURES and (_is_script(data) or _holds_page(data)):
        return "It is a script or a page as well as what its name says."
    found = _kinds_of(data)
    same = next((kinds for kinds in _SAME if extension in kinds), {extension})
    if found & same or (not found and extension in _UNMARKED):
        return ""
    return "Its content is not what its name says."


def _is_text(data: bytes) -> bool:
    """Whatever it begins with: text has no marks, and what a CSV starts with is some others'."""
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError:
        # In one of the encodings from before UTF-8, or no text.
        return b"\0" not in data and not _kinds_of(data)
    return "\0" not in text and not _starts_as_another(text)


def _archive_fault(data: bytes, mark: str) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return "Its content is not what its name says, or it is damaged."
    if not data.startswith(b"PK\x03\x04") or mark not in names:
        return "Its content is not what its name says."
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        return "It holds macros. Save it without them."
    return ""


def _kinds_of(data: bytes) -> set[str]:
    try:
        return {match.extension.lstrip(".") for match in puremagic.magic_string(data)}
    except puremagic.PureError:
        return set()
