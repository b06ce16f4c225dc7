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
        return _with_transposed(node, node.source.constructor)
    if node.source.call is not None:
        return node.source.call
    return _OF_ONE if len(node.inputs) == 1 else call(ITSELF, *(Input(port) for port, arrival in enumerate(node.inputs) if arrival is not None))


_OF_ONE = call(ITSELF, Input())


CAN_TRANSPOSE = ("linear", "embedding")
"""The kinds that can compute with another node's weight, transposed."""

_OF_EMBEDDING = ("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")


def _with_transposed(node: GraphNode, made: Call) -> Expression:
    if node.kind.kind not in CAN_TRANSPOSE or "weight" not in node.ties:
        raise InternalError("emit", f"`{node.kind.kind}` cannot compute with a transposed weight", node.name)
    weight: Any = source_of(node.ties["weight"])
    if node.kind.kind == "embedding":
        return Call("F.embedding", (Input(), weight), tuple(pair for pair in made.kwargs if pair[0] in _OF_EMBEDDING))
    bias: Any = (Held(node.path, "bias"),) if "bias" in node.parameters else ()
    return Call("F.linear", (Input(), weight, *bias))


def source_of(tie: Tie) -> Held:
    """The tensor behind a tie; where that one is transposed itself, the one behind it."""
    is_transposed = tie.is_transposed
    while (further := tie.node.ties.get(tie.tensor)) is not None and further.is_transposed:
        tie, is_transposed = further, is_transposed != further.is_transposed
    return Held(tie.node.path, tie.tensor, is_transposed)
