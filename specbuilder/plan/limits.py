"""Which whole numbers the inputs of a model take, where it is only some of them: an embedding of 5 vectors takes 0 to 4.

In: a typed graph. Out: the least bound by input. What a number becomes on the way is not followed: a bound holds for what reads the input itself.
"""

from __future__ import annotations

from specbuilder.graph.graph import GraphNode, TypedGraph
from specbuilder.records import Record


class Limit(Record):
    """Numbers from 0 to `below` - 1, since `node` takes no others."""

    below: int
    node: GraphNode

    def __str__(self) -> str:
        return f"`{self.node.name}` takes {f'0 to {self.below - 1}' if self.below > 1 else 'only 0'}"


def limits(graph: TypedGraph) -> dict[str, Limit]:
    """The bound of each input that has one."""
    names = {value: str(value.path[0]) for value in graph.inputs}
    found: dict[str, Limit] = {}
    for node in graph.nodes:
        bounds = node.kind.limits()
        for port, arrival in zip(node.kind.inputs, node.inputs, strict=True):
            if port.name not in bounds:
                continue
            for value in arrival if isinstance(arrival, tuple) else (arrival,):
                name = names.get(value) if value is not None else None
                if name is not None and (name not in found or bounds[port.name] < found[name].below):
                    found[name] = Limit(bounds[port.name], node)
    return found
