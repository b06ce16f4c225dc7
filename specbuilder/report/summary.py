"""The summary of a network as text: one line a node, then the sums.

Parts (blocks, lists) have a line with their sums, and what is in them stands indented below. Copies that are alike are one line; what is in copies is
shown once, however their sizes differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specbuilder.graph.count import Report, Row, size
from specbuilder.graph.graph import GraphNode, Item, Part, Path, TypedGraph, Value
from specbuilder.records import Record
from specbuilder.report import figures
from specbuilder.shapes import Dim


def summary(graph: TypedGraph, report: Report, width: int) -> str:
    """Nodes with their output types, parameters and FLOPs; inputs, outputs, what sizes must meet, the sums. At most `width` columns."""
    inputs = [(name, "input", str(type), "", "") for name, type in graph.input_types.items()]
    entries = _Entries(dict(zip(graph.nodes, report.rows, strict=True))).all(graph.items, ())
    nodes = _lines(entries, "")
    heads = ("node", "kind", "output", "parameters", "FLOPs")
    lines = [graph.name + (f": {graph.description}" if graph.description else ""), "", *table([heads, *inputs, *nodes], width)]
    roles = ", ".join(f"{figures.count(number)} {role}" for role, number in report.parameters_by_role.items())
    lines += ["", f"outputs     {', '.join(f'{name} {type}' for name, type in graph.output_types.items())}"]
    lines += [f"parameters  {figures.count(report.parameters)}{f' ({roles})' if len(report.parameters_by_role) > 1 else ''}, {size(report.bytes)}"]
    if report.buffers:
        lines += [f"buffers     {figures.count(report.buffers)}"]
    lines += [f"FLOPs       {_flops(report.flops) or '0'} forward, for one sample"]
    if any(_has_copies(entry) for entry in entries):
        lines += ["copies      a line with (n x) is the sum of n copies; what is in a copy is shown once"]
    if graph.requirements:
        lines += [f"needs       {', '.join(map(str, graph.requirements))}"]
    return "\n".join(lines)


# Nodes and parts -----------------------------------------------------------------------------------------------------


class _Entry(Record):
    """One line, and what stands below it. `path` leads there from what is around it; `content` is equal for entries that say the same at other places,
    `form` for those that differ in sizes alone.
    """

    path: Path
    kind: str
    output: str
    parameters: int
    flops: Dim
    content: int
    form: int
    inner: tuple[_Entry, ...] = ()
    copies: int = 1

    @property
    def name(self) -> str:
        if self.copies == 1:
            return ".".join(map(str, self.path))
        *before, first = self.path
        copies = [f"{first}-{int(first) + self.copies - 1}"] if first else []
        return f"{'.'.join(map(str, [*before, *copies]))} ({self.copies} x)"


class _Entries:
    """Makes entries of nodes and parts. Contents are numbered, so that two of them are compared at once, however much is in them."""

    def __init__(self, rows: Mapping[GraphNode, Row]) -> None:
        self.rows = rows
        self.numbers: dict[object, int] = {}

    def all(self, items: Sequence[Item], around: Path) -> tuple[_Entry, ...]:
        return tuple(_folded([self.one(item, around) for item in items]))

    def one(self, item: Item, around: Path) -> _Entry:
        path = (item.path[len(around) :] if item.path[: len(around)] == around else ()) or item.path[-1:]
        if isinstance(item, GraphNode):
            row = self.rows[item]
            return self.entry(path, row.kind, str(row.output), row.parameters, row.flops, ())
        inner = self.all(item.items, item.path)
        parameters, flops = sum(entry.parameters * entry.copies for entry in inner), sum((entry.flops * entry.copies for entry in inner), start=0)
        return self.entry(path, item.block or "", _output(item), parameters, flops, inner)

    def entry(self, path: Path, kind: str, output: str, parameters: int, flops: Dim, inner: tuple[_Entry, ...]) -> _Entry:
        content = self.number((kind, output, parameters, flops, *[(each.path, each.copies, each.content) for each in inner]))
        form = self.number((kind, *[(each.path, each.form) for each in inner]))
        return _Entry(path, kind, output, parameters, flops, content, form, inner)

    def number(self, said: object) -> int:
        return self.numbers.setdefault(said, len(self.numbers))


def _output(part: Part) -> str:
    """The type of what leaves a part first."""
    first = next(iter(part.outputs.values()), None)
    return str(first.type) if isinstance(first, Value) else ""


def _folded(entries: Sequence[_Entry]) -> list[_Entry]:
    """Neighbours that are copies of one node and say the same, as one."""
    folded: list[_Entry] = []
    lasts: list[_Entry] = []
    for entry in entries:
        if lasts and lasts[-1].content == entry.content and _follows(lasts[-1], entry):
            before = folded[-1]
            folded[-1] = before.replace(copies=before.copies + 1)
            lasts[-1] = entry
        else:
            folded.append(entry)
            lasts.append(entry)
    return folded


def _follows(before: _Entry, entry: _Entry) -> bool:
    *start, last = before.path
    return isinstance(last, int) and entry.path == (*start, last + 1)


def _lines(entries: Sequence[_Entry], indent: str) -> list[tuple[str, str, str, str, str]]:
    """Entries as rows. What is in copies of one form is shown once."""
    lines: list[tuple[str, str, str, str, str]] = []
    shown: set[object] = set()
    for entry in entries:
        parameters, flops = entry.parameters * entry.copies, entry.flops * entry.copies
        lines.append((indent + entry.name, entry.kind, entry.output, figures.count(parameters) if parameters else "", _flops(flops)))
        *start, last = entry.path
        copy = (tuple(start) if isinstance(last, int) else entry.path, entry.form)
        if entry.inner and copy not in shown:
            lines += _lines(entry.inner, indent + "  ")
        shown.add(copy)
    return lines


def _has_copies(entry: _Entry) -> bool:
    return entry.copies > 1 or any(_has_copies(inner) for inner in entry.inner)


# Text ----------------------------------------------------------------------------------------------------------------


def _flops(flops: object) -> str:
    if isinstance(flops, int):
        return figures.large(flops) if flops else ""
    return str(flops)


def table(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Rows under a head, columns aligned; numbers to the right; the widest column gives way where the terminal is narrow."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    if over > 0:
        widest = max(range(len(widths)), key=lambda column: widths[column])
        widths[widest] = max(widths[widest] - over, 8)
    is_number = [all(not row[column] or row[column][0].isdigit() for row in rows[1:]) for column in range(len(widths))]
    lines = []
    for row in rows:
        cells = (_cell(text, widths[column], is_number[column]) for column, text in enumerate(row))
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "-" * min(width, sum(widths) + 2 * (len(widths) - 1)), *lines[1:]]


def _cell(text: str, width: int, to_right: bool) -> str:
    shown = text if len(text) <= width else text[: width - 3] + "..."
    return shown.rjust(width) if to_right else shown.ljust(width)
