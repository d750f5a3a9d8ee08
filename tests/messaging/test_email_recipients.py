"""Files of people who get an email: what is kept of a row, and what is told of all of them."""

import csv
import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.email import addresses
from campaigns.phone_numbers import InvalidRecipient
from messaging import recipients
from messaging.recipients import EmailRows, FileFault

GOOD = "recipient,name,clinic\nmei@example.com,Mei Ling,Bedok\n"


def reader_of(content, variables=("name", "clinic"), **reading):
    content = content if isinstance(content, bytes) else content.encode()
    return recipients.read(io.BytesIO(content), EmailRows(variables), **reading)


def rows_of(content, **arguments):
    reader = reader_of(content, **arguments)
    rows = [row for chunk in reader for row in chunk]
    assert reader.faults == []
    return rows


def summary_of(content, **arguments):
    reader = reader_of(content, **arguments)
    list(reader)
    assert reader.faults == []
    return reader.rows.summary()


def reasons_of(row, header="recipient,name,clinic", **arguments):
    reader = reader_of(f"{header}\n{row}\n", **arguments)
    assert [row for chunk in reader for row in chunk] == []
    [fault] = reader.faults
    assert fault.row_number == 2
    return [(reason.column, reason.code) for reason in fault.reasons]


def fault_of(content, **arguments):
    with pytest.raises(FileFault) as caught:
        list(reader_of(content, **arguments))
    assert caught.value.message.endswith(".")
    return caught.value


# Good rows -----------------------------------------------------------------------------------


def test_a_row_comes_out_with_its_spreadsheet_number_its_address_and_its_values():
    [row] = rows_of(GOOD)

    assert row == (2, "mei@example.com", "", {"name": "Mei Ling", "clinic": "Bedok"}, 1)


def test_an_address_is_trimmed_and_in_lower_case_and_values_stay_as_typed():
    [row] = rows_of("recipient,name,clinic\n Mei@Example.COM ,  Mei Ling ,BEDOK\n")

    assert row.recipient == "mei@example.com"
    assert row.values == {"name": "  Mei Ling ", "clinic": "BEDOK"}


@pytest.mark.parametrize(
    "header",
    ["\ufeffRecipient,NAME,Clinic", " recipient , name ,clinic", "recipient,na\u200bme,clinic"],
)
def test_names_of_columns_have_no_case_no_spaces_around_them_and_nothing_invisible(header):
    [row] = rows_of(f"{header}\nmei@example.com,Mei,Bedok\n")

    assert row.values == {"name": "Mei", "clinic": "Bedok"}


def test_other_columns_are_kept_as_the_message_may_yet_use_them():
    content = "Block,recipient,name,clinic\n2,mei@example.com,Mei,Bedok\n"

    [row] = rows_of(content)

    assert row.values == {"block": "2", "name": "Mei", "clinic": "Bedok"}
    assert summary_of(content)["columns"] == ["recipient", "block", "name", "clinic"]


def test_columns_that_no_message_could_use_are_not_kept():
    content = "recipient,Full name,name,,clinic\nmei@example.com,Mei Ling Tan,Mei,x,Bedok\n"

    [row] = rows_of(content)

    assert row.values == {"name": "Mei", "clinic": "Bedok"}
    assert summary_of(content)["columns_ignored"] == ["full name"]


@pytest.mark.parametrize("name", ["bcc", "CC", "from", "subject", "to", "language", "password"])
def test_no_column_is_more_than_a_value_whatever_its_name(name):
    [row] = rows_of(f"recipient,{name}\nmei@example.com,x@evil.example\n", variables=())

    assert row.recipient == "mei@example.com"
    assert row.values == {name.lower(): "x@evil.example"}


def test_a_column_named_like_a_header_field_is_not_kept_as_no_keyword_can_name_it():
    [row] = rows_of("recipient,Reply-To\nmei@example.com,x@evil.example\n", variables=())

    assert row.values == {}


