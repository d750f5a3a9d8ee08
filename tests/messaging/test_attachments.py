"""Which files may go along with an email (v1-backend §3.5, v1-web-app §20.6)."""

import io
import zipfile

import pytest

from messaging.attachments import TYPES, check
from postman.errors import Refused

MB = 1024 * 1024


def archive(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for name in names:
            out.writestr(name, "x")
    return file.getvalue()


GIF = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 40
# The beginning of a file of every type that v1 takes.
FILES = {
    "asc": b"-----BEGIN PGP MESSAGE-----\n",
    "avi": b"RIFF\x24\0\0\0AVI LIST" + b"\0" * 40,
    "bmp": b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0" + b"\0" * 40,
    "csv": b"name,clinic\n",
    "dgn": b"\x08\x09\xfe\x02" + b"\0" * 40,
    "docx": archive("[Content_Types].xml", "word/document.xml"),
    "dwf": b"(DWF V06.00)" + archive("manifest.xml"),
    "dwg": b"AC1032\0\0\0\0" + b"\0" * 30,
    "dxf": b"  0\r\nSECTION\r\n  2\r\nHEADER\r\n",
    "ent": b"<!ENTITY clinic 'Bedok'>\n",
    "gif": GIF,
    "jpeg": b"\xff\xd8\xff\xe1\0\x10Exif\0\0" + b"\0" * 20,
    "jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01" + b"\0" * 20,
    "mpeg": b"\0\0\x01\xb3" + b"\0" * 20,
    "mpg": b"\0\0\x01\xba" + b"\0" * 20,
    "odb": archive("mimetype"),
    "odf": archive("mimetype"),
    "odg": archive("mimetype"),
    "ods": archive("mimetype"),
    "pdf": b"%PDF-1.7\n%\xe2\xe3\n",
    "png": PNG,
    "pptx": archive("[Content_Types].xml", "ppt/presentation.xml"),
    "rtf": b"{\\rtf1\\ansi hello}",
    "sxc": archive("mimetype"),
    "sxd": archive("mimetype"),
    "sxi": archive("mimetype"),
    "sxw": archive("mimetype"),
    "tif": b"II*\0\x08\0\0\0" + b"\0" * 20,
    "tiff": b"MM\0*\0\0\0\x08" + b"\0" * 20,
    "txt": b"hello",
    "wmv": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + b"\0" * 30,
    "xlsx": archive("[Content_Types].xml", "xl/workbook.xml"),
}


def code_of(*files):
    with pytest.raises(Refused) as refused:
        check(files)
    return refused.value.code


def test_the_types_are_those_of_v1():
    assert sorted(TYPES) == sorted(FILES)


@pytest.mark.parametrize("extension", FILES)
def test_a_file_of_each_type_goes_along(extension):
    [file] = check([(f"plan.{extension}", FILES[extension])])

    assert (file.name, file.data) == (f"plan.{extension}", FILES[extension])


@pytest.mark.parametrize("extension", FILES)
def test_how_the_ending_is_written_does_not_matter(extension):
    [file] = check([(f"PLAN.{extension.upper()}", FILES[extension])])

    assert file.content_type == TYPES[extension]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeffname,clinic\n".encode(), id="a CSV as Excel saves it"),
        pytest.param("name,clinic\n".encode("utf-16"), id="Excel's Unicode text"),
        pytest.param("姓名,诊所\n".encode("gb18030"), id="an encoding of old"),
        pytest.param(b"BMI,weight\n", id="begins as a picture does"),
        pytest.param(b"FORM,name\n", id="begins as a sound does"),
        pytest.param(b"From: clinic\nSubject: x\n", id="begins as a mail does"),
        pytest.param(b'{"name": "Pat"}', id="JSON"),
    ],
)
def test_text_may_begin_with_anything(text):
    assert check([("list.csv", text)])[0].content_type == "text/csv"


