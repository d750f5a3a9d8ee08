"""Read a file as a stream: good rows in chunks, and everything that is wrong."""

from collections.abc import Iterator
from typing import BinaryIO, TextIO

from .report import Report
from .rows import Reason, Row, RowFault, Rows, number_of
from .table import FileFault, Table, refuse_undecoded

SAMPLE = 100


def read(
    file: BinaryIO,
    rows: Rows,
    *,
    max_rows: int | None = None,
    report: TextIO | None = None,
    sample: int = SAMPLE,
) -> "Reader":
    """A reader of a seekable file, for one pass.

    Bad rows go to `report` (a text file opened with newline="") as they are met, and the first of
    them to `reader.faults`.
    """
    return Reader(file, rows, max_rows=max_rows, report=report, sample=sample)


class Reader:
    """Iterate for chunks of good rows; the counts are true for what has been read so far.

    A chunk is what is good of 500 rows, so it is empty where all of them were bad. FileFault
    comes out of the iteration.
    """

    def __init__(
        self,
        file: BinaryIO,
        rows: Rows,
        *,
        max_rows: int | None,
        report: TextIO | None,
        sample: int,
    ) -> None:
        self._file = file
        self._max_rows = max_rows
        self._report = report
        self._sample = sample

        self.rows = rows
        self.rows_good = 0
        self.rows_bad = 0
        self.errors_total = 0
        self.faults: list[RowFault] = []

    @property
    def rows_total(self) -> int:
        return self.rows_good + self.rows_bad

    @property
    def bytes_read(self) -> int:
        """For a progress bar; the file is read in blocks, so it runs a little ahead."""
        return self._file.tell()

    def __iter__(self) -> Iterator[list[Row]]:
        table = Table(self._file)
        try:
            width = self.rows.take_header(table.header)
            report = Report(self._report, table) if self._report else None
            yield from self._chunks(table, width, report)
        finally:
            table.release()
        if not self.rows_total:
            raise FileFault(
                "no_rows", "This file has a header but no recipients. Add a row for each of them."
            )

    def _chunks(self, table: Table, width: int, report: Report | None) -> Iterator[list[Row]]:
        for first, rows in table.chunks():
            if max(map(len, rows)) > width:
                rows = [_trim(cells, width) for cells in rows]
            good = self.rows.plain(first, rows)
            if len(good) < len(rows):
                good = self._look_closer(first, rows, good, width, report)
            self.rows_good += len(good)
            if self._max_rows is not None and self.rows_total > self._max_rows:
                raise _too_many_rows(self._max_rows)
            yield good

    def _look_closer(
        self,
        first: int,
        rows: list[list[str]],
        plain: list[Row],
        width: int,
        report: Report | None,
    ) -> list[Row]:
        """All good rows, after a look at each that is not plainly good."""
        known = set(map(number_of, plain))
        good = plain
        for number, cells in enumerate(rows, first):
            if number in known:
                continue
            found = self._examine(number, cells, width)
            if isinstance(found, Row):
                good.append(found)
            elif found:
                self._refuse(RowFault(number, found), cells, report)
        good.sort(key=number_of)
        return good

    def _examine(self, number: int, cells: list[str], width: int) -> Row | list[Reason]:
        """Look closely at a row that is not plainly right; no reasons against a blank one."""
        if not any(cell.strip() for cell in cells):
            return []
        refuse_undecoded(number, cells)
        if len(cells) != width:
            return [_ragged(len(cells), width)]
        return self.rows.examine(number, [_plain_line_breaks(cell) for cell in cells])

    def _refuse(self, fault: RowFault, cells: list[str], report: Report | None) -> None:
        self.rows_bad += 1
        self.errors_total += len(fault.reasons)
        if len(self.faults) < self._sample:
            self.faults.append(fault)
        if report:
            report.add(fault, cells)


def _trim(cells: list[str], width: int) -> list[str]:
    """Without the empty cells that spreadsheets leave at the end of a row."""
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _too_many_rows(limit: int) -> FileFault:
    return FileFault(
        "too_many_rows", f"This file has more than {limit:,} rows, and {limit:,} is the most."
    )


def _ragged(count: int, width: int) -> Reason:
    if count > width:
        message = (
            f"This row has too many cells: {count} for {width} columns. "
            "Put quotation marks around a value that holds a comma."
        )
        return Reason("", "", message, "too_many_cells")
    message = f"This row has too few cells: {count} for {width} columns."
    return Reason("", "", message, "too_few_cells")


def _plain_line_breaks(cell: str) -> str:
    return cell.replace("\r\n", "\n").replace("\r", "\n") if "\r" in cell else cell
