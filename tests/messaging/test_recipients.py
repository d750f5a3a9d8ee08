import contextlib
import csv
import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import sms, templating
from campaigns.phone_numbers import clean_recipient
from messaging import recipients
from messaging.recipients import FileFault, SmsRows

ENGLISH = "Dear {{name}}, your visit to {{clinic}} is confirmed."
CHINESE = "{{name}}，您在{{clinic}}的预约已确认。"
GOOD = "recipient,language,name,clinic\n6581230001,english,Mei Ling,Clementi Clinic\n"


def reader_of(content, encoding="utf-8", **changes):
    reading = {name: changes.pop(name) for name in ("max_rows", "report") if name in changes}
    arguments = {
        "template": {"english": ENGLISH, "chinese": CHINESE},
        "variables": ["name", "clinic"],
        "clean_recipient": clean_recipient,
        "header": "Ministry of Parks",
        **changes,
    }
    content = content if isinstance(content, bytes) else content.encode(encoding)
    return recipients.read(io.BytesIO(content), SmsRows(**arguments), **reading)


def rows_of(content, **changes):
    reader = reader_of(content, **changes)
    rows = [row for chunk in reader for row in chunk]
    assert reader.faults == []
    return rows


def reasons_of(row, header="recipient,language,name,clinic", **changes):
    reader = reader_of(f"{header}\n{row}\n", **changes)
    assert [row for chunk in reader for row in chunk] == []
    [fault] = reader.faults
    assert fault.row_number == 2
    return [(reason.column, reason.code) for reason in fault.reasons]


def fault_of(content, **changes):
    reader = reader_of(content, **changes)
    with pytest.raises(FileFault) as caught:
        list(reader)
    assert caught.value.message.endswith(".")
    return caught.value


# Good files ----------------------------------------------------------------------------------


def test_a_row_comes_out_with_its_spreadsheet_number_its_values_and_its_segments():
    [row] = rows_of(GOOD)

    assert row == (
        2,
        "6581230001",
        "english",
        {"name": "Mei Ling", "clinic": "Clementi Clinic"},
        1,
    )


def test_columns_may_come_in_any_order_and_case_and_with_spaces_around_their_names():
    rows = rows_of(' Clinic ,NAME," language",recipient\nBedok,Aisyah,english,6581230001\n')

    assert rows[0].values == {"name": "Aisyah", "clinic": "Bedok"}


@pytest.mark.parametrize("language", ["english", "English", "ENGLISH", "eNgLiSh", " english "])
def test_a_language_may_be_written_in_any_case(language):
    [row] = rows_of(GOOD.replace("english", language))

    assert row.language == "english"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_spreadsheets_may_save_as_they_like(encoding, delimiter, line_end):
    lines = ["recipient,language,name,clinic", "6581230001,chinese,陈美玲,金文泰", ""]
    content = line_end.join(lines).replace(",", delimiter)

    [row] = rows_of(content, encoding=encoding)

    assert row.values == {"name": "陈美玲", "clinic": "金文泰"}


def test_big_endian_text_with_a_mark_is_read():
    [row] = rows_of(b"\xfe\xff" + GOOD.encode("utf-16-be"))

    assert row.recipient == "6581230001"


def test_only_the_header_decides_what_parts_the_columns():
    [row] = rows_of("recipient,language,name,clinic\n6581230001,english,a;b;c;d;e,f;g\n")

    assert row.values == {"name": "a;b;c;d;e", "clinic": "f;g"}


def test_commas_quotes_and_line_breaks_survive_inside_quotes():
    [row] = rows_of(
        "recipient,language,name,clinic\n"
        '6581230001,english,"Mei ""May"" Ling, Tan","Block 2\r\nLevel 3"\n'
    )

    assert row.values == {"name": 'Mei "May" Ling, Tan', "clinic": "Block 2\nLevel 3"}


def test_a_line_break_inside_quotes_starts_no_new_row():
    rows = rows_of(
        'recipient,language,name,clinic\n6581230001,english,"a\nb\nc",d\n6581230002,english,e,f\n'
    )

    assert [row.number for row in rows] == [2, 3]


def test_blank_lines_are_no_rows_but_keep_their_numbers():
    rows = rows_of(
        "\nrecipient,language,name,clinic\n\n6581230001,english,a,b\n,,,\n \n"
        "6581230002,english,a,b\n,,,\n\n\n"
    )

    assert [row.number for row in rows] == [4, 7]


