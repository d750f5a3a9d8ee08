"""Fill `{{name}}` in an officer's text, and do nothing else.

No expressions, no filters, no second pass: a value that holds `{{other}}` stays text, so what a
recipient's row says can never become an instruction.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

NAME_RULE = r"[a-z][a-z0-9_]*"
RESERVED_NAMES = ("recipient", "language")

_is_name = re.compile(NAME_RULE).fullmatch
_braces = re.compile(r"\{\{([^{}]*)\}\}|\{\{|\}\}")


class MissingValue(KeyError):
    """A variable of the template was given no value."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"No value was given for {self.name}."


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """What is wrong in `body[start:end]`, in words for its author."""

    start: int
    end: int
    code: str
    message: str


class CompiledTemplate:
    """A body taken apart once and put together for each recipient."""

    __slots__ = ("_format", "literals", "names", "variables")

    def __init__(self, body: str) -> None:
        literals, names = _split(body)
        self.literals = literals
        self.names = names  # as they stand between the literals: one used twice is here twice
        self.variables = list(dict.fromkeys(names))
        self._format = literals[0].replace("%", "%%") + "".join(
            f"%({name})s" + literal.replace("%", "%%")
            for name, literal in zip(names, literals[1:], strict=True)
        )

    def render(self, values: Mapping[str, str]) -> str:
        # Interpolation runs in C and looks at the format only, so it is one pass by nature and
        # twice as fast as joining a list.
        try:
            return self._format % values
        except KeyError as missing:
            raise MissingValue(missing.args[0]) from None


# `compile` as in `re.compile`: the module is the namespace.
@lru_cache(maxsize=1024)
def compile(body: str) -> CompiledTemplate:  # noqa: A001
    return CompiledTemplate(body)


def render(body: str, values: Mapping[str, str]) -> str:
    return compile(body).render(values)


def variables(body: str) -> list[str]:
    """The names a body uses, in order of first appearance."""
    return list(compile(body).variables)


def without_placeholders(body: str) -> str:
    """The body with everything in double braces blanked out, every other character in place.

    For checks of the text itself, where a brace of a placeholder is no character to complain of.
    """
    return _braces.sub(lambda found: " " * len(found[0]), body)


def check_template(body: str) -> list[TemplateFault]:
    """Everything that keeps a body from being a template, in order of position."""
    if not body.strip():
        return [TemplateFault(0, len(body), "blank_body", "Write the message.")]
    faults = [_fault(found) for found in _braces.finditer(body)]
    return [fault for fault in faults if fault]


def _split(body: str) -> tuple[list[str], list[str]]:
    """Literals and the names between them; braces around anything else stay literal."""
    literals, names, done = [], [], 0
    for found in _braces.finditer(body):
        name = (found[1] or "").strip(" ")
        if _is_name(name):
            literals.append(body[done : found.start()])
            names.append(name)
            done = found.end()
    literals.append(body[done:])
    return literals, names


def _fault(found: re.Match[str]) -> TemplateFault | None:
    if found[0] == "{{":
        return _at(found, "unclosed_braces", "Close this variable with }} after its name.")
    if found[0] == "}}":
        return _at(found, "unopened_braces", "Open this variable with {{ before its name.")
    name = found[1].strip(" ")
    if name in RESERVED_NAMES:
        return _at(
            found,
            "reserved_name",
            f"“{name}” is the name of a column that every file has. Choose another name.",
        )
    if _is_name(name):
        return None
    return _at(found, "illegal_name", _advice(name))


def _at(found: re.Match[str], code: str, message: str) -> TemplateFault:
    return TemplateFault(found.start(), found.end(), code, message)


def _advice(name: str) -> str:
    if not name:
        return "Write a name between the braces, such as {{name}}."
    rule = (
        f"“{name}” cannot be a variable name: use lowercase letters, digits and underscores, "
        "and start with a letter."
    )
    suggestion = suggest_name(name)
    return f"{rule} Try {{{{{suggestion}}}}}." if suggestion else rule


def suggest_name(text: str) -> str:
    """The legal name nearest to what was typed (`Clinic Name` → `clinic_name`), or nothing."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()
    name = re.sub(r"[^a-z0-9]+", "_", snake).strip("_").lstrip("0123456789_")
    return name if _is_name(name) and name not in RESERVED_NAMES else ""