def test_a_message_without_keywords_needs_one_column():
    assert [row.values for row in rows_of("recipient\nmei@example.com\n", variables=())] == [{}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_spreadsheets_may_save_as_they_like(delimiter, encoding):
    content = "recipient,name,clinic\r\nmei@example.com,陈美玲,金文泰\r\n".replace(",", delimiter)

    [row] = rows_of(content.encode(encoding))

    assert row.values == {"name": "陈美玲", "clinic": "金文泰"}


def test_lines_of_a_cell_stay_lines_and_are_written_in_one_way():
    [row] = rows_of('recipient,name,clinic\nmei@example.com,"Block 2\r\nLevel 3",x\n')

    assert row.values["name"] == "Block 2\nLevel 3"


# Bad rows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        (",Mei,Bedok", [("recipient", "recipient_blank")]),
        ("  ,Mei,", [("recipient", "recipient_blank")]),
        ("mei,Mei,Bedok", [("recipient", "recipient_no_at")]),
        ('"mei@a.sg, tan@a.sg",Mei,Bedok', [("recipient", "recipient_several")]),
        ("Mei <mei@a.sg>,Mei,Bedok", [("recipient", "recipient_with_name")]),
        ("mei@a.sg,Mei", [("", "too_few_cells")]),
        ("mei@a.sg,Tan, Mei,Bedok", [("", "too_many_cells")]),
        ("mei@a.sg,M\0ei,Bedok", [("name", "value_zero_byte")]),
        (f"mei@a.sg,Mei,{'x' * 10_001}", [("clinic", "value_too_long")]),
        (
            f"mei,M\0ei,{'x' * 10_001}",
            [
                ("recipient", "recipient_no_at"),
                ("name", "value_zero_byte"),
                ("clinic", "value_too_long"),
            ],
        ),
    ],
)
def test_a_bad_row_says_everything_that_is_wrong_with_it(row, reasons):
    assert reasons_of(row) == reasons


def test_every_bad_row_is_told_and_reported_not_only_the_first():
    report = io.StringIO(newline="")
    reader = reader_of(GOOD + ",Tan,Yishun\nmei@gmail,Mei,Bedok\n", report=report)

    list(reader)

    assert [fault.row_number for fault in reader.faults] == [3, 4]
    assert (reader.rows_total, reader.rows_good, reader.rows_bad) == (3, 1, 2)
    written = list(csv.reader(io.StringIO(report.getvalue()[1:], newline="")))
    assert [row[-2:] for row in written] == [
        ["Error Reason", "Row"],
        ["recipient: Enter an email address.", "3"],
        [
            "recipient: Complete the domain “gmail”: it has no dot, as in example.com.",
            "4",
        ],
    ]


# Bad files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 a workbook", "not_text"),
        (b"mei@example.com,Mei,Bedok\n", "no_header"),
        (b"name,clinic\nMei,Bedok\n", "missing_columns"),
        (b"recipient,name\nmei@example.com,Mei\n", "missing_columns"),
        (b"recipient,name,clinic,Name\nmei@example.com,a,b,c\n", "duplicate_columns"),
        (b"recipient,name,clinic,x,X\nmei@example.com,a,b,c,d\n", "duplicate_columns"),
        (b"recipient,name,clinic\n", "no_rows"),
        (b"recipient,name,clinic\n,,\n\n", "no_rows"),
        (b'recipient,name,clinic\nmei@example.com,"a,b\n', "unclosed_quote"),
        (b"recipient,name,clinic\nmei@example.com,caf\xe9,b\n", "not_utf8"),
        (b"recipient,name,clinic,the note\nmei@example.com,a,b,caf\xe9\n", "not_utf8"),
    ],
)
def test_a_broken_file_is_refused_as_what_it_is(content, code):
    assert fault_of(content).code == code


def test_all_missing_columns_are_named_at_once_with_what_was_meant():
    fault = fault_of("Email,Clinic Name,age\n", variables=("clinic_name", "date"))

    assert fault.message == (
        "There is no column named “date”. Add it. "
        "Rename the column “Email” to “recipient”. "
        "Rename the column “Clinic Name” to “clinic_name”."
    )


def test_one_row_more_than_allowed_refuses_the_file():
    content = GOOD + "tan@example.com,Tan,Yishun\n" * 20

    assert fault_of(content, max_rows=20).message == (
        "This file has more than 20 rows, and 20 is the most."
    )


# What is told of all rows ----------------------------------------------------------------------


def test_blank_cells_are_allowed_and_counted_for_each_column():
    summary = summary_of(
        "recipient,name,clinic,block\na@a.sg,,x,\nb@a.sg, ,x,1\nc@a.sg,Mei,x,\nD@a.sg,\xa0,x,1\n"
    )

    assert summary["blank"] == {"name": 3, "block": 2}


