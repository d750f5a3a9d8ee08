"""Pictures for emails: what is uploaded is decoded, and made anew from nothing but its pixels.

So no script, no place where a photo was taken and no second file hides in what we serve.
"""

import secrets
import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any, NamedTuple

import PIL.Image
from django.core.files.base import ContentFile
from PIL import ImageFile, ImageOps, ImageSequence

from campaigns.models import Image
from postman.accounts import audit
from postman.accounts.models import Agency, User
from postman.errors import Refused

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
# Beyond it a picture is not decoded: a file of some kilobytes can unpack to gigabytes.
MAX_PIXELS = 30_000_000
MAX_SIDE = 12_000
# Of a moving picture, all its frames together.
MAX_MOVING_PIXELS = 25_000_000
MAX_FRAMES = 200
# An email is 728 pixels wide; twice that is sharp on every screen.
WIDEST, TALLEST = 1456, 4000
JPEG_QUALITY = 85
# A picture of this size that nothing shines through is a photograph, whatever it was saved as.
LARGEST_PNG = 1024 * 1024


class Pixels(NamedTuple):
    """A picture as it is served."""

    content: bytes
    content_type: str
    width: int
    height: int


class Unusable(Refused):
    code = "invalid_image"


def keep(upload: IO[bytes], *, alt: str, agency: Agency, by: User) -> Image:
    """Store a picture for the agency's emails; raises Unusable."""
    pixels = remake(upload)
    key = secrets.token_urlsafe(18)
    image = Image(
        key=key,
        agency=agency,
        uploader=by,
        content_type=pixels.content_type,
        alt=alt,
        width=pixels.width,
        height=pixels.height,
        bytes=len(pixels.content),
    )
    image.file.save(image.file_name, ContentFile(pixels.content), save=False)
    image.save(force_insert=True)
    audit.record("image.uploaded", by=by, on=agency, image=str(image.pk), bytes=image.bytes)
    return image


def set_logo(agency: Agency, image: Image | None, *, by: User) -> None:
    """What the agency's emails show at their top. Those that were sent keep what they showed."""
    agency.logo_key = image.key if image else ""
    agency.save(update_fields=["logo_key"])
    audit.record("agency.logo_changed", by=by, on=agency, image=str(image.pk) if image else None)


def remake(upload: IO[bytes]) -> Pixels:
    """The same picture in a file of our own making; raises Unusable."""
    try:
        with warnings.catch_warnings():
            # Ours are the limits, and they are lower.
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(upload, formats=FORMATS) as picture:
                _check_size(picture)
                return _moving(picture) if _is_moving(picture) else _still(picture)
    except Unusable:
        raise
    except PIL.Image.DecompressionBombError:
        raise _too_large() from None
    # A decoder that meets a hostile file raises whatever it happens to stumble over.
    except Exception:
        raise Unusable(
            "This file cannot be read as a picture. Save it as PNG, JPEG or GIF and try again."
        ) from None


def _check_size(picture: ImageFile.ImageFile) -> None:
    """Before anything is decoded: the size stands in the first bytes."""
    width, height = picture.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise _too_large()


def _too_large() -> Unusable:
    return Unusable(
        f"This picture is too large: it may have {MAX_PIXELS // 1_000_000} million pixels, and "
        f"{MAX_SIDE:,} on a side. Make it smaller and try again."
    )


def _is_moving(picture: ImageFile.ImageFile) -> bool:
    return picture.format == "GIF" and getattr(picture, "is_animated", False)


def _still(picture: ImageFile.ImageFile) -> Pixels:
    is_photo = picture.format in ("JPEG", "WEBP")
    # JPEG can be decoded at a half, a quarter or an eighth, for that much less memory.
    picture.draft("RGB", (WIDEST, TALLEST))
    upright = ImageOps.exif_transpose(picture)
    has_alpha = upright.has_transparency_data
    pixels = _bare(upright.convert("RGBA" if has_alpha else "RGB"))
    png = b"" if is_photo and not has_alpha else _saved(pixels, "PNG", optimize=True)
    if png and (has_alpha or len(png) <= LARGEST_PNG):
        return Pixels(png, "image/png", *pixels.size)
    jpeg = _saved(pixels, "JPEG", quality=JPEG_QUALITY, optimize=True, progressive=True)
    return Pixels(jpeg, "image/jpeg", *pixels.size)


def _moving(picture: ImageFile.ImageFile) -> Pixels:
    frames, times = [], []
    for frame in _frames(picture):
        times.append(frame.info.get("duration", 100))
        frames.append(_bare(frame.convert("RGBA")))
    gif = _saved(
        frames[0],
        "GIF",
        save_all=True,
        append_images=frames[1:],
        duration=times,
        loop=0,
        disposal=2,
    )
    return Pixels(gif, "image/gif", *frames[0].size)


def _frames(picture: ImageFile.ImageFile) -> Iterator[PIL.Image.Image]:
    most = min(MAX_FRAMES, MAX_MOVING_PIXELS // (picture.width * picture.height))
    for number, frame in enumerate(ImageSequence.Iterator(picture)):
        if number >= most:
            raise Unusable("This moving picture is too long or too large. Use a still one.")
        yield frame


def _bare(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Its pixels, no wider than mails show them, and nothing that was written beside them."""
    picture.thumbnail((WIDEST, TALLEST))
    pixels = PIL.Image.new(picture.mode, picture.size)
    pixels.paste(picture)
    return pixels


def _saved(picture: PIL.Image.Image, format_: str, **options: Any) -> bytes:
    out = BytesIO()
    picture.save(out, format_, **options)
    return out.getvalue()