def test_empty_columns_at_the_end_are_ignored():
    rows = rows_of("recipient,language,name,clinic,,\n6581230001,english,a,b,,\n")

    assert rows[0].values == {"name": "a", "clinic": "b"}


def test_a_template_without_variables_needs_two_columns():
    [row] = rows_of(
        "recipient,language\n6581230001,english\n", template={"english": "Hello"}, variables=[]
    )

    assert (row.values, row.segments) == ({}, 1)


def test_the_file_is_left_open_for_its_owner():
    file = io.BytesIO(GOOD.encode())
    rows = SmsRows(
        template={"english": ENGLISH},
        variables=["name", "clinic"],
        clean_recipient=clean_recipient,
        header="Ministry of Parks",
    )
    reader = recipients.read(file, rows)

    list(reader)

    assert not file.closed
    assert reader.bytes_read == len(GOOD)


values = st.text(
    alphabet=st.one_of(
        st.sampled_from(sorted(set(sms.GSM_BASIC) - {"\r", "\n"})), st.sampled_from('\n",;中é“𠮷')
    ),
    min_size=1,
    max_size=120,
).filter(lambda value: value.strip() == value)


@settings(max_examples=60)
@given(st.lists(st.tuples(values, values), min_size=1, max_size=8))
def test_whatever_a_spreadsheet_writes_comes_out_as_typed_and_rightly_measured(typed):
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["recipient", "language", "name", "clinic"])
    writer.writerows(["6581230001", "english", *pair] for pair in typed)

    rows = rows_of(file.getvalue())

    assert [tuple(row.values.values()) for row in rows] == typed
    assert [row.segments for row in rows] == [segments(ENGLISH, row) for row in rows]


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("Ministry of Parks", "{{name}}{{name}} {{clinic}}"),
        ("Parks [SG]", "{{name}} {{clinic}}"),
        ("Ministry of Parks", "您好 {{name}} {{clinic}}"),
        ("Ministry of Parks", "𠮷 {{name}} {{clinic}}"),
    ],
)
@pytest.mark.parametrize("name", ["a", "a" * 50, "a" * 51, "b" * 151, "é中", "𠮷" * 30])
def test_segments_agree_with_the_rendered_text(header, body, name):
    [row] = rows_of(
        f"recipient,language,name,clinic\n6581230001,english,{name},x\n",
        template={"english": body},
        header=header,
        notice=sms.TEST_NOTICE,
    )

    assert row.segments == segments(body, row, header, sms.TEST_NOTICE)


def segments(body, row, header="Ministry of Parks", notice=""):
    text = templating.render(body, row.values)
    return sms.segments(sms.compose(header, text, row.language, notice))


# Most rows are judged many at a time; what comes out must be what is said of each by itself.
cells = st.one_of(
    st.sampled_from(["Mei Ling", "陈美玲", "Siobhan O’Brien", "a\tb", "", " ", "[a]", "a" * 990]),
    st.text(
        alphabet=st.sampled_from('aB ,"\n\r\t\x1f\x1c\x85\xa0\u3000é€|`中“𠮷😀\u200b\u200c\ue000'),
        max_size=4,
    ),
)
numbers = st.sampled_from(
    [
        "6581230001",
        "60123456789",
        "6561234567",
        "91234567",
        "",
        " 6581230001",
        "６５８１２３０００１",
    ]
)


@settings(max_examples=150)
@given(
    st.lists(
        st.one_of(
            st.just(("6581230001", "english", "Mei Ling", "Bedok")),
            st.tuples(
                numbers, st.sampled_from(["english", "CHINESE", " chinese", "tamil"]), cells, cells
            ),
        ),
        max_size=12,
    )
)
def test_a_row_is_judged_among_others_as_it_would_be_alone(typed):
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["recipient", "language", "name", "clinic"])
    writer.writerows([*typed, ("6581230001", "english", "a", "b")])
    reader = reader_of(file.getvalue())

    found = {row.number: row.segments for chunk in reader for row in chunk}
    refused = [fault.row_number for fault in reader.faults]

    expected = {number: judged(*row) for number, row in enumerate(typed, 2)}
    last = {len(typed) + 2: 1}
    assert found == {number: n for number, n in expected.items() if n} | last
    assert refused == [number for number, n in expected.items() if not n]


