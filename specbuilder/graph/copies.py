"""The copies of a node: how many `repeat` makes, what each of them sees under the names of its columns, and which of them a mistake is in.

A `repeat` that is wrong is told once and stands for one copy whose columns are unknown, so that nothing inside it is told as a mistake of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostic, Diagnostics
from specbuilder.graph.variables import Variables
from specbuilder.language.tree import Entry
from specbuilder.language.values import Undefined, resolve, span_at

MOST_NODES = 100_000
"""Copies included. A larger graph is refused by arithmetic, before it is made."""

_UNKNOWN: Any = object()

Row = Mapping[str, Any]
"""The columns of one copy by name, `i` among them; empty for a node without `repeat`."""


class Columns:
    """Looks names up for one copy: its columns first, then the variables."""

    def __init__(self, variables: Variables, row: Row) -> None:
        self._variables, self._row = variables, row

    @property
    def names(self) -> tuple[str, ...]:
        return (*self._row, *self._variables.names)

    def __call__(self, name: str) -> Any:
        if name not in self._row:
            return self._variables(name)
        if self._row[name] is _UNKNOWN:
            raise Undefined(name)
        return self._row[name]


class CopiesFound(Diagnostics):
    """Hands on what is found. Between `begin` and `end` it waits, so that a mistake that is in all copies of a node is told once, and one that is in
    some of them with their numbers.
    """

    def __init__(self, onward: Diagnostics) -> None:
        super().__init__()
        self._onward = onward
        self._open: list[list[Diagnostic]] = []

    def add(self, diagnostic: Diagnostic) -> None:
        if self._open:
            self._open[-1].append(diagnostic)
        else:
            self._onward.add(diagnostic)

    def begin(self) -> None:
        """From here on, what is found belongs to the next copy."""
        self._open.append([])

    def end(self) -> None:
        """All copies are done: hands on what was found in them."""
        copies, self._open = self._open, []
        found: dict[tuple[object, ...], dict[int, Diagnostic]] = {}
        for number, diagnostics in enumerate(copies, start=1):
            for diagnostic in diagnostics:
                span = diagnostic.span
                found.setdefault((diagnostic.code, span and span.start, span and span.end), {}).setdefault(number, diagnostic)
        for by_copy in found.values():
            self._onward.add(_with_copies(by_copy, len(copies)))


def _with_copies(by_copy: Mapping[int, Diagnostic], count: int) -> Diagnostic:
    """The mistake of one place as the first copy has it, with the copies it is in; those go without saying when it is the same in all."""
    (first, diagnostic), *rest = by_copy.items()
    if len(by_copy) == count and all(other.message == diagnostic.message for _, other in rest):
        return diagnostic
    more = f"; {len(rest)} more cop{'y is' if len(rest) == 1 else 'ies are'} wrong here too" if rest else ""
    return diagnostic.replace(message=f"{diagnostic.message} (in copy {first} of {count}{more})")


def rows_of(repeat: Entry | None, variables: Variables, diagnostics: Diagnostics, left: int) -> list[Row]:
    """One row a copy. `left` is how many nodes may still be made."""
    if repeat is None:
        return [{}]
    try:
        written = resolve(repeat.value, variables, variables.names, diagnostics)
    except Undefined:
        return [_unknown(repeat.value)]
    if isinstance(written, int) and not isinstance(written, bool) and written >= 1:
        return _numbered(written, {}, repeat, diagnostics, left)
    if isinstance(written, Mapping) and written:
        return _in_columns(written, repeat, diagnostics, left)
    message = f"`repeat` wants a positive integer or columns, but this is {shown(written)}"
    diagnostics.error("SB0203", message, repeat.span, help=_repair(written))
    return [_unknown(written)]


def _in_columns(columns: Mapping[str, Any], repeat: Entry, diagnostics: Diagnostics, left: int) -> list[Row]:
    wrong = {name: column for name, column in columns.items() if not isinstance(column, tuple) or not column}
    for name, column in wrong.items():
        message = f"the column `{name}` of `repeat` wants a list with one value a copy, but this is {shown(column)}"
        diagnostics.error("SB0203", message, span_at(repeat.node, (name,)), help=f"such as `{name}: [64, 128]`")
    if wrong:
        return [_unknown(columns)]
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"`{name}` has {length}" for name, length in lengths.items())
        diagnostics.error("SB0504", f"the columns of `repeat` must be equally long, but {said}", repeat.span)
        return [_unknown(columns)]
    return _numbered(next(iter(lengths.values())), columns, repeat, diagnostics, left)


def _numbered(count: int, columns: Mapping[str, Any], repeat: Entry, diagnostics: Diagnostics, left: int) -> list[Row]:
    if count > left:
        diagnostics.error("SB0601", f"`repeat` asks for {count:,} copies, but a network has at most {MOST_NODES:,} nodes", repeat.span)
        return [_unknown(columns)]
    return [{"i": i, **{name: column[i] for name, column in columns.items()}} for i in range(count)]


def _unknown(columns: Any) -> Row:
    """A row for one copy that stands for all, with nothing known of its columns."""
    return {**dict.fromkeys(columns if isinstance(columns, Mapping) else (), _UNKNOWN), "i": _UNKNOWN}


def _repair(written: Any) -> str:
    if isinstance(written, int) and not isinstance(written, bool):
        return "a node that is there once needs no `repeat`; `when: false` leaves one out"
    return "write a number of copies, or columns such as `repeat: {width: [64, 128]}`"
