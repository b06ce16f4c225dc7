"""Nodes and inputs that nothing reads, told once for each place in the text.

The walk closes each list when it is done: everything that can read a node of it directly has been walked then, and what leaves the list is read by
whoever reads the list. A node is unread if no walk over its place in the text reads it, since a block may be used in ways that need less of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping as MappingOf

from specbuilder.diagnostics import Diagnostics, Span
from specbuilder.graph.graph import Path, Value
from specbuilder.graph.scope import Named, Output, Produced
from specbuilder.language.document import Document, Mapping, Scalar
from specbuilder.language.tree import BlockInput, BlockTree, BranchesTree, ListTree, NodeTree
from specbuilder.language.unused import names_in
from specbuilder.records import Record

Place = NodeTree | ListTree | BlockInput
"""What the text has in one place."""


class _Tally(Record):
    """What is known of one place so far."""

    is_read: bool
    message: str
    span: Span
    place: Place
    block: BlockTree | None
    """Of an input, the block that declares it."""


class Unread:
    """`used` are the values that have been read; what leaves a list is taken out of it again, since only what is around the list reads it from then on."""

    def __init__(self, used: set[Value]) -> None:
        self.used = used
        self._tallies: dict[int, _Tally] = {}
        """By the identity of the place."""

    def close(self, made: Iterable[tuple[NodeTree, str, Named]], leaving: Iterable[Output], path: Path, entered: Iterable[Output | None]) -> None:
        """The list at `path` is done."""
        out = {value for output in leaving for value in _each(output)}
        for node, name, named in made:
            if not named.is_absent:
                self._node(node, name, named, out)
        before = {value for output in entered if output is not None for value in _each(output)}
        self.used -= {value for value in out if value not in before and value.path[: len(path)] == path}

    def _node(self, node: NodeTree, name: str, named: Named, out: set[Value]) -> None:
        copies = [copy for copy in named.copies if not copy.is_absent]
        if not named.is_list:
            # Each copy of a repeat reads the one before.
            copies = copies[-1:]
        unread = [number for number, copy in enumerate(named.copies) if copy in copies and not self._is_read(copy, out)]
        called = f"{name}.{unread[0]}" if unread and len(unread) < len(copies) else name
        self._tell(node, not unread, f"nothing reads `{called}`, and it is no output", node.span)
        if isinstance(node.body, BranchesTree) and node.merge is None and not unread:
            for port, branch in node.body.branches.items():
                is_read = any(self._is_any_read(copy.ports.get(port, ()), out) for copy in copies)
                self._tell(branch, is_read, f"nothing reads the branch `{name}.{port}`, and it is no output", branch.span)

    def _is_read(self, copy: Produced, out: set[Value]) -> bool:
        return any(self._is_any_read(output, out) for output in copy.ports.values())

    def _is_any_read(self, output: Output, out: set[Value]) -> bool:
        """Whether one of these is read. What is unknown after a mistake may be."""
        return not output or any(value in self.used or value in out or value.type is None for value in _each(output))

    def begin_block(self, entered: MappingOf[str, Output]) -> None:
        """What enters a block has been read by the use of it; from here on it is asked whether the block reads it."""
        self.used.difference_update(value for output in entered.values() for value in _each(output))

    def end_block(self, block: BlockTree, entered: MappingOf[str, Output], leaving: Iterable[Output]) -> None:
        """The nodes of the block are done, but its list is not closed yet."""
        out = {value for output in leaving for value in _each(output)}
        for declared in block.inputs:
            # One that is not declared is there unasked.
            if declared.name != "input":
                is_read = self._is_any_read(entered[declared.name], out)
                self._tell(declared, is_read, f"nothing reads the input `{declared.name}`", declared.span, block)
        self.used.update(value for output in entered.values() for value in _each(output))

    def _tell(self, place: Place, is_read: bool, message: str, span: Span, block: BlockTree | None = None) -> None:
        known = self._tallies.get(id(place))
        if known is None or (is_read and not known.is_read):
            self._tallies[id(place)] = _Tally(is_read, message, span, place, block)

    def warn(self, document: Document, diagnostics: Diagnostics) -> None:
        """Tells what no walk has found to be read."""
        for tally in self._tallies.values():
            if not tally.is_read and not (tally.block is not None and _says_size(tally.block, tally.place, document)):
                diagnostics.warning("SB0307", tally.message, tally.span)


def _says_size(block: BlockTree, declared: object, document: Document) -> bool:
    """Whether an input of a block is there for a size that it alone binds, and that the block names."""
    types = {each: set(_WORD.findall(each.type.node.text)) for each in block.inputs if each.type is not None and isinstance(each.type.node, Scalar)}
    bound = types.get(declared, set()) - {word for each, words in types.items() if each != declared for word in words}  # type: ignore[arg-type]  # an input
    blocks = document.root.get("blocks")
    written = blocks.get(block.name) if isinstance(blocks, Mapping) else None
    parts = (value for key, value in written.entries if key.value != "inputs") if isinstance(written, Mapping) else ()
    return any(word in bound for part in parts for word in names_in(part))


_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _each(output: Output) -> tuple[Value, ...]:
    return (output,) if isinstance(output, Value) else output
