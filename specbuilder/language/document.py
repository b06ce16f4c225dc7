"""What `read` gives: the text as located nodes, and nothing about what they mean.

A node is a scalar, a mapping or a sequence; each knows its place in the text, so that any later stage can put a caret under it. Keys are always
strings and stand once in their mapping. Pure data: two nodes are equal only if they are the same place, which also keeps comparing and hashing cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from specbuilder.diagnostics import Source, Span
from specbuilder.records import Record


class Scalar(Record, identity=True):
    """A number, a boolean, a text or nothing. `text` is what was written, without quotes and before escapes; it starts at `content`."""

    value: int | float | bool | str | None
    span: Span
    text: str
    content: int
    plain: bool
    """Written without quotes, so that `value` was found by what the text looks like."""

    def __repr__(self) -> str:
        return f"Scalar({self.value!r} at {self.span})"


class Mapping(Record, identity=True):
    """Keys and values in the order of the text."""

    entries: tuple[tuple[Scalar, Node], ...]
    span: Span

    def get(self, key: str) -> Node | None:
        """The value under `key`."""
        return next((value for name, value in self.entries if name.value == key), None)

    def key(self, key: str) -> Scalar | None:
        """Where `key` is written."""
        return next((name for name, _ in self.entries if name.value == key), None)

    def keys(self) -> Iterator[str]:
        return (str(name.value) for name, _ in self.entries)

    def __repr__(self) -> str:
        return f"Mapping({', '.join(self.keys())} at {self.span})"


class Sequence(Record, identity=True):
    items: tuple[Node, ...]
    span: Span

    def __repr__(self) -> str:
        return f"Sequence({len(self.items)} items at {self.span})"


Node = Scalar | Mapping | Sequence


class Document(Record, identity=True):
    """A text that could be read. `digest` is the SHA-256 of the text in UTF-8, by which two runs tell that they had the same spec."""

    source: Source
    root: Mapping
    digest: str


def plain(node: Node) -> Any:
    """The node as dict, list or scalar, without its places."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {str(key.value): plain(value) for key, value in node.entries}
