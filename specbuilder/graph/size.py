"""How many nodes a list makes at the least, found without making any: what a `repeat` asks for is refused by arithmetic.

Copies within copies multiply. What only the walk can know (a column, a param) counts once, and the walk counts again when it knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from specbuilder.diagnostics import Diagnostics, Span
from specbuilder.graph.variables import Variables
from specbuilder.language.tree import BranchesTree, Entry, ListTree, NodeTree, SpecTree, Use
from specbuilder.language.values import Undefined, resolve
from specbuilder.language.vocabulary import BlockKind


class Sizes:
    """Counts nodes, each list once."""

    def __init__(self, tree: SpecTree, variables: Variables) -> None:
        self._blocks, self._variables = tree.blocks, variables
        self._known: dict[object, int] = {}
        self._open: set[object] = set()

    def of_list(self, nodes: Iterable[NodeTree]) -> int:
        """All nodes of a list, copies included."""
        return sum(self._copies(node) * self.of_node(node) for node in nodes)

    def heaviest(self, nodes: Iterable[NodeTree]) -> Span:
        """Where the most nodes of a list are asked for."""
        node = max(nodes, key=lambda node: self._copies(node) * self.of_node(node))
        copies = node.each if node.each is not None else node.repeat
        return node.span if copies is None else copies.span

    def of_node(self, node: NodeTree) -> int:
        """One copy of a node; at least 1, so that empty copies count as well."""
        body = node.body
        if isinstance(body, Use):
            cls = body.cls
            return self._of(cls.block, cls.block.nodes) if cls is not None and issubclass(cls, BlockKind) else 1
        if isinstance(body, ListTree):
            return self._of(body, body.nodes)
        if isinstance(body, BranchesTree):
            return max(1, sum(self._of(branch, branch.nodes) for branch in body.branches.values()))
        return 1

    def _of(self, key: object, nodes: tuple[NodeTree, ...]) -> int:
        if key in self._open:
            return 1
        if key not in self._known:
            self._open.add(key)
            # What may be absent may be nothing, which ends a recursion.
            self._known[key] = max(1, sum(self._copies(node) * self.of_node(node) for node in nodes if node.when is None))
            self._open.discard(key)
        return self._known[key]

    def _copies(self, node: NodeTree) -> int:
        copies = node.each if node.each is not None else node.repeat
        if copies is None:
            return 1
        value = self._value(copies)
        if isinstance(value, int) and not isinstance(value, bool):
            return max(value, 1)
        if isinstance(value, Mapping):
            return max((len(column) for column in value.values() if isinstance(column, tuple)), default=1)
        return 1

    def _value(self, copies: Entry) -> object:
        if not copies.is_deferred:
            return copies.value
        try:
            return resolve(copies.value, _Only(self._variables), (), Diagnostics())
        except Undefined:
            return None


class _Only:
    """The variables of the file; nothing is marked as used, and what is wrong is told by whoever needs it."""

    def __init__(self, variables: Variables) -> None:
        self._variables = variables

    def __call__(self, name: str) -> object:
        if name not in self._variables.known:
            raise KeyError(name)
        return self._variables.known[name]
