"""What one node adds to a class: its constructor, what is done to its tensors after that, and what `forward` says of it. Described, not yet text.

A tied tensor is one tensor under two names; where the other node has it transposed, no name can hold it, so `forward` computes with the other's `.mT`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from specbuilder.catalogue.contract import ITSELF, Attribute, Call, Expression, Input, Method, Module, call
from specbuilder.diagnostics import InternalError
from specbuilder.emit.code import Held
from specbuilder.graph.graph import GraphNode, Tie
from specbuilder.records import Record


class After(Record):
    """Something done to a tensor once it is there; in the call, `Input()` is the tensor."""

    tensor: str
    """Empty for the node as a whole."""
    code: Expression | None
    """None takes the tensor away: `forward` reads another one instead."""
    instead: str = ""
    """What it reads instead, for people."""


def constructor(node: GraphNode) -> Call | None:
    """What `__init__` calls for a node."""
    return node.source.constructor if isinstance(node.source, (Module, Attribute)) else None


def after(node: GraphNode, inits: Mapping[str, Call]) -> Iterator[After]:
    """How its tensors begin, which of them are not trained, and which are computed from another one."""
    for tensor, tie in node.ties.items():
        if (source := source_of(tie)).is_transposed:
            yield After(tensor, None, f"{'.'.join(map(str, source.path))}.{source.tensor}, transposed")
    for tensor in (*node.parameters, *node.buffers):
        if tensor not in node.ties and (found := inits.get(node.key(tensor))) is not None:
            yield After(tensor, found)
    frozen = [tensor for tensor in node.frozen if tensor not in node.ties]
    if frozen and len(frozen) == len(node.parameters) and len(node.parameters) > 1:
        frozen = [""]
    yield from (After(tensor, Method(Input(), "requires_grad_", (False,))) for tensor in frozen)


def use(node: GraphNode) -> Expression | None:
    """What `forward` says of a node; None for a tensor that the model holds."""
    if isinstance(node.source, Attribute):
        return None
    if not isinstance(node.source, Module):
        return node.source
    if any(source_of(tie).is_transposed for tie in node.ties.values()):
        return _with_transposed(node)
    if node.source.call is not None:
        return node.source.call
    return _OF_ONE if len(node.inputs) == 1 else call(ITSELF, *(Input(port) for port, arrival in enumerate(node.inputs) if arrival is not None))


_OF_ONE = call(ITSELF, Input())


def _with_transposed(node: GraphNode) -> Expression:
    """The kind says how it computes with a tensor that it does not hold; the walk has asked it already."""
    held: dict[str, Any] = {tensor: Held(node.path, tensor) for tensor in node.parameters}  # a name of the emitter's, which no kind looks into
    transposed = [tensor for tensor, tie in node.ties.items() if source_of(tie).is_transposed]
    held |= {tensor: source_of(node.ties[tensor]) for tensor in transposed}
    found = node.kind.with_transposed(transposed[0], held) if len(transposed) == 1 else None
    if found is None:
        raise InternalError("emit", f"`{node.kind.kind}` cannot compute with a transposed {transposed[0]}", node.name)
    return found


def source_of(tie: Tie) -> Held:
    """The tensor behind a tie."""
    source = tie.source
    return Held(source.node.path, source.tensor, source.is_transposed)
