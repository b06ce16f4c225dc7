"""The typed graph: what the walk makes and everything after it reads.

A `Value` is one tensor with its type; nodes read values and give values, in the order of the text, so the list of nodes is already a topological order.
Values are told apart by identity: two of equal type are two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from specbuilder.catalogue.contract import Buffer, Node, Parameter, Source
from specbuilder.diagnostics import Span
from specbuilder.records import Record
from specbuilder.shapes import Requirement, TensorType

Path = tuple[str | int, ...]


class Value(Record, identity=True):
    """One tensor: the path of what makes it, and its type; None is Unknown, after a mistake."""

    path: Path
    type: TensorType | None
    port: str = ""

    @property
    def name(self) -> str:
        dotted = ".".join(map(str, self.path))
        return f"{dotted}.{self.port}" if self.port else dotted


Arrival = Value | tuple[Value, ...] | None
"""What a port reads: a tensor, a list of them, or nothing (an optional port)."""


class GraphNode(Record, identity=True):
    """One node, complete: what it is, what it reads and gives, what it owns, and the code it becomes."""

    path: Path
    kind: Node
    inputs: tuple[Arrival, ...]
    outputs: tuple[Value, ...]
    span: Span
    is_named: bool
    source: Source
    parameters: Mapping[str, Parameter] = MappingProxyType({})
    buffers: Mapping[str, Buffer] = MappingProxyType({})

    @property
    def name(self) -> str:
        return ".".join(map(str, self.path))

    @property
    def types(self) -> tuple[TensorType | tuple[TensorType, ...] | None, ...]:
        """The types that arrive, as the rules of the kind take them."""
        return tuple(_types(arrival) for arrival in self.inputs)

    def arriving(self) -> Iterator[Value]:
        """All values it reads, in port order."""
        for arrival in self.inputs:
            if isinstance(arrival, Value):
                yield arrival
            elif arrival is not None:
                yield from arrival


def _types(arrival: Arrival) -> TensorType | tuple[TensorType, ...] | None:
    if arrival is None:
        return None
    if isinstance(arrival, Value):
        assert arrival.type is not None
        return arrival.type
    return tuple(value.type for value in arrival if value.type is not None)


class TypedGraph(Record):
    """A checked network: nothing in it is Unknown."""

    name: str
    description: str
    inputs: tuple[Value, ...]
    nodes: tuple[GraphNode, ...]
    outputs: Mapping[str, Value]
    requirements: tuple[Requirement, ...]

    @property
    def output_types(self) -> dict[str, TensorType]:
        return {name: value.type for name, value in self.outputs.items() if value.type is not None}

    @property
    def input_types(self) -> dict[str, TensorType]:
        return {str(value.path[0]): value.type for value in self.inputs if value.type is not None}
