"""How many nodes a list makes at the least, found without making any: what copies, blocks and recursion ask for is refused by arithmetic.

Copies within copies multiply, and a block that uses itself twice doubles. Values are known as far as they are without the nodes: variables, params,
columns, `let`; a number of copies that depends on what arrives counts as one, and the walk asks again when it knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from specbuilder.catalogue.declared import fields_of
from specbuilder.diagnostics import Diagnostics, Span
from specbuilder.graph.environment import UNKNOWN, Environment, Names
from specbuilder.graph.growing import DEEPEST_RECURSION
from specbuilder.graph.place import Place
from specbuilder.graph.variables import Variables
from specbuilder.language.tree import BranchesTree, Entry, ListTree, NodeArgument, NodesArgument, NodeTree, SpecTree, Use
from specbuilder.language.values import Undefined, resolve
from specbuilder.language.vocabulary import BlockKind
from specbuilder.records import Record

_MOST_STEPS = 10_000
"""Nodes of the text that one answer looks at; what is beyond counts as one."""


class _Written(Record, identity=True):
    """Where the value of a `node` or `nodes` param is written."""

    names: Names


class Sizes:
    """Counts nodes, each use of a block with the same params once."""

    def __init__(self, tree: SpecTree, variables: Variables) -> None:
        self._file: Names = _Only(variables)
        self._known: dict[object, int] = {}
        self._depth = 0
        self._is_endless = False
        """Whether recursion goes too deep, which the walk meets before it has made much, and tells as what it is."""
        self._left = _MOST_STEPS

    def of_list(self, nodes: Iterable[NodeTree]) -> int:
        """All nodes of a list of the model, copies included."""
        self._left = _MOST_STEPS
        count = sum(self._node(node, self._file, at_least=1) for node in nodes)
        return count if not self._is_endless else 1

    def heaviest(self, nodes: Iterable[NodeTree]) -> Span:
        """Where the most nodes of a list of the model are asked for."""
        self._left = _MOST_STEPS
        node = max(nodes, key=lambda node: self._node(node, self._file, at_least=1))
        copies = _copies_of(node)
        return node.span if copies is None else copies.span

    def of_copies(self, node: NodeTree, names: Names) -> int:
        """All copies of a node, where `names` are known; an empty copy counts as well."""
        self._left = _MOST_STEPS
        count = self._node(node, names, at_least=1)
        return count if not self._is_endless else 1

    def _node(self, node: NodeTree, names: Names, *, at_least: int = 0) -> int:
        self._left -= 1
        copies = _copies_of(node)
        if copies is None:
            return max(self._copy(node, names), at_least)
        value = self._value(copies, names)
        if isinstance(value, int) and not isinstance(value, bool):
            return max(value, 1) * max(self._copy(node, Environment({"i": UNKNOWN}, names)), 1)
        columns = {name: column for name, column in value.items() if isinstance(column, tuple)} if isinstance(value, Mapping) else {}
        count = max(map(len, columns.values()), default=1)
        if _is_leaf(node) or self._left <= 0:
            return count
        rows = [{name: column[at] for name, column in columns.items() if at < len(column)} for at in range(count)]
        return sum(max(self._copy(node, Environment({"i": UNKNOWN, **row}, names)), 1) for row in rows)

    def _copy(self, node: NodeTree, names: Names) -> int:
        """One copy; 0 where it may be absent."""
        if node.when is not None and self._value(node.when, names) is not True:
            return 0
        body = node.body
        if isinstance(body, Use):
            return self._use(body, names)
        if isinstance(body, ListTree):
            return max(1, self._sum(body.nodes, names))
        if isinstance(body, BranchesTree):
            return max(1, sum(self._sum(branch.nodes, names) for branch in body.branches.values()))
        return 1

    def _sum(self, nodes: Iterable[NodeTree], names: Names) -> int:
        return sum(self._node(node, names) for node in nodes) if self._left > 0 else 1

    def _use(self, use: Use, names: Names) -> int:
        if not isinstance(use.kind, str):
            given = self._value(use.kind, names)
            if not isinstance(given, (NodeArgument, NodesArgument)):
                return 1
            return self._argument(given)
        if use.cls is None or not issubclass(use.cls, BlockKind):
            return 1
        params = self._params(use, use.cls, names)
        key = (use.cls, *((name, type(value), value) for name, value in params.items()))
        try:
            known = self._known.get(key)
        except TypeError:  # a value without a hash, such as a mapping
            return 1
        if known is None:
            if self._depth >= DEEPEST_RECURSION or self._left <= 0:
                self._is_endless = self._is_endless or self._depth >= DEEPEST_RECURSION
                return 1
            self._depth += 1
            self._known[key] = known = max(1, self._sum(use.cls.block.nodes, self._within(use.cls, params)))
            self._depth -= 1
        return known

    def _argument(self, given: NodeArgument | NodesArgument) -> int:
        """What was handed in; the same thing in the same place once."""
        if given not in self._known:
            there = given.place.names if isinstance(given.place, (_Written, Place)) else self._file
            count = self._sum(given.nodes.nodes, there) if isinstance(given, NodesArgument) else self._use(given.use, there)
            self._known[given] = max(1, count)
        return self._known[given]

    def _params(self, use: Use, cls: type[BlockKind], names: Names) -> dict[str, Any]:
        params: dict[str, Any] = {}
        for name, field in fields_of(cls).items():
            written = use.fields.get(name)
            if written is None:
                params[name] = UNKNOWN if field.is_required else field.default
            elif isinstance(written.value, (NodeArgument, NodesArgument)):
                params[name] = written.value.written_in(_Written(names))
            else:
                value = self._value(written, names)
                params[name] = UNKNOWN if value is None else value
        return params

    def _within(self, cls: type[BlockKind], params: dict[str, Any]) -> Names:
        around = Environment(params, self._file)
        return Variables(cls.block.lets, Diagnostics(), around) if cls.block.lets else around

    def _value(self, written: Entry | Any, names: Names) -> Any:
        """The value of what is written; None where it is not known yet, or wrong, which is told by whoever needs it."""
        if isinstance(written, Entry):
            if not written.is_deferred:
                return written.value
            written = written.value
        try:
            return resolve(written, names, names.names, Diagnostics())
        except (Undefined, KeyError):
            return None


class _Only:
    """The variables of the file; nothing is marked as used, and what is wrong is told by whoever needs it."""

    def __init__(self, variables: Variables) -> None:
        self._variables = variables

    @property
    def names(self) -> tuple[str, ...]:
        return self._variables.names

    def __call__(self, name: str) -> Any:
        if name not in self._variables.known:
            raise Undefined(name)
        return self._variables.known[name]


def _copies_of(node: NodeTree) -> Entry | None:
    return node.each if node.each is not None else node.repeat


def _is_leaf(node: NodeTree) -> bool:
    body = node.body
    if isinstance(body, Use):
        return isinstance(body.kind, str) and not (body.cls is not None and issubclass(body.cls, BlockKind))
    return not isinstance(body, (ListTree, BranchesTree))
