"""Read a file of recipients as a stream: good rows in chunks, and everything that is wrong.

    reader = recipients.read(file, template={"english": "Dear {{name}}"}, ...)
    for chunk in reader:
        store(chunk)
    if reader.rows_bad: refuse and roll back

Pure: it touches nothing but the files it is handed. Memory stays flat however long the file is
and however many rows are wrong.
"""

import codecs
import csv
import difflib
import io
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, compress, islice, repeat
from operator import add, itemgetter
from typing import Any, BinaryIO, NamedTuple, TextIO

from campaigns import sms, templating
from messaging import pricing

# So many rows at once: enough to look at them column by column, and few enough that they stay in
# the processor's cache and that a web process answers others meanwhile.
CHUNK = 500
# Fewer where they are long, so that memory stays flat.
CHUNK_BYTES = 4_000_000
SAMPLE = 100
LONGEST_LINE = 1_000_000
ERROR_COLUMN = "Error Reason"
ROW_COLUMN = "Row"

RECIPIENT, LANGUAGE = "recipient", "language"


class Row(NamedTuple):
    """A good row. `number` is the row a spreadsheet shows: the header is row 1."""

    number: int
    recipient: str
    language: str
    values: dict[str, str]
    segments: int


_number = itemgetter(0)


class Reason(NamedTuple):
    """One thing wrong with a row; `column` is empty when it is the row itself."""

    column: str
    value: str
    message: str
    code: str


class RowFault(NamedTuple):
    row_number: int
    reasons: list[Reason]