@pytest.mark.parametrize(
    "text",
    [
        b"%PDF-1.7\n",
        b"\xef\xbb\xbf \n%PDF-1.7",
        b"{\\rtf1}",
        b"<?xml version='1.0'?>",
        b"<!DOCTYPE html>",
        b"\r\n <HTML>",
        b"<script>x()</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"MZ\x90\0\x03\0\0\0",
        b"PK\x03\x04\x14\0\0\0\x08\0\xff",
        b"\x7fELF\x02\x01\x01\0",
        b"a\0b",
    ],
)
def test_what_only_calls_itself_text_is_refused(text):
    assert code_of(("notes.txt", text)) == "invalid_template"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("map.gif", b"GIF89a=1;alert(1)//", id="GIF and JavaScript"),
        pytest.param("map.gif", b"GIF89a/*" + GIF[8:] + b"*/=1;x();", id="a whole GIF and script"),
        pytest.param("map.jpg", b"\xff\xd8\xff\xe0/*JFIF\0" + b"\0" * 20, id="JPEG and script"),
        pytest.param("map.bmp", b"BM/*" + b"\0" * 60 + b"*/=1;", id="BMP and script"),
        pytest.param("map.png", PNG + b"<script>x()</script>", id="PNG and page"),
        pytest.param("map.gif", GIF + b"<?php system($_GET['x']); ?>", id="GIF and PHP"),
        pytest.param("map.png", PNG + archive("a.txt"), id="PNG and archive"),
        pytest.param("form.pdf", b"MZ\x90\0\x03\0\0\0%PDF-1.7\n", id="PDF behind a program's head"),
        pytest.param("form.pdf", b"%PDF-1.7\n" + archive("a.exe"), id="PDF and archive"),
        pytest.param("map.png", GIF, id="another picture"),
        pytest.param("list.xlsx", b"MZ" + archive("[Content_Types].xml"), id="program and sheet"),
    ],
)
def test_a_file_that_is_two_things_at_once_is_refused(name, content):
    assert code_of((name, content)) == "invalid_template"


@pytest.mark.parametrize("name", ["form.pdf.exe", "form.exe", "form", ".pdf", "", "form.pdf.", "é"])
def test_the_last_ending_counts(name):
    assert code_of((name, FILES["pdf"])) == "invalid_template"


@pytest.mark.parametrize("extension", FILES)
def test_no_file_is_empty(extension):
    assert code_of((f"plan.{extension}", b"")) == "invalid_template"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/notes.txt", "notes.txt"),
        ("C:\\Users\\pat\\notes.txt", "notes.txt"),
        ("a\r\nX-Header: b.txt", "aX-Header: b.txt"),
        ("not\0es.txt", "notes.txt"),
        # Shown as “txe.txt” where the mark that turns the direction stays.
        ("\u202etxt.exe.txt", "txt.exe.txt"),
        (" notes\u200b.txt ", "notes.txt"),
        ("re\u0301sume\u0301.txt", "r\u00e9sum\u00e9.txt"),
        ("预约 நோய்.txt", "预约 நோய்.txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ],
)
def test_a_name_is_its_last_part_without_what_cannot_be_seen(sent, kept):
    assert check([(sent, b"hello")])[0].name == kept


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([10 * MB - 1], id="one of nearly ten"),
        pytest.param([5 * MB, 5 * MB], id="ten together"),
        pytest.param([1] * 10, id="ten files"),
    ],
)
def test_up_to_its_limits_all_goes_along(sizes):
    files = check([(f"{n}.txt", b"x" * size) for n, size in enumerate(sizes)])

    assert [file.facts["fileSize"] for file in files] == sizes


@pytest.mark.parametrize(
    "sizes",
    [
        # v1's own limit for one file, which its last byte meets.
        pytest.param([10 * MB], id="one of ten"),
        pytest.param([5 * MB, 5 * MB + 1], id="more than ten together"),
        pytest.param([1] * 11, id="eleven files"),
    ],
)
def test_beyond_its_limits_nothing_goes_along(sizes):
    files = [(f"{n}.txt", b"x" * size) for n, size in enumerate(sizes)]

    assert code_of(*files) == "attachment_limit"
