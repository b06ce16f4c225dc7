"""Small networks for tests of what is done with a graph, and ways to change them that the language of this version may not have yet."""

from __future__ import annotations

from collections.abc import Callable

from specbuilder.catalogue.contract import Parameter
from specbuilder.diagnostics import Diagnostics
from specbuilder.graph.graph import GraphNode, Tie, TypedGraph
from specbuilder.pipeline import check

CONVOLUTIONS = """
specbuilder: 1
name: a
model:
  inputs: {image: "float32[B, 3, 32, 32]"}
  nodes:
    - conv2d: {out_channels: 8, kernel_size: 3, padding: 1}
      name: stem
    - batch_norm2d
    - conv2d: {out_channels: 8, kernel_size: 3, padding: 1, bias: false}
      name: blocks
      repeat: 12
    - relu
    - flatten
    - linear: 10
      name: head
"""

TOKENS = """
specbuilder: 1
name: a
model:
  inputs: {tokens: "int64[B, T]"}
  nodes:
    - embedding: {num_embeddings: 50, embedding_dim: 16}
      name: wte
    - layer_norm
    - linear: 16
      name: h
      repeat: 3
    - linear: {out_features: 50, bias: false}
      name: logits
"""


def graph_of(text: str) -> TypedGraph:
    diagnostics = Diagnostics()
    graph = check(text, "a.yaml", {}, diagnostics).graph
    assert not diagnostics.has_errors, [found.message for found in diagnostics]
    assert graph is not None
    return graph


def with_node(graph: TypedGraph, name: str, change: Callable[[GraphNode], GraphNode]) -> TypedGraph:
    """The graph with one node changed."""
    nodes = tuple(change(node) if node.name == name else node for node in graph.nodes)
    return graph.replace(nodes=nodes, items=nodes)


def tied(graph: TypedGraph, name: str, to: str) -> TypedGraph:
    """The graph with the weight of one node tied to that of another."""
    other = next(node for node in graph.nodes if node.name == to)
    return with_node(graph, name, lambda node: node.replace(ties={"weight": Tie(other, "weight")}))


def as_parameter(graph: TypedGraph, name: str) -> TypedGraph:
    """The graph with a node that is a tensor itself in place of another."""
    return with_node(graph, name, lambda node: node.replace(parameters={"": Parameter((4, 4), "free")}, buffers={}))
