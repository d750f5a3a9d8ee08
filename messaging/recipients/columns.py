"""Which column is which, or everything that is wrong with a header."""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from .table import FileFault

RECIPIENT, LANGUAGE = "recipient", "language"


# What people call that column before they have read how it is to be called.
_OTHER_NAMES_OF_RECIPIENT = frozenset(
    (
        *("email", "e_mail", "email_address", "e_mail_address", "mail", "to"),
        *("phone", "phone_number", "mobile", "mobile_number", "handphone", "number"),
    )
)
# Come along from web pages and other files, and nobody can see them.
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060\u00ad"))


class Header:
    """The columns of a file; FileFault with everything that is wrong with them."""

    def __init__(
        self, cells: Sequence[str], wanted: Sequence[str], *, may_have_others: bool = False
    ) -> None:
        self.shown = [" ".join(cell.translate(_INVISIBLE).split()) for cell in cells]
        while self.shown and not self.shown[-1]:
            self.shown.pop()
        self.names = [name.lower() for name in self.shown]
        self.width = len(self.names)
        if faults := _faults(self.shown, self.names, wanted, may_have_others=may_have_others):
            raise FileFault(faults[0][0], " ".join(message for _, message in faults))

    def place(self, name: str) -> int:
        return self.names.index(name)

    def picker(self, names: Sequence[str]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
        """What takes the cells of these columns, in this order, out of a row."""
        return _picker([self.place(name) for name in names])


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    match places:
        case []:
            return lambda cells: ()
        case [place]:
            return lambda cells: (cells[place],)
        case _:
            return itemgetter(*places)


def _faults(
    names: Sequence[str], found: Sequence[str], wanted: Sequence[str], *, may_have_others: bool
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
    if may_have_others:
        return faults
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
        key = RECIPIENT if key in _OTHER_NAMES_OF_RECIPIENT else key
        if near := difflib.get_close_matches(key, left, n=1, cutoff=0.6):
            renames[typed] = near[0]
            left.remove(near[0])
    return renames