def judged(number, language, name, clinic):
    """Segments of the message, 0 for a row that is refused."""
    language = language.strip().lower()
    body = {"english": ENGLISH, "chinese": CHINESE}.get(language)
    name, clinic = (value.replace("\r\n", "\n").replace("\r", "\n") for value in (name, clinic))
    faults = recipients.check_value(name, language) + recipients.check_value(clinic, language)
    try:
        clean_recipient(number)
    except ValueError:
        return 0
    if body is None or faults:
        return 0
    text = templating.render(body, {"name": name, "clinic": clinic})
    if len(text) > sms.MAX_BODY:
        return 0
    return sms.segments(sms.compose("Ministry of Parks", text, language))


# Bad files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\n\n , \n", "empty"),
        (b'""\n', "empty"),
        (b"PK\x03\x04\x14\x00\x06\x00xl/workbook.xml", "not_text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "not_text"),
        (b"%PDF-1.7\n", "not_text"),
        (b"-----BEGIN PGP MESSAGE-----\n", "not_text"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not_text"),
        (bytes(range(256)) * 20, "not_text"),
        (b"6581230001,english,Mei Ling,Clementi\n", "no_header"),
        (b"sep=;\nrecipient;language;name;clinic\n", "no_header"),
        (b"recipient,language,name,clinic\n", "no_rows"),
        (b"recipient,language,name,clinic\n\n,,,\n", "no_rows"),
        (b"recipient,language,name\n6581230001,english,a\n", "missing_columns"),
        (b"recipient,language,name,clinic,note\n6581230001,english,a,b,c\n", "unknown_columns"),
        (b"recipient,language,name,,clinic\n6581230001,english,a,,b\n", "unnamed_column"),
        (b"recipient,language,name,clinic,Name\n6581230001,english,a,b,c\n", "duplicate_columns"),
        (b'recipient,language,name,clinic\n6581230001,english,"a,b\n', "unclosed_quote"),
        (b'recipient,language,name,clinic\n6581230001,english,"a"b,c\n', "stray_quote"),
        (
            b'recipient,language,name,clinic\n6581230001,english,a,"' + b"b\n" * 99999,
            "unclosed_quote",
        ),
        (b"recipient,language,na\x92me,clinic\n6581230001,english,a,b\n", "not_utf8"),
        (b"recipient,language,name,clinic\n6581230001,english,caf\xe9,b\n", "not_utf8"),
        (b"recipient,language,name,clinic\n6581230001\x92,english,a,b\n", "not_utf8"),
        (b"recipient,language,name,clinic\n6581230001,english,a,b,\x92\n", "not_utf8"),
    ],
)
def test_a_broken_file_is_refused_as_what_it_is(content, code):
    assert fault_of(content).code == code


def test_a_workbook_is_told_how_to_become_a_csv():
    assert fault_of(b"PK\x03\x04....").message == (
        "This is an Excel workbook or a zip file. "
        "Save it as “CSV UTF-8 (Comma delimited)” and upload that file."
    )


def test_everything_wrong_with_the_header_is_said_at_once_with_what_was_meant():
    fault = fault_of(
        "recipient,language,Recipient Name,clinic,Clinic,note\nx\n",
        variables=[
            "recipient_name",
            "clinic",
            "date",
        ],
    )

    assert fault.message == (
        "The column “clinic” appears more than once. Keep one. "
        "There is no column named “date”. Add it. "
        "Rename the column “Recipient Name” to “recipient_name”. "
        "Remove the column “note”: nothing uses it."
    )


def test_a_byte_that_is_no_utf8_is_named_with_its_row():
    content = 'recipient,language,name,clinic\n6581230001,english,"a\nb",c\n6581230002,english,'

    fault = fault_of(content.encode() + b"Mei\x92s,d\n")

    assert fault.message.startswith("Row 3 is not in UTF-8 (byte 0x92).")


def test_a_quote_that_is_never_closed_is_named_with_the_row_it_stands_in():
    fault = fault_of(GOOD + '6581230002,english,"Mei,Bedok\n6581230003,english,a,b\n')

    assert fault.message == "Row 3 opens a quotation mark that is never closed."


def test_one_row_more_than_allowed_refuses_the_file():
    row = "6581230001,english,a,b\n"
    header = "recipient,language,name,clinic\n"

    assert len(rows_of(header + row * 20 + "\n\n", max_rows=20)) == 20
    fault = fault_of(header + row * 20 + "bad row\n", max_rows=20)

    assert (fault.code, fault.message) == (
        "too_many_rows",
        "This file has more than 20 rows, and 20 is the most.",
    )


