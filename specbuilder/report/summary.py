"""The summary of a network as text: one line a node, then the sums."""

from __future__ import annotations

from collections.abc import Sequence

from specbuilder.graph.count import Report, size
from specbuilder.graph.graph import TypedGraph
from specbuilder.report import figures


def summary(graph: TypedGraph, report: Report, width: int) -> str:
    """Nodes with their output types, parameters and FLOPs; inputs, outputs, what sizes must meet, the sums. At most `width` columns."""
    inputs = [(name, "input", str(type), "", "") for name, type in graph.input_types.items()]
    nodes = [(row.path, row.kind, str(row.output), figures.count(row.parameters) if row.parameters else "", _flops(row.flops)) for row in report.rows]
    heads = ("node", "kind", "output", "parameters", "FLOPs")
    lines = [graph.name + (f": {graph.description}" if graph.description else ""), "", *table([heads, *inputs, *nodes], width)]
    roles = ", ".join(f"{figures.count(number)} {role}" for role, number in report.parameters_by_role.items())
    lines += ["", f"outputs     {', '.join(f'{name} {type}' for name, type in graph.output_types.items())}"]
    lines += [f"parameters  {figures.count(report.parameters)}{f' ({roles})' if len(report.parameters_by_role) > 1 else ''}, {size(report.bytes)}"]
    if report.buffers:
        lines += [f"buffers     {figures.count(report.buffers)}"]
    lines += [f"FLOPs       {_flops(report.flops) or '0'} forward, for one sample"]
    if graph.requirements:
        lines += [f"needs       {', '.join(map(str, graph.requirements))}"]
    return "\n".join(lines)


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
