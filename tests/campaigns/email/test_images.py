import struct
import zlib
from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from campaigns.email import images
from campaigns.models import Image, Membership, Role
from tests.factories import EmailCampaignFactory, UserFactory

SECRET = b"1.3521N 103.8198E"


def picture(kind="PNG", size=(40, 20), mode="RGB", colour="red", **options):
    out = BytesIO()
    Pillow.new(mode, size, colour).save(out, kind, **options)
    return out.getvalue()


def remade(content):
    pixels = images.remake(BytesIO(content))
    return pixels, Pillow.open(BytesIO(pixels.content))


# Made anew -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("GIF", "image/png"), ("WEBP", "image/jpeg")],
)
def test_a_picture_of_each_kind_becomes_one_that_mail_apps_show(kind, content_type):
    pixels, opened = remade(picture(kind))

    assert pixels.content_type == content_type
    assert opened.get_format_mimetype() == content_type
    assert (pixels.width, pixels.height) == opened.size == (40, 20)


def test_what_shines_through_goes_on_shining_through():
    for kind in ("PNG", "WEBP"):
        pixels, opened = remade(picture(kind, mode="RGBA", colour=(255, 0, 0, 0)))

        assert pixels.content_type == "image/png"
        assert opened.getpixel((5, 5))[3] == 0


def test_where_a_photo_was_taken_is_erased():
    exif = Pillow.Exif()
    exif[0x9286] = SECRET.decode()  # the comment of the camera's owner
    photo = picture("JPEG", exif=exif)
    notes = PngInfo()
    notes.add_text("Location", SECRET.decode())
    drawing = picture("PNG", pnginfo=notes, exif=exif)
    moving = picture("GIF", comment=SECRET)
    assert all(SECRET in each for each in (photo, drawing, moving))

    for content in (photo, drawing, moving):
        pixels, opened = remade(content)
        assert SECRET not in pixels.content
        assert not opened.getexif()


def test_a_second_file_hidden_behind_a_picture_is_gone():
    hidden = b"<script>alert(document.domain)</script>PK\x03\x04"

    for kind in ("PNG", "JPEG", "GIF"):
        pixels, _ = remade(picture(kind) + hidden)
        assert hidden not in pixels.content


def test_a_photo_that_was_taken_sideways_stands_upright():
    exif = Pillow.Exif()
    exif[0x0112] = 6
    pixels, _ = remade(picture("JPEG", size=(40, 20), exif=exif))

    assert (pixels.width, pixels.height) == (20, 40)


def test_a_picture_wider_than_any_email_is_made_smaller():
    pixels, _ = remade(picture(size=(4000, 1000)))

    assert (pixels.width, pixels.height) == (1456, 364)


def test_a_moving_picture_keeps_moving():
    frames = [Pillow.new("RGB", (10, 10), colour) for colour in ("red", "green", "blue")]
    out = BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=[50, 60, 70])

    pixels, opened = remade(out.getvalue())

    assert (pixels.content_type, opened.n_frames) == ("image/gif", 3)


# Refused -------------------------------------------------------------------------------------