class FileFault(ValueError):
    """The file cannot be read as recipients at all; the message says what to do about it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def read(
    file: BinaryIO,
    *,
    template: Mapping[str, str],
    variables: Sequence[str],
    clean_recipient: Callable[[str], str],
    header: str,
    notice: str = "",
    max_rows: int | None = None,
    report: TextIO | None = None,
    sample: int = SAMPLE,
) -> "Reader":
    """A reader of a seekable file, for one pass.

    `template` maps each language of the campaign to its body. `clean_recipient` raises a
    ValueError with a sentence. Bad rows go to `report` (a text file opened with newline="") as
    they are met, and the first of them to `reader.faults`.
    """
    return Reader(
        file,
        template=template,
        variables=variables,
        clean_recipient=clean_recipient,
        header=header,
        notice=notice,
        max_rows=max_rows,
        report=report,
        sample=sample,
    )


class Reader:
    """Iterate for chunks of good rows; the counts are true for what has been read so far.

    A chunk is what is good of 500 rows, so it is empty where all of them were bad. FileFault
    comes out of the iteration.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        template: Mapping[str, str],
        variables: Sequence[str],
        clean_recipient: Callable[[str], str],
        header: str,
        notice: str,
        max_rows: int | None,
        report: TextIO | None,
        sample: int,
    ) -> None:
        self._file = file
        self._variables = tuple(variables)
        self._clean_recipient = clean_recipient
        self._max_rows = max_rows
        self._report = report
        self._sample = sample
        self._plans = _plans(template, self._variables, header, notice)
        self._tally: Counter[tuple[str, bool, int]] = Counter()
        self._repeats = _Repeats()

        self.rows_bad = 0
        self.errors_total = 0
        self.faults: list[RowFault] = []
        self.file_has_avoidable_expensive_character = False
        self._values_have_unicode = False

    # What was read -------------------------------------------------------------------------

    @property
    def rows_good(self) -> int:
        return self._tally.total()

    @property
    def rows_total(self) -> int:
        return self.rows_good + self.rows_bad

    @property
    def bytes_read(self) -> int:
        """For a progress bar; the file is read in blocks, so it runs a little ahead."""
        return self._file.tell()

    @property
    def languages(self) -> dict[str, int]:
        """Good rows of each language of the campaign."""
        rows = dict.fromkeys((plan.language for plan in self._plans.values()), 0)
        for (language, _, _), count in self._tally.items():
            rows[language] += count
        return rows

    @property
    def segments(self) -> dict[str, dict[int, int]]:
        """How many rows have how many segments, for `local` and for `foreign` numbers."""
        counts: dict[str, Counter[int]] = {"local": Counter(), "foreign": Counter()}
        for (_, is_local, segments), count in self._tally.items():
            counts["local" if is_local else "foreign"][segments] += count
        return {place: dict(sorted(rows.items())) for place, rows in counts.items()}

    @property
    def segments_min(self) -> int:
        return min((segments for _, _, segments in self._tally), default=0)

    @property
    def segments_max(self) -> int:
        return max((segments for _, _, segments in self._tally), default=0)

    @property
    def segments_total(self) -> int:
        return sum(segments * count for (_, _, segments), count in self._tally.items())

    @property
    def cost_micros(self) -> int:
        return sum(
            count * pricing.price_micros(is_local, segments)
            for (_, is_local, segments), count in self._tally.items()
        )

    @property
    def duplicates(self) -> int:
        """Good rows whose recipient stands in an earlier row too."""
        return self._repeats.count()

    @property
    def file_has_unicode(self) -> bool:
        """Some message is sent in UCS-2, for its language or for one of its values."""
        return self._values_have_unicode or any(
            rows and not self._plans[language].is_gsm for language, rows in self.languages.items()
        )

    # Reading -------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[list[Row]]:
        table = _Table(self._file)
        try:
            columns = _Columns(table.header, self._variables)
            report = _Report(self._report, table) if self._report else None
            yield from self._chunks(table, columns, report)
        finally:
            table.release()
        if not self.rows_total:
            raise FileFault(
                "no_rows", "This file has a header but no recipients. Add a row for each of them."
            )

    def _chunks(
        self, table: "_Table", columns: "_Columns", report: "_Report | None"
    ) -> Iterator[list[Row]]:
        for first, rows in table.chunks():
            if max(map(len, rows)) > columns.width:
                rows = [_trim(cells, columns.width) for cells in rows]
            good = self._plain(first, rows, columns)
            if len(good) < len(rows):
                good = self._look_closer(first, rows, good, columns, report)
            if good:
                self._count(good)
            if self._max_rows is not None and self.rows_total > self._max_rows:
                raise _too_many_rows(self._max_rows)
            yield good

    def _plain(self, first: int, rows: list[list[str]], columns: "_Columns") -> list[Row]:
        """The rows that are plainly good, told column by column; the others may be good or not."""
        width, language_at = columns.width, columns.language
        typed = [cells[language_at] if len(cells) == width else "" for cells in rows]
        good: list[Row] = []
        for spelling in set(typed) & self._plans.keys():
            here = [each == spelling for each in typed]
            numbers = compress(range(first, first + len(rows)), here)
            table = list(zip(*compress(rows, here), strict=True))
            good += self._plain_of(self._plans[spelling], numbers, table, columns)
        good.sort(key=_number)
        return good

    def _plain_of(
        self, plan: "_Plan", numbers: Iterator[int], table: list[tuple[str, ...]], at: "_Columns"
    ) -> list[Row]:
        recipients = [self._cleaned(typed) for typed in table[at.recipient]]
        columns = at.pick(table)
        segments = plan.segments(columns, len(recipients))
        rows = zip(*columns) if columns else [()] * len(recipients)  # noqa: B905 - all as long
        values = [dict(zip(self._variables, row)) for row in rows]  # noqa: B905 - as long, by pick
        found = map(Row, numbers, recipients, repeat(plan.language), values, segments)
        if all(segments) and all(recipients):
            return list(found)
        return [row for row in found if row.recipient and row.segments]

    def _cleaned(self, typed: str) -> str:
        try:
            return self._clean_recipient(typed)
        except ValueError:
            return ""

    def _look_closer(
        self,
        first: int,
        rows: list[list[str]],
        plain: list[Row],
        columns: "_Columns",
        report: "_Report | None",
    ) -> list[Row]:
        """All good rows, after a look at each that is not plainly good."""
        known = set(map(_number, plain))
        good = plain
        for number, cells in enumerate(rows, first):
            if number in known:
                continue
            found = self._examine(number, cells, columns)
            if isinstance(found, Row):
                good.append(found)
            elif found:
                self._refuse(found, cells, report)
        good.sort(key=_number)
        return good

    def _count(self, chunk: list[Row]) -> None:
        _, recipients, languages, _, segments = zip(*chunk, strict=True)
        are_local = [recipient[:2] == "65" for recipient in recipients]
        self._tally.update(zip(languages, are_local, segments, strict=True))
        self._repeats.add(recipients)

    def _examine(self, number: int, cells: list[str], columns: "_Columns") -> Row | RowFault | None:
        """Look closely at a row that is not plainly right; None for a blank one."""
        if not any(cell.strip() for cell in cells):
            return None
        _refuse_undecoded(number, cells)
        if len(cells) != columns.width:
            return RowFault(number, [_ragged(len(cells), columns)])
        cells = [_plain_line_breaks(cell) for cell in cells]
        values = dict(zip(self._variables, columns.pick(cells), strict=True))
        typed = cells[columns.language]
        plan = self._plans.get(typed) or self._plans.get(typed.strip().lower())

        reasons = self._recipient_reasons(cells[columns.recipient])
        if plan is None:
            reasons.append(self._language_reason(typed))
        reasons += self._value_reasons(values, plan)
        if reasons or plan is None:
            return RowFault(number, reasons)
        recipient = self._clean_recipient(cells[columns.recipient])
        return Row(number, recipient, plan.language, values, plan.exact_segments(values))

    def _recipient_reasons(self, value: str) -> list[Reason]:
        try:
            self._clean_recipient(value)
        except ValueError as invalid:
            code = getattr(invalid, "code", "invalid")
            return [_reason(RECIPIENT, value, str(invalid), f"recipient_{code}")]
        return []

    def _language_reason(self, value: str) -> Reason:
        offered = ", ".join(dict.fromkeys(plan.language for plan in self._plans.values()))
        language = value.strip().lower()
        if not language:
            return _reason(LANGUAGE, value, f"Enter a language: {offered}.", "language_blank")
        if language in sms.LANGUAGES:
            message = f"This campaign is not written in {sms.LANGUAGE_LABELS[language]}."
            return _reason(LANGUAGE, value, f"{message} Use {offered}.", "language_unavailable")
        message = f"There is no language of this name. Use {offered}."
        return _reason(LANGUAGE, value, message, "language_unknown")

    def _value_reasons(self, values: Mapping[str, str], plan: "_Plan | None") -> list[Reason]:
        language = plan.language if plan else ""
        reasons = []
        for name, value in values.items():
            if plan is None or plan.is_gsm:
                self._note_characters(value)
            reasons += [
                _reason(name, value, message, code)
                for code, message in check_value(value, language)
            ]
        if plan and not reasons and (excess := plan.excess(values)):
            message = (
                f"The message is {excess:,} characters over the {sms.MAX_BODY:,} it may have "
                "with these values."
            )
            reasons.append(_reason("", "", message, "body_too_long"))
        return reasons

    def _note_characters(self, value: str) -> None:
        if sms.encoding(value) == sms.UCS2:
            self._values_have_unicode = True
            if any(culprit.suggestion is not None for culprit in sms.culprits(value)):
                self.file_has_avoidable_expensive_character = True
        elif any(char in value for char in sms.GSM_EXTENSION):
            self.file_has_avoidable_expensive_character = True

    def _refuse(self, fault: RowFault, cells: list[str], report: "_Report | None") -> None:
        self.rows_bad += 1
        self.errors_total += len(fault.reasons)
        if len(self.faults) < self._sample:
            self.faults.append(fault)
        if report:
            report.add(fault, cells)


