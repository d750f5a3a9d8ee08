"""The uploaded rows that are wrong, to be mended in a spreadsheet."""

import csv
from collections.abc import Sequence
from typing import TextIO

from .rows import RowFault
from .table import Table

ERROR_COLUMN = "Error Reason"
ROW_COLUMN = "Row"


def formula_safe(cell: str) -> str:
    """The cell as text for spreadsheets, which would run one that begins like a formula."""
    return f"'{cell}" if cell[:1] in _FORMULA_STARTS else cell


_FORMULA_STARTS = frozenset("=+-@\t\r\n＝＋－＠")


class Report:
    """The uploaded rows that are wrong, each with its reasons, safe to open in a spreadsheet."""

    def __init__(self, file: TextIO, table: Table) -> None:
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
