"""How a tensor came to have its shape: the links that a shape error shows.

A chain follows the first thing that each node read, back to an input of the model, and keeps only the nodes that changed the type.
"""

from __future__ import annotations

from specbuilder.diagnostics import Span
from specbuilder.graph.graph import GraphNode, Value

_LINKS = 6


class Chain:
    """Remembers for each value its label where that is not its name, its line and what it was made from."""

    def __init__(self) -> None:
        self._links: dict[Value, tuple[str | None, Span, Value | None]] = {}

    def begin(self, value: Value, label: str, span: Span) -> None:
        self._links[value] = (label, span, None)

    def extend(self, node: GraphNode) -> None:
        before = next(node.arriving(), None)
        for value in node.outputs:
            self._links[value] = (None, node.span, before)

    def of(self, value: Value) -> tuple[str, ...]:
        """The links from the model's input to `value`, such as `image [B, 3, 32, 32] l.5`; the middle of a long chain is folded."""
        links: list[str] = []
        at: Value | None = value
        while at is not None and at in self._links:
            label, span, before = self._links[at]
            if before is None or before.type != at.type or at is value:
                shape = at.type.shape_text if at.type is not None else "?"
                links.append(f"{label or at.name} {shape} l.{span.line}")
            at = before
        links.reverse()
        return tuple(links) if len(links) <= _LINKS else (links[0], "...", *links[-(_LINKS - 2) :])