# Bad rows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        ("6581230001,english,a", [("", "too_few_cells")]),
        ("6581230001,english,a,b,c", [("", "too_many_cells")]),
        ("6581230001;english;a;b", [("", "too_few_cells")]),
        (",english,a,b", [("recipient", "recipient_blank")]),
        ("91234567,english,a,b", [("recipient", "recipient_missing_country_code")]),
        ("+6581230001,english,a,b", [("recipient", "recipient_plus_sign")]),
        (" 6581230001,english,a,b", [("recipient", "recipient_spaces")]),
        ("6561234567,english,a,b", [("recipient", "recipient_landline")]),
        ("6511111111,english,a,b", [("recipient", "recipient_not_mobile")]),
        ("6581230001,,a,b", [("language", "language_blank")]),
        ("6581230001,klingon,a,b", [("language", "language_unknown")]),
        ("6581230001,tamil,a,b", [("language", "language_unavailable")]),
        ("6581230001,english,,b", [("name", "value_blank")]),
        ("6581230001,english,  ,b", [("name", "value_blank")]),
        ("6581230001,english, a,b", [("name", "value_spaces")]),
        ("6581230001,english,a\xa0,b", [("name", "value_spaces")]),
        ('6581230001,english,a,"b\n"', [("clinic", "value_spaces")]),
        ("6581230001,english,a,€5", [("clinic", "value_blocked_character")]),
        ("6581230001,english,a😀,b", [("name", "value_blocked_character")]),
        ("6581230001,english,a\x00b,b", [("name", "value_blocked_character")]),
        ("6581230001,english,a\x1fb,b", [("name", "value_blocked_character")]),
        (
            "6581230001,english,a\x1fb,",
            [("name", "value_blocked_character"), ("clinic", "value_blank")],
        ),
        ("6581230001,chinese,a,[b]", [("clinic", "value_blocked_character")] * 2),
        ("6581230001,chinese,a\u200b,b", [("name", "value_blocked_character")]),
        (f"6581230001,english,{'a' * 1000},b", [("", "body_too_long")]),
        (f"6581230001,chinese,{'中' * 990},b", [("", "body_too_long")]),
        (
            "x,,€, b",
            [
                ("recipient", "recipient_letters"),
                ("language", "language_blank"),
                ("name", "value_blocked_character"),
                ("clinic", "value_spaces"),
            ],
        ),
    ],
)
def test_a_bad_row_says_everything_that_is_wrong_with_it(row, reasons):
    assert reasons_of(row) == reasons


def test_reasons_are_sentences_that_name_the_column_and_the_value():
    reader = reader_of(GOOD + "6581230002,tamil,Mei [Ling],b\n")

    list(reader)

    [fault] = reader.faults
    assert fault.row_number == 3
    assert fault.reasons == [
        (
            "language",
            "tamil",
            "This campaign is not written in Tamil. Use english, chinese.",
            "language_unavailable",
        ),
        (
            "name",
            "Mei [Ling]",
            "Replace [ (left square bracket) with (.",
            "value_blocked_character",
        ),
        (
            "name",
            "Mei [Ling]",
            "Replace ] (right square bracket) with ).",
            "value_blocked_character",
        ),
    ]


def test_a_body_may_have_exactly_a_thousand_characters_with_its_values():
    room = 1000 - len(ENGLISH.replace("{{name}}", "").replace("{{clinic}}", "")) - 1

    assert len(rows_of(GOOD.replace("Mei Ling", "a" * room).replace("Clementi Clinic", "b"))) == 1
    assert reasons_of(f"6581230001,english,{'a' * (room + 1)},b") == [("", "body_too_long")]


def test_good_rows_are_read_on_after_bad_ones_and_all_are_counted():
    reader = reader_of(
        GOOD
        + "91234567,english,a,\n"
        + "6581230002,chinese,a,b\n"
        + "bad\n"
        + f"60123456789,english,{'a' * 100},b\n"
        + "6581230001,english,a,b\n"
    )

    rows = [row for chunk in reader for row in chunk]

    assert [row.number for row in rows] == [2, 4, 6, 7]
    assert (reader.rows_total, reader.rows_good, reader.rows_bad) == (6, 4, 2)
    assert reader.errors_total == 3
    assert reader.rows.languages == {"english": 3, "chinese": 1}
    assert reader.rows.segments == {"local": {1: 3}, "foreign": {2: 1}}
    assert (reader.rows.segments_min, reader.rows.segments_max, reader.rows.segments_total) == (
        1,
        2,
        5,
    )
    assert reader.rows.cost_micros == 3 * 46_000 + 2 * 230_000
    assert reader.rows.duplicates == 1