def check_value(value: str, language: str) -> list[tuple[str, str]]:
    """What is wrong with one variable's value, as (code, sentence): for a row, a form, the API."""
    if not value.strip():
        return [("value_blank", "Enter a value.")]
    faults = []
    if value != value.strip():
        faults.append(("value_spaces", "Remove the space at the beginning or end."))
    blocked = {found.char: found.message for found in sms.blocked_characters(value, language)}
    faults += [("value_blocked_character", message) for message in blocked.values()]
    return faults


def formula_safe(cell: str) -> str:
    """The cell as text for spreadsheets, which would run one that begins like a formula."""
    return f"'{cell}" if cell[:1] in _FORMULA_STARTS else cell


_FORMULA_STARTS = frozenset("=+-@\t\r\n＝＋－＠")


# Rows against a template -------------------------------------------------------------------

_SEPARATOR = "\x1f"  # blocked in values
# Good in every language and most of what there is, so worth taking out before a closer look.
_ORDINARY = bytes({*range(0x20, 0x7F)} & {*map(ord, sms.GSM_BASIC)}) + _SEPARATOR.encode()
_spaces = re.compile(r"\s").findall

# Not blocked, and one UTF-16 unit each. Tabs stay out: they count as avoidable.
_UNBLOCKED_CLASS = rf"^{sms.BLOCKED_CLASS}\t" + sms.character_class((0x10000, 0x10FFFF))


def _joined(count: int, characters: str) -> Callable[[str], re.Match[str] | None]:
    """Are these so many values that each hold something, only such characters, and no space at
    either end? Counted, because a value may hold the separator itself."""
    value = rf"(?!\s)[{characters}]+(?<!\s)"
    return re.compile(_SEPARATOR.join([value] * count)).fullmatch


