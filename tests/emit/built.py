"""Graphs by hand, for what no spec says yet, or only a rare one: a few lines a node, no walk in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuilder.catalogue.contract import Node, Parameter, Source
from specbuilder.catalogue.functions.activations import Relu
from specbuilder.diagnostics import Source as Text
from specbuilder.diagnostics import Span
from specbuilder.graph.graph import Arrival, GraphNode, Item, Part, TypedGraph, Value
from specbuilder.shapes import parse_type

TEXT = Text("built.yaml", "\n" * 99)
KIND = Relu()


def line(number: int) -> Span:
    return Span(TEXT, number - 1, number)


def path_of(text: str) -> tuple[str | int, ...]:
    return tuple(int(step) if step.isdigit() else step for step in text.split("."))


def value(path: str, type: str = "float32[B, 4]", port: str = "") -> Value:
    return Value(path_of(path), parse_type(type), port)


def node(path: str, source: Source, *inputs: Arrival, type: str = "float32[B, 4]", kind: Node = KIND, named: bool = False, **more: Any) -> GraphNode:
    """A node that gives one value."""
    parameters = {name: Parameter(shape, "matrix") for name, shape in more.pop("parameters", {}).items()}
    return GraphNode(path_of(path), kind, inputs, (value(path, type),), line(1), named, source, parameters, **more)


def linear(path: str, x: Value, **more: Any) -> GraphNode:
    """`nn.Linear(4, 4)`."""
    from specbuilder.catalogue.contract import Module, call

    return node(path, Module(call("nn.Linear", 4, 4)), x, parameters={"weight": (4, 4), "bias": (4,)}, **more)


def part(path: str, block: str | None, at: int, inputs: Mapping[str, Arrival], outputs: Mapping[str, Any], *items: Item, **more: Any) -> Part:
    return Part(path_of(path), block, line(at), more.pop("arguments", {}), inputs, outputs, items, **more)


def graph(inputs: tuple[Value, ...], outputs: Mapping[str, Value], *items: Item, **more: Any) -> TypedGraph:
    nodes: list[GraphNode] = []

    def collect(item: Item) -> None:
        if isinstance(item, GraphNode):
            nodes.append(item)
        else:
            for inner in item.items:
                collect(inner)

    for item in items:
        collect(item)
    return TypedGraph("built", "", inputs, tuple(nodes), items, outputs, (), **more)