def test_repeated_numbers_are_counted_at_home_and_abroad():
    numbers = ["6580000000"] * 3 + ["6599999999"] * 2 + ["60123456789"] * 3 + ["12025550123"]
    content = "recipient,language,name,clinic\n" + "".join(f"{n},english,a,b\n" for n in numbers)
    reader = reader_of(content, clean_recipient=str)

    list(reader)

    assert reader.rows.duplicates == 5


@pytest.mark.parametrize(
    ("language", "value", "unicode", "avoidable"),
    [
        ("english", "Mei Ling", False, False),
        ("english", "“Mei”", True, True),
        ("english", "a\tb", True, True),
        ("english", "陈美玲", True, False),
        ("english", "€5", False, True),
        ("chinese", "陈美玲", True, False),
        ("chinese", "Mei Ling", True, False),
    ],
)
def test_what_makes_messages_expensive_is_flagged(language, value, unicode, avoidable):
    reader = reader_of(f"recipient,language,name,clinic\n6581230001,{language},{value},b\n")

    list(reader)

    assert reader.rows.file_has_unicode is unicode
    assert reader.rows.file_has_avoidable_expensive_character is avoidable


def test_a_chunk_comes_after_every_so_many_rows_read_also_where_all_of_them_were_bad():
    size = recipients.CHUNK
    reader = reader_of(
        "recipient,language,name,clinic\n"
        + "x,english,a,b\n" * size
        + "6581230001,english,a,b\n" * (size + 1)
    )

    assert [len(chunk) for chunk in reader] == [0, size, 1]


def test_only_the_first_bad_rows_are_kept_in_memory():
    reader = reader_of("recipient,language,name,clinic\n" + "x,english,a,b\n" * 300)

    list(reader)

    assert reader.rows_bad == 300
    assert [fault.row_number for fault in reader.faults] == list(range(2, 102))


@pytest.mark.parametrize(
    "content",
    [
        b"recipient,language,name,clinic\n" + b"x,english,a,b\n" * 20_000,
        b"recipient,language,name,clinic\n" + b"a" * 8_000_000,
        b"a" * 8_000_000,
    ],
    ids=["every row is bad", "a line that never ends", "a header that never ends"],
)
def test_memory_stays_flat(content, tmp_path):
    with (tmp_path / "report.csv").open("w", encoding="utf-8", newline="") as report:
        reader = reader_of(content, report=report)
        tracemalloc.start()
        with contextlib.suppress(FileFault):
            list(reader)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 12_000_000


# The report ----------------------------------------------------------------------------------


def test_the_report_holds_the_bad_rows_as_uploaded_with_their_reasons():
    report = io.StringIO(newline="")
    reader = reader_of(
        "name;clinic;recipient;language\nMei;Bedok;6581230001;english\n"
        '"Tan; ""May""\nLing";;91234567;english\nshort\n',
        report=report,
    )

    list(reader)

    text = report.getvalue()
    assert text[0] == "\ufeff"
    assert list(csv.reader(io.StringIO(text[1:], newline=""), delimiter=";")) == [
        ["name", "clinic", "recipient", "language", "Error Reason", "Row"],
        [
            'Tan; "May"\nLing',
            "",
            "91234567",
            "english",
            "recipient: Add the country code: 6591234567.; clinic: Enter a value.",
            "3",
        ],
        ["short", "", "", "", "This row has too few cells: 1 for 4 columns.", "4"],
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_the_report_can_run_as_a_formula(start):
    report = io.StringIO(newline="")
    reader = reader_of(f'recipient,language,name,clinic\nx,english,"{start}1+1",b\n', report=report)

    list(reader)

    assert list(csv.reader(io.StringIO(report.getvalue(), newline="")))[1][2] == f"'{start}1+1"


def test_a_report_file_that_writes_its_own_mark_gets_no_second_one(tmp_path):
    path = tmp_path / "report.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as report:
        list(reader_of("recipient,language,name,clinic\nx,english,a,b\n", report=report))

    assert path.read_bytes().count(b"\xef\xbb\xbf") == 1


def test_one_value_can_be_checked_for_a_form_or_the_api():
    assert recipients.check_value("Mei Ling", "english") == []
    assert recipients.check_value(" ", "english") == [("value_blank", "Enter a value.")]
    assert recipients.check_value(" a", "english") == [
        ("value_spaces", "Remove the space at the beginning or end.")
    ]