def test_an_address_that_comes_again_is_kept_and_counted_however_it_is_written():
    content = "recipient\nmei@a.sg\ntan@a.sg\n MEI@a.sg\nMei@A.sg\n"

    assert len(rows_of(content, variables=())) == 4
    assert summary_of(content, variables=())["duplicates"] == 2


def test_addresses_that_nobody_in_particular_reads_are_counted_with_examples():
    content = "recipient\n" + "mei@a.sg\n" + "Postmaster@a.sg\n" * 7 + "x-request@a.sg\n"

    assert summary_of(content, variables=())["role_addresses"] == {
        "count": 8,
        "examples": [{"row": row, "found": "postmaster@"} for row in range(3, 8)],
    }


def test_likely_slips_in_domains_are_counted_with_what_was_meant():
    content = "recipient\nmei@a.sg\nmei@gmial.com\n TAN@hotmial.com\n"

    summary = summary_of(content, variables=())

    assert summary["typos"]["count"] == 2
    assert sorted(summary["typos"]["examples"], key=lambda each: each["row"]) == [
        {"row": 3, "found": "gmial.com", "meant": "gmail.com"},
        {"row": 4, "found": "hotmial.com", "meant": "hotmail.com"},
    ]


def test_a_clean_file_has_nothing_to_warn_of():
    assert summary_of(GOOD) == {
        "columns": ["recipient", "name", "clinic"],
        "columns_ignored": [],
        "duplicates": 0,
        "blank": {},
        "role_addresses": {"count": 0, "examples": []},
        "typos": {"count": 0, "examples": []},
    }


# Most rows are judged many at a time; what comes out must be what is said of each by itself.
typed = st.one_of(
    st.sampled_from(
        ["mei@a.sg", " MEI@a.sg", "", "mei", "postmaster@a.sg", "a@gmial.com", "mei@a.sg\u200b"]
    ),
    st.text(alphabet=st.sampled_from('a@.sg \t\n,"\u0430'), max_size=8),
)
cells = st.text(alphabet=st.sampled_from('aB ,"\n\r\t\0é中😀\u2028'), max_size=4)


@settings(max_examples=150)
@given(st.lists(st.tuples(typed, cells, cells), max_size=10))
def test_a_row_is_judged_among_others_as_it_would_be_alone(rows):
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["recipient", "name", "clinic"])
    # Long, so that what is odd in the rows does not make the file one that is no text.
    last = ("last@a.sg", "a" * 2000, "b")
    writer.writerows([*rows, last])
    reader = reader_of(file.getvalue())

    found = {row.number: (row.recipient, *row.values.values()) for c in reader for row in c}

    expected = {number: judged(*row) for number, row in enumerate(rows, 2)}
    expected[len(rows) + 2] = last
    good = {number: row for number, row in expected.items() if row}
    assert found == good
    blank = {number for number, row in enumerate(rows, 2) if not "".join(row).strip()}
    refused = [fault.row_number for fault in reader.faults]
    assert refused == [n for n, row in expected.items() if not row and n not in blank]
    summary = reader.rows.summary()
    unlike = {recipient for recipient, _, _ in good.values()}
    assert summary["duplicates"] == len(good) - len(unlike)
    names = [name for _, name, _ in good.values()]
    assert summary["blank"].get("name", 0) == sum(not name.strip() for name in names)


def judged(recipient, *values):
    """What a row is to come out as; nothing where it is refused."""
    lines = [value.replace("\r\n", "\n").replace("\r", "\n") for value in (recipient, *values)]
    try:
        address = addresses.clean_recipient(lines[0])
    except InvalidRecipient:
        return None
    return None if "\0" in "".join(values) else (address, *lines[1:])


@pytest.mark.parametrize("row", ["{n}@a.sg,{n},b\n", "x,a,b\n"], ids=["good", "bad"])
def test_memory_stays_flat(row, tmp_path):
    content = "recipient,name,clinic\n" + "".join(row.format(n=n) for n in range(30_000))
    with (tmp_path / "report.csv").open("w", encoding="utf-8", newline="") as report:
        reader = reader_of(content.encode(), report=report)
        tracemalloc.start()
        for _ in reader:
            pass
        reader.rows.summary()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 4_000_000