def png_that_says_it_has(width, height):
    """A few bytes that unpack to as many pixels as they say."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(60_000, 60_000), (6000, 6000), (20_000, 10)])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(size):
    with pytest.raises(images.Unusable, match="too large"):
        images.remake(BytesIO(png_that_says_it_has(*size)))


def test_a_moving_picture_without_end_is_refused():
    frames = [
        Pillow.new("RGB", (4, 4), (n % 256, n // 256, 0)) for n in range(images.MAX_FRAMES + 1)
    ]
    out = BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])

    with pytest.raises(images.Unusable, match="moving"):
        images.remake(BytesIO(out.getvalue()))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a<script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"%PDF-1.7",
        picture("BMP"),
        picture("TIFF"),
        picture("PNG")[:60],
        picture("JPEG")[:200],
    ],
    ids=["empty", "fake gif", "svg", "pdf", "bmp", "tiff", "cut png", "cut jpeg"],
)
def test_what_is_no_whole_picture_is_refused(content):
    with pytest.raises(images.Unusable, match="cannot be read"):
        images.remake(BytesIO(content))


# The page ------------------------------------------------------------------------------------


@pytest.fixture
def browser(officer, client_of):
    return client_of(officer)


@pytest.fixture
def page(email_campaign):
    return reverse("campaign-images", args=[email_campaign.pk])


def upload(content=None, name="photo.png", alt="A clinic"):
    return {"file": SimpleUploadedFile(name, content or picture()), "alt": alt}


def test_an_uploaded_picture_can_be_chosen_and_seen_by_anybody(browser, page, client, officer):
    answer = browser.post(page, upload(name="../../evil\r\nX: 1.html"))

    image = Image.objects.get()
    shown = client.get(reverse("image", args=[image.key]))
    assert answer.url == page
    assert (image.agency, image.uploader, image.alt) == (officer.agency, officer, "A clinic")
    assert image.url in browser.get(page).content.decode()
    assert b"".join(shown.streaming_content) == image.file.open().read()
    assert shown.headers["Content-Type"] == "image/png"
    assert shown.headers["Content-Disposition"] == 'inline; filename="picture.png"'
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert shown.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    assert "Vary" not in shown.headers
    assert "Set-Cookie" not in shown.headers


def test_addresses_of_pictures_cannot_be_guessed(browser, page, client):
    for _ in range(2):
        browser.post(page, upload())

    keys = [image.key for image in Image.objects.all()]
    assert len({key[:8] for key in keys}) == 2
    assert all(len(key) >= 24 for key in keys)
    assert client.get(reverse("image", args=[keys[0][:-1] + "!"])).status_code == 404


def test_only_pictures_of_the_own_agency_are_listed(browser, page, client_of):
    theirs = EmailCampaignFactory()
    client_of(theirs.creator).post(
        reverse("campaign-images", args=[theirs.pk]), upload(alt="Their secret plan")
    )

    assert "Their secret plan" not in browser.get(page).content.decode()


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"alt": "  "}, "alt", "what the picture shows"),
        ({"alt": "x" * 301}, "alt", "at most 300"),
        ({"file": ""}, "file", "Choose a picture."),
        ({"file": SimpleUploadedFile("a.png", b"<html>")}, "file", "cannot be read"),
        ({"file": SimpleUploadedFile("a.png", b"\0" * (5 * 1024 * 1024 + 1))}, "file", "5.0"),
        ({"file": SimpleUploadedFile("a.png", b"\0" * (7 * 1024 * 1024))}, "file", "5.0"),
    ],
)
def test_an_upload_that_will_not_do_is_refused_beside_its_field(
    browser, page, change, field, reason
):
    answer = browser.post(page, upload() | change)

    assert answer.status_code == 422
    assert reason in answer.context["form"].errors[field][0]
    assert not Image.objects.exists()


def test_in_the_editor_only_the_list_comes_back(browser, page):
    answer = browser.post(page, upload(), headers={"HX-Request": "true"})

    assert answer.status_code == 200
    assert "<html" not in answer.content.decode()
    assert Image.objects.get().url in answer.content.decode()


def test_an_upload_without_the_forms_token_is_refused(officer, page):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(officer)

    assert browser.post(page, upload()).status_code == 403
    assert not Image.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_whoever_may_not_write_has_no_pictures_page(method, page, email_campaign, client_of):
    stranger = client_of(UserFactory(agency=email_campaign.agency))
    restricted = UserFactory(agency=email_campaign.agency)
    Membership.objects.create(campaign=email_campaign, user=restricted, role=Role.RESTRICTED)

    for browser in (stranger, client_of(restricted)):
        assert getattr(browser, method)(page).status_code == 404
