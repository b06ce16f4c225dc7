"""A second way to run a graph: node by node, by the described code alone. Shares nothing with the emitter.

Modules are made anew from their constructors and take their tensors out of a state dict by key; expressions are evaluated where they stand.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from specbuilder.catalogue.contract import DEVICE, ITSELF, TRAINING, Attribute, Call, Code, IfNone, Index, Infix, Input, Method, Module, Prefix, Slice
from specbuilder.graph.graph import GraphNode, TypedGraph, Value
from specbuilder.shapes import Poly, evaluate

OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "@": operator.matmul,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "&": operator.and_,
    "|": operator.or_,
}
NAMES: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "Tensor": Tensor}


def run(graph: TypedGraph, state: Mapping[str, Tensor], inputs: Mapping[str, Tensor], sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """What the graph gives, in evaluation mode, with the tensors of `state`. `sizes` are those of the symbols in its inputs."""
    values = all_values(graph, state, inputs, sizes, {})
    return {name: values[value] for name, value in graph.outputs.items()}


def all_values(
    graph: TypedGraph, state: Mapping[str, Tensor], inputs: Mapping[str, Tensor], sizes: Mapping[str, int], past: Mapping[Value, Tensor | None]
) -> dict[Value, Any]:
    """Every value of the graph; `past` are those that an earlier call kept, of the graph of a call with state."""
    values: dict[Value, Any] = {value: inputs[str(value.path[0])] for value in graph.inputs} | dict(past)
    for helper in {helper for node in graph.nodes for helper in node.kind.helpers}:
        exec(helper, NAMES)
    for node in graph.nodes:
        given = evaluated(node, state, values, sizes)
        values.update(zip(node.outputs, given if isinstance(given, tuple | list) else (given,), strict=True))
    return values


def tensor(node: GraphNode, name: str, state: Mapping[str, Tensor]) -> Tensor:
    """One of a node's tensors, wherever it is kept."""
    while name in node.ties:
        tie = node.ties[name]
        if tie.is_transposed:
            return tensor(tie.node, tie.tensor, state).mT
        node, name = tie.node, tie.tensor
    return state[node.key(name)]


def evaluated(node: GraphNode, state: Mapping[str, Tensor], values: Mapping[Value, Any], sizes: Mapping[str, int]) -> Any:
    owner = node.shares or node
    if isinstance(node.source, Attribute):
        return tensor(owner, "", state)
    module: Any = None
    code: Any = node.source
    if isinstance(node.source, Module):
        module = value_of(node.source.constructor, node, values, sizes, None).eval()
        with torch.no_grad():
            for name in (*node.parameters, *node.buffers):
                holder, _, last = name.rpartition(".")
                getattr(module.get_submodule(holder), last).copy_(tensor(owner, name, state))
        code = node.source.call or Call(ITSELF, tuple(Input(port) for port, arrival in enumerate(node.inputs) if arrival is not None))
    return value_of(code, node, values, sizes, module)


def value_of(code: Any, node: GraphNode, values: Mapping[Value, Any], sizes: Mapping[str, int], module: Any) -> Any:
    def of(inner: Any) -> Any:
        return value_of(inner, node, values, sizes, module)

    match code:
        case Input():
            return arriving(code, node, values)
        case Code():
            if code in (DEVICE, TRAINING):
                return torch.device("cpu") if code == DEVICE else False
            return named(code.text)
        case Call():
            function = module if code.function == ITSELF else named(code.function)
            return function(*map(of, code.args), **by_name(code.kwargs, of))
        case Method():
            return getattr(of(code.value), code.name)(*map(of, code.args), **by_name(code.kwargs, of))
        case Infix():
            return reduce(OPERATORS[code.operator], map(of, code.operands))
        case Prefix():
            return -of(code.operand) if code.operator == "-" else ~of(code.operand)
        case Index():
            keys: tuple[Any, ...] = tuple(map(of, code.keys))
            return of(code.value)[keys if len(keys) != 1 else keys[0]]
        case IfNone():
            return of(code.absent if of(code.value) is None else code.present)
        case Slice():
            return slice(of(code.start), of(code.stop), of(code.step))
        case Poly():
            return evaluate(code, sizes)
        case tuple():
            return tuple(map(of, code))
    return code


def arriving(code: Input, node: GraphNode, values: Mapping[Value, Any]) -> Any:
    arrival = node.inputs[code.port]
    if isinstance(arrival, tuple):
        return [values[each] for each in arrival] if code.item is None else values[arrival[code.item]]
    return None if arrival is None else values[arrival]


def by_name(kwargs: Iterable[tuple[str, Any]], of: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: of(value) for name, value in kwargs}


def named(text: str) -> Any:
    head, *rest = text.split(".")
    return reduce(getattr, rest, NAMES[head])
