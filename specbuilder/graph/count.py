"""TypedGraph to Report: what the network weighs and costs, by node and by role. Declared shapes only; nothing is built.

A tensor is counted where it is owned: a node that uses the weights of another one, or a tensor that is tied to another one, weighs nothing. What no
machine can hold or compute is refused here, at the place in the text that asks for most of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import Any

from specbuilder.catalogue.contract import Buffer
from specbuilder.diagnostics import Diagnostics, Span
from specbuilder.graph.graph import GraphNode, TypedGraph
from specbuilder.records import Record
from specbuilder.shapes import Dim, DimError, TensorType, substitute

MOST_PARAMETERS = 10**12
"""Four terabytes of float32, more than any machine has."""
MOST_OPERATIONS = 2**63
"""Of one sample, for each of the terms that symbols leave: what the algebra of sizes computes with."""


class Row(Record):
    """One node of the report. `flops` is for one sample: forward, 2 per multiply-add."""

    path: str
    kind: str
    output: TensorType
    parameters: int
    flops: Dim


class Report(Record):
    """The counts of a network."""

    rows: tuple[Row, ...]
    parameters: int
    parameters_by_role: Mapping[str, int]
    buffers: int
    flops: Dim
    """Forward, one sample; symbolic where sizes are."""
    bytes: int
    """Of parameters and buffers in their dtypes."""

    def as_json(self) -> dict[str, Any]:
        return {
            "parameters": self.parameters,
            "parameters_by_role": dict(self.parameters_by_role),
            "buffers": self.buffers,
            "bytes": self.bytes,
            "flops": _plain(self.flops),
            "nodes": [
                {"name": row.path, "kind": row.kind, "output": str(row.output), "parameters": row.parameters, "flops": _plain(row.flops)}
                for row in self.rows
            ],
        }


def _plain(dim: Dim) -> int | str:
    return dim if isinstance(dim, int) else str(dim)


_BYTES = {
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "int16": 2,
    "float16": 2,
    "bfloat16": 2,
    "int32": 4,
    "float32": 4,
    "int64": 8,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
}


def count(graph: TypedGraph, diagnostics: Diagnostics) -> Report | None:
    """The report of a graph; None when it is too large for any machine, which is reported."""
    batch = batch_symbol(graph)
    roles: Counter[str] = Counter()
    for node in graph.nodes:
        for parameter in node.owned.values():
            roles[parameter.role] += prod(parameter.shape)
    if sum(roles.values()) > MOST_PARAMETERS:
        return _too_many_parameters(graph, diagnostics)
    rows: list[Row] = []
    flops: Dim = 0
    for node in graph.nodes:
        try:
            rows.append(_row(node, batch))
            flops = flops + rows[-1].flops
        except DimError:
            return _too_many_operations(node, diagnostics)
        if isinstance(flops, int) and flops >= MOST_OPERATIONS:
            return _too_many_operations(node, diagnostics)
    return Report(
        rows=tuple(rows),
        parameters=sum(row.parameters for row in rows),
        parameters_by_role=dict(sorted(roles.items())),
        buffers=sum(prod(buffer.shape) for buffer in _buffers(graph)),
        flops=flops,
        bytes=bytes_of(graph),
    )


def bytes_of(graph: TypedGraph) -> int:
    """What parameters and buffers need, in their dtypes."""
    owned = (*(parameter for node in graph.nodes for parameter in node.owned.values()), *_buffers(graph))
    return sum(prod(tensor.shape) * _BYTES[tensor.dtype] for tensor in owned)


def _buffers(graph: TypedGraph) -> tuple[Buffer, ...]:
    return tuple(buffer for node in graph.nodes if node.shares is None for buffer in node.buffers.values())


def _too_many_parameters(graph: TypedGraph, diagnostics: Diagnostics) -> None:
    """Told at the text that asks for most of them, all its copies together."""
    asked: Counter[Span] = Counter()
    for node in graph.nodes:
        asked[node.span] += sum(prod(parameter.shape) for parameter in node.owned.values())
    ((heaviest, most),) = asked.most_common(1)
    there = "" if most == asked.total() else f", {most:,} of them here"
    message = f"the network has {asked.total():,} parameters{there}, but one has at most {MOST_PARAMETERS:,}"
    diagnostics.error("SB0607", message, heaviest)


def _too_many_operations(node: GraphNode, diagnostics: Diagnostics) -> None:
    diagnostics.error("SB0606", "up to here, one pass takes more than 2**63 operations, more than any machine computes", node.span)


def _row(node: GraphNode, batch: str | None) -> Row:
    flops = node.kind.flops(*node.types)
    output = node.outputs[0].type
    assert output is not None
    return Row(
        path=node.name,
        kind=node.kind.kind,
        output=output,
        parameters=sum(prod(parameter.shape) for parameter in node.owned.values()),
        flops=substitute(flops, {batch: 1}) if batch is not None else flops,
    )


def batch_symbol(graph: TypedGraph) -> str | None:
    """The symbol that is the first size of every input: the batch."""
    firsts = {str(value.type.shape[0]) for value in graph.inputs if value.type is not None and value.type.shape}
    return firsts.pop() if len(firsts) == 1 and not next(iter(firsts)).isdigit() else None


def size(bytes: float) -> str:
    """`10.4 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if bytes < 1024:
            return f"{bytes:.0f} {unit}" if unit == "B" else f"{bytes:.1f} {unit}"
        bytes /= 1024
    return f"{bytes:.1f} TiB"