class _Plan:
    """How long messages of one language get, worked out once instead of once a row."""

    def __init__(self, language: str, body: str, names: Sequence[str], frame: str) -> None:
        self.language = language
        self._template = templating.compile(body)
        self._names = names
        self._before, self._after = frame.split(_SEPARATOR)
        literals = "".join(self._template.literals)
        fixed = self._before + literals + self._after
        self._uses = [self._template.names.count(name) for name in names]
        self._encoding = sms.encoding(fixed)
        self.is_gsm = self._encoding == sms.GSM7
        # Lengths can stand for units only while every fixed character is one unit.
        is_simple = sms.units(fixed) == len(fixed)
        self._segments_of_length = {
            length: sms.segments_of(len(fixed) + length, self._encoding)
            for length in range(sms.MAX_BODY - len(literals) + 1 if is_simple else 0)
        }
        characters = sms.PLAIN_CLASS if self.is_gsm else _UNBLOCKED_CLASS
        self._are_plain = re.compile(f"[{characters}]*").fullmatch
        self._are_good = _joined(len(names), characters)

    def segments(self, columns: Sequence[Sequence[str]], rows: int) -> list[int]:
        """Segments of each row's message; 0 for a row whose values need a closer look."""
        lengths = [0] * rows
        for uses, column in zip(self._uses, columns, strict=True):
            lengths = list(map(add, lengths, map(uses.__mul__, map(len, column))))
        found = [self._segments_of_length.get(length, 0) for length in lengths]
        if self._are_all_good(columns):
            return found
        return [
            segments if self._are_good(_SEPARATOR.join(values)) else 0
            for segments, values in zip(found, zip(*columns, strict=True), strict=True)
        ]

    def _are_all_good(self, columns: Sequence[Sequence[str]]) -> bool:
        """What `_are_good` says of each row, in one look at all of them."""
        joined = _SEPARATOR.join(chain([""], *columns, [""]))
        if joined.count(_SEPARATOR) > sum(map(len, columns)) + 1:
            return False
        try:
            unusual = joined.encode().translate(None, _ORDINARY).decode()
        except UnicodeEncodeError:
            return False
        if not self._are_plain(unusual) or _SEPARATOR * 2 in joined:
            return False
        return not any(
            space + _SEPARATOR in joined or _SEPARATOR + space in joined
            for space in {" ", *_spaces(unusual)}
        )

    def exact_segments(self, values: Mapping[str, str]) -> int:
        return sms.segments(self._before + self._template.render(values) + self._after)

    def excess(self, values: Mapping[str, str]) -> int:
        return max(0, len(self._template.render(values)) - sms.MAX_BODY)


def _plans(
    template: Mapping[str, str], names: Sequence[str], header: str, notice: str
) -> dict[str, _Plan]:
    """A plan for each language, under the spellings that files mostly have."""
    plans: dict[str, _Plan] = {}
    for language, body in template.items():
        frame = sms.compose(header, _SEPARATOR, language, notice)
        plan = _Plan(language, body, names, frame)
        plans |= dict.fromkeys((language, language.title(), language.upper()), plan)
    return plans


