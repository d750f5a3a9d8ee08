"""Which files may go along with an email (v1-backend §3.5, v1-web-app §20.6). Pure.

What a file is, its content says; its name has to agree, as the recipient's machine goes by that.
"""

import hashlib
import io
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import puremagic

from postman.errors import Refused

MOST_FILES = 10
# A file of exactly as many is refused already, as v1 does.
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
_UNMARKED = {"dgn", "dxf", "dwf", "mpg", "mpeg"}


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
    if sum(len(data) for _, data in files) >= MOST_BYTES:
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
    found = _kinds_of(data)
    if extension in _TEXT:
        if found or b"\0" in data:
            return "Its name says that it is text, and it is not."
        return ""
    if extension in _ZIPPED:
        return _archive_fault(data, _ZIPPED[extension][1])
    if zipfile.is_zipfile(io.BytesIO(data)):
        return "It is an archive as well as what its name says."
    same = next((kinds for kinds in _SAME if extension in kinds), {extension})
    if found & same or (not found and extension in _UNMARKED):
        return ""
    return "Its content is not what its name says."


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
