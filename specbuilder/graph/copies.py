"""The copies of a node: how many `repeat` or `each` makes, and what each of them sees under the names of its columns.

A `repeat` that is wrong is told once and stands for one copy whose columns are unknown, so that nothing inside it is told as a mistake of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostics
from specbuilder.graph.environment import UNKNOWN, Names
from specbuilder.language.tree import Entry
from specbuilder.language.values import Undefined, resolve, span_at

Row = Mapping[str, Any]
"""The columns of one copy by name, `i` among them; empty for a node without copies."""


def rows_of(word: str, copies: Entry | None, names: Names, diagnostics: Diagnostics) -> list[Row] | range:
    """One row a copy; a range where there are no columns but `i`. `word` is `repeat` or `each`."""
    if copies is None:
        return [{}]
    try:
        written = resolve(copies.value, names, names.names, diagnostics)
    except Undefined:
        return [_unknown(copies.value)]
    if isinstance(written, int) and not isinstance(written, bool) and written >= 1:
        return range(written)
    if isinstance(written, Mapping) and written:
        return _in_columns(word, written, copies, diagnostics)
    message = f"`{word}` wants a positive integer or columns, but this is {shown(written)}"
    diagnostics.error("SB0203", message, copies.span, help=_repair(word, written))
    return [_unknown(written)]


def row(rows: list[Row] | range, at: int) -> Row:
    """The row of a copy."""
    return {"i": at} if isinstance(rows, range) else rows[at]


def _in_columns(word: str, columns: Mapping[str, Any], copies: Entry, diagnostics: Diagnostics) -> list[Row] | range:
    wrong = {name: column for name, column in columns.items() if not isinstance(column, tuple) or not column}
    for name, column in wrong.items():
        message = f"the column `{name}` of `{word}` wants a list with one value a copy, but this is {shown(column)}"
        diagnostics.error("SB0203", message, span_at(copies.node, (name,)), help=f"such as `{name}: [64, 128]`")
    if wrong:
        return [_unknown(columns)]
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"`{name}` has {length}" for name, length in lengths.items())
        diagnostics.error("SB0504", f"the columns of `{word}` must be equally long, but {said}", copies.span)
        return [_unknown(columns)]
    return [{"i": i, **{name: column[i] for name, column in columns.items()}} for i in range(next(iter(lengths.values())))]


def _unknown(columns: Any) -> Row:
    """A row for one copy that stands for all, with nothing known of its columns."""
    return {**dict.fromkeys(columns if isinstance(columns, Mapping) else (), UNKNOWN), "i": UNKNOWN}


def _repair(word: str, written: Any) -> str:
    if isinstance(written, int) and not isinstance(written, bool):
        return f"a node that is there once needs no `{word}`; `when: false` leaves one out"
    return f"write a number of copies, or columns such as `{word}: {{width: [64, 128]}}`"