class _Repeats:
    """Count recipients that come again, in 10 MB for a million of them."""

    # One bit for each number that could be a Singapore mobile; the rest are sorted at the end.
    _FIRST, _LAST = 6_580_000_000, 6_599_999_999

    def __init__(self) -> None:
        self._seen = bytearray((self._LAST - self._FIRST) // 8 + 1)
        self._others = array("Q")
        self._local_repeats = 0

    def add(self, recipients: Sequence[str]) -> None:
        seen, first, size = self._seen, self._FIRST, self._LAST - self._FIRST + 1
        for recipient in map(int, recipients):
            place = recipient - first
            if 0 <= place < size:
                byte, bit = place >> 3, 1 << (place & 7)
                if seen[byte] & bit:
                    self._local_repeats += 1
                seen[byte] |= bit
            else:
                self._others.append(recipient)

    def count(self) -> int:
        others = sorted(self._others)
        again = sum(map(int.__eq__, others, others[1:]))
        return self._local_repeats + again


# Rows ----------------------------------------------------------------------------------------


def _reason(column: str, value: str, message: str, code: str) -> Reason:
    shown = value if len(value) <= 100 else value[:99] + "…"
    return Reason(column, shown, message, code)


def _trim(cells: list[str], width: int) -> list[str]:
    """Without the empty cells that spreadsheets leave at the end of a row."""
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _too_many_rows(limit: int) -> FileFault:
    return FileFault(
        "too_many_rows", f"This file has more than {limit:,} rows, and {limit:,} is the most."
    )


def _ragged(count: int, columns: "_Columns") -> Reason:
    if count > columns.width:
        message = (
            f"This row has too many cells: {count} for {columns.width} columns. "
            "Put quotation marks around a value that holds a comma."
        )
        return _reason("", "", message, "too_many_cells")
    message = f"This row has too few cells: {count} for {columns.width} columns."
    return _reason("", "", message, "too_few_cells")


def _plain_line_breaks(cell: str) -> str:
    return cell.replace("\r\n", "\n").replace("\r", "\n") if "\r" in cell else cell


# The file ------------------------------------------------------------------------------------

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


class _Table:
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
            _refuse_undecoded(self._number, self.header)
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


def _refuse_undecoded(number: int, cells: Sequence[str]) -> None:
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


class _Columns:
    """Where each column is, or FileFault with everything that is wrong with the header."""

    def __init__(self, header: Sequence[str], variables: Sequence[str]) -> None:
        names = [" ".join(cell.split()) for cell in header]
        while names and not names[-1]:
            names.pop()
        wanted = [RECIPIENT, LANGUAGE, *variables]
        found = [name.lower() for name in names]
        if faults := _header_faults(names, found, wanted):
            raise FileFault(faults[0][0], " ".join(message for _, message in faults))
        self.width = len(names)
        self.recipient = found.index(RECIPIENT)
        self.language = found.index(LANGUAGE)
        self.pick = _picker([found.index(name) for name in variables])


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    match places:
        case []:
            return lambda cells: ()
        case [place]:
            return lambda cells: (cells[place],)
        case _:
            return itemgetter(*places)


def _header_faults(
    names: Sequence[str], found: Sequence[str], wanted: Sequence[str]
) -> list[tuple[str, str]]:
    twice = [name for name, count in Counter(found).items() if count > 1 and name]
    missing = [name for name in wanted if name not in found]
    unknown = {name: key for name, key in zip(names, found, strict=True) if key not in wanted}
    renames = _renames([name for name in unknown if name], missing)
    if len(missing) == len(wanted) and not renames:
        columns = ", ".join(wanted)
        return [("no_header", f"The first row must name the columns: {columns}.")]

    faults = []
    if twice:
        faults.append(("duplicate_columns", f"{_columns(twice)} more than once. Keep one."))
    for name in missing:
        if name in renames.values():
            continue
        faults.append(("missing_columns", f"There is no column named “{name}”. Add it."))
    for typed, name in renames.items():
        faults.append(("missing_columns", f"Rename the column “{typed}” to “{name}”."))
    for name in unknown:
        if name and name not in renames:
            faults.append(("unknown_columns", f"Remove the column “{name}”: nothing uses it."))
    if "" in unknown:
        place = names.index("") + 1
        faults.append(("unnamed_column", f"Column {place} has no name. Name or remove it."))
    return faults


def _columns(names: Sequence[str]) -> str:
    quoted = ", ".join(f"“{name}”" for name in names)
    return f"The column {quoted} appears" if len(names) == 1 else f"The columns {quoted} appear"


def _renames(unknown: Sequence[str], missing: Sequence[str]) -> dict[str, str]:
    """Which unknown column is most likely meant to be which missing one."""
    renames: dict[str, str] = {}
    left = list(missing)
    for typed in unknown:
        key = re.sub(r"\W+", "_", typed.lower()).strip("_")
        if near := difflib.get_close_matches(key, left, n=1, cutoff=0.6):
            renames[typed] = near[0]
            left.remove(near[0])
    return renames


# The report ----------------------------------------------------------------------------------


class _Report:
    """The uploaded rows that are wrong, each with its reasons, safe to open in a spreadsheet."""

    def __init__(self, file: TextIO, table: _Table) -> None:
        self._writer = csv.writer(file, delimiter=table.delimiter)
        # Excel takes a file without the mark for the encoding of the house.
        if "sig" not in (getattr(file, "encoding", None) or ""):
            file.write("\ufeff")
        self._width = len(table.header)
        self._write([*table.header, ERROR_COLUMN, ROW_COLUMN])

    def add(self, fault: RowFault, cells: Sequence[str]) -> None:
        padded = [*cells, *[""] * (self._width - len(cells))]
        reasons = "; ".join(
            f"{reason.column}: {reason.message}" if reason.column else reason.message
            for reason in fault.reasons
        )
        self._write([*padded, reasons, str(fault.row_number)])

    def _write(self, cells: Sequence[str]) -> None:
        self._writer.writerow([formula_safe(cell) for cell in cells])
