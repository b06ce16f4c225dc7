"""The graph in the making: the nodes so far, the parts that are open, who owns which weights, and what may still be made.

Nothing here decides anything; the walk does.
"""

from __future__ import annotations

from collections.abc import Mapping

from specbuilder.catalogue.contract import Parameter
from specbuilder.diagnostics import Span
from specbuilder.graph.chain import Chain
from specbuilder.graph.graph import Arrival, GraphNode, Item, Part, Path
from specbuilder.graph.scope import Output
from specbuilder.language.settings import MOST_NODES
from specbuilder.shapes import Requirement

MOST_WALKED = 4 * MOST_NODES
"""Copies of whatever stands in a list, those that turn out absent or empty among them."""
DEEPEST_RECURSION = 64
"""Uses of blocks within one another."""
DEEPEST_NESTING = 400
"""Lists within one another, those of blocks included."""


class Growing:
    """What has been made, in the order in which it runs."""

    def __init__(self) -> None:
        self.nodes: list[GraphNode] = []
        self.requirements: list[Requirement] = []
        self.chain = Chain()
        self.owners: dict[Path, GraphNode] = {}
        """Nodes by path; where weights are shared, the first."""
        self.part_owners: dict[Path, Part] = {}
        self.sharing = 0
        """Above 0 while nodes are made that use the weights of earlier ones of the same path."""
        self.walked = 0
        self.is_full = False
        """Whether a limit was met: from then on nothing more is made."""
        self._open: list[list[Item]] = [[]]

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(self._open[0])

    @property
    def depth(self) -> int:
        return len(self._open)

    def add(self, node: GraphNode) -> None:
        self.nodes.append(node)
        self._open[-1].append(node)
        self.chain.extend(node)
        self.owners.setdefault(node.path, node)

    def open_part(self) -> None:
        self._open.append([])

    def close_part(
        self,
        path: Path,
        block: str | None,
        origin: Span,
        arguments: Mapping[str, object],
        inputs: Mapping[str, Arrival],
        outputs: Mapping[str, Output],
        *,
        is_copy: bool,
    ) -> None:
        """The nodes since the last `open_part` are a part; one without any is none."""
        items = tuple(self._open.pop())
        if not items:
            return
        shares = self.part_owners.get(path) if self.sharing else None
        part = Part(path, block, origin, arguments, inputs, outputs, items, is_copy, shares)
        self.part_owners.setdefault(path, part)
        self._open[-1].append(part)

    def owner(self, path: Path) -> GraphNode | None:
        """The node whose weights one of this path uses, while weights are shared."""
        return self.owners.get(path) if self.sharing else None


def same_weights(a: Mapping[str, Parameter], b: Mapping[str, Parameter]) -> bool:
    """Whether the parameters of one node can be those of another."""
    return {name: parameter.shape for name, parameter in a.items()} == {name: parameter.shape for name, parameter in b.items()}
